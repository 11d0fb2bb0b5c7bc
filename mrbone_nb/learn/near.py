"""What lies near a voxel: borders that were drawn, strokes, and the planes beside its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..grids import unpool
from ..morphology import bounding_box
from ..segment.walker import coarsening, pool_seeds
from ..step import EVERYTHING_ELSE, Spacing
from .shapes import FAR, signed

FARTHEST = 60.0  # mm to a stroke, beyond which all is alike
COARSE = 1.8  # mm of the grid on which the way to strokes is measured
LEAST = 1e-3  # gray value of a marrow, to divide by


def to_borders(layers: np.ndarray, spacing: Spacing, places: np.ndarray) -> Iterator[np.ndarray]:
    """The signed distance in mm, negative inside, from voxels to where each layer after the first is likely.

    Parameters
    ----------
    layers
        Probabilities, (L, P, M, N), background first.
    spacing
        In mm.
    places
        Flat indices of the voxels, (n,).

    Yields
    ------
    numpy.ndarray
        (n,), one column for each layer.
    """
    for layer in layers[1:]:
        mask, away = layer > 0.5, np.full(layer.shape, FAR, np.float32)
        box = bounding_box(mask, FAR, spacing)
        if mask.any():
            away[box] = signed(mask[box], spacing)
        yield away.ravel()[places]


def to_strokes(seeds: np.ndarray, numbers: Sequence[int], spacing: Spacing, places: np.ndarray) -> Iterator[np.ndarray]:
    """The distance in mm, up to 60, from voxels to the strokes of each label and of everything else, a column each."""
    import edt

    factors = coarsening(seeds.shape, spacing, COARSE)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    marks = pool_seeds(seeds, factors)
    for number in (*numbers, EVERYTHING_ELSE):
        away = np.full(marks.shape, FARTHEST, np.float32)
        if number in marks:
            free = np.ascontiguousarray(marks != number)
            away = np.minimum(edt.edt(free, anisotropy=size, black_border=False), FARTHEST)
        yield unpool(away[None], factors, seeds.shape)[0].ravel()[places]


def beside(layers: Sequence[np.ndarray], spacing: Spacing, places: np.ndarray) -> Iterator[np.ndarray]:
    """What fields, (P, M, N) each, are in the planes before and behind that of each voxel, across the thickest axis."""
    axis, shape = int(np.argmax(spacing)), layers[0].shape
    at = np.array(np.unravel_index(places, shape))
    for step in (-1, 1):
        there = at.copy()
        there[axis] = np.clip(there[axis] + step, 0, shape[axis] - 1)
        other = np.ravel_multi_index(there, shape)
        yield from (layer.ravel()[other] for layer in layers)


def of_marrow(image: np.ndarray, seeds: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Gray values in parts of the usual one under the strokes of bones, (n,)."""
    bone = (seeds > 0) & (seeds < EVERYTHING_ELSE)
    usual = float(np.median(image[bone])) if bone.any() else 1.0
    return image.ravel()[places] / max(usual, LEAST)
