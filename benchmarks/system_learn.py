"""Learn from masks, and score scans that the model has not seen.

    python benchmarks/system_learn.py [--data FOLDER]

Every folder in FOLDER/hips holds a scan (image.nii.gz or the folder dicom) and truth.nii.gz. The
scans are dealt into four parts; each is judged by trees and shapes that learned from the other three, and by the
atlases of all others. With seeds.nii.gz beside them, training hears these strokes too, and strokes and model together
are judged as well, the scan's own strokes by trees of the other parts. Nothing is kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np

from mrbone_nb import learn
from mrbone_nb.learn.predicting import joined
from mrbone_nb.learn.ready import ready
from mrbone_nb.learn.settle import settled
from mrbone_nb.measure import dice

GROUPS = {"femora": (1, 2), "hip bones": (3, 4), "sacrum": (5,)}
GOALS = {  # least and aim
    "automatic": {"femora": (0.88, 0.93), "hip bones": (0.80, 0.87), "sacrum": (0.75, 0.85)},
    "with strokes": {"femora": (0.92, 0.95), "hip bones": (0.88, 0.91), "sacrum": (0.86, 0.90)},
}
Row = tuple[str, str, str, float, float | None, float | None, float]


def rows(data: Path | None) -> Iterator[Row]:
    """Work, case, measure, value, least, aim and seconds of every figure; none without the hips.

    Parameters
    ----------
    data
        The folder that holds the folder ``hips``.
    """
    folder = None if data is None else data / "hips"
    if folder is None or not folder.is_dir():
        return
    cases, _ = learn.read_cases(sorted(p for p in folder.iterdir() if (p / "truth.nii.gz").exists()))
    started = time.perf_counter()
    done = learn.train(cases)
    seconds = time.perf_counter() - started
    yield "learn from masks", f"{len(cases)} hips", "training in minutes", seconds / 60, 10.0, None, seconds
    for way in GOALS:  # the model has seen this scan, so only the time counts
        seeds = cases[0].seeds if way == "with strokes" else None
        if way == "automatic" or seeds is not None:
            started = time.perf_counter()
            learn.predict(done.model, cases[0].scan, seeds=seeds)
            seconds = time.perf_counter() - started
            yield "learn from masks", cases[0].name, f"seconds {way}", seconds, 60.0, None, seconds
    found: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        for way in GOALS:
            started = time.perf_counter()
            labels = judged(done, case, way)
            seconds = time.perf_counter() - started
            for bones, numbers in GROUPS.items() if labels is not None else ():
                value = mean(dice(labels == n, case.truth.array == n) for n in numbers)
                found.setdefault((way, bones), []).append(value)
                yield "learn from masks", case.name, f"Dice {bones} {way}", value, None, None, seconds
    for (way, bones), values in found.items():
        yield "learn from masks", "mean", f"Dice {bones} {way}", float(np.mean(values)), *GOALS[way][bones], 0.0


def judged(done: learn.Trained, case: learn.Case, way: str) -> np.ndarray | None:
    """Labels of a case by trees that have not seen it; None where there are no strokes."""
    model, turned, unseen = done.model, ready(case.scan), done.unseen[case.name]
    shapes = done.shapes[case.name]
    if way == "automatic":
        labels = settled(unseen, turned, case.scan, model.numbers, shapes)
    elif case.seeds is None:
        return None
    else:
        labels = joined(model, case.scan, turned, case.seeds, unseen, shapes, done.parts[case.name])
    return learn.CLEAN.run(case.scan, labels=labels).labels.array


def main() -> None:
    """Print every figure as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder that holds the folder hips")
    for work, case, measure, value, least, aim, seconds in rows(parser.parse_args().data):
        goals = "" if least is None else f"  least {least}" + ("" if aim is None else f", aim {aim}")
        print(f"{work:18} {case:10} {measure:32} {value:7.3f}{goals}  {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
