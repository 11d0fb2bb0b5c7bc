"""Join three thick stacks of a simulated knee that moved between them, and score the bones.

    python benchmarks/system_stacks.py

Sagittal, coronal and axial slices of 3 mm; the knee moves by some mm and degrees between the stacks. One
stack alone, by the surfaces of its label map, stands against the joined volume, both on voxels of 0.7 mm.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

import mrbone_nb as mb
from mrbone_nb.channels import Motion
from mrbone_nb.measure import assd
from mrbone_nb.phantom import KNEE, Body, Phantom, knee_body, label_meshes, scan, simulated_strokes
from mrbone_nb.phantom.scanner import average_labels, scan_grid
from mrbone_nb.surface import surface

SIZE, SLICES, SPACING = 200, (3.0, 0.5, 0.5), 0.7
MOTIONS = {  # degrees about x, y, z, and mm
    "sagittal": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "coronal": ((1.5, -1.0, 0.8), (0.8, -1.2, 0.6)),
    "axial": ((-1.0, 1.2, 1.5), (-0.9, 0.7, 1.1)),
}
CASES = {"PD-FS": ("pdfs", None), "T1": ("t1", None), "T1 without chemical shift": ("t1", 0.0)}
TIMES_NEARER = 2.0  # than one stack alone
Row = tuple[str, str, str, float, float | None, float | None, float]


def moved_scan(body: Body, sequence: str, plane: str, seed: int, shift: float | None) -> Phantom:
    """Scan a knee that has moved, and say in the header that it has not."""
    still = scan_grid(body.tissue, SLICES, plane)
    angles, way = MOTIONS[plane]
    middle = still.points([(np.array(still.shape) - 1) / 2])[0]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix().T
    matrix[:3, 3] = middle - matrix[:3, :3] @ (middle + way)
    made = scan(body, sequence, grid=Motion(matrix).apply(still), shift=shift, seed=seed)
    place = {"origin": still.origin, "direction": still.direction}
    return Phantom(replace(made.volume, name=plane, **place), replace(made.truth, **place))


def strokes(truth: mb.Volume) -> mb.Volume:
    """Strokes in slices 10 mm apart."""
    return simulated_strokes(truth, every_mm=10)


def segmented(volume: mb.Volume, seeds: mb.Volume) -> mb.Volume:
    """Labels by the preset for the scan's polarity."""
    name, _ = mb.choose_preset(volume)
    return mb.preset(name).run(volume, seeds=seeds).labels


def on_surface(labels: mb.Volume, grid: mb.Volume) -> mb.Volume:
    """Labels of thick slices on a fine grid, by their traced surfaces."""
    return label_meshes({number: surface(labels, number) for number in KNEE}, grid)


def distances(labels: mb.Volume, truth: mb.Volume) -> dict[str, float]:
    """ASSD of each bone, and their mean."""
    found = {name: assd(labels.array == n, truth.array == n, truth.spacing) for n, name in KNEE.items()}
    return found | {"mean": float(np.mean(list(found.values())))}


def rows(data: Path | None = None) -> Iterator[Row]:
    """Work, case, measure, value, least, aim and seconds of every figure; needs no data."""
    body = knee_body(size=SIZE)
    for case, (sequence, shift) in CASES.items():
        made = [moved_scan(body, sequence, plane, seed, shift) for seed, plane in enumerate(MOTIONS)]
        started = time.perf_counter()
        fused = mb.fuse_stacks([one.volume for one in made], SPACING)
        joined = time.perf_counter() - started
        truth = fused.with_array(average_labels(body.bones, fused))
        drawn = [strokes(one.truth) for one in made]
        maps = [segmented(one.volume, seeds) for one, seeds in zip(made, drawn, strict=True)]
        alone = distances(on_surface(maps[0], truth), truth)
        ways = {
            "joined volume": partial(segmented, fused, strokes(truth)),
            "strokes of all stacks": partial(segmented, fused, mb.fuse_seeds(drawn, fused)),
            "joined masks": partial(mb.fuse_masks, maps, fused),
        }
        for bone, value in alone.items():
            yield "join stacks", case, f"ASSD {bone}, one stack (mm)", value, None, None, 0.0
        for way, make in ways.items():
            started = time.perf_counter()
            found = distances(make(), truth)
            seconds = joined + time.perf_counter() - started
            for bone, value in found.items():
                yield "join stacks", case, f"ASSD {bone}, {way} (mm)", value, None, None, seconds
            gain = alone["mean"] / found["mean"]
            yield "join stacks", case, f"times nearer, {way}", gain, TIMES_NEARER, None, seconds


def main() -> None:
    """Print every figure as it comes."""
    for work, case, measure, value, least, _, seconds in rows():
        goal = "" if least is None else f"  least {least:g}"
        print(f"{work:12} {case:26} {measure:36} {value:7.3f}{goal}  {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
