"""From a closed mesh to voxels: which lie inside, and how far from the surface."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from ..morphology import signed_distance
from ..volume import Volume

CELLS = 30_000_000  # of a grid round a mesh, at most


def inside_mesh(mesh: Mesh, grid: Volume, name: str = "mesh") -> np.ndarray:
    """Tell which voxel centers lie in a closed mesh, by counting crossings along each row of voxels.

    Parameters
    ----------
    mesh
        A closed surface, mm, LPS.
    grid
        The grid; its values do not matter.
    name
        What the mesh is called in an error.

    Returns
    -------
    numpy.ndarray
        Bool, (P, M, N).

    Raises
    ------
    InputError
        The mesh is not closed.
    """
    corners = grid.index(mesh.vertices)[mesh.faces]  # (F, 3 corners, plane row column)
    # Rays pass a hair beside the voxel centers, so that none meets an edge or a corner.
    flat = corners[..., :2] - np.array([1.7e-7, 2.3e-7])
    low = np.maximum(np.ceil(flat.min(axis=1)), 0).astype(int)
    high = np.minimum(np.floor(flat.max(axis=1)), np.array(grid.shape[:2]) - 1).astype(int)
    count = np.maximum(high - low + 1, 0)
    rays = count.prod(axis=1)
    face = np.repeat(np.arange(len(rays)), rays)
    nth = np.arange(rays.sum()) - np.repeat(np.cumsum(rays) - rays, rays)
    at = low[face] + np.stack([nth // np.maximum(count[face, 1], 1), nth % np.maximum(count[face, 1], 1)], axis=1)
    a, b, c = (flat[face, k] for k in range(3))
    weights = np.stack([_cross(b - at, c - at), _cross(c - at, a - at), _cross(a - at, b - at)], axis=1)
    hit = (weights > 0).all(axis=1) | (weights < 0).all(axis=1)
    weights, face, at = weights[hit], face[hit], at[hit]
    column = (weights * corners[face][:, :, 2]).sum(axis=1) / weights.sum(axis=1)
    flips = np.zeros((*grid.shape[:2], grid.shape[2] + 1), np.int32)
    stop = np.clip(np.ceil(column), 0, grid.shape[2]).astype(int)
    np.add.at(flips, (at[:, 0], at[:, 1], stop), 1)
    if (flips.sum(axis=2) % 2).any():
        raise InputError(f"{name}: a ray enters it and never leaves; close the surface first")
    return np.cumsum(flips[..., :-1], axis=2) % 2 == 1


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def grid_around(mesh: Mesh, spacing: float, margin: float) -> Volume:
    """Give an empty grid of equal cells, in mm along x, y and z, that holds a mesh with a margin."""
    low, high = mesh.bounds + np.array([[-margin], [margin]])
    size = np.maximum(1, np.ceil((high - low) / spacing)).astype(int) + 1
    if np.prod(size.astype(float)) > CELLS:
        raise InputError(f"spacing={spacing:g} mm: {np.prod(size.astype(float)):.2g} voxels round the mesh; choose more")
    return Volume(np.zeros(size[::-1], np.uint8), (spacing,) * 3, tuple(low))


def distance_to(mesh: Mesh, spacing: float, margin: float) -> Volume:
    """Give the signed distance to a closed mesh in mm, negative inside, on a grid of equal cells round it."""
    grid = grid_around(mesh, spacing, margin)
    return grid.with_array(signed_distance(inside_mesh(mesh, grid), grid.spacing), name="distance")
