"""Many scans with one worker and with two, in one run: time, processor time, memory, the same bits.

python benchmarks/cohort.py [--scans 24] [--rounds 1]

The machine's load hits both alike only on average: the ratio is of the sums over all rounds, which take turns.
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
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from cohort_scene import cohort, labels_in

import mrbone_nb as mb
from mrbone_nb.cohort.look import look
from mrbone_nb.cohort.table import read_cohort

SHAPE = (24, 96, 96)
SETTINGS = {"accept": [], "formats": [], "picture": False}


def timed(table, recipe, out, workers):
    """Seconds on the wall, and of the processor in all processes that ended."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = mb.batch(table, recipe, out, workers=workers, picture=False, report=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, busy, result


def held():
    """Memory of this process, in MB."""
    return psutil.Process().memory_info().rss / 1e6


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--scans", type=int, default=24)
    options.add_argument("--rounds", type=int, default=1)
    count, rounds = vars(options.parse_args()).values()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table, recipe, rows = cohort(folder, count, SHAPE)
        began = time.perf_counter()
        look(read_cohort(table, recipe), None, SETTINGS)
        print(f"the look before: {1e3 * (time.perf_counter() - began) / count:.0f} ms a scan")
        before = held()
        found = {1: [], 2: []}
        for turn in range(rounds):
            for n in found:
                found[n].append(timed(table, recipe, folder / f"with{n}-{turn}", n))
        same = all(
            np.array_equal(labels_in(folder / "with1-0" / row["id"]), labels_in(folder / "with2-0" / row["id"]))
            for row in rows
        )
        for n, runs in found.items():
            wall, busy = (sum(run[k] for run in runs) for k in (0, 1))
            peaks = [a["peak_mb"] for run in runs for a in run[2].answers]
            print(f"{n} workers: {wall:6.1f} s, processors {busy:6.1f} s, {rounds * count / wall:.2f} scans a second,")
            print(f"           memory of a scan {min(peaks):.0f} to {max(peaks):.0f} MB, failed {len(runs[-1][2].failed)}")
        one, two = (sum(run[0] for run in runs) for runs in found.values())
        print(f"two workers are {one / two:.2f} times as fast (at least 1.7); the same bits: {same}")
        print(f"memory of the process that leads: {before:.0f} MB before, {held():.0f} MB after")
        print(f"load of the machine now: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
