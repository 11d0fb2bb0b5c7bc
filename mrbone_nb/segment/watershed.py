"""Marker-controlled watershed from the user's strokes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from ..step import Image, Labels, Range, Seeds, Spacing, step
from .growing import gradient_magnitude, without_background


def flood(relief: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """Flood a relief (P, M, N) from markers; quick because the relief is cut into 256 levels."""
    import SimpleITK as sitk

    low, high = float(relief.min()), float(np.percentile(relief, 99.5))
    scale = 255 / (high - low) if high > low else 0.0
    levels = np.clip((relief - low) * scale, 0, 255).astype(np.uint8)
    basins = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(levels), sitk.GetImageFromArray(markers), markWatershedLine=False
    )
    return sitk.GetArrayFromImage(basins)


@step(preview="slice", bytes_per_voxel=20)
def watershed(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    relief: Literal["gradient", "darkness", "brightness"] = "gradient",
    sigma: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.7,
) -> Labels:
    """Flood the image from the strokes; labels meet on the ridges of the relief.

    With `relief="darkness"` the ridge is the dark cortex itself, so a border comes to lie on the
    cortex rather than on the marrow's edge; it leaks where the cortex has a gap wider than the floods' strokes allow.

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
    return without_background(flood(height, seeds))
