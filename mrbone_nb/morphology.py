"""Distances and morphology in mm, on the box around a mask alone where that is enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .step import Spacing

SLACK_MM = 1e-5  # a voxel exactly at the radius counts as within it, whatever the rounding
VOXEL_VOLUME_SLACK = 1e-6  # a part of exactly the limit stays, whatever the rounding


def bounding_box(mask: np.ndarray, margin: float, spacing: Spacing) -> tuple[slice, slice, slice]:
    """Give the slices that hold a mask with a margin in mm, at least one voxel, cut at the border."""
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(planes):
        return (slice(0),) * 3
    flat = mask[planes[0] : planes[-1] + 1].any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    box = tuple(slice(used[0], used[-1] + 1) for used in (planes, rows, columns))
    return padded(box, margin, spacing, mask.shape)


def padded(
    box: tuple[slice, ...], margin: float, spacing: Spacing, shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Widen a box by a margin in mm and one voxel more, cut at the border; an infinite margin gives all."""
    if not np.isfinite(margin):
        return tuple(slice(0, n) for n in shape)
    pads = [int(np.ceil(margin / s)) + 1 for s in spacing]
    ends = zip(box, pads, shape, strict=True)
    return tuple(slice(max(0, int(b.start) - pad), min(n, int(b.stop) + pad)) for b, pad, n in ends)


def distance_inside(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance in mm from each voxel of a mask to the nearest voxel outside; the scan's border is not outside."""
    import edt

    return edt.edt(np.ascontiguousarray(mask, np.uint8), anisotropy=spacing, black_border=False)


def dilate(mask: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Add every voxel within a radius in mm."""
    return distance_inside(~mask, spacing) <= radius + SLACK_MM if mask.any() else mask


def erode(mask: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Keep the voxels farther than a radius in mm from everything outside."""
    return distance_inside(mask, spacing) > radius + SLACK_MM if not mask.all() else mask


def in_box(work: Callable[[np.ndarray], np.ndarray], mask: np.ndarray, margin: float, spacing: Spacing) -> np.ndarray:
    """Do the work on the box around a mask alone: most of a scan is not bone."""
    if not mask.any():
        return mask
    out = np.zeros_like(mask)
    box = bounding_box(mask, margin, spacing)
    out[box] = work(mask[box])
    return out


def connected_parts(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    """Number the connected parts of a mask, (P, M, N), from 1, and count them."""
    import cc3d

    # With corners cc3d makes room for an eighth of the voxels, which is too little where a grid is odd.
    grid = np.pad(mask, (0, 1)) if connectivity == 26 else mask
    parts, count = cc3d.connected_components(grid, connectivity=connectivity, return_N=True)
    return parts[tuple(slice(n) for n in mask.shape)], count


def signed_distance(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance in mm to the border of a mask, negative inside; 0 halfway between voxels on the finest axis."""
    import edt

    inside = edt.edt(mask.astype(np.uint8), anisotropy=spacing)
    outside = edt.edt((~mask).astype(np.uint8), anisotropy=spacing)
    half = 0.5 * min(spacing)
    return np.where(mask, half - inside, outside - half).astype(np.float32)
