"""Where there is tissue at all: the limb in front of the air."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import connected_parts, dilate, erode
from ..step import Image, Mask, Range, Spacing, step


def laplacian_of_gaussian(image: np.ndarray, spacing: Spacing, sigma: float) -> np.ndarray:
    """Laplacian of the smoothed image times sigma², so that it does not depend on the scale; sigma in mm."""
    from scipy.ndimage import gaussian_filter

    width = [sigma / s for s in spacing]
    total = np.zeros(image.shape, np.float32)
    for axis, s in enumerate(spacing):
        order = [2 if a == axis else 0 for a in range(3)]
        total += gaussian_filter(image, width, order, mode="nearest") * np.float32((sigma / s) ** 2)
    return total


@step(preview="volume", bytes_per_voxel=30)
def limb_mask(
    image: Image,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0.5, 5, 0.1, "mm")] = 1.5,
    lower: Annotated[float, Range(0, 0.5, 0.005)] = 0.03,
    closing: Annotated[float, Range(0, 20, 0.5, "mm")] = 6.0,
) -> Mask:
    """Mark the limb: what the Laplacian of Gaussian shows brighter than its neighborhood, closed and filled.

    Tissue has bright sides of edges and air has none, however bright the coil makes one end of the limb. What is fixed to the
    limb, such as a coil that gives signal, may come along.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    spacing
        (plane, row, column) in mm.
    sigma
        Width of the Gaussian.
    lower
        Smallest response that counts as the bright side of an edge; more where air is noisy.
    closing
        Gaps up to twice as wide as this are closed; the rest is filled slice by slice.

    Returns
    -------
    Mask
        (P, M, N), the largest connected part.

    References
    ----------
    Marr & Hildreth (1980), doi:10.1098/rspb.1980.0020

    Examples
    --------
    >>> image = np.zeros((1, 30, 30))
    >>> image[:, 8:22, 8:18] = 1
    >>> limb_mask(image, spacing=(4, 1, 1))[0, 15, ::5].tolist()
    [False, False, True, True, False, False]
    """
    import fill_voids

    bright = -laplacian_of_gaussian(image, spacing, sigma) > lower
    closed = erode(dilate(bright, closing, spacing), closing, spacing)
    parts, count = connected_parts(np.stack([fill_voids.fill(plane.copy()) for plane in closed]), 6)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return parts == sizes.argmax() if count else closed
