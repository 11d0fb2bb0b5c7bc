"""From probabilities to labels: walks that edges hold up and that the model's word ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..morphology import bounding_box
from ..segment.walker import conductances, solve
from ..step import EVERYTHING_ELSE
from ..volume import Volume
from .frame import Frame, ratio
from .ready import labels_of
from .shapes import Shape, distances, held

CONTRAST = 0.07  # of gray that holds up about two walks in three
PULL = 0.15  # share of walks that the model's word ends on the way of a voxel of 1.8 mm
VOXEL = 1.8  # mm
SURELY = 0.03  # probability of bone below which, all around, there is none


def settled(
    layers: np.ndarray, turned: Volume, scan: Volume, numbers: Sequence[int], shapes: Sequence[Shape | None] = ()
) -> Volume:
    """Labels on the scan's grid from the probabilities of a model.

    Parameters
    ----------
    layers
        Probabilities in the body's axes, (L, p, m, n), background first.
    turned
        The normalized scan in these axes.
    scan
        The scan.
    numbers
        Labels of the layers after the background.
    shapes
        Of the bones; what lies far from where they fit is given up, what lies deep inside is filled.

    Returns
    -------
    Volume
        Labels.
    """
    if shapes:
        layers = held(layers, distances(shapes, layers, _spacing(layers, turned)))
    labels = labels_of(_walked(layers, turned, numbers), turned, scan, numbers)
    return scan.with_array(labels, name="model", meta={})


def _walked(layers: np.ndarray, turned: Volume, numbers: Sequence[int]) -> np.ndarray:
    """The probabilities after the walks, in the box round the bones."""
    from scipy.ndimage import maximum_filter

    possible = maximum_filter(1 - layers[0], 3) > SURELY
    if not possible.any():
        return layers
    size = _spacing(layers, turned)
    box = bounding_box(possible, max(size), size)
    image = Frame.pooled(turned, _factors(layers, turned))[box]
    ends = np.where(possible, 0, EVERYTHING_ELSE).astype(np.uint8)[box]
    prior = layers[(slice(None), *box)]
    order = [EVERYTHING_ELSE, *numbers]
    pull = PULL * (float(np.sort(size)[:2].mean()) / VOXEL) ** 2
    out = layers.copy()
    loss = np.zeros(image.shape, np.float32)
    # the walker takes its unit of length from the last two axes, so the thick one goes first
    axes = np.argsort(size)[::-1]
    turn, back = tuple(int(a) for a in axes), np.argsort(axes)
    weights = conductances(image.transpose(turn), tuple(size[a] for a in turn), CONTRAST)
    prior = prior.transpose(0, *(a + 1 for a in turn))
    found = solve(weights, ends.transpose(turn), order, prior, loss.transpose(turn), pull)
    out[(slice(None), *box)] = found.transpose(0, *(int(a) + 1 for a in back))
    return out


def _factors(layers: np.ndarray, turned: Volume) -> tuple[int, ...]:
    """How many voxels of the scan make one of the layers, along each axis."""
    return ratio(turned.shape, layers.shape[1:])


def _spacing(layers: np.ndarray, turned: Volume) -> tuple[float, ...]:
    return tuple(s * f for s, f in zip(turned.spacing, _factors(layers, turned), strict=True))
