"""Steps mask -> mask: islands, holes, morphology in mm, the cortical shell.

In a recipe whose chain holds labels, each of these runs on every label in turn (see recipe.py).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from .morphology import VOXEL_VOLUME_SLACK, bounding_box, connected_parts, dilate, erode, in_box
from .step import Image, Mask, Range, Spacing, step

Radius = Annotated[float, Range(0, 20, 0.1, "mm")]


@step(preview="volume", bytes_per_voxel=17, reach=())
def islands(
    mask: Mask,
    *,
    spacing: Spacing,
    minimum: Annotated[float, Range(0, 100_000, 10, "mm³")] = 100.0,
    keep: Literal["all", "largest"] = "largest",
    connectivity: Literal[6, 18, 26] = 6,
) -> Mask:
    """Drop connected parts that are too small, or all but the largest.

    Removes what leaked across a thin bridge or was never bone; a bone that the slices cut in two
    loses a part with `keep="largest"`.

    Parameters
    ----------
    mask
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    minimum
        Smallest volume of a part that stays.
    keep
        Whether all parts of that size stay or the largest alone.
    connectivity
        Neighbors of a voxel: 6 by faces, 18 with edges, 26 with corners.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> islands(np.array([[[1, 1, 0, 1]]]), spacing=(1, 1, 1), minimum=0).tolist()
    [[[True, True, False, False]]]
    """
    parts, count = connected_parts(mask, connectivity)
    if not count:
        return mask
    volumes = np.bincount(parts.ravel(), minlength=count + 1) * np.prod(spacing)
    volumes[0] = -1
    stays = volumes >= minimum - VOXEL_VOLUME_SLACK
    if keep == "largest":
        stays &= np.arange(count + 1) == volumes.argmax()
    stays[0] = False
    return stays[parts]


@step(preview="volume", bytes_per_voxel=2, reach=())
def slice_islands(mask: Mask, *, share: Annotated[float, Range(0, 50, 0.5, "%")] = 3.0) -> Mask:
    """Drop, in each slice, the parts that are much smaller than the largest one there.

    Removes leaks that hang on a bone only through the neighboring slice, as thick slices have them.
    With a large `share` it takes away a second condyle where it begins.

    Parameters
    ----------
    mask
        (P, M, N).
    share
        Smallest area of a part that stays, relative to the largest part of the same slice.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> slice_islands(np.array([[[1, 1, 1, 0, 1]]]), share=40).tolist()
    [[[True, True, True, False, False]]]
    """
    import cc3d

    out = np.zeros_like(mask)
    for plane in np.flatnonzero(mask.any(axis=(1, 2))):
        parts = cc3d.connected_components(mask[plane].copy(), connectivity=4)  # in 2D it takes no read-only array
        areas = np.bincount(parts.ravel())
        areas[0] = 0
        stays = areas >= share / 100 * areas.max()
        stays[0] = False
        out[plane] = stays[parts]
    return out


@step(preview="volume", bytes_per_voxel=3, reach=())
def fill_holes(mask: Mask, *, planes: Literal["volume", "slices"] = "volume") -> Mask:
    """Fill cavities that are closed all round.

    Fills vessels and cysts inside marrow. Where the cavity is open at the scan's border or through a
    gap, fill slice by slice, or close the mask first.

    Parameters
    ----------
    mask
        (P, M, N).
    planes
        Whether a cavity must be closed in the whole volume, or in its slice alone.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> ring = np.ones((1, 3, 3))
    >>> ring[0, 1, 1] = 0
    >>> bool(fill_holes(ring, planes="slices").all())
    True
    """
    import fill_voids

    if planes == "slices" or mask.shape[0] == 1:
        return np.stack([fill_voids.fill(np.ascontiguousarray(plane)) for plane in mask])
    return fill_voids.fill(mask.copy())


@step(preview="roi", bytes_per_voxel=9, reach=("radius",))
def opening(mask: Mask, *, spacing: Spacing, radius: Radius = 1.0) -> Mask:
    """Remove what is thinner than twice a radius: erosion, then dilation.

    Cuts the thin neck of a leak; it also rounds off spines and crests of the bone itself.

    Parameters
    ----------
    mask
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    radius
        Radius of the ball.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> int(opening(np.ones((1, 1, 9)), spacing=(1, 1, 1), radius=1).sum())
    9
    """
    return in_box(lambda m: dilate(erode(m, radius, spacing), radius, spacing), mask, 2 * radius, spacing)


@step(preview="roi", bytes_per_voxel=9, reach=("radius",))
def closing(mask: Mask, *, spacing: Spacing, radius: Radius = 1.5) -> Mask:
    """Fill what is narrower than twice a radius: dilation, then erosion.

    Closes notches where vessels enter the cortex; it also joins bones that nearly touch, so run it on
    one label at a time.

    Parameters
    ----------
    mask
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    radius
        Radius of the ball.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> closing(np.array([[[1, 0, 1]]]), spacing=(1, 1, 1), radius=1).tolist()
    [[[True, True, True]]]
    """
    return in_box(lambda m: m | erode(dilate(m, radius, spacing), radius, spacing), mask, 2 * radius, spacing)


@step(preview="roi", bytes_per_voxel=10, reach=("size",))
def median_smoothing(mask: Mask, *, spacing: Spacing, size: Annotated[float, Range(0, 20, 0.5, "mm")] = 3.0) -> Mask:
    """Give each voxel the majority of a box around it.

    Evens out a ragged border without moving it on the whole; spines thinner than half the box go.

    Parameters
    ----------
    mask
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    size
        Full width of the box; on an axis with thicker voxels the box is one voxel wide.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> median_smoothing(np.array([[[1, 1, 0, 1, 1]]]), spacing=(1, 1, 1), size=3).tolist()
    [[[True, True, True, True, True]]]
    """
    from scipy.ndimage import uniform_filter

    box = [2 * int(size / 2 / s + 1e-6) + 1 for s in spacing]

    def majority(part: np.ndarray) -> np.ndarray:
        return uniform_filter(part.astype(np.float32), box, mode="nearest") > 0.5

    return in_box(majority, mask, size, spacing)


@step(preview="roi", bytes_per_voxel=13, reach=("thickness", "smoothing"))
def cortical_shell(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    thickness: Annotated[float, Range(0, 8, 0.1, "mm")] = 2.0,
    upper: Annotated[float, Range(0, 1, 0.01)] = 0.35,
    smoothing: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.6,
) -> Mask:
    """Add the dark cortical rim around a core of marrow.

    A mask of the marrow alone is one to two mm too small all round. The rim is followed through dark
    voxels from the core, `thickness` at most, so that dark tendon or air beyond it does not come along.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    mask
        The marrow, (P, M, N).
    spacing
        (plane, row, column) in mm.
    thickness
        Largest thickness of the rim.
    upper
        Largest gray value that still counts as cortex.
    smoothing
        Radius of a closing that evens out the rim.

    Returns
    -------
    Mask
        (P, M, N), never smaller than the core.

    Examples
    --------
    >>> image = np.array([[[0.9, 0.9, 0.1, 0.1, 0.5]]])
    >>> cortical_shell(image, image > 0.8, spacing=(1, 1, 1), thickness=1, smoothing=0).tolist()
    [[[True, True, True, False, False]]]
    """
    import cc3d

    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, thickness + 2 * smoothing, spacing)
    core = mask[box]
    near = dilate(core, thickness, spacing)
    allowed = core | (near & (image[box] <= np.float32(upper)))
    parts = cc3d.connected_components(allowed, connectivity=6)
    kept = np.zeros(int(parts.max()) + 1, bool)
    kept[parts[core]] = True
    grown = kept[parts]
    grown = grown | (erode(dilate(grown, smoothing, spacing), smoothing, spacing) & near)
    out = np.zeros_like(mask)
    out[box] = grown
    return out
