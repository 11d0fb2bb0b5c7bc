"""Ready-made joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Volume
from .anatomy import Band, Body, Flesh, build_body
from .scanner import Phantom, scan

KNEE_TRUTH = {1: "femur", 2: "tibia", 3: "patella", 4: "fibula"}
_SAMPLE = Path(__file__).resolve().parents[2] / "data_samples" / "knee_anatomy.nrrd"
# Sample label: (label in the body, tissue)
_KNEE = {
    5: (1, "bone"),
    6: (2, "bone"),
    7: (3, "bone"),
    8: (4, "bone"),
    1: (5, "cartilage"),
    2: (5, "cartilage"),
    3: (5, "cartilage"),
    4: (5, "cartilage"),
    9: (6, "meniscus"),
    10: (6, "meniscus"),
}


def knee_body(*, size: int | None = None, cortex: float | tuple[float, float] = (0.9, 3.0), seed: int = 0) -> Body:
    """Build the knee."""
    import SimpleITK as sitk

    sample = Volume.from_sitk(sitk.ReadImage(_SAMPLE))
    table = np.zeros(256, np.uint8)
    table[list(_KNEE)] = [number for number, _ in _KNEE.values()]
    labels = sample.with_array(table[sample.array])
    if size is not None:
        step = max(n * s for n, s in zip(labels.shape, labels.spacing, strict=True)) / size
        labels = labels.resample(tuple(max(step, s) for s in labels.spacing), labels=True)
    tissues = dict(_KNEE.values())
    flesh = Flesh(margin=(10.0, 45.0), skin_fat=6.0, cartilage=0.0, bands=_knee_bands(labels))
    return build_body(labels, tissues, cortex=cortex, flesh=flesh, seed=seed)


def _knee_bands(labels: Volume) -> list[Band]:
    """Tendons, cruciate ligaments and vessels, from the places of the bones."""
    points = {n: labels.points(np.argwhere(labels.array == n)[::7]) for n in (1, 2, 3)}
    femur, tibia, patella = points[1], points[2], points[3]
    top, bottom = patella[patella[:, 2].argmax()], patella[patella[:, 2].argmin()]
    below = tibia[tibia[:, 2] < tibia[:, 2].max() - 25]
    tubercle = below[below[:, 1].argmin()]
    behind = np.array([femur[:, 0].mean(), femur[:, 1].max() + 12, tibia[:, 2].max()])
    vessel = behind + np.array([[6, -4, 90], [2, 2, 30], [0, 4, 0], [0, -2, -40], [0, 0, -100]])
    return [
        Band("fat", vessel, 11.0),
        Band("vessel", vessel, 3.0),
        Band("vessel", vessel + [7, 2, 0], 2.5),
        Band("tendon", np.array([bottom, tubercle, tubercle + [0, 4, -25]]), 2.5),
        Band("tendon", np.array([top, top + [0, 2, 60]]), 3.5),
    ]


def knee(sequence: str = "t1", *, size: int | None = None, cortex=(0.9, 3.0), seed: int = 0, **options: Any) -> Phantom:
    """Scan the knee."""
    return scan(knee_body(size=size, cortex=cortex, seed=seed), sequence, seed=seed, **options)
