"""How much memory a piece of work needs and how much there is."""

from __future__ import annotations

import sys
from pathlib import Path

from .errors import InputError

GIB = 2**30
SAY_ABOVE = 1 * GIB  # smaller needs are not worth a word
LIMIT = 0.8  # share of the free memory above which a run is refused


def available() -> int | None:
    """Give the memory in bytes that can still be had, within a container's limit; None where unknown."""
    if sys.platform != "linux":
        return None
    words = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(words["MemAvailable"].split()[0]) * 1024
    try:  # a container may hold less than the machine
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def check(needed: float, what: str) -> str:
    """Say how much memory a run needs, or nothing for little; refuse where there is not enough."""
    free = available()
    if free is not None and needed > LIMIT * free:
        raise InputError(
            f"{what} needs about {needed / GIB:.1f} GB of memory and {free / GIB:.1f} GB are free: "
            "crop the scan (--crop) or resample it to a coarser spacing"
        )
    return f"{what} needs about {needed / GIB:.1f} GB of memory" if needed > SAY_ABOVE else ""
