"""Let a simulated user correct the places that `where_to_look` names, and see the Dice rise.

    python benchmarks/corrections.py FOLDER [--rounds 5] [--recipe bright-marrow] [--random | --each-bone]

Every folder in FOLDER holds a scan (image.nii.gz or the folder dicom), seeds.nii.gz and truth.nii.gz; the bones
are the labels of the seeds. With --random the user looks at random places of the bones' borders instead; with
--each-bone a round is one stroke for every bone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import mrbone_nb as mb
from mrbone_nb.consensus import Place, where_to_look
from mrbone_nb.export import read_labels
from mrbone_nb.measure import dice
from mrbone_nb.phantom import corrective_stroke
from mrbone_nb.recipe import run_call


def mean_dice(labels: mb.Volume, truth: mb.Volume, bones: list[int]) -> float:
    """Mean over the bones."""
    return float(np.mean([dice(labels.array == n, truth.array == n) for n in bones]))


def random_place(labels: mb.Volume, rng: np.random.Generator) -> Place:
    """A place on the border of a bone, to compare with."""
    from scipy.ndimage import binary_erosion

    mask = labels.array > 0
    index = rng.permutation(np.argwhere(mask & ~binary_erosion(mask)))[0]
    return Place(int(index[0]), tuple(labels.points([index])[0]), 0, "", 0.0, 0, 255, 0.0)


def run(recipe: mb.Recipe, volume: mb.Volume, seeds: mb.Volume) -> tuple[mb.Volume, np.ndarray]:
    """Labels and the probability on the way to them, in one go."""
    state = {"image": volume.array, "seeds": seeds.array}
    for call in recipe.calls:
        run_call(call, state, volume.spacing)
    return volume.with_array(state["labels"]), state["probability"]


def next_places(places: list[Place], looked: list[tuple], each_bone: bool) -> list[Place]:
    """The worst place, or the worst of every bone; a user does not go back to one that was looked at."""
    new = [p for p in places if all(np.linalg.norm(np.subtract(p.position, q)) > 15 for q in looked)]
    if not each_bone:
        return new[:1]
    return list({p.label: p for p in reversed(new)}.values())


def corrected(folder: Path, recipe: mb.Recipe, rounds: int, random: bool, each_bone: bool) -> list[float]:
    """The mean Dice before and after every round of corrections of one scan."""
    volume = mb.read(folder / "dicom" if (folder / "dicom").exists() else folder / "image.nii.gz")
    seeds, truth = (read_labels(folder / f"{name}.nii.gz", like=volume)[0] for name in ("seeds", "truth"))
    bones = [int(n) for n in np.unique(seeds.array) if 0 < n < 255]
    truth = truth.with_array(np.where(np.isin(truth.array, bones), truth.array, 0))
    rng, looked, scores = np.random.default_rng(0), [], []
    for number in range(rounds + 1):
        labels, probability = run(recipe, volume, seeds)
        scores.append(mean_dice(labels, truth, bones))
        if number == rounds:
            return scores
        if random:
            places = [random_place(labels, rng)]
        else:
            ranked = where_to_look(labels, probability=probability, bones=bones, n=60 if each_bone else rounds + 1)
            places = next_places(ranked, looked, each_bone)
        for place in places:
            looked.append(place.position)
            seeds = corrective_stroke(truth, labels, place, seeds)
    return scores


def main() -> None:
    """Print a row a scan and the mean gain."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipe", default="bright-marrow")
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--each-bone", action="store_true")
    given = parser.parse_args()
    recipe, gains = mb.Recipe.load(given.recipe), []
    for folder in sorted(p for p in given.folder.iterdir() if (p / "truth.nii.gz").exists()):
        scores = corrected(folder, recipe, given.rounds, given.random, given.each_bone)
        gains.append(scores[-1] - scores[0])
        print(f"{folder.name:12}", " ".join(f"{s:.4f}" for s in scores), f"{gains[-1]:+.4f}", flush=True)
    print(f"mean gain of {given.rounds} rounds: {np.mean(gains):+.4f}")


if __name__ == "__main__":
    main()
