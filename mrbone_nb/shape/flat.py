"""Flat cuts: where a surface ends because the scan does, not the bone."""

from __future__ import annotations

import numpy as np

from ..mesh import Mesh

TURN = np.cos(np.deg2rad(1.5))  # faces that belong to one plane are turned no more
OFF_MM = 0.05  # and lie off it no more
SHARE, FACES = 0.015, 12  # of the area, and how many: no bone is so flat over so much
TRIED = 12  # planes


def flat_cuts(mesh: Mesh) -> np.ndarray:
    """Tell which faces, (F,), lie on a flat cut of the surface.

    Parameters
    ----------
    mesh
        A surface, closed by planes where the scan ended.

    Returns
    -------
    numpy.ndarray
        bool; nothing where the surface is all bone.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    area = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(area, 1e-12)[:, None]
    area = area / max(area.sum(), 1e-12)
    center = (a + b + c) / 3 - mesh.vertices.mean(axis=0)
    height = np.einsum("fx,fx->f", center, normals)
    cells = np.column_stack([np.rint(normals * 8), np.rint(height)]).astype(np.int64)
    groups = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    flat = np.zeros(len(mesh.faces), bool)
    for group in np.argsort(-np.bincount(groups, area))[:TRIED]:
        seed = np.flatnonzero(groups == group)
        normal = np.median(normals[seed], axis=0)
        normal /= max(np.linalg.norm(normal), 1e-12)
        along = center @ normal
        level = np.median(along[seed])
        same = (normals @ normal >= TURN) & (np.abs(along - level) <= OFF_MM)
        if area[same].sum() >= SHARE and np.count_nonzero(same) >= FACES:
            flat |= same
    return flat
