"""Steps image + seeds -> labels that grow from the user's strokes.

All of them let the labels compete: each voxel goes to the stroke that reaches it at the lowest cost.
The seed value 255 competes like the others and becomes background.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import SLACK_MM, distance_inside
from ..step import EVERYTHING_ELSE, Image, Labels, Range, Seeds, Spacing, step


def compete(cost: np.ndarray, seeds: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Give every voxel the label of the seed that reaches it along the cheapest path.

    Parameters
    ----------
    cost
        Cost per mm of passing a voxel, (P, M, N); negative where no path may pass.
    seeds
        Start voxels of each label, (P, M, N); 0 is unmarked.
    spacing
        (plane, row, column) in mm.

    Returns
    -------
    tuple
        Labels (P, M, N), with 0 where nothing arrives, and the cost of the path, inf there.
    """
    from skimage.graph import MCP_Geometric

    starts = np.argwhere((seeds > 0) & (cost >= 0))
    if not len(starts):
        return np.zeros_like(seeds), np.full(seeds.shape, np.inf)
    graph = MCP_Geometric(cost, sampling=spacing)
    total, came_from = graph.find_costs(starts)
    steps = np.array(graph.offsets) @ (np.array(seeds.strides) // seeds.itemsize)
    parent = np.arange(seeds.size)
    moved = came_from.ravel() >= 0
    parent[moved] -= steps[came_from.ravel()[moved]]
    while True:  # follow every path to its start, doubling the stride each time
        further = parent[parent]
        if np.array_equal(further, parent):
            break
        parent = further
    labels = seeds.ravel()[parent].reshape(seeds.shape)
    return np.where(np.isfinite(total), labels, 0).astype(seeds.dtype), total


def without_background(labels: np.ndarray) -> np.ndarray:
    """Turn the seed value of everything else into background."""
    return np.where(labels == EVERYTHING_ELSE, 0, labels).astype(np.uint8)


def gradient_magnitude(image: np.ndarray, spacing: Spacing, sigma: float) -> np.ndarray:
    """Gradient magnitude per mm of the smoothed image; an axis of one voxel does not count."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(image, [sigma / s for s in spacing], mode="nearest")
    square = np.zeros_like(smooth)
    for axis, s in enumerate(spacing):
        if image.shape[axis] > 1:
            square += np.gradient(smooth, s, axis=axis) ** 2
    return np.sqrt(square)


@step(preview="roi", bytes_per_voxel=112)
def region_growing(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    lower: Annotated[float, Range(0, 2, 0.01)] = 0.4,
    upper: Annotated[float, Range(0, 2, 0.01)] = 2.0,
) -> Labels:
    """Grow each label through connected voxels between two gray values.

    Where strokes of several labels lie in one connected region, each voxel goes to the nearest stroke
    along a path inside the region. It leaks wherever the cortex has a gap.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    lower
        Smallest value that a label may grow through.
    upper
        Largest value that a label may grow through.

    Returns
    -------
    Labels
        (P, M, N), 0 where no label arrives.

    References
    ----------
    Adams & Bischof (1994), doi:10.1109/34.295913

    Examples
    --------
    >>> image = np.array([[[0.9, 0.9, 0.1, 0.9]]])
    >>> region_growing(image, np.array([[[3, 0, 0, 0]]]), spacing=(1, 1, 1)).tolist()
    [[[3, 3, 0, 0]]]
    """
    import cc3d

    inside = ((image >= np.float32(lower)) & (image <= np.float32(upper))) | (seeds > 0)
    parts = cc3d.connected_components(inside, connectivity=6)
    touched = np.unique(np.stack([parts[seeds > 0], seeds[seeds > 0]]), axis=1)
    owner = np.zeros(int(parts.max()) + 1, np.uint8)
    owner[touched[0]] = touched[1]
    shared = np.flatnonzero(np.bincount(touched[0], minlength=len(owner)) > 1)
    labels = owner[parts]
    if len(shared):
        contested = np.isin(parts, shared)
        cost = np.where(contested, 1.0, -1.0)
        labels[contested] = compete(cost, seeds, spacing)[0][contested]
    return without_background(labels)


@step(preview="slice", bytes_per_voxel=150)
def grow_from_seeds(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.7,
    smoothness: Annotated[float, Range(0.001, 1, 0.001)] = 0.02,
) -> Labels:
    """Give each voxel to the stroke that reaches it with the least change of gray value.

    The strokes race through the image, slowed by edges, and meet on the strongest one between them;
    so put strokes on both sides of every border. It leaks through cortex thinner than the noise blur.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    sigma
        Width of the blur before the gradient is taken.
    smoothness
        Cost of each mm without any edge; more makes straighter borders nearer the middle between strokes.

    Returns
    -------
    Labels
        (P, M, N); every voxel goes to a label or to background.

    Notes
    -----
    One shortest-path search for all labels together, so the time does not grow with their number.

    References
    ----------
    Zhu et al. (2014), doi:10.54294/6lmcvd (GrowCut as shortest paths)

    Examples
    --------
    >>> image = np.array([[[1, 1, 1, 0, 0.0, 0]]])
    >>> seeds = np.array([[[2, 0, 0, 0, 0, 255]]])
    >>> grow_from_seeds(image, seeds, spacing=(1, 1, 1), sigma=0).tolist()
    [[[2, 2, 2, 0, 0, 0]]]
    """
    cost = smoothness + gradient_magnitude(image, spacing, sigma)
    return without_background(compete(cost, seeds, spacing)[0])


@step(preview="volume", bytes_per_voxel=14)
def strokes_as_start(
    seeds: Seeds, *, spacing: Spacing, radius: Annotated[float, Range(0, 20, 0.5, "mm")] = 4.0
) -> Labels:
    """Make the strokes of the bones, thickened, the start of what grows from them.

    For steps that take a mask, such as level sets: they then grow from strokes. No start reaches into another
    label's stroke, nor nearer to it than to its own.

    Parameters
    ----------
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    radius
        How far around a stroke its start extends.

    Returns
    -------
    Labels
        (P, M, N).

    Examples
    --------
    >>> seeds = np.array([[[0, 2, 0, 0, 0, 255]]])
    >>> strokes_as_start(seeds, spacing=(1, 1, 1), radius=2).tolist()
    [[[2, 2, 2, 2, 0, 0]]]
    """
    out, nearest = np.zeros(seeds.shape, np.uint8), np.full(seeds.shape, np.inf, np.float32)
    for label in np.unique(seeds[seeds > 0]):
        away = distance_inside(seeds != label, spacing)
        closer = (away < nearest) & (away <= radius + SLACK_MM)
        out[closer] = label
        nearest = np.minimum(nearest, away)
    return without_background(out)
