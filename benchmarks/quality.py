"""See whether the score of `quality`, which knows no truth, ranks bones as their true Dice does (Spearman's rho).

    python benchmarks/quality.py HIPS [--keep FOLDER] [--tuned-on hip01,hip02,hip03,hip04]

Every folder in HIPS holds a scan, seeds.nii.gz and truth.nii.gz. Each scan is segmented by every method, from all
strokes and from those on every second or third marked slice; the score sees the strokes that the method saw. Bones
that a method lost altogether are left out: they score 0 anyway. The fixed scale of the score was looked at on four
scans only, which are told apart here: the others are the test. FOLDER keeps label maps and rows between runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from accuracy import HIP, hips, recipe_of
from scipy.stats import spearmanr

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable, split_side
from mrbone_nb.measure import dice
from mrbone_nb.rating import Quality, scored

METHODS = {
    "grow from seeds": (1, 3),
    "watershed": (1, 3),
    "closed rim": (1, 3),
    "random walker": (1, 3),
    "graph cut": (1, 3),
    "default": (1, 2, 3),
}
TABLE = LabelTable({number: Label(*split_side(title)) for number, title in HIP.items()})
TUNED_ON = "hip01,hip02,hip03,hip04"
Row = dict[str, object]


def thinned(seeds: mb.Volume, every: int) -> mb.Volume:
    """The strokes on every nth slice of those that show a bone's."""
    if every == 1:
        return seeds
    marked = np.flatnonzero(((seeds.array > 0) & (seeds.array < 255)).any(axis=(1, 2)))
    kept = np.isin(np.arange(len(seeds.array)), marked[every // 2 :: every])
    return seeds.with_array(np.where(kept[:, None, None], seeds.array, 0).astype(np.uint8))


def segmented(case: tuple, method: str, every: int, keep: Path | None) -> mb.Volume:
    """The label map of one method, made or taken from the folder."""
    name, volume, seeds, _, _, polarity = case
    path = keep / f"{name}_{method.replace(' ', '-')}_{every}.npz" if keep else None
    if path and path.exists():
        return volume.with_array(np.load(path)["labels"])
    labels = recipe_of(method, polarity).run(volume, seeds=thinned(seeds, every)).labels
    if path:
        np.savez_compressed(path, labels=labels.array)
    return labels


def rows_of(case: tuple, keep: Path | None) -> Iterator[Row]:
    """A row for every method, number of strokes and bone of a scan: score, score without second opinion, true Dice."""
    name, volume, seeds, truth, bones, _ = case
    for every in (1, 2, 3):
        given = thinned(seeds, every)
        second = mb.second_opinion(volume, given)
        for method in (m for m, numbers in METHODS.items() if every in numbers):
            labels = segmented(case, method, every, keep)
            for found in mb.quality(volume, labels, table=TABLE, seeds=given, others=[second]):
                if found.volume_mm3:
                    true = dice(labels.array == found.label, truth.array == found.label)
                    yield {"scan": name, "method": method, "every": every, "dice": true, **scores(found)}
    exact = truth.with_array(np.where(np.isin(truth.array, list(bones)), truth.array, 0))
    for found in mb.quality(volume, exact, table=TABLE):
        yield {"scan": name, "method": "truth", "every": 0, "dice": 1.0, **scores(found)}


def scores(found: Quality) -> Row:
    """The bone, its score, that without the second opinion, and all that was measured."""
    bare = scored(replace(found, agreement=float("nan"))).score
    return {"bone": found.bone, "score": found.score, "bare": bare, "row": found.as_dict()}


def rho(rows: list[Row], key: str) -> str:
    """Spearman's rho of score and Dice, and how many rows."""
    if len(rows) < 5:
        return f"     – ({len(rows)})"
    return f"{spearmanr([r[key] for r in rows], [r['dice'] for r in rows]).statistic:6.2f} ({len(rows)})"


def table(rows: list[Row], groups: dict[str, Callable[[Row], bool]], tuned: set[str]) -> None:
    """Print one line a group: all scans, those looked at, the test."""
    print(f"{'':34}{'score':>36}{'without second opinion':>30}")
    print(f"{'':34}{'test':>12}{'looked at':>12}{'all':>12}{'test':>18}{'all':>12}")
    for title, wanted in groups.items():
        chosen = [r for r in rows if wanted(r)]
        test, seen = ([r for r in chosen if (r["scan"] in tuned) is flag] for flag in (False, True))
        cells = [rho(test, "score"), rho(seen, "score"), rho(chosen, "score"), rho(test, "bare"), rho(chosen, "bare")]
        print(f"{title:34}{cells[0]:>12}{cells[1]:>12}{cells[2]:>12}{cells[3]:>18}{cells[4]:>12}")


def main() -> None:
    """Print the table of rank correlations, pooled and within bones and methods."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hips", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--tuned-on", default=TUNED_ON)
    given = parser.parse_args()
    rows: list[Row] = []
    for case in hips(given.hips):
        rows += rows_of(case, given.keep)
        print(f"{case[0]}: {len(rows)} rows so far", flush=True)
    if given.keep:
        (given.keep / "rows.json").write_text(json.dumps(rows))
    made = [r for r in rows if r["method"] != "truth"]
    groups = {"pooled": lambda r: True}
    groups |= {f"bone: {title}": lambda r, t=title: r["bone"] == t for title in HIP.values()}
    groups |= {f"method: {m}": lambda r, m=m: r["method"] == m for m in METHODS}
    groups |= {"preset, all strokes": lambda r: r["method"] == "default" and r["every"] == 1}
    groups |= {"all strokes, any method": lambda r: r["every"] == 1, "Dice above 0.7": lambda r: r["dice"] > 0.7}
    table(made, groups, set(given.tuned_on.split(",")))
    perfect = [r["score"] for r in rows if r["method"] == "truth"]
    print(f"score of the truth itself: median {np.median(perfect):.0f}, lowest {min(perfect):.0f}")


if __name__ == "__main__":
    main()
