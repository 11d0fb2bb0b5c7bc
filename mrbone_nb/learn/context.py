"""What an earlier pass says around a voxel: probabilities near and far, and the bones' centers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..step import Spacing
from .look import blurred, shifted

NEAR, FAR = 3.0, 8.0  # mm of blur of the probabilities
LIKELY = 0.2  # probability from which a voxel counts for a bone's center


def centers(layers: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Centers of the bones in mm, (L, 3), each weighted by its squared probability; without any, the scan's middle."""
    axes = [np.arange(n, dtype=np.float32) * s for n, s in zip(layers.shape[1:], spacing, strict=True)]
    found = []
    for layer in layers:
        weight = np.where(layer > LIKELY, layer * layer, 0)
        total = weight.sum()
        sums = [weight.sum(axis=tuple(b for b in range(3) if b != a)) for a in range(3)]
        found.append([(s @ x) / total if total > 0 else x.mean() for s, x in zip(sums, axes, strict=True)])
    return np.array(found, np.float32)


def context(layers: np.ndarray, spacing: Spacing, places: np.ndarray, ways: np.ndarray) -> Iterator[np.ndarray]:
    """What an earlier pass says of voxels, one column after the other.

    Parameters
    ----------
    layers
        Its probabilities on this grid, (L, P, M, N), background first.
    spacing
        In mm.
    places
        Flat indices of the voxels, (n,).
    ways
        To other places in mm, (m, 3).

    Yields
    ------
    numpy.ndarray
        (n,): probabilities here, around and at the other places, and the way to the bones' centers in mm.
    """
    yield from (layer.ravel()[places] for layer in layers)
    there = [shifted(layers.shape[1:], spacing, places, way) for way in ways]
    for layer in layers[1:]:
        yield blurred(layer, spacing, FAR).ravel()[places]
        yield from around(layer, spacing, there)
    yield from to_centers(layers, spacing, places)


def around(layer: np.ndarray, spacing: Spacing, there: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """What a layer, blurred a little, is at other places, given as flat indices for each way."""
    near = blurred(layer, spacing, NEAR).ravel()
    yield from (near[other] for other in there)


def to_centers(layers: np.ndarray, spacing: Spacing, places: np.ndarray) -> Iterator[np.ndarray]:
    """The way in mm, along each axis, from the center of each layer after the first."""
    at = np.array(np.unravel_index(places, layers.shape[1:]), np.float32) * np.float32(spacing)[:, None]
    for center in centers(layers[1:], spacing):
        yield from at - center[:, None]
