"""The outer edge of the cortex: along lines that leave a bone, where dark turns brighter, in accord with the neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ..morphology import bounding_box, distance_inside
from ..step import Image, Mask, Range, Spacing, step

STEP_MM = 0.25  # between the samples of a line
EDGE_MM = 0.5  # on both sides of a place, to see how much brighter it becomes there
PEAK_MM = 1.0  # around a place, within which it must be the steepest
NORMAL_MM = 1.2  # blur of the distance from which the lines' directions come
FLAT = 2.0  # planes this many times farther apart than pixels are searched each by itself
APART_MM = 1e4  # between planes that must not see each other
DARK = 0.02  # rise above the darkest value so far that noise may make
DRIFT = 0.1  # cost of a move by 1 mm, so that nothing moves without a reason
PATH = 1.0  # cost of 1 mm through what is brighter than cortex by the contrast
LOSS = 1.0  # cost of 1 mm of what looks like marrow, given up
STIFFNESS = 0.5  # cost of a place 1 mm off the neighbors', 1/mm²
SHARPNESS = 0.15  # difference of cost that tells two places apart
LEAST_WEIGHT = 1e-6  # of neighbors, below which there are none
LEAST_TRUST = 0.05  # of a line that shows no edge
ROUNDS = 6  # of agreeing with the neighbors


@dataclass(frozen=True)
class Lines:
    """Lines that leave a bone: the voxels they start at, and the gray values along each."""

    starts: np.ndarray  # (n, 3) indices
    gray: np.ndarray  # (n, samples)
    places: np.ndarray  # mm from the border, outward positive


def _distance(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Signed distance in mm to the border, negative inside; the scan's border is none."""
    if spacing[0] == APART_MM and spacing[1] == spacing[2] or max(spacing) == min(spacing):
        half = np.float32(0.5 * min(spacing))
        return np.where(mask, half - distance_inside(mask, spacing), distance_inside(~mask, spacing) - half)
    return np.where(mask, -_to_faces(mask, spacing), _to_faces(~mask, spacing))


