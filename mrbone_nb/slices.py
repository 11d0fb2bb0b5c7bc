"""Distance fields of masks in thick slices: what lies between the slices, on a grid of equal cells."""

from __future__ import annotations

import numpy as np

from .step import Spacing

CUBIC_FROM = 1.5  # slices thicker than so many cells are worth a cubic


def slice_distances(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Signed distance in mm to the outline in each slice, (P, M, N): negative inside, 0 between two pixels.

    Where an outline ends (nothing of it in the next slice), the next slice is given the distances that
    close it half a slice further on at most, with a rounded rim, or as it tapered before.
    """
    import edt

    pixel = spacing[1:]
    half = 0.5 * min(pixel)
    far = float(np.hypot(mask.shape[1] * pixel[0], mask.shape[2] * pixel[1]))
    field = np.full(mask.shape, far, np.float32)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = edt.edt(mask[k].astype(np.uint8), anisotropy=pixel, black_border=False)
        outside = edt.edt((~mask[k]).astype(np.uint8), anisotropy=pixel, black_border=False)
        field[k] = np.where(mask[k], half - inside, outside - half)
    np.clip(field, -far, far, out=field)
    _close_ends(field, mask, spacing)
    return field


def _close_ends(field: np.ndarray, mask: np.ndarray, spacing: Spacing) -> None:
    """Lower the distances beside each outline that ends, so that linear interpolation closes it."""
    import edt
    from scipy.ndimage import label  # cc3d 4.1 miscounts parts in two dimensions with connectivity 8

    closing = {}
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        parts, count = label(mask[k], np.ones((3, 3)))
        for beside in (k - 1, k + 1):
            if not 0 <= beside < len(mask):
                continue
            ended = np.ones(count + 1, bool)
            ended[parts[mask[beside]]] = False
            ended[0] = False
            if not ended.any():
                continue
            end = ended[parts]
            depth = -field[k][end]
            # The surface ends `height` (share of a slice) above this slice: a half, less near the rim.
            rim = np.clip(1 - depth / spacing[0], 0, 1)
            height = 0.5 * np.sqrt(1 - rim**2)
            around = edt.edt((~end).astype(np.uint8), anisotropy=spacing[1:], black_border=False)
            around[end] = depth * (1 / np.maximum(height, 1e-6) - 1)
            before = 2 * k - beside
            if 0 <= before < len(mask):  # an outline that tapers goes on tapering
                around[end] = np.maximum(around[end], -2 * depth - field[before][end])
            closing.setdefault(beside, []).append(around)
            if spacing[0] > CUBIC_FROM * max(spacing[1:]):
                closing.setdefault(2 * beside - k, []).append(around)  # no slope there: the cubic ends as the line does
    for beside, fields in closing.items():
        if 0 <= beside < len(field):
            field[beside] = np.minimum.reduce([field[beside], *(np.maximum(f, 0) for f in fields)])


def resample(field: np.ndarray, spacing: Spacing, cell: float) -> np.ndarray:
    """Interpolate a field onto cells of one size, averaging where they are larger than the pixels.

    The first cell lies on the first voxel. Across thick slices the interpolation is cubic and keeps
    between its neighbors (Fritsch and Carlson 1980, doi:10.1137/0717021), else linear.
    """
    for axis in (1, 2, 0):  # in the slices first: they are mostly finer than the cells
        count, step = field.shape[axis], spacing[axis]
        places = np.arange(0, (count - 1) * step + 1e-6 * cell, cell)
        if step > CUBIC_FROM * cell:
            from scipy.interpolate import PchipInterpolator

            places = np.minimum(places, (count - 1) * step)
            field = PchipInterpolator(step * np.arange(count), field, axis=axis)(places).astype(np.float32)
            continue
        offset = np.abs(places[:, None] - step * np.arange(count)) / max(step, cell)
        weights = np.maximum(0, 1 - offset)
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    return np.ascontiguousarray(field)


def straighten(field: np.ndarray, cell: float, reach: float) -> np.ndarray:
    """Turn a field whose slope is 1 in the slices and steeper across them into distances, to first order."""
    slope = np.sqrt(sum(part**2 for part in np.gradient(field, cell)))
    return np.clip(field / np.maximum(slope, 1), -reach, reach).astype(np.float32)


def smooth(field: np.ndarray, sigma: float, cell: float) -> np.ndarray:
    """Smooth distances without shrinking what is round: Gaussian twice, as 2 G − G².

    The second pass takes back what the first one moved, as in Taubin's filter for meshes (1995,
    doi:10.1145/218380.218473), so a ball keeps its radius to second order.
    """
    from scipy.ndimage import gaussian_filter

    if sigma == 0:
        return field
    once = gaussian_filter(field, sigma / cell, mode="nearest", truncate=3)
    return 2 * once - gaussian_filter(once, sigma / cell, mode="nearest", truncate=3)
