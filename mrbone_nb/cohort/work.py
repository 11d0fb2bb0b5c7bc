"""Work on one scan, as a Dask worker does: start a fresh process, wait, put its folder in place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import __version__
from ..record import file_sha256

ASIDE = ".part-"
QUIET = {name: "1" for name in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")}
TRIES = 2  # of a process that was killed


def key_of(job: dict[str, Any]) -> str:
    """What tells a job from another: its files, recipe and values, and the version that runs it."""
    files = {name: content_sha256(Path(job[name])) for name in ("scan", "seeds", "truth") if job[name] is not None}
    facts = {name: job[name] for name in ("series", "echo", "recipe", "overrides", "accept", "formats", "picture")}
    text = json.dumps({"files": files, **facts, "version": __version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def content_sha256(path: Path) -> str:
    """One SHA-256 of a file, or of all files in a folder with their places in it."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def work(job: dict[str, Any], output: str) -> dict[str, Any]:
    """Run a job unless its result is there; gives its answer. A killed process is tried once more, then named."""
    target = Path(output) / job["id"]
    try:
        job = {**job, "key": key_of(job)}
    except OSError as error:
        return {"id": job["id"], "status": "failed", "error": f"cannot be read: {error.strerror or error}", "rows": []}
    there = answer_in(target)
    if there is not None and there["key"] == job["key"] and there["status"] == "done":
        return {"id": job["id"], **there, "resumed": True}
    for number in range(1, TRIES + 1):
        aside = Path(output) / f"{ASIDE}{job['id']}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        code, said = _process({**job, "folder": str(aside)})
        answer = answer_in(aside)
        if code == 0 and answer is not None:
            _put(aside, target)
            return {"id": job["id"], **answer, "tries": number}
        if code > 0 and code != 3:
            break  # a fault of the program comes again
    shutil.rmtree(aside, ignore_errors=True)
    return {"id": job["id"], "status": "failed", "error": _why(code, said), "rows": [], "tries": number}


def answer_in(folder: Path) -> dict[str, Any] | None:
    """What a finished job left in its folder; None if it is not there or not whole."""
    try:
        return json.loads((folder / "done.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _process(job: dict[str, Any]) -> tuple[int, str]:
    """The exit code of a fresh Python that does the job, and the last line that it said."""
    child = subprocess.run(
        [sys.executable, "-m", "mrbone_nb.cohort.child"],
        input=json.dumps(job),
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = child.stderr.strip().splitlines()
    return child.returncode, lines[-1] if lines else ""


def _put(aside: Path, target: Path) -> None:
    """Put a finished folder in the place of an older one."""
    old = target.with_name(f"{ASIDE}{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _why(code: int, said: str) -> str:
    if code < 0 or code == 137:
        return f"its process was killed (signal {-code if code < 0 else 9}) {TRIES} times; perhaps memory was short"
    return "memory was short" if code == 3 else f"a fault of the program: {said or f'exit code {code}'}"


def clear_aside(output: Path, ids: Iterable[str]) -> None:
    """Take away what an interrupted run left aside."""
    for name in ids:
        for folder in output.glob(f"{ASIDE}{name}*"):
            shutil.rmtree(folder, ignore_errors=True)
