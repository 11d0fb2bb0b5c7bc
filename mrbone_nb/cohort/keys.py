"""What tells a finished scan from one that has to be done: the hash of its files, recipe and version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import __version__
from ..bones import sidecar
from ..record import file_sha256

DONE = "done.json"
DECIDE = ("series", "echo", "recipe", "overrides", "accept", "formats", "picture")


def key_of(job: dict[str, Any]) -> str:
    """Give what tells a job from another: its files, recipe and values, and the version that runs it."""
    files = {name: content_sha256(Path(job[name])) for name in ("scan", "seeds", "truth", "model") if job[name]}
    for name in ("seeds", "truth"):  # the names of labels lie beside, and go into the results
        if job[name] and sidecar(job[name]).is_file():
            files[f"{name} names"] = file_sha256(sidecar(job[name]))
    facts = {"files": files, **{name: job[name] for name in DECIDE}, "version": __version__}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def content_sha256(path: Path) -> str:
    """Give one SHA-256 of a file, or of all files in a folder with their places in it."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def hashes(folder: Path, leave_out: Iterable[str] = (DONE,)) -> dict[str, str]:
    """Give the SHA-256 of each file in a folder."""
    skip = set(leave_out)
    return {p.name: file_sha256(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name not in skip}


def answer_in(folder: Path) -> dict[str, Any] | None:
    """Give what a finished job left in its folder; None if it is not there or not whole."""
    try:
        answer = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and isinstance(answer.get("files"), dict) else None


def finished(folder: Path, key: str) -> dict[str, Any] | None:
    """Give the answer of a job that is done: made with this key, and all its files still what they were."""
    answer = answer_in(folder)
    if answer is None or answer.get("key") != key or answer.get("status") != "done":
        return None
    try:
        same = all(file_sha256(folder / Path(name).name) == sha256 for name, sha256 in answer["files"].items())
    except OSError:
        return None
    return answer if same else None


def tidy(text: str, job: dict[str, Any]) -> str:
    """Give a message in one line and without the folders of this machine, for tables that are shared."""
    folders = {str(Path(p).parent) for name in ("scan", "seeds", "truth", "model") if (p := job[name]) is not None}
    folders |= {str(Path(folder).resolve()) for folder in folders}
    for folder in sorted(folders - {".", "/"}, key=len, reverse=True):
        text = text.replace(folder + "/", "").replace(folder + "\\", "")
    return " ".join(text.split())
