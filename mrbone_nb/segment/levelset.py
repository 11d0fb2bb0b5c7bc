"""Level sets: a smooth front that refines a mask, or grows from a stroke, until edges or gray values stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from ..grids import cut
from ..morphology import bounding_box, signed_distance
from ..step import Image, Mask, Range, Spacing, step
from .growing import gradient_magnitude

if TYPE_CHECKING:
    from SimpleITK import ImageFilter

STEPS_PER_VOXEL = 6  # ITK lets a front move a sixth of the smallest voxel side at a time
DETOUR = 1.3  # steps beyond a straight way at full speed, for what was held up
SOFT = 0.1  # gray value beyond a threshold at which a front has its full speed
STILL = 1e-4  # root mean square change at which a front has come to rest


def _let_move(front: ImageFilter, start: np.ndarray, feature: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Run an ITK level set from signed distances; give the new field on the same grid."""
    import SimpleITK as sitk

    # ITK's gradient wants four voxels on every axis, but a single plane has no curvature across it.
    widths = [(0, max(0, 4 - n) if axis or n > 1 else 0) for axis, n in enumerate(start.shape)]
    pictures = [sitk.GetImageFromArray(np.pad(a, widths, mode="edge").astype(np.float32)) for a in (start, feature)]
    for picture in pictures:
        picture.SetSpacing(spacing[::-1])
    if start.shape[0] == 1:
        flat = [picture[:, :, 0] for picture in pictures]
        moved = sitk.GetArrayFromImage(front.Execute(*flat))[None]
    else:
        moved = sitk.GetArrayFromImage(front.Execute(*pictures))
    return moved[tuple(slice(n) for n in start.shape)]


def _within_reach(moved: np.ndarray, start: np.ndarray, reach: float) -> np.ndarray:
    """The body of a moved front, held within a distance in mm from where it started."""
    return ((moved <= 0) & (start < reach)) | (start < -reach)


