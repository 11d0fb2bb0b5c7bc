"""Graph cut: the border of least total cost between the strokes of a bone and all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from ..grids import cut, pool
from ..morphology import bounding_box, distance_inside
from ..step import EVERYTHING_ELSE, Image, Labels, Range, Seeds, Spacing, step
from .growing import without_background
from .walker import LEVELS, coarsening, conductances, pool_seeds, solve

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

UNIT = 1000  # whole-number capacity of the strongest link between neighbors
FLOOR = 1e-3  # cost of a border on the strongest edge, so that it is not longer than it need be
MOST_ODDS = 3.0  # a gray value alone never speaks more clearly than e to this
RARE = 0.05  # share of an even histogram that is added, so that gray values no stroke has say nothing


def log_odds(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """How much more often the bones' strokes have each gray value than those of everything else, as a logarithm.

    From the two smoothed histograms; 0 where no stroke has the gray value, or where one side has no strokes.
    """
    from scipy.ndimage import gaussian_filter1d

    level = np.clip(image * (LEVELS / 2), 0, LEVELS - 1).astype(np.intp)  # 0 to 2, the range of a normalized image
    sides = ((seeds > 0) & (seeds < EVERYTHING_ELSE), seeds == EVERYTHING_ELSE)
    if not all(side.any() for side in sides):
        return np.zeros(image.shape, np.float32)
    bone, other = (
        gaussian_filter1d(np.bincount(level[side], minlength=LEVELS) / side.sum(), LEVELS / 64, mode="nearest")
        for side in sides
    )
    odds = np.log((bone + RARE / LEVELS) / (other + RARE / LEVELS))
    return np.clip(odds, -MOST_ODDS, MOST_ODDS).astype(np.float32)[level]


def links(image: np.ndarray, spacing: Spacing, contrast: float) -> list[np.ndarray]:
    """Cost per mm³ of parting neighbors along each axis: less across edges, and less the farther they lie apart."""
    steps = [np.diff(image, axis=axis) / contrast for axis in range(3)]
    return [np.maximum(np.exp(-(step**2) / 2), FLOOR) / s for step, s in zip(steps, spacing, strict=True)]


def cheapest_cut(weights: list[np.ndarray], gain: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The mask that holds `inside`, keeps off `outside`, and loses least: links cut less what its voxels gain.

    Parameters
    ----------
    weights
        Cost of parting neighbors along each of the three axes, as `links` gives it.
    gain
        What each voxel adds when it belongs to the mask, (P, M, N); may be negative.
    inside, outside
        Voxels that must, and that must not belong to it, (P, M, N).

    Returns
    -------
    numpy.ndarray
        (P, M, N) bool. Of several masks that lose as little, the smallest.
    """
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    free = ~(inside | outside)
    if not free.any():
        return inside.copy()
    unit = UNIT / max(float(w.max()) for w in weights if w.size)
    graph = _network(weights, gain, inside, free, unit)
    rest = graph - maximum_flow(graph, 0, 1).flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    reached = np.zeros(graph.shape[0], bool)
    reached[breadth_first_order(rest, 0, return_predecessors=False)] = True
    out = inside.copy()
    out[free] = reached[2:]
    return out


def _network(
    weights: list[np.ndarray], gain: np.ndarray, inside: np.ndarray, free: np.ndarray, unit: float
) -> csr_matrix:
    """Capacities as whole numbers: node 0 is all that is inside, 1 all that is outside, the others the free voxels."""
    from scipy.sparse import coo_matrix

    count = int(free.sum()) + 2
    number = np.where(inside, 0, 1).astype(np.int32)
    number[free] = np.arange(2, count, dtype=np.int32)
    rows, columns, values = [], [], []
    for axis, weight in enumerate(weights):
        one, other = number[cut(axis, 0, -1)].ravel(), number[cut(axis, 1, None)].ravel()
        value = np.maximum(1, np.rint(weight.ravel() * unit)).astype(np.int32)
        apart = (one != other) & (np.maximum(one, other) > 1)
        rows += [one[apart], other[apart]]
        columns += [other[apart], one[apart]]
        values += [value[apart]] * 2
    worth = np.rint(gain[free] * unit).astype(np.int32)
    index = np.arange(2, count, dtype=np.int32)
    rows += [np.zeros((worth > 0).sum(), np.int32), index[worth < 0]]
    columns += [index[worth > 0], np.ones((worth < 0).sum(), np.int32)]
    values += [worth[worth > 0], -worth[worth < 0]]
    parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_matrix(parts, shape=(count, count), dtype=np.int32).tocsr()


