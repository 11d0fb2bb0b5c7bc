"""Score extremal regions (preset "extremal-regions") on simulated forearms and knees: Dice, bone by bone.

    python benchmarks/system_regions.py

Strokes of a simulated user lie 10 mm apart and choose the bones; nothing is tuned to a scan.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import mrbone_nb as mb
from mrbone_nb.measure import dice
from mrbone_nb.phantom import FOREARM, KNEE, forearm_body, knee_body, scan, simulated_strokes

LEAST, AIM = 0.93, 0.98
Row = tuple[str, str, str, float, float | None, float | None, float]
CASES = {  # body, names of its bones, and how it is scanned
    "forearm T1 1.5 T 3 mm": (forearm_body, FOREARM, dict(spacing=(3.0, 0.6, 0.6), plane="axial", field=1.5)),
    "forearm T1 3 T 3 mm": (forearm_body, FOREARM, dict(spacing=(3.0, 0.6, 0.6), plane="axial")),
    "forearm T1 1.5 T 0.7 mm": (forearm_body, FOREARM, dict(spacing=(0.7, 0.7, 0.7), plane="axial", field=1.5)),
    "knee T1 3 mm": (knee_body, KNEE, dict(spacing=(3.0, 0.4, 0.4), plane="sagittal")),
    "knee T1 0.7 mm": (knee_body, KNEE, dict(spacing=(0.7, 0.7, 0.7), plane="sagittal")),
}
SEEDS = {"forearm T1 1.5 T 3 mm": (0, 1, 2), "knee T1 3 mm": (0, 1)}


def rows() -> Iterator[Row]:
    """Give work, case, measure, value, least, aim and seconds of every bone of every scan."""
    recipe = mb.preset("extremal-regions")
    for case, (make, bones, words) in CASES.items():
        for seed in SEEDS.get(case, (0,)):
            volume, truth = scan(make(seed=seed), "t1", seed=seed, **words)
            started = time.perf_counter()
            found = recipe.run(volume, seeds=simulated_strokes(truth, every_mm=10, seed=seed)).labels.array
            seconds = time.perf_counter() - started
            for number, bone in bones.items():
                value = float(dice(found == number, truth.array == number))
                yield "Migimatsu 2015", f"{case}, seed {seed}", f"Dice {bone}", value, LEAST, AIM, seconds


if __name__ == "__main__":
    for work, case, measure, value, least, aim, seconds in rows():
        print(f"{work:16} {case:32} {measure:14} {value:.3f}  least {least:.2f}  aim {aim:.2f}  {seconds:5.1f} s", flush=True)
