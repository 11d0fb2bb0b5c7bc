"""Steps that make labels of what a threshold found: one for each part, and borders smoothed together."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from ..morphology import bounding_box, connected_parts
from ..step import EVERYTHING_ELSE, Labels, Mask, Range, Spacing, step

VOXEL_VOLUME_SLACK = 1e-6  # a part of exactly the limit stays, whatever the rounding


@step(preview="volume", bytes_per_voxel=21)
def split_islands(
    mask: Mask,
    *,
    spacing: Spacing,
    minimum: Annotated[float, Range(0, 100_000, 10, "mm³")] = 500.0,
    connectivity: Literal[6, 18, 26] = 6,
) -> Labels:
    """Give every connected part a label of its own, the largest first.

    Parts the bones of a thresholded CT, as far as none touches another. Where a joint is worn
    or slices are thick two bones are one part: raise the threshold, or draw strokes and grow from them.

    Parameters
    ----------
    mask
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    minimum
        Smallest volume of a part that stays.
    connectivity
        Neighbors of a voxel: 6 by faces, 18 with edges, 26 with corners.

    Returns
    -------
    Labels
        (P, M, N), 1 the largest part, 254 at most.

    Examples
    --------
    >>> split_islands(np.array([[[1, 0, 1, 1]]]), spacing=(1, 1, 1), minimum=0).tolist()
    [[[2, 0, 1, 1]]]
    """
    parts, count = connected_parts(mask, connectivity)
    volumes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * np.prod(spacing)
    order = np.argsort(-volumes, kind="stable")[: EVERYTHING_ELSE - 1]
    order = order[volumes[order] >= minimum - VOXEL_VOLUME_SLACK]
    number = np.zeros(count + 1, np.uint8)
    number[order + 1] = np.arange(1, len(order) + 1)
    return number[parts]


@step(preview="roi", bytes_per_voxel=30)
def joint_smoothing(
    labels: Labels, *, spacing: Spacing, radius: Annotated[float, Range(0, 10, 0.1, "mm")] = 1.0
) -> Labels:
    """Smooth all labels together, so that no gap opens between those that touch.

    Bumps narrower than the radius go, and labels keep their volume as far as one kernel can see to it.
    Plates thinner than the radius may break.

    Parameters
    ----------
    labels
        (P, M, N).
    spacing
        (plane, row, column) in mm.
    radius
        Standard deviation of the Gaussian kernel, which is then sharpened so that it does not shrink.

    Returns
    -------
    Labels
        (P, M, N).

    References
    ----------
    Taubin (1995), doi:10.1145/218380.218473

    Examples
    --------
    >>> joint_smoothing(np.array([[[1, 1, 2, 1, 1, 1]]]), spacing=(1, 1, 1), radius=2).tolist()
    [[[1, 1, 1, 1, 1, 1]]]
    """
    from scipy.ndimage import gaussian_filter

    if not labels.any() or radius == 0:
        return labels
    box = bounding_box(labels > 0, 4 * radius, spacing)
    sigma = [radius / s for s in spacing]
    best = np.zeros(labels[box].shape, np.float32)
    out = np.zeros_like(labels)
    for number in np.unique(labels[box]):
        share = (labels[box] == number).astype(np.float32)
        once = gaussian_filter(share, sigma, mode="nearest", truncate=3)
        smooth = 2 * once - gaussian_filter(once, sigma, mode="nearest", truncate=3)
        wins = smooth > best
        best[wins] = smooth[wins]
        out[box][wins] = number
    return out
