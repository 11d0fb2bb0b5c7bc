"""Bones as solids: balls, tapered tubes, ellipsoids and bent plates by their signed distance, and meshes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from ..shape.fill import inside_mesh
from ..volume import Volume
from .fields import coordinates, interpolate

Place = Sequence[np.ndarray]  # x, y and z in mm, arrays that broadcast
Point = tuple[float, float, float]
Solid = Callable[[Place], np.ndarray]  # signed distance to the surface in mm, negative inside

SHAPE_MM = 1.5  # distances vary so slowly that they are computed on this grid and interpolated


def ball(place: Place, center: Point, radius: float) -> np.ndarray:
    """Signed distance to a ball."""
    return np.sqrt(sum((p - np.float32(c)) ** 2 for p, c in zip(place, center, strict=True))) - np.float32(radius)


def ellipsoid(place: Place, center: Point, radii: Point) -> np.ndarray:
    """Signed distance to an ellipsoid along the axes; right at the surface, near enough elsewhere."""
    scaled = [(p - np.float32(c)) / np.float32(r) for p, c, r in zip(place, center, radii, strict=True)]
    one = np.sqrt(sum(s**2 for s in scaled))
    two = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii, strict=True)))
    return one * (one - 1) / np.maximum(two, np.float32(1e-4))


def tube(place: Place, points: Sequence[Point], radii: Sequence[float]) -> np.ndarray:
    """Signed distance to a tube through points whose radius changes linearly from one to the next."""
    nearest = None
    for a, b, r, s in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        a, line = np.float32(a), np.float32(b) - np.float32(a)
        away = [p - c for p, c in zip(place, a, strict=True)]
        along = np.clip(sum(d * v for d, v in zip(away, line, strict=True)) / (line @ line), 0, 1)
        far = np.sqrt(sum((d - along * v) ** 2 for d, v in zip(away, line, strict=True)))
        distance = far - (np.float32(r) + along * np.float32(s - r))
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return nearest


def union(*solids: np.ndarray, blend: float = 0.0) -> np.ndarray:
    """Join solids, with fillets of about ``blend`` mm where they meet."""
    joined = solids[0]
    for solid in solids[1:]:
        if blend > 0:
            share = np.clip(0.5 + (solid - joined) / np.float32(2 * blend), 0, 1)
            joined = solid + share * (joined - solid) - np.float32(blend) * share * (1 - share)
        else:
            joined = np.minimum(joined, solid)
    return joined


def outline(u: np.ndarray, v: np.ndarray, corners: Sequence[tuple[float, float]]) -> np.ndarray:
    """Signed distance in a plane to a polygon; corners counterclockwise or clockwise."""
    inside, nearest = None, None
    for (a, b), (c, d) in zip(corners, [*corners[1:], corners[0]], strict=True):
        eu, ev = np.float32(c - a), np.float32(d - b)
        along = np.clip(((u - a) * eu + (v - b) * ev) / (eu * eu + ev * ev), 0, 1)
        far = (u - a - along * eu) ** 2 + (v - b - along * ev) ** 2
        crossed = ((b > v) != (d > v)) & (u < (c - a) * (v - b) / (d - b if d != b else 1e-9) + a)
        inside = crossed if inside is None else inside ^ crossed
        nearest = far if nearest is None else np.minimum(nearest, far)
    return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)


def plate(rim: np.ndarray, height: np.ndarray, thickness: np.ndarray | float) -> np.ndarray:
    """Signed distance to a plate: within an outline, ``thickness`` mm thick about height 0, with a round rim."""
    half = np.asarray(thickness, np.float32) / 2
    return np.sqrt(np.maximum(rim + half, 0) ** 2 + height**2) - half


def label_solids(
    solids: Mapping[int, Solid],
    low: Point,
    high: Point,
    spacing: float,
    axes: np.ndarray,
    *,
    roughness: float = 0.4,
    seed: int = 0,
) -> Volume:
    """Fill solids with their labels.

    Parameters
    ----------
    solids
        A function for each label: x, y, z in mm to signed distance in mm.
    low, high
        Opposite corners of the box to fill, mm, LPS.
    spacing
        Of the label map, mm, the same along all axes.
    axes
        Directions of column, row and plane as columns (3, 3).
    roughness
        Bumps of the surfaces: standard deviation in mm, a few mm wide.
    seed
        Seed of the bumps.

    Returns
    -------
    Volume
        uint8; where solids overlap, the one whose surface is farther away wins.
    """
    fine = _box(low, high, spacing, axes)
    coarse = _box(low, high, max(SHAPE_MM, spacing), axes)
    place = coordinates(coarse)
    rng = np.random.default_rng([seed, 4])
    nearest, labels = np.zeros(fine.shape, np.float32), np.zeros(fine.shape, np.uint8)
    for number, solid in solids.items():
        bumps = _bumps(place, rng)
        distance = interpolate(solid(place) + np.float32(roughness) * bumps, coarse, fine)
        closer = distance < nearest
        labels[closer] = number
        nearest[closer] = distance[closer]
    return fine.with_array(labels, name="labels")


def _box(low: Point, high: Point, spacing: float, axes: np.ndarray) -> Volume:
    """An empty grid that fills a box."""
    low, high = np.array(low, float), np.array(high, float)
    size = np.maximum(1, np.rint(np.abs(axes).T @ (high - low) / spacing)).astype(int)
    origin = (low + high) / 2 - axes @ ((size - 1) / 2 * spacing)
    return Volume(np.zeros(size[::-1], np.uint8), (spacing,) * 3, tuple(origin), tuple(np.ravel(axes)))


def _bumps(place: Place, rng: np.random.Generator) -> np.ndarray:
    """Smooth bumps of about 1 mm height, some 10 mm wide: a few waves in random directions."""
    total = np.float32(0)
    for _ in range(6):
        wave = rng.standard_normal(3).astype(np.float32)
        wave *= np.float32(rng.uniform(0.25, 0.7)) / np.linalg.norm(wave)
        total = total + np.sin(sum(p * w for p, w in zip(place, wave, strict=True)) + np.float32(rng.uniform(0, 6.28)))
    return total / np.float32(np.sqrt(3))


def label_meshes(meshes: Mapping[int, Mesh], like: Volume) -> Volume:
    """Fill closed meshes with their labels.

    Parameters
    ----------
    meshes
        A closed surface for each label 1 to 254, mm, LPS; later ones win where they overlap.
    like
        The grid to fill.

    Returns
    -------
    Volume
        uint8; a voxel is inside where its center is.

    Raises
    ------
    InputError
        A mesh is not closed.

    Notes
    -----
    Each row of voxels is a ray; it is inside between odd and even crossings of the surface.
    """
    labels = np.zeros(like.shape, np.uint8)
    for number, mesh in meshes.items():
        labels[inside_mesh(mesh, like, f"mesh of label {number}")] = number
    return like.with_array(labels, name="labels", meta={})
