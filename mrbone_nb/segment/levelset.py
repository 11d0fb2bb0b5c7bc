"""Level sets that refine a mask: a smooth front that stops at edges."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import bounding_box, signed_distance
from ..step import Image, Mask, Range, Spacing, step
from .growing import gradient_magnitude


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
    front.SetMaximumRMSError(1e-4)
    # ITK's gradient wants four voxels on every axis, but a single plane has no curvature across it.
    widths = [(0, max(0, 4 - n) if axis or n > 1 else 0) for axis, n in enumerate(start.shape)]
    pictures = [sitk.GetImageFromArray(np.pad(a, widths, mode="edge").astype(np.float32)) for a in (start, speed)]
    for picture in pictures:
        picture.SetSpacing(spacing[::-1])
    if mask.shape[0] == 1:
        flat = [picture[:, :, 0] for picture in pictures]
        moved = sitk.GetArrayFromImage(front.Execute(*flat))[None]
    else:
        moved = sitk.GetArrayFromImage(front.Execute(*pictures))
    moved = moved[tuple(slice(n) for n in start.shape)]
    out = np.zeros_like(mask)
    out[box] = ((moved <= 0) & (start < reach)) | (start < -reach)
    return out