def _to_faces(region: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance in mm from the voxels of a region to the faces of the nearest others: half a voxel in that direction less."""
    from scipy.ndimage import distance_transform_edt

    if region.all():
        return np.full(region.shape, APART_MM, np.float32)
    nearest = distance_transform_edt(region, spacing, return_distances=False, return_indices=True)
    size = np.reshape(np.float32(spacing), (3, 1, 1, 1))
    way = (nearest - np.indices(region.shape, np.int32)) * size
    away = np.sqrt((way**2).sum(axis=0))
    half = 0.5 * np.sqrt(((way * size) ** 2).sum(axis=0)) / np.maximum(away, 1e-6)
    return np.where(region, away - half, 0).astype(np.float32)


def _lines(image: np.ndarray, distance: np.ndarray, spacing: Spacing, axes: tuple, span: tuple) -> Lines | None:
    """Sample the image along the normals of every voxel at the border of the bone."""
    from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

    inside = distance < 0
    rim = np.zeros(inside.shape, bool)
    for axis in axes:
        for side in (1, -1):
            beside = np.roll(inside, side, axis)
            end = [slice(None)] * 3
            end[axis] = 0 if side == 1 else -1
            beside[tuple(end)] = True  # the scan's border is no border of the bone
            rim |= inside & ~beside
    starts = np.argwhere(rim)
    blurred = gaussian_filter(np.clip(distance, -8, 8), [NORMAL_MM / s if a in axes else 0 for a, s in enumerate(spacing)])
    normal = np.zeros((len(starts), 3), np.float32)
    for axis in (a for a in axes if inside.shape[a] > 1):  # a single row has no slope
        normal[:, axis] = np.gradient(blurred, spacing[axis], axis=axis)[rim]
    if not len(starts):
        return None
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    places = np.arange(span[0] - EDGE_MM, span[1] + EDGE_MM + STEP_MM / 2, STEP_MM, np.float32)
    at = starts * np.array(spacing) - normal * distance[rim][:, None]
    points = (at[:, None] + normal[:, None] * places[None, :, None]) / np.array(spacing)
    gray = map_coordinates(image, points.reshape(-1, 3).T, order=1, mode="nearest").reshape(len(starts), -1)
    return Lines(starts, uniform_filter1d(gray, 3, axis=1), places)


def border_lines(
    image: np.ndarray, mask: np.ndarray, spacing: Spacing, span: tuple[float, float]
) -> tuple[Lines | None, np.ndarray]:
    """Sample the image on lines across the border of a mask, from `span[0]` mm inside (negative) to `span[1]` outside.

    The lines stay in their plane where planes lie far apart. Beside them comes the signed distance in mm to the border;
    the lines are None where the mask has no border.
    """
    flat = spacing[0] > FLAT * min(spacing[1:])
    distance = _distance(mask, (APART_MM, *spacing[1:]) if flat else spacing)
    return _lines(image, distance, spacing, (1, 2) if flat else (0, 1, 2), span), distance


def edge_costs(lines: Lines, contrast: float, marrow: float) -> tuple[np.ndarray, np.ndarray]:
    """Cost of every place of every line, and the places in mm: little where dark turns brighter for the first time."""
    from scipy.ndimage import maximum_filter1d

    edge = round(EDGE_MM / STEP_MM)
    gray, places = lines.gray[:, : -2 * edge], lines.places[edge:-edge]  # the way ends where the edge begins
    rise = np.maximum(lines.gray[:, 2 * edge :] - lines.gray[:, : -2 * edge], 0)
    peak = maximum_filter1d(rise, 2 * round(PEAK_MM / STEP_MM) + 1, axis=1)
    reward = np.clip(peak / contrast, 0, 1) * rise / np.maximum(peak, 1e-6)  # a strong edge is no wider than a weak one

    half = max(abs(marrow - np.percentile(gray, 2)) / 2, 1e-3)
    darkest = np.minimum.accumulate(gray, axis=1)
    beyond = np.where(darkest < marrow - half, gray - darkest - DARK, 0)  # brighter again after cortex
    way = np.cumsum(np.clip(beyond / contrast, 0, 2), axis=1) * STEP_MM
    like_marrow = np.clip(1 - np.abs(lines.gray[:, edge:-edge] - marrow) / half, 0, 1)
    lost = np.cumsum(like_marrow * (places < 0), axis=1) * STEP_MM
    lost = lost[:, -1:] - lost
    return PATH * way + LOSS * lost - reward + DRIFT * np.abs(places), places


class _Average:
    """Weighted means over the neighbors of points, on cells of a quarter of the width of the Gaussian."""

    def __init__(self, points: np.ndarray, spacing: Spacing, shape: tuple[int, ...], width: float) -> None:
        self.cell = np.maximum(spacing, width / 4)
        self.scale = np.array(spacing) / self.cell
        self.shape = tuple(int(n) for n in np.ceil(np.array(shape) * self.scale) + 1)
        self.sigma = width / self.cell
        self.points = points * self.scale
        self.numbers = np.ravel_multi_index(np.rint(self.points).astype(int).T, self.shape)

    def field(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The mean at every cell, or that of the nearest cell with any."""
        from scipy.ndimage import distance_transform_edt, gaussian_filter

        count = int(np.prod(self.shape))
        total, weight = (
            gaussian_filter(np.bincount(self.numbers, v, count).reshape(self.shape), self.sigma, truncate=2.5)
            for v in (values * weights, weights)
        )
        mean = (total / np.maximum(weight, LEAST_WEIGHT)).astype(np.float32)
        nearest = distance_transform_edt(weight < LEAST_WEIGHT, self.cell, return_distances=False, return_indices=True)
        return mean[tuple(nearest)]

    def at(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The field's values at points given as indices of voxels, (n, 3)."""
        from scipy.ndimage import map_coordinates

        return map_coordinates(field, (points * self.scale).T, order=1, mode="nearest")


def _settle(cost: np.ndarray, places: np.ndarray, near: _Average, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of the border on every line, agreed among neighbors by mean-field iteration, and how far to trust it."""
    move, trust = places[cost.argmin(axis=1)], np.clip(-cost.min(axis=1), LEAST_TRUST, 1)
    for _ in range(ROUNDS):
        around = near.at(near.field(move, trust), starts)
        energy = cost + STIFFNESS * (places[None] - around[:, None]) ** 2
        belief = np.exp((energy.min(axis=1, keepdims=True) - energy) / SHARPNESS)
        belief /= belief.sum(axis=1, keepdims=True)
        move, trust = belief @ places, np.clip(-(belief * cost).sum(axis=1), LEAST_TRUST, 1)
    return move, trust


@step(preview="slice", bytes_per_voxel=60, reach=("outward", "smoothing"))
def cortical_border(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    outward: Annotated[float, Range(0, 10, 0.5, "mm")] = 2.5,
    inward: Annotated[float, Range(0, 5, 0.5, "mm")] = 2.0,
    contrast: Annotated[float, Range(0.02, 1, 0.01)] = 0.15,
    smoothing: Annotated[float, Range(1, 8, 0.5, "mm")] = 4.0,
) -> Mask:
    """Move the border of a mask to the outer edge of the dark cortex.

    Along lines that leave the bone it looks for the first place where dark turns brighter, whether marrow is bright
    or dark; neighboring lines agree on it, so that a line along a tendon follows those beside it. It cannot mend a
    border that is farther off than it may move.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    mask
        A bone or its marrow, (P, M, N).
    spacing
        (plane, row, column) in mm.
    outward
        How far the border may move out: the thickest cortex, 3 mm near joints and 5 mm and more on shafts.
    inward
        How far it may move in.
    contrast
        Rise of gray value that makes a full edge.
    smoothing
        Width of the neighborhood that agrees on a place.

    Returns
    -------
    Mask
        (P, M, N); each plane is searched by itself where planes lie more than twice as far apart as pixels.

    Notes
    -----
    The cost of a place is the missing rise of gray and the way there through what is brighter than cortex; the
    agreement is a mean-field approximation with a quadratic tie to the mean of the neighbors, not the global optimum
    of Li et al.

    References
    ----------
    Cootes et al. (1995), doi:10.1006/cviu.1995.1004 (search along normals);
    Li et al. (2006), doi:10.1109/TPAMI.2006.19 (the best surface among such columns)

    Examples
    --------
    >>> image = np.array([[[0.9, 0.9, 0.9, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5]]])
    >>> cortical_border(image, image > 0.8, spacing=(1, 1, 1)).sum().item()
    5
    """
    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, outward + 4 * NORMAL_MM, spacing)
    part = mask[box]
    lines, distance = border_lines(image[box], part, spacing, (-inward, outward))
    if lines is None:
        return mask
    costs = edge_costs(lines, contrast, float(np.median(image[mask])))
    move, trust = _settle(*costs, _Average(lines.starts, spacing, part.shape, smoothing), lines.starts)
    fine = _Average(lines.starts, spacing, part.shape, min(1.5, smoothing))
    band = np.argwhere((distance > -inward - 1) & (distance < outward + 1))
    out = mask.copy()
    moved = part.copy()
    moved[tuple(band.T)] = distance[tuple(band.T)] < fine.at(fine.field(move, trust), band)
    out[box] = moved
    return out
