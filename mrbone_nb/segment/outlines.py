"""Full label maps from outlines on some slices: what lies between is interpolated from distances."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import SLACK_MM, bounding_box
from ..slices import slice_distances
from ..step import EVERYTHING_ELSE, Labels, Range, Seeds, Spacing, step
from .growing import without_background

ON_THE_BORDER = 1e-3  # mm; voxels whose middle lies on a border belong to the bone, or bones that touch would part


def between(mask: np.ndarray, spacing: Spacing, gap: float) -> np.ndarray:
    """Signed distance in mm, slice by slice, to a body of which some slices are drawn; infinite where nothing is known.

    Parameters
    ----------
    mask
        The drawn slices, (P, M, N); slices without a voxel are to be found.
    spacing
        (plane, row, column) in mm.
    gap
        Drawn slices farther apart than this, in mm, are not joined.

    Returns
    -------
    numpy.ndarray
        (P, M, N) float32, negative inside; linear from each drawn slice to the next.
    """
    field = np.full(mask.shape, np.inf, np.float32)
    drawn = np.flatnonzero(mask.any(axis=(1, 2)))
    for k in drawn:  # one at a time: an outline that ends is not to be closed beside its own slice here
        field[k] = slice_distances(mask[k : k + 1], spacing)[0]
    for low, high in zip(drawn[:-1], drawn[1:], strict=True):
        if (high - low) * spacing[0] > gap + SLACK_MM:
            continue
        for k in range(low + 1, high):
            share = np.float32((k - low) / (high - low))
            field[k] = (1 - share) * field[low] + share * field[high]
    return field


@step(preview="roi", bytes_per_voxel=9)
def fill_between_slices(
    seeds: Seeds,
    *,
    spacing: Spacing,
    gap: Annotated[float, Range(0, 200, 1, "mm")] = 60.0,
) -> Labels:
    """Fill what lies between slices on which bones were painted whole.

    Each bone's distance to its outline is interpolated from one painted slice to the next, and where
    several bones claim a voxel the one that lies deeper in it has it. No image is looked at, so it helps where bone
    cannot be seen, and fails where a bone turns or branches between the painted slices.

    Parameters
    ----------
    seeds
        Bones painted whole on some slices, (P, M, N); 255 is kept free, 0 is what is to be filled.
    spacing
        (plane, row, column) in mm.
    gap
        Painted slices of a bone farther apart than this are not joined.

    Returns
    -------
    Labels
        (P, M, N); a bone's own painted slices as they are, and nothing of it beyond the first and the last.

    Notes
    -----
    Takes strokes, not labels, so that it can begin a recipe: the paintings are saved beside the result. A slice
    counts as painted for the bones alone that it shows.

    References
    ----------
    Raya & Udupa (1990), doi:10.1109/42.52982

    Examples
    --------
    >>> painted = np.zeros((3, 1, 6), int)
    >>> painted[0, 0, :2], painted[2, 0, :4] = 5, 5
    >>> fill_between_slices(painted, spacing=(3, 1, 1))[1].tolist()
    [[5, 5, 5, 0, 0, 0]]
    """
    out = without_background(seeds)
    nearest = np.full(seeds.shape, ON_THE_BORDER, np.float32)
    for number in (int(n) for n in np.unique(out) if n):
        box = bounding_box(seeds == number, max(spacing), spacing)
        mask = seeds[box] == number
        field = between(mask, spacing, gap)
        field[mask.any(axis=(1, 2))] = np.inf  # painted: nothing to add
        wins = (seeds[box] == 0) & (field < nearest[box])
        out[box][wins] = number
        nearest[box][wins] = field[wins]
    out[seeds == EVERYTHING_ELSE] = 0
    return out
