"""Score every way from strokes to bones on scans with a truth: Dice, ASSD, HD95 and seconds, bone by bone.

    python benchmarks/accuracy.py [--hips FOLDER] [--phantoms all|NAME,…] [--methods all|NAME|FILE,…]

Every folder in FOLDER holds a scan (image.nii.gz or the folder dicom), seeds.nii.gz and truth.nii.gz; the bones are
the labels of the seeds; marrow is taken to be bright there. The phantoms are made here: knees of T1, PD with fat
suppression and DESS with slices of 3 and 0.7 mm, and shoulders. "grow from seeds" and "watershed" are the two usual
tools, "default" is the preset of the scan's polarity; "all" adds every family of steps by itself. Nothing is tuned to
a scan. The last table gives means over the scans of a kind.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np

import mrbone_nb as mb
from mrbone_nb.measure import assd, dice, hd95
from mrbone_nb.phantom import KNEE, SHOULDER, knee_body, scan, shoulder_body, simulated_strokes

USUAL = {
    "grow from seeds": [mb.Call("gradient_anisotropic_diffusion"), mb.Call("grow_from_seeds")],
    "watershed": [mb.Call("gradient_anisotropic_diffusion"), mb.Call("watershed")],
}
SMOOTHED = [mb.Call("lowpass_bias_correction"), mb.Call("gaussian", {"sigma": 0.4})]
SINGLE = {  # each family of steps by itself, with its defaults
    "random walker": [*SMOOTHED, mb.Call("random_walker"), mb.Call("most_likely")],
    "graph cut": [*SMOOTHED, mb.Call("graph_cut")],
    "closed rim": [*SMOOTHED, mb.Call("watershed", {"gap": 3.0})],
    "shape detection": [*SMOOTHED, mb.Call("strokes_as_start"), mb.Call("shape_detection", {"reach": 20.0})],
    "threshold level set": [*SMOOTHED, mb.Call("strokes_as_start"), mb.Call("threshold_level_set", {"reach": 20.0})],
    "geodesic contour": [*SMOOTHED, mb.Call("random_walker"), mb.Call("most_likely"), mb.Call("geodesic_active_contour")],
}
BRIGHT, DARK = "bright-marrow", "dark-marrow"
HIP = {1: "right femur", 2: "left femur", 3: "right hip bone", 4: "left hip bone", 5: "sacrum"}
SLICES = {"3mm": 3.0, "0.7mm": 0.7}
KNEES = {"t1": BRIGHT, "pdfs": DARK, "dess": DARK}
PHANTOMS = [f"knee-{name}-{mm}" for name in KNEES for mm in SLICES] + ["shoulder-t1-3mm", "shoulder-pdfs-3mm"]


def recipe_of(method: str, polarity: str) -> mb.Recipe:
    """The recipe of a method: a usual tool, one family, the preset for this polarity ("default"), any preset, or a file."""
    if method == "default":
        return mb.preset(polarity)
    if method in USUAL or method in SINGLE:
        return mb.Recipe((mb.Call("normalize"), *(USUAL | SINGLE)[method]), name=method)
    return mb.Recipe.load(method)


def hips(folder: Path) -> Iterator[tuple[str, mb.Volume, mb.Volume, mb.Volume, dict[int, str], str]]:
    """Name, scan, strokes, truth, bones and polarity of every scan in a folder."""
    for path in sorted(p for p in folder.iterdir() if (p / "truth.nii.gz").exists()):
        volume = mb.read(path / "dicom" if (path / "dicom").exists() else path / "image.nii.gz")
        seeds, truth = (mb.read_labels(path / f"{name}.nii.gz", like=volume)[0] for name in ("seeds", "truth"))
        bones = {int(n): HIP.get(int(n), f"label {n}") for n in np.unique(seeds.array) if 0 < n < 255}
        yield path.name, volume, seeds, truth, bones, BRIGHT


def phantoms(names: list[str]) -> Iterator[tuple[str, mb.Volume, mb.Volume, mb.Volume, dict[int, str], str]]:
    """The same of simulated joints; strokes lie about 10 mm apart."""
    bodies = {"knee": (knee_body, KNEE, "sagittal", 0.4), "shoulder": (shoulder_body, SHOULDER, "coronal", 0.6)}
    for name in names:
        joint, sequence, slices = name.split("-")
        make, bones, plane, pixel = bodies[joint]
        thick = SLICES[slices]
        spacing = (thick, max(pixel, 0.7), max(pixel, 0.7)) if thick < 1 else (thick, pixel, pixel)
        volume, truth = scan(make(), sequence, spacing=spacing, plane=plane)
        yield name, volume, simulated_strokes(truth, every_mm=10), truth, bones, KNEES[sequence]


def score(labels: np.ndarray, truth: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Dice, ASSD and HD95 of one bone."""
    return dice(labels, truth), assd(labels, truth, spacing), hd95(labels, truth, spacing)


def main() -> None:
    """Print a row for each method, scan and bone, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hips", type=Path)
    parser.add_argument("--phantoms", default="")
    parser.add_argument("--methods", default="grow from seeds,watershed,default")
    given = parser.parse_args()
    chosen = PHANTOMS if given.phantoms == "all" else [n for n in given.phantoms.split(",") if n]
    cases = [*(hips(given.hips) if given.hips else ()), *phantoms(chosen)]
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    methods = [*USUAL, *SINGLE, "default"] if given.methods == "all" else given.methods.split(",")
    for method in methods:
        for name, volume, seeds, truth, bones, polarity in cases:
            started = time.perf_counter()
            labels = recipe_of(method, polarity).run(volume, seeds=seeds).labels.array
            seconds = time.perf_counter() - started
            for number, bone in bones.items():
                found = score(labels == number, truth.array == number, volume.spacing)
                kind = name if name in PHANTOMS else "hips"
                rows.setdefault((method, f"{kind} {bone}"), []).append(found)
                print(f"{method:19} {name:20} {bone:15} {_figures(found)} {seconds:6.1f} s", flush=True)
    print("\nmeans")
    for (method, bone), found in rows.items():
        print(f"{method:19} {bone:36} {_figures(tuple(map(mean, zip(*found, strict=True))))}  worst {min(found)[0]:.3f}")


def _figures(found: tuple[float, ...]) -> str:
    return "Dice {:.3f}  ASSD {:6.2f} mm  HD95 {:6.2f} mm".format(*found)


if __name__ == "__main__":
    main()
