"""Marker-controlled watershed from the user's strokes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from ..step import Image, Labels, Range, Seeds, Spacing, step
from .growing import gradient_magnitude, without_background


def flood(relief: np.ndarray, markers: np.ndarray, gap: tuple[int, ...] = (0, 0, 0)) -> np.ndarray:
    """Flood a relief (P, M, N) from markers; quick because the relief is cut into 256 levels.

    Gaps in its ridges up to twice as wide as ``gap`` voxels are closed first, by a gray closing with a ball.
    """
    import SimpleITK as sitk

    low, high = float(relief.min()), float(np.percentile(relief, 99.5))
    scale = 255 / (high - low) if high > low else 0.0
    levels = np.clip((relief - low) * scale, 0, 255).astype(np.uint8)
    ridges = sitk.GetImageFromArray(levels)
    if any(gap):
        ridges = sitk.GrayscaleMorphologicalClosing(ridges, list(gap[::-1]), sitk.sitkBall)
    basins = sitk.MorphologicalWatershedFromMarkers(ridges, sitk.GetImageFromArray(markers), markWatershedLine=False)
    return sitk.GetArrayFromImage(basins)


@step(preview="slice", bytes_per_voxel=20)
def watershed(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    relief: Literal["gradient", "darkness", "brightness"] = "gradient",
    sigma: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.7,
    gap: Annotated[float, Range(0, 5, 0.1, "mm")] = 0.0,
) -> Labels:
    """Flood the image from the strokes; labels meet on the ridges of the relief.

    With `relief="darkness"` the ridge is the dark cortex itself: labels grow through bright marrow up to the rim, and
    with `gap` the rim holds where a vessel breaks it. It leaks through wider gaps, and closes marrow that is narrower.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    relief
        What stops the flood: edges, dark lines (bright marrow), or bright lines.
    sigma
        Width of the blur before the relief is taken.
    gap
        Gaps in the ridges up to twice this are closed, to the nearest voxel; none along an axis of far larger voxels.

    Returns
    -------
    Labels
        (P, M, N); every voxel goes to a label or to background.

    References
    ----------
    Meyer & Beucher (1990), doi:10.1016/1047-3203(90)90014-M

    Examples
    --------
    >>> image = np.array([[[1, 1, 0, 0.9, 0.9, 0.9]]])
    >>> seeds = np.array([[[1, 0, 0, 0, 0, 255]]])
    >>> watershed(image, seeds, spacing=(1, 1, 1), relief="darkness", sigma=0)[0, 0, :2].tolist()
    [1, 1]
    """
    from scipy.ndimage import gaussian_filter

    if not seeds.any():
        return np.zeros(image.shape, np.uint8)
    if relief == "gradient":
        height = gradient_magnitude(image, spacing, sigma)
    else:
        height = gaussian_filter(image, [sigma / s for s in spacing], mode="nearest")
        height = -height if relief == "darkness" else height
    radius = tuple(round(gap / s) for s in spacing)
    return without_background(flood(height, seeds, radius))
