"""One batch at a time in a folder, so that no scan is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

NAME = ".cohort.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; one that is gone holds nothing any more.

    Raises
    ------
    InputError
        Another batch works there.
    """
    path = folder / NAME
    text = json.dumps({"process": os.getpid(), "machine": platform.node()})
    for _ in range(2):
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
            break
        except FileExistsError:
            holder = _holder(path)
            if holder:
                raise InputError(
                    f"{folder}: another batch works there ({holder}); wait for it, or delete {NAME} if there is none"
                ) from None
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{path}: not written: {error.strerror or error}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _holder(path: Path) -> str:
    """Say who holds a folder; nothing where that process is gone."""
    import psutil

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        number, machine = int(data["process"]), str(data["machine"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if machine != platform.node():
        return f"process {number} on {machine}"
    return f"process {number}" if psutil.pid_exists(number) and number != os.getpid() else ""
