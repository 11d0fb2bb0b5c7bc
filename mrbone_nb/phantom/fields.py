"""Smooth random and distance fields: computed on a coarse grid, where they are cheap, and used on a fine one."""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from ..volume import Volume

COARSE_MM = 1.6
HULL_MM = 35.0  # hollows between bones narrower than twice this are filled by the body
FAR_MM = 100.0


def coordinates(grid: Volume, dtype: type = np.float32) -> list[np.ndarray]:
    """Give x, y and z in mm (LPS) of all voxels, three arrays that broadcast to the grid's shape."""
    index = np.ogrid[tuple(slice(n) for n in grid.shape)]
    rows = []
    for row in grid.affine[:3]:
        terms = [i * step for i, step in zip(index, row[:3], strict=True) if step != 0]
        rows.append(np.asarray(sum(terms, start=np.full((1, 1, 1), row[3])), dtype))
    return rows


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((np.asarray(x, np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def interpolate(field: np.ndarray, source: Volume, target: Volume) -> np.ndarray:
    """Interpolate linearly between two grids with the same axes; beyond the edge the edge value holds.

    Notes
    -----
    One axis after the other, the largest last and plane by plane: several times as fast as a general
    resampling.
    """
    first, step = source.index(target.points([[0, 0, 0]]))[0], np.array(target.spacing) / source.spacing
    field = np.ascontiguousarray(field, np.float32)
    for axis in (2, 1, 0):
        last = source.shape[axis] - 1
        at = np.clip(first[axis] + step[axis] * np.arange(target.shape[axis]), 0, last)
        low = np.minimum(at.astype(int), max(0, last - 1))
        high, share = np.minimum(low + 1, last), (at - low).astype(np.float32)
        if axis:
            share = share[:, None] if axis == 1 else share
            field = np.take(field, low, axis) * (1 - share) + np.take(field, high, axis) * share
        else:
            planes = np.empty((len(at), *field.shape[1:]), np.float32)
            for plane, i, j, s in zip(planes, low, high, share, strict=True):
                np.multiply(field[i], 1 - s, out=plane)
                plane += s * field[j]
            field = planes
    return field


class Fields:
    """Hold the fields round the bones of a label map.

    Parameters
    ----------
    bones
        Label map on the fine grid.
    rng
        Source of all random fields, in the order in which they are asked for.
    """

    def __init__(self, bones: Volume, rng: np.random.Generator) -> None:
        self.fine, self.rng = bones, rng
        spacing = tuple(max(COARSE_MM, s) for s in bones.spacing)
        self.coarse = bones.resample(spacing, labels=True)
        self.spacing = self.coarse.spacing
        self.pad = [int(np.ceil(HULL_MM / s)) + 2 for s in self.spacing]
        padded = np.pad(self.coarse.array, [(p, p) for p in self.pad], mode="edge")  # shafts run on
        numbers = np.unique(padded[padded > 0])
        away = [np.minimum(edt.edt(padded != n, anisotropy=self.spacing), FAR_MM) for n in numbers]
        away += [np.full(padded.shape, FAR_MM, np.float32)] * max(0, 2 - len(away))
        ordered = np.sort(np.stack(away), axis=0)
        self._near = ordered[0]
        self.near, self.second = (self._inner(d) for d in ordered[:2])  # mm to the nearest and the next bone

    def _inner(self, padded: np.ndarray) -> np.ndarray:
        """Cut the padding off."""
        return padded[tuple(slice(p, p + n) for p, n in zip(self.pad, self.coarse.shape, strict=True))]

    def up(self, field: np.ndarray) -> np.ndarray:
        """Interpolate a coarse field onto the fine grid."""
        return interpolate(field, self.coarse, self.fine)

    def noise(self, mm: float) -> np.ndarray:
        """Draw noise on the coarse grid that changes over about ``mm``, mean 0, deviation 1."""
        field = self.rng.standard_normal(
            [int(np.ceil((n - 1) * s / mm)) + 3 for n, s in zip(self.coarse.shape, self.spacing, strict=True)],
            dtype=np.float32,
        )
        for axis, s in enumerate(self.spacing):
            field = _spline(field, np.arange(self.coarse.shape[axis]) * s / mm, axis)
        return field / np.float32(0.41)

    def cells(self, mm: float, stretch: float) -> np.ndarray:
        """Divide space into random cells ``mm`` wide and ``stretch`` times as long from head to foot.

        Gives, on the coarse grid, half the difference of the distances to the two nearest cell centers:
        about the distance to the wall between two cells, as of the fat between two muscles.
        """
        squeeze = np.array([1, 1, 1 / stretch])
        points = np.stack(np.broadcast_arrays(*coordinates(self.coarse)), axis=-1).reshape(-1, 3) * squeeze
        low, high = points.min(0) - mm, points.max(0) + mm
        count = max(4, int(np.prod(high - low) / mm**3))
        distance = cKDTree(self.rng.uniform(low, high, (count, 3))).query(points, k=2)[0]
        return ((distance[:, 1] - distance[:, 0]) / 2).reshape(self.coarse.shape).astype(np.float32)

    def half_width(self, mm: float = 12.0) -> np.ndarray:
        """Largest depth below the surface of a bone within about ``mm``, on the coarse grid."""
        depth = edt.edt(self.coarse.array, anisotropy=self.spacing)
        return ndi.maximum_filter(depth, [2 * round(mm / s / 2) + 1 for s in self.spacing])

    def skin_depth(self, margin: tuple[float, float]) -> np.ndarray:
        """Depth below the skin in mm on the coarse grid, negative outside the body.

        The skin runs at ``margin`` (front, back) from the bones' smooth hull, and closer at a joint.
        """
        hull = self._near < HULL_MM
        signed = edt.edt(hull, anisotropy=self.spacing) - edt.edt(~hull, anisotropy=self.spacing)
        y = coordinates(self.coarse)[1]
        bone = self.coarse.array > 0
        middle = np.broadcast_to(y, bone.shape)[bone].mean() if bone.any() else y.mean()
        front, rear = margin
        thickness = front + (rear - front) * smoothstep(y - middle, -25, 45)
        return self._inner(signed) - HULL_MM + thickness * (0.85 + 0.3 * smoothstep(self.second, 15, 60))


def _spline(knots: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Evaluate a quadratic B-spline along one axis, at positions counted from the first knot interval."""
    low = at.astype(int)
    t = np.expand_dims((at - low).astype(np.float32), tuple(k for k in range(3) if k != axis))
    weights = (0.5 * (1 - t) ** 2, 0.5 + t - t**2, 0.5 * t**2)
    return sum(w * np.take(knots, low + k, axis) for k, w in enumerate(weights))


def fine_noise(grid: Volume, rng: np.random.Generator, mm: float = 0.45) -> np.ndarray:
    """Draw noise of about the size of trabeculae on the fine grid, mean 0, deviation 1."""
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = [mm / s if mm / s > 0.3 else 0 for s in grid.spacing]
    noise = ndi.gaussian_filter(noise, sigma, truncate=2.0, mode="wrap")
    noise /= max(1e-6, float(noise[:: max(1, len(noise) // 16)].std()))
    return noise
