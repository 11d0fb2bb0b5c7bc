"""The border of bone in CT: where the gray value is halfway between the cortex and what lies beside it."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import bounding_box, connected_parts, distance_inside
from ..step import Image, Mask, Range, Spacing, step


@step(preview="roi", bytes_per_voxel=40, reach=("radius",))
def half_maximum_border(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    radius: Annotated[float, Range(0, 6, 0.1, "mm")] = 1.5,
) -> Mask:
    """Move the border of a bright bone to half the height of the edge beside it.

    One threshold for a whole CT runs outside thick cortex and inside thin cortex; half the height of each edge does
    not, whatever the CT numbers are. Another bone that is nearer than the radius counts as the surroundings' height.

    Parameters
    ----------
    image
        Gray values in which cortex is bright, (P, M, N).
    mask
        One bone with its inside filled, (P, M, N).
    spacing
        (plane, row, column) in mm.
    radius
        How far around a voxel the heights are taken, and how far the border may move.

    Returns
    -------
    Mask
        (P, M, N).

    References
    ----------
    Spoor et al. (1993), doi:10.1002/ajpa.1330910405

    Examples
    --------
    >>> image = np.array([[[0, 0, 0, 400, 900, 1000, 100, 100.0]]])
    >>> half_maximum_border(image, image > 50, spacing=(1, 1, 1), radius=2).astype(int).tolist()
    [[[0, 0, 0, 0, 1, 1, 1, 1]]]
    """
    if not mask.any() or mask.all() or radius == 0:
        return mask
    box = bounding_box(mask, 2 * radius, spacing)
    out = np.zeros_like(mask)
    out[box] = _moved(image[box], mask[box], radius, spacing)
    return out


def _moved(image: np.ndarray, mask: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """The mask with what is below half the height taken off from outside, and what is above it added."""
    from scipy.ndimage import maximum_filter, minimum_filter

    reach = [2 * int(radius / s + 1e-6) + 1 for s in spacing]
    half = (maximum_filter(image, reach, mode="nearest") + minimum_filter(image, reach, mode="nearest")) / 2
    outer = mask & (distance_inside(mask, spacing) <= radius)
    near = ~mask & (distance_inside(~mask, spacing) <= radius)
    bright = image >= half
    parts, _ = connected_parts(~mask | (outer & ~bright), 6)  # what is dark inside the cortex is cut off from outside
    taken = outer & ~bright & np.isin(parts, np.unique(parts[~mask]))
    added, _ = connected_parts(mask | (near & bright), 6)
    return (mask | (near & bright & np.isin(added, np.unique(added[mask])))) & ~taken
