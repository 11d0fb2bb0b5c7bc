"""Distances and morphology in mm, on the box around a mask alone where that is enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .step import Spacing

SLACK_MM = 1e-5  # a voxel exactly at the radius counts as within it, whatever the rounding

def bounding_box(mask: np.ndarray, margin: float, spacing: Spacing) -> tuple[slice, slice, slice]:
    """Give the slices that hold a mask with a margin in mm, at least one voxel, cut at the border."""
    box = []
    for axis, s in enumerate(spacing):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        pad = int(np.ceil(margin / s)) + 1
        box.append(slice(max(0, used[0] - pad), min(mask.shape[axis], used[-1] + pad + 1)) if len(used) else slice(0))
    return tuple(box)


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


def signed_distance(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance in mm to the border of a mask, negative inside; 0 halfway between voxels on the finest axis."""
    import edt

    inside = edt.edt(mask.astype(np.uint8), anisotropy=spacing)
    outside = edt.edt((~mask).astype(np.uint8), anisotropy=spacing)
    half = 0.5 * min(spacing)
    return np.where(mask, half - inside, outside - half).astype(np.float32)