def cut_each(
    image: np.ndarray, seeds: np.ndarray, odds: np.ndarray, spacing: Spacing, contrast: float, reach: float
) -> np.ndarray:
    """Cut every bone out against all others; 255 is background, and 0 what several bones claim."""
    out = np.full(seeds.shape, EVERYTHING_ELSE, np.uint8)
    for bone in (int(n) for n in np.unique(seeds) if 0 < n < EVERYTHING_ELSE):
        box = bounding_box(seeds == bone, reach, spacing)
        marks = seeds[box]
        inside = marks == bone
        outside = (marks > 0) & ~inside | (distance_inside(~inside, spacing) > reach)
        part = cheapest_cut(links(image[box], spacing, contrast), odds[box], inside, outside)
        there = out[box]
        there[part] = np.where(there[part] == EVERYTHING_ELSE, bone, 0)
    return out


def _refined(
    image: np.ndarray, coarse: np.ndarray, seeds: np.ndarray, factors: tuple[int, ...], spacing: Spacing, contrast: float
) -> np.ndarray:
    """Labels on the fine grid: what lies deep in a label of the coarse one stands, the band between is solved anew."""
    from scipy.ndimage import maximum_filter, minimum_filter

    widths = [3 if factor > 1 else 1 for factor in factors]  # across planes that were not pooled nothing is coarse
    deep = (minimum_filter(coarse, widths) == maximum_filter(coarse, widths)) & (coarse > 0)
    settled = np.where(deep, coarse, 0)
    for axis, factor in enumerate(factors):
        settled = settled.repeat(factor, axis)
    settled = np.where(seeds > 0, seeds, settled[tuple(slice(n) for n in seeds.shape)])
    labels = [EVERYTHING_ELSE, *(int(n) for n in np.unique(seeds) if 0 < n < EVERYTHING_ELSE)]
    box = bounding_box((settled > 0) & (settled < EVERYTHING_ELSE), 0, spacing)
    part = settled[box]
    walks = conductances(image[box], spacing, contrast)
    layers = solve(walks, part, labels, None, np.zeros(part.shape, np.float32))
    settled[box] = np.array(labels, np.uint8)[layers.argmax(axis=0)]
    return settled


@step(preview="slice", bytes_per_voxel=72)
def graph_cut(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    contrast: Annotated[float, Range(0.01, 0.5, 0.005)] = 0.07,
    likeness: Annotated[float, Range(0, 0.5, 0.005, "1/mm")] = 0.02,
    resolution: Annotated[float, Range(0.5, 5, 0.1, "mm")] = 2.0,
    reach: Annotated[float, Range(5, 150, 5, "mm")] = 40.0,
) -> Labels:
    """Part each bone from all other strokes along the border that costs least.

    A border costs its area, less of it where gray values change, so it closes gaps in the cortex with a short
    piece; how often the strokes have each gray value speaks with it. With few strokes the least border shrinks around them.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    contrast
        Change of gray value between neighbors that makes a border there cost 0.6 of one in even gray.
    likeness
        Weight of the gray values of the strokes against the area of the border; 0 lets edges alone decide.
    resolution
        Voxels smaller than this are pooled for the cut; the border is then found anew on the full grid.
    reach
        How far from its strokes a bone may extend.

    Returns
    -------
    Labels
        (P, M, N); what several bones claim is shared out among them on the full grid.

    Notes
    -----
    One cut for each label in the box around its strokes, with capacities as whole numbers.

    References
    ----------
    Boykov & Jolly (2001), doi:10.1109/ICCV.2001.937505

    Examples
    --------
    >>> image = np.array([[[1, 1, 1, 0, 0.0, 0]]])
    >>> seeds = np.array([[[2, 0, 0, 0, 0, 255]]])
    >>> graph_cut(image, seeds, spacing=(1, 1, 1), resolution=1).tolist()
    [[[2, 2, 2, 0, 0, 0]]]
    """
    factors = coarsening(image.shape, spacing, resolution)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    coarse, marks = pool(image, factors, "mean"), pool_seeds(seeds, factors)
    odds = likeness * log_odds(coarse, marks)
    found = cut_each(coarse, marks, odds, size, contrast, reach)
    return without_background(_refined(image, found, seeds, factors, spacing, contrast))
