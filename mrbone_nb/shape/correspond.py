"""Bring a template mesh onto another bone, so that its vertices lie at the same places of both."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .closest import Nearest, Surface
from .register import Placement, alike, mutual, register

LEVELS = (0.3, 0.2, 0.12, 0.08, 0.05, 0.03, 0.02)  # how far neighbors move together, in parts of the bone's size
ROUNDS = 3  # on each level


def correspond(template: Mesh, target: Mesh, *, start: np.ndarray | None = None) -> Mesh:
    """Move every vertex of a template smoothly onto another bone of the same kind.

    After rigid registration each vertex is drawn to the nearest place that faces the same way, first all together,
    then ever more on their own. What the target does not show (a longer shaft) moves along with what it does.

    Parameters
    ----------
    template
        The mesh whose vertices and faces are kept.
    target
        The surface of the other bone; for a mask, what `extract_surface` gives.
    start
        A (4, 4) matrix that brings the template near the target; by default it is found.

    Returns
    -------
    Mesh
        The template in the shape of the target and at its place.

    Raises
    ------
    InputError
        The two have nothing in common.

    References
    ----------
    Amberg B, Romdhani S, Vetter T (2007). Optimal step nonrigid ICP algorithms for surface registration.
    doi:10.1109/CVPR.2007.383165
    """
    placement: Placement = register(template, target, start=start)
    surface = Surface(target)
    begin = placement.apply(template)
    smooth = _bending(begin)
    first, second = (begin.vertices[begin.faces[:, k]] for k in (0, 1))
    edge = float(np.linalg.norm(first - second, axis=1).mean())
    size = float(np.linalg.norm(np.ptp(begin.vertices, axis=0)))
    move = np.zeros_like(begin.vertices)
    for level in LEVELS:
        stiffness = max(level * size / edge, 0.7) ** 4
        for _ in range(ROUNDS):
            move = _drawn(begin, move, surface, stiffness * smooth)
    return Mesh(begin.vertices + move, begin.faces)


def _pairs(mesh: Mesh, surface: Surface) -> tuple[Nearest, np.ndarray]:
    """The nearest place of each vertex, and which of them are likely the same place of the bone."""
    found = surface.nearest(mesh.vertices)
    like = alike(mesh.vertices, mesh.normals(), found) & mutual(mesh, found)
    if not like.any():
        raise InputError("template and target have no place in common; are both the same bone, in mm, of one side?")
    return found, like


def _bending(mesh: Mesh) -> object:
    """The matrix whose form is the bending of a displacement: the square of each vertex less its neighbors' mean."""
    from scipy.sparse import coo_array, diags_array

    a, b = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    n = len(mesh.vertices)
    near = coo_array((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), shape=(n, n)).tocsr()
    near.data[:] = 1
    degree = np.maximum(np.asarray(near.sum(axis=1)).ravel(), 1)
    laplacian = diags_array(np.ones(n)) - diags_array(1 / degree) @ near
    return (laplacian.T @ laplacian).tocsc()


def _drawn(begin: Mesh, move: np.ndarray, surface: Surface, smooth: object) -> np.ndarray:
    """The displacement that balances the nearest places and smoothness."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    mesh = Mesh(begin.vertices + move, begin.faces)
    found = surface.nearest(mesh.vertices)
    like = alike(mesh.vertices, mesh.normals(), found) & mutual(mesh, found)
    if not like.any():
        raise InputError("template and target have no place in common; are both the same bone, in mm, of one side?")
    both = (smooth + diags_array(like + 1e-6)).tocsc()
    solver = splu(both, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return solver.solve(like[:, None] * (found.points - begin.vertices) + 1e-6 * move)
