"""Closest points on a surface, and on which side of it a point lies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..mesh import Mesh

CANDIDATES = 8  # triangles that are tried for each point
AT_ONCE = 40_000  # points, to keep the memory small
SAME_MM = 1e-6  # two triangles so equally near meet at an edge or corner


class Nearest(NamedTuple):
    """Hold what is nearest to each of some points.

    Parameters
    ----------
    points
        (N, 3), on the surface.
    normals
        (N, 3), of the triangle on which that point lies.
    distances
        (N,), mm, positive outside.
    faces
        (N,), number of that triangle.
    """

    points: np.ndarray
    normals: np.ndarray
    distances: np.ndarray
    faces: np.ndarray


class Surface:
    """Answer which point of a mesh is nearest to a given one.

    Parameters
    ----------
    mesh
        The surface; the side is right where it is closed and, on an open one, away from its rim.

    Notes
    -----
    The triangles with the nearest samples are tried exactly. Samples lie as close as a usual edge is long, so what is
    missed lies as far away as what is found, to a small part of that.

    References
    ----------
    Bærentzen JA, Aanæs H (2005). Signed distance computation using the angle weighted pseudonormal.
    doi:10.1109/TVCG.2005.49
    """

    def __init__(self, mesh: Mesh) -> None:
        from scipy.spatial import cKDTree

        corners = mesh.vertices[mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        sizes = np.linalg.norm(normals, axis=1)
        if not (sizes > 0).any():
            raise InputError(f"mesh with {len(mesh.faces)} triangles: none of them has an area; expected a surface")
        self._numbers = np.flatnonzero(sizes > 0)
        self._corners = corners[self._numbers]
        self._normals = normals[self._numbers] / sizes[self._numbers, None]
        samples, self._owners = _samples(self._corners)
        self._tree = cKDTree(samples)

    def nearest(self, points: np.ndarray) -> Nearest:
        """Find the nearest point of the surface for each of some points, (N, 3) in mm."""
        points = np.asarray(points, float)
        parts = [self._nearest(points[k : k + AT_ONCE]) for k in range(0, len(points), AT_ONCE)]
        return Nearest(*(np.concatenate(found) for found in zip(*parts, strict=True)))

    def _nearest(self, points: np.ndarray) -> Nearest:
        count = min(CANDIDATES, len(self._owners))
        tried = self._owners[self._tree.query(points, k=count)[1].reshape(len(points), count)]
        found = _on_triangles(np.repeat(points, count, axis=0), self._corners[tried.ravel()]).reshape(-1, count, 3)
        away = points[:, None] - found
        far = np.linalg.norm(away, axis=2)
        # Of triangles that meet in the nearest point, the one that faces the point most tells the side.
        facing = np.einsum("ncx,ncx->nc", away, self._normals[tried])
        best = np.where(far <= far.min(axis=1, keepdims=True) + SAME_MM, np.abs(facing), -1).argmax(axis=1)
        row = np.arange(len(points))
        chosen = tried[row, best]
        signed = np.where(facing[row, best] < 0, -1, 1) * far[row, best]
        return Nearest(found[row, best], self._normals[chosen], signed, self._numbers[chosen])


def _samples(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points on triangles, as close as the median edge is long, and the numbers of the triangles they lie on."""
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = np.clip(np.ceil(longest / np.median(longest) - 0.5), 1, 64).astype(int)
    places, owners = [], []
    for n in np.unique(parts):
        chosen = np.flatnonzero(parts == n)
        steps = [(i + 1 / 3, j + 1 / 3) for i in range(n) for j in range(n - i)]
        weights = np.array([(a, b, n - a - b) for a, b in steps]) / n
        places.append(np.einsum("sk,tkx->tsx", weights, corners[chosen]).reshape(-1, 3))
        owners.append(np.repeat(chosen, len(weights)))
    return np.concatenate(places), np.concatenate(owners)


def _on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The point of each triangle, (N, 3, 3), that is nearest to its point, (N, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    flat = points - np.einsum("nx,nx->n", points - a, normal)[:, None] * normal
    ways = [(a, b), (b, c), (c, a)]
    inside = np.all([np.einsum("nx,nx->n", np.cross(q - p, flat - p), normal) >= 0 for p, q in ways], axis=0)
    edges = np.stack([_on_segments(points, p, q) for p, q in ways])
    nearest = np.linalg.norm(edges - points, axis=2).argmin(axis=0)
    return np.where(inside[:, None], flat, edges[nearest, np.arange(len(points))])


def _on_segments(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The point of each segment that is nearest to its point."""
    line = b - a
    along = np.einsum("nx,nx->n", points - a, line) / np.maximum(np.einsum("nx,nx->n", line, line), 1e-30)
    return a + np.clip(along, 0, 1)[:, None] * line
