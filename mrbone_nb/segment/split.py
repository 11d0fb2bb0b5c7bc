"""Steps that make labels of what a threshold found: one for each part, and borders smoothed together."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from ..morphology import VOXEL_VOLUME_SLACK, bounding_box, connected_parts
from ..step import EVERYTHING_ELSE, Image, Labels, Mask, Range, Spacing, step
from .watershed import flood


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
    volumes = np.bincount(parts.ravel(), minlength=count + 1) * np.prod(spacing)
    small = volumes < minimum - VOXEL_VOLUME_SLACK
    return _by_size(np.where(small[parts], 0, parts))


@step(preview="volume", bytes_per_voxel=21)
def split_at_dim_bridges(
    image: Image,
    labels: Labels,
    *,
    spacing: Spacing,
    core: Annotated[float, Range(-1000, 5000, 10, "HU")] = 550.0,
    minimum: Annotated[float, Range(0, 100_000, 10, "mm³")] = 300.0,
) -> Labels:
    """Part labels that hold together by dim voxels alone, where these are darkest, and number all by size.

    Parts bones of a thresholded CT that touch by the blur between them. Too high a number cuts a bone where its
    cortex is thin; bones that touch by cortex stay one: draw strokes and grow from them.

    Parameters
    ----------
    image
        CT numbers in HU, (P, M, N).
    labels
        Parts that a threshold found, (P, M, N); 255 is everything else and is dropped.
    spacing
        (plane, row, column) in mm.
    core
        Above this number no bridge is cut.
    minimum
        Smallest volume above it that makes a part of its own; what is dim all over must be as large to stay.

    Returns
    -------
    Labels
        (P, M, N), 1 the largest.

    References
    ----------
    Vincent & Soille (1991), doi:10.1109/34.87344

    Examples
    --------
    >>> image = np.array([[[900, 800, 400, 320, 900.0]]])
    >>> split_at_dim_bridges(image, image > 300, spacing=(1, 1, 1), minimum=1).tolist()
    [[[1, 1, 1, 2, 2]]]
    """
    out, last = np.zeros(labels.shape, np.int32), 0
    for number in np.unique(labels[(labels > 0) & (labels < EVERYTHING_ELSE)]):
        box = bounding_box(labels == number, 1.0, spacing)
        parts = _parted(image[box], labels[box] == number, spacing, core, minimum)
        out[box][parts > 0] = last + parts[parts > 0]
        last += int(parts.max())
    return _by_size(out)


def _parted(image: np.ndarray, mask: np.ndarray, spacing: Spacing, core: float, minimum: float) -> np.ndarray:
    """Number the parts of a mask by its bright cores; each takes what is nearer to it than the darkest between."""
    bright = split_islands(mask & (image >= np.float32(core)), spacing=spacing, minimum=minimum) > 0
    whole, _ = connected_parts(mask, 6)
    dim = mask & ~np.isin(whole, np.unique(whole[bright]))
    cores = split_islands(bright | dim, spacing=spacing, minimum=minimum)
    if not cores.any():
        return cores
    markers = cores.astype(np.int32)
    markers[~mask] = EVERYTHING_ELSE
    basins = flood(-np.clip(image, image[mask].min(), np.float32(core)), markers)
    basins[~mask | (basins == EVERYTHING_ELSE)] = 0
    reached, _ = connected_parts(basins > 0, 6)
    return np.where(np.isin(reached, np.unique(reached[cores > 0])), basins, 0)


def _by_size(parts: np.ndarray) -> np.ndarray:
    """Number parts anew, 1 the largest, no more than labels can be."""
    counts = np.bincount(parts.ravel())
    order = 1 + np.argsort(-counts[1:], kind="stable")[: EVERYTHING_ELSE - 1]
    order = order[counts[order] > 0]
    number = np.zeros(len(counts), np.uint8)
    number[order] = np.arange(1, len(order) + 1)
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
