"""The border in the dark rim: walks from inside and outside that darkness holds up."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..grids import cut, pool, unpool
from ..morphology import distance_inside
from ..step import EVERYTHING_ELSE, Image, Labels, Range, Seeds, Spacing, step
from .walker import FLOOR, coarsening, pool_seeds, seed_labels, solve

DARKEST = 0.05  # share of the gray value `dark` below which nothing holds a walk up any more
THIN = 1.5  # times the core: how far around the deepest place is sought
MIDDLE = 0.7  # share of the depth there that is middle
STEADY = 1e-7  # loss on the way, so that a region without any stroke has an answer


def _open(image: np.ndarray, spacing: Spacing, dark: float) -> list[np.ndarray]:
    """How easily walks pass between neighbors along each axis: hardly where either of them is dark."""
    plane = float(np.mean(spacing[1:]))
    weights = []
    for axis, s in enumerate(spacing):
        darker = np.minimum(image[cut(axis, 0, -1)], image[cut(axis, 1, None)])
        weights.append(((plane / s) ** 2 * np.clip(darker / dark, DARKEST, 1) ** 2 + FLOOR).astype(np.float32))
    return weights


def _middle_of_thin(inside: np.ndarray, spacing: Spacing, core: float) -> np.ndarray:
    """The middle of plates and ends that are nowhere as deep as the core: without it they would have none and be lost."""
    from scipy.ndimage import maximum_filter

    deepest = maximum_filter(inside, [2 * round(THIN * core / s) + 1 for s in spacing], mode="nearest")
    return (deepest <= core) & (inside >= MIDDLE * deepest) & (inside > 0)


def _markers(labels: np.ndarray, seeds: np.ndarray, spacing: Spacing, core: float, far: float) -> np.ndarray:
    """What is surely inside a bone or surely outside all, and the strokes; 0 where the border may run."""
    import edt

    inside = edt.edt(np.ascontiguousarray(labels), anisotropy=spacing, black_border=False)
    markers = np.where((inside > core) | _middle_of_thin(inside, spacing, core), labels, 0).astype(np.uint8)
    markers[distance_inside(labels == 0, spacing) > far] = EVERYTHING_ELSE
    return np.where(seeds > 0, seeds, markers)


@step(preview="roi", bytes_per_voxel=60)
def rim_border(
    image: Image,
    labels: Labels,
    seeds: Seeds | None = None,
    *,
    spacing: Spacing,
    core: Annotated[float, Range(0, 5, 0.1, "mm")] = 1.5,
    far: Annotated[float, Range(0.5, 10, 0.1, "mm")] = 3.0,
    dark: Annotated[float, Range(0.1, 2, 0.05)] = 0.8,
    resolution: Annotated[float, Range(0.3, 5, 0.1, "mm")] = 0.9,
) -> Labels:
    """Draw the borders of bones with bright marrow anew, in the dark rim between what is sure.

    Labels that were grown in marrow end at the rim's inner edge. Walks from their cores and from what lies farther
    off meet where it is darkest, and all bones and strokes compete there; where there is no rim, the border
    comes to lie halfway.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1, bright marrow.
    labels
        Bones found so far, (P, M, N).
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else; None for none.
    spacing
        (plane, row, column) in mm.
    core
        What lies deeper than this inside a label stands.
    far
        What lies farther than this from all labels is no bone; more takes in more of the rim.
    dark
        Gray value below which a walk is held up, the more the darker it is.
    resolution
        Voxels smaller than this are pooled for the walks; the result is interpolated back.

    Returns
    -------
    Labels
        (P, M, N).

    Notes
    -----
    Only the band between core and far is solved for, so it takes a second or two on a pelvis.

    References
    ----------
    Grady (2006), doi:10.1109/TPAMI.2006.233

    Examples
    --------
    >>> image = np.array([[[0.9, 0.9, 0.9, 0.9, 0.1, 0.4, 0.4, 0.4, 0.4]]])
    >>> labels = image > 0.8
    >>> rim_border(image, labels, 0 * labels, spacing=(1, 1, 1), resolution=1)[0, 0, :5].tolist()
    [1, 1, 1, 1, 1]
    """
    seeds = np.zeros_like(labels) if seeds is None else seeds
    numbers = sorted({int(n) for n in np.unique(labels)} - {0} | set(seed_labels(seeds)[1:]))
    if not numbers:
        return labels
    factors = coarsening(image.shape, spacing, resolution)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    markers = pool_seeds(_markers(labels, seeds, spacing, core, far), factors)
    coarse = pool(image, factors, "mean")
    layers = solve(_open(coarse, size, dark), markers, [EVERYTHING_ELSE, *numbers], None, np.full(markers.shape, STEADY, np.float32))
    layers = unpool(layers, factors, image.shape)
    found = np.where(layers[0] < 0.5, np.array(numbers, np.uint8)[layers[1:].argmax(axis=0)], 0)
    return np.where(seeds > 0, np.where(seeds == EVERYTHING_ELSE, 0, seeds), found)