def _steepness(image: np.ndarray, spacing: Spacing, sigma: float) -> np.ndarray:
    """Change of gray value per mm toward the most different neighbor on each axis.

    A central difference would not see a cortex of one voxel, as dark on neither side of it.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(image, [sigma / s for s in spacing], mode="nearest")
    square = np.zeros_like(smooth)
    for axis, s in enumerate(spacing):
        change = (np.diff(smooth, axis=axis) / np.float32(s)) ** 2
        steepest = np.zeros_like(smooth)
        for side in (cut(axis, 0, -1), cut(axis, 1, None)):
            np.maximum(steepest[side], change, out=steepest[side])
        square += steepest
    return np.sqrt(square)


def _steps_for(reach: float, spacing: Spacing) -> int:
    """How many steps take a front as far as its reach in mm where nothing holds it up."""
    return int(np.ceil(DETOUR * STEPS_PER_VOXEL * reach / min(spacing)))


@step(preview="slice", bytes_per_voxel=60)
def geodesic_active_contour(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0.2, 3, 0.1, "mm")] = 0.8,
    growth: Annotated[float, Range(-2, 2, 0.1)] = 0.0,
    smoothness: Annotated[float, Range(0, 5, 0.1)] = 1.0,
    attraction: Annotated[float, Range(0, 5, 0.1)] = 2.0,
    iterations: Annotated[int, Range(1, 500, 5)] = 60,
    reach: Annotated[float, Range(0.5, 20, 0.5, "mm")] = 4.0,
) -> Mask:
    """Move the border of a mask to the nearest edges with a smooth geodesic active contour.

    Evens out a ragged border and bridges small gaps in the cortex; thin parts shrink where
    `smoothness` is high. The border moves `reach` at most, so a leak stays small.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    mask
        Start, (P, M, N).
    spacing
        (plane, row, column) in mm.
    sigma
        Width of the blur before the gradient is taken.
    growth
        Outward pressure; negative shrinks.
    smoothness
        Weight of the curvature.
    attraction
        Weight of the pull toward edges.
    iterations
        Number of steps of the front.
    reach
        How far the border may move from the start.

    Returns
    -------
    Mask
        (P, M, N).

    References
    ----------
    Caselles et al. (1997), doi:10.1023/A:1007979827043

    Examples
    --------
    >>> disk = np.hypot(*np.mgrid[-20:21, -20:21])[None] < 12
    >>> start = np.hypot(*np.mgrid[-20:21, -20:21])[None] < 10
    >>> found = geodesic_active_contour(disk, start, spacing=(1, 1, 1))
    >>> bool(abs(int(found.sum()) - int(disk.sum())) < 0.1 * disk.sum())
    True
    """
    import SimpleITK as sitk

    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, reach, spacing)
    start = signed_distance(mask[box], spacing)
    edge = gradient_magnitude(image[box], spacing, sigma)
    typical = np.percentile(edge, 90)
    speed = 1 / (1 + (edge / typical) ** 2) if typical > 0 else np.ones_like(edge)
    front = sitk.GeodesicActiveContourLevelSetImageFilter()
    front.SetPropagationScaling(growth)
    front.SetCurvatureScaling(smoothness)
    front.SetAdvectionScaling(attraction)
    front.SetNumberOfIterations(iterations)
    front.SetMaximumRMSError(STILL)
    moved = _let_move(front, start, speed, spacing)
    out = np.zeros_like(mask)
    out[box] = _within_reach(moved, start, reach)
    return out


@step(preview="slice", bytes_per_voxel=46, reach=("reach",))
def shape_detection(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.5,
    edge: Annotated[float, Range(0.01, 1, 0.01, "1/mm")] = 0.2,
    growth: Annotated[float, Range(-2, 2, 0.1)] = 1.0,
    smoothness: Annotated[float, Range(0, 3, 0.05, "mm")] = 0.1,
    reach: Annotated[float, Range(0.5, 60, 0.5, "mm")] = 10.0,
) -> Mask:
    """Grow a mask as a smooth front that slows down at edges and comes to rest on them.

    Unlike a geodesic active contour it needs no edge nearby to be drawn to, so it can start from a stroke or a
    core inside the bone. It comes to rest where the edge begins (a geodesic active contour takes it on to the edge
    itself), and leaks where the cortex is weaker than `edge`.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    mask
        Start, (P, M, N).
    spacing
        (plane, row, column) in mm.
    sigma
        Width of the blur before the gradient is taken.
    edge
        Change of gray value per mm that stops the front; it slows down before.
    growth
        Outward pressure; negative shrinks onto the edges from outside.
    smoothness
        Radius of a bend that turns a front of full speed back; keep it well below the thickness of the start.
    reach
        How far the border may move from the start; it is given the time for this way.

    Returns
    -------
    Mask
        (P, M, N).

    Notes
    -----
    Time grows with the surface and with `reach` over the smallest voxel side.

    References
    ----------
    Malladi et al. (1995), doi:10.1109/34.368173

    Examples
    --------
    >>> far = np.hypot(*np.mgrid[-20:21, -20:21])[None]
    >>> found = shape_detection(far < 12, far < 4, spacing=(1, 1, 1))
    >>> bool(abs(int(found.sum()) - int((far < 12).sum())) < 0.3 * (far < 12).sum())
    True
    """
    import SimpleITK as sitk

    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, reach, spacing)
    start = signed_distance(mask[box], spacing)
    speed = np.maximum(0, 1 - (_steepness(image[box], spacing, sigma) / edge) ** 2)
    front = sitk.ShapeDetectionLevelSetImageFilter()
    front.SetPropagationScaling(growth)
    front.SetCurvatureScaling(smoothness)
    front.SetNumberOfIterations(_steps_for(reach, spacing))
    front.SetMaximumRMSError(STILL)
    out = np.zeros_like(mask)
    out[box] = _within_reach(_let_move(front, start, speed, spacing), start, reach)
    return out


@step(preview="slice", bytes_per_voxel=46, reach=("reach",))
def threshold_level_set(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    lower: Annotated[float, Range(0, 2, 0.01)] = 0.4,
    upper: Annotated[float, Range(0, 2, 0.01)] = 2.0,
    smoothness: Annotated[float, Range(0, 3, 0.05, "mm")] = 0.1,
    reach: Annotated[float, Range(0.5, 60, 0.5, "mm")] = 10.0,
) -> Mask:
    """Let a smooth front grow through gray values between two thresholds and draw back from all others.

    The curvature keeps it out of gaps through which region growing would leak, and evens out noise. It fails
    where marrow and its surroundings have the same gray value over a wide contact.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    mask
        Start, (P, M, N).
    spacing
        (plane, row, column) in mm.
    lower, upper
        Gray values between which the front grows; within 0.1 of them it is slower.
    smoothness
        Radius of a bend that turns a front of full speed back; keep it well below the thickness of the start.
    reach
        How far the border may move from the start; it is given the time for this way.

    Returns
    -------
    Mask
        (P, M, N).

    Notes
    -----
    Time grows with the surface and with `reach` over the smallest voxel side.

    References
    ----------
    Cates et al. (2004), doi:10.1016/j.media.2004.06.022

    Examples
    --------
    >>> far = np.hypot(*np.mgrid[-20:21, -20:21])[None]
    >>> found = threshold_level_set(far < 12, far < 4, spacing=(1, 1, 1))
    >>> bool(abs(int(found.sum()) - int((far < 12).sum())) < 0.15 * (far < 12).sum())
    True
    """
    import SimpleITK as sitk

    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, reach, spacing)
    start = signed_distance(mask[box], spacing)
    inside = np.minimum(image[box] - lower, upper - image[box])  # above 0 between the thresholds
    front = sitk.ThresholdSegmentationLevelSetImageFilter()
    front.SetLowerThreshold(0)
    front.SetUpperThreshold(2)  # its speed rises from 0 at the lower threshold to 1 halfway, where ours stops
    front.SetPropagationScaling(1)
    front.SetCurvatureScaling(smoothness)
    front.SetNumberOfIterations(_steps_for(reach, spacing))
    front.SetMaximumRMSError(STILL)
    out = np.zeros_like(mask)
    out[box] = _within_reach(_let_move(front, start, np.clip(inside / SOFT, -1, 1), spacing), start, reach)
    return out
