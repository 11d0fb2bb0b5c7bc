"""Work on one scan, as a Dask worker does: start a fresh process, watch it, put its folder in place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .keys import answer_in

ASIDE = ".part-"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")}
LOOK_EVERY = 0.1  # seconds between looks at a process's memory
SHORT = 3  # exit code of a process that ran short of memory
STOP = threading.Event()  # set where the run is interrupted: processes end at once


def work(job: dict[str, Any], output: str) -> dict[str, Any]:
    """Run one attempt at a job in a fresh process; gives its answer.

    The folder in which it works carries the attempt's number. Where it is there already, the worker that had begun
    this attempt was lost, and Dask gives it again: then it counts as lost, so that nothing is tried without end.
    """
    target, aside = Path(output) / job["id"], Path(output) / f"{ASIDE}{job['id']}.{job['attempt']}"
    try:
        aside.mkdir()
    except FileExistsError:
        return _lost(job, "its worker was killed")
    except OSError as error:
        return {"id": job["id"], "status": "failed", "error": f"not written: {error.strerror or error}", "rows": []}
    code, said, held = _process({**job, "folder": str(aside)})
    answer = answer_in(aside)
    if code == 0 and answer is not None:
        if answer["status"] == "done":
            _put(aside, target)
        else:
            shutil.rmtree(aside, ignore_errors=True)
        return {"id": job["id"], **answer}
    shutil.rmtree(aside, ignore_errors=True)
    if held or code in (SHORT, -9, 137):
        limit = job.get("limit")
        allowed = f", and {limit / 1e9:.1f} GB are allowed" if limit else ""
        if held or code == SHORT:
            more = f"its process took {held / 1e9:.1f} GB" if held else "its process got no more"
            return _lost(job, f"out of memory: {more}{allowed}; give it more with --memory GB, or resample the scan")
    if code < 0 or code == 137:
        return _lost(job, f"its process was killed (signal {-code if code < 0 else 9}); perhaps memory was short")
    why = f"a fault of the program, please report it: {said or f'exit code {code}'}"
    return {"id": job["id"], "status": "failed", "error": why, "rows": []}


def _lost(job: dict[str, Any], why: str) -> dict[str, Any]:
    return {"id": job["id"], "status": "lost", "error": why, "rows": []}


def _process(job: dict[str, Any]) -> tuple[int, str, float]:
    """Run a fresh Python that does the job: its exit code, its last line, and the bytes it held if they were too many.

    The pipe to it stays open while it works; it ends when the pipe does, so that nothing works on without its worker.
    """
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "mrbone_nb.cohort.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
            start_new_session=True,  # Ctrl-C is for the one who started the batch
        )
        held = 0.0
        try:
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.flush()
            held = _watch(child, job.get("limit"))
        except BrokenPipeError:
            pass  # it died at once; its exit code tells
        finally:
            if child.poll() is None and (held or STOP.is_set() or sys.exc_info()[0]):
                child.kill()
            child.wait()
            try:
                child.stdin.close()
            except OSError:
                pass
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    return child.returncode, lines[-1][:300] if lines else "", held


def _watch(child: subprocess.Popen, limit: float | None) -> float:
    """Wait for a process; gives the bytes it holds as soon as they are more than allowed, else 0."""
    import psutil

    while not STOP.is_set():
        try:
            child.wait(LOOK_EVERY)
            return 0.0
        except subprocess.TimeoutExpired:
            pass
        try:
            process = psutil.Process(child.pid)
            held = sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
        except psutil.Error:
            continue  # it has just ended
        if limit is not None and held > limit:
            return float(held)
    return 0.0


def _put(aside: Path, target: Path) -> None:
    """Put a finished folder in the place of an older one."""
    old = aside.with_name(aside.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    for _ in range(50):  # some systems keep a folder busy for a moment after it was read
        try:
            if target.exists():
                target.rename(old)
            aside.rename(target)
            break
        except PermissionError:
            time.sleep(0.1)
    shutil.rmtree(old, ignore_errors=True)


def clear_aside(output: Path) -> None:
    """Take away what an interrupted run left aside; a result that it was about to replace is put back."""
    for old in output.glob(f"{ASIDE}*.old"):
        name = old.name.removeprefix(ASIDE).removesuffix(".old").rpartition(".")[0]
        if name and not (output / name).exists():
            old.rename(output / name)
    for folder in output.glob(f"{ASIDE}*"):
        shutil.rmtree(folder, ignore_errors=True)
