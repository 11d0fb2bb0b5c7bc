"""Where a mesh passes through itself, and moves that keep it from doing so."""

from __future__ import annotations

import numpy as np

from ..mesh import Mesh

HALVINGS = 4  # of a move that would make the mesh cross itself; then those vertices stay


def crossing_faces(mesh: Mesh) -> np.ndarray:
    """Give the numbers of the triangles that cross another one which shares no vertex with them.

    Parameters
    ----------
    mesh
        The surface.

    Returns
    -------
    numpy.ndarray
        Sorted, without doubles; empty where the surface does not cross itself.

    Notes
    -----
    Neighbors are found by the distance of the triangles' middles; an edge crosses a triangle as in Möller and Trumbore
    (1997), doi:10.1080/10867651.1997.10487468. Triangles in one plane that only touch are not found.
    """
    first, second = _near_pairs(mesh)
    corners = mesh.vertices[mesh.faces]
    hit = np.zeros(len(first), bool)
    for one, other in ((first, second), (second, first)):
        for k in range(3):
            hit |= _pierced(corners[one, k], corners[one, (k + 1) % 3], corners[other])
    return np.unique(np.concatenate([first[hit], second[hit]]))


def _near_pairs(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of triangles whose boxes overlap and which share no vertex."""
    from scipy.spatial import cKDTree

    corners = mesh.vertices[mesh.faces]
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    pairs = cKDTree(middle).query_pairs(2 * float(np.percentile(radius, 98)), output_type="ndarray")
    a, b = pairs.T
    low, high = corners.min(axis=1), corners.max(axis=1)
    apart = (low[a] > high[b]).any(axis=1) | (low[b] > high[a]).any(axis=1)
    a, b = a[~apart], b[~apart]
    shared = (mesh.faces[a][:, :, None] == mesh.faces[b][:, None, :]).any(axis=(1, 2))
    return a[~shared], b[~shared]


def _pierced(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """Tell which segments pass through which triangles, one by one."""
    way, one, two = end - start, triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    across = np.cross(way, two)
    size = np.einsum("ij,ij->i", one, across)
    flat = np.abs(size) < 1e-12
    size = np.where(flat, 1, size)
    off = start - triangle[:, 0]
    u = np.einsum("ij,ij->i", off, across) / size
    turned = np.cross(off, one)
    v = np.einsum("ij,ij->i", way, turned) / size
    along = np.einsum("ij,ij->i", two, turned) / size
    return ~flat & (u >= 0) & (v >= 0) & (u + v <= 1) & (along >= 0) & (along <= 1)


def move_without_crossing(mesh: Mesh, vertices: np.ndarray, tolerated: np.ndarray) -> Mesh:
    """Move a mesh to new vertices, those near a crossing less far, so that it does not pass through itself.

    Parameters
    ----------
    mesh
        Where it is.
    vertices
        Where it shall go, (V, 3).
    tolerated
        Numbers of triangles that crossed others before.

    Returns
    -------
    Mesh
        Crosses itself nowhere but there.
    """
    share = np.ones((len(vertices), 1))
    moved = Mesh(vertices, mesh.faces)
    for turn in range(HALVINGS + 1):
        faces = np.setdiff1d(crossing_faces(moved), tolerated)
        if not len(faces):
            return moved
        near = np.isin(mesh.faces, mesh.faces[faces]).any(axis=1)  # with the triangles around
        share[np.unique(mesh.faces[near])] *= 0.5 if turn < HALVINGS else 0.0
        moved = Mesh(mesh.vertices + share * (vertices - mesh.vertices), mesh.faces)
    return moved if not len(np.setdiff1d(crossing_faces(moved), tolerated)) else mesh
