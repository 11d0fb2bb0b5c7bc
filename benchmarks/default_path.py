"""Time the default path, strokes to STL, against the plain script that tutorials teach.

Both get the same simulated knee (160 × 384 × 384) and the same strokes, in turns in one process; the
figures are ratios of one run, for a shared machine's seconds mean little. Accuracy of both is against
the exact truth of the phantom.

    python benchmarks/default_path.py [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import trimesh
from scipy import ndimage
from skimage import measure, segmentation

import mrbone_nb as mb
from mrbone_nb.measure import dice
from mrbone_nb.phantom import knee_body, scan, simulated_strokes
from mrbone_nb.surface import surface

SHAPE = (160, 384, 384)
BONES = {1: "femur", 2: "tibia", 3: "patella", 4: "fibula"}


def make_case(quick: bool) -> tuple[mb.Volume, mb.Volume, mb.Volume]:
    """A T1-weighted knee of the full size (or of an eighth of the voxels), its truth and strokes."""
    body = knee_body(size=160 if quick else None)
    extent = np.array(body.tissue.shape) * body.tissue.spacing
    shape = np.array(SHAPE) // (2 if quick else 1)
    volume, truth = scan(body, "t1", spacing=tuple(extent / shape), plane="sagittal")
    return volume, truth, simulated_strokes(truth, every_mm=8)


def textbook(volume: mb.Volume, seeds: mb.Volume, folder: Path) -> np.ndarray:
    """N4, curvature diffusion, watershed of the gradient, largest islands, marching cubes, smoothing."""
    image = volume.to_sitk()
    small = sitk.Shrink(image, [4, 4, 4])
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.Execute(small, sitk.OtsuThreshold(small, 0, 1, 200))
    image = image / sitk.Exp(n4.GetLogBiasFieldAsImage(image))
    image = sitk.CurvatureAnisotropicDiffusion(
        sitk.Cast(image, sitk.sitkFloat32), timeStep=0.9 * min(volume.spacing) / 16, numberOfIterations=5
    )
    edges = sitk.GetArrayFromImage(sitk.GradientMagnitudeRecursiveGaussian(image, sigma=0.6))
    labels = segmentation.watershed(edges, seeds.array.astype(np.int32))
    labels[labels == 255] = 0
    out = np.zeros(labels.shape, np.uint8)
    for number, name in BONES.items():
        parts, _ = ndimage.label(labels == number)
        if parts.max():
            parts = parts == np.bincount(parts[parts > 0]).argmax()
            out[ndimage.binary_fill_holes(parts)] = number
            _textbook_mesh(out == number, volume.spacing, folder / f"{name}.stl")
    return out


def _textbook_mesh(mask: np.ndarray, spacing: tuple[float, float, float], path: Path) -> None:
    vertices, faces, _, _ = measure.marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=spacing)
    mesh = trimesh.Trimesh(vertices[:, ::-1], faces, process=False)
    trimesh.smoothing.filter_taubin(mesh, iterations=20).export(path)


def ours(volume: mb.Volume, seeds: mb.Volume, folder: Path) -> np.ndarray:
    """The preset for bright marrow, and its surfaces."""
    recipe = mb.preset("bright-marrow")
    result = recipe.run(volume, seeds=seeds)
    for number, name in BONES.items():
        mb.write_mesh(surface(result.labels, number, **recipe.surface), folder / f"{name}.stl")
    return result.labels.array


def measured(run, volume: mb.Volume, seeds: mb.Volume) -> tuple[float, float, np.ndarray]:
    """Wall and processor seconds of one run, and its labels."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        labels = run(volume, seeds, Path(folder))
        return time.perf_counter() - wall, time.process_time() - cpu, labels


def main() -> None:
    """Print a line a round and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="an eighth of the voxels")
    options = parser.parse_args()
    volume, truth, seeds = make_case(options.quick)
    print(f"phantom {volume.shape}, spacing {np.round(volume.spacing, 3)} mm, {os.cpu_count()} cores")
    walls, cpus = [], []
    for number in range(options.rounds):
        ours_wall, ours_cpu, mine = measured(ours, volume, seeds)
        text_wall, text_cpu, theirs = measured(textbook, volume, seeds)
        walls.append(text_wall / ours_wall)
        cpus.append(text_cpu / ours_cpu)
        print(
            f"round {number + 1}: ours {ours_wall:.1f} s ({ours_cpu:.1f} s CPU), textbook {text_wall:.1f} s "
            f"({text_cpu:.1f} s CPU): {walls[-1]:.1f} x wall, {cpus[-1]:.1f} x CPU",
            flush=True,
        )
    print(f"median: {statistics.median(walls):.1f} x wall, {statistics.median(cpus):.1f} x CPU")
    for number, name in BONES.items():
        own, plain = (dice(labels == number, truth.array == number) for labels in (mine, theirs))
        print(f"{name:8} Dice ours {own:.4f}, textbook {plain:.4f}")


if __name__ == "__main__":
    main()
