"""Many scans with one worker and with two, in one run: time, processor time, memory, the same bits.

python benchmarks/cohort.py [--scans 24]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from cohort_scene import cohort

import mrbone_nb as mb

SHAPE = (24, 96, 96)


def timed(table, recipe, out, workers):
    """Seconds on the wall, and of the processor in all processes that ended."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = mb.batch(table, recipe, out, workers=workers, picture=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, busy, result


def labels_of(out, name):
    (path,) = (out / name).glob("*_dseg.nii.gz")
    return mb.read_labels(path)[0].array


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--scans", type=int, default=24)
    count = options.parse_args().scans
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table, recipe, rows = cohort(folder, count, SHAPE)
        found = {n: timed(table, recipe, folder / f"with{n}", n) for n in (1, 2)}
        same = all(
            np.array_equal(labels_of(folder / "with1", row["id"]), labels_of(folder / "with2", row["id"])) for row in rows
        )
        for n, (wall, busy, result) in found.items():
            peaks = [a["peak_mb"] for a in result.answers]
            print(f"{n} workers: {wall:6.1f} s, processors {busy:6.1f} s, {count / wall:.2f} scans a second,")
            print(f"           memory of a scan {min(peaks):.0f} to {max(peaks):.0f} MB, failed {len(result.failed)}")
        print(f"two workers are {found[1][0] / found[2][0]:.2f} times as fast (at least 1.7); the same bits: {same}")
        print(f"load of the machine now: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
