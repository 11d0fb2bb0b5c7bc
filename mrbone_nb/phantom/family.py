"""A family of similar bones: one surface, bent, twisted and stretched at random, vertex by vertex the same."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..mesh import Mesh


def similar_bones(mesh: Mesh, count: int, *, spread: float = 1.0, seed: int = 0) -> list[Mesh]:
    """Make bones that differ from one as people do: in size, proportions, taper, bend and twist.

    Parameters
    ----------
    mesh
        The surface to vary.
    count
        How many, 1 to 10 000.
    spread
        How much they differ, 0 to 3; at 1 lengths differ by 6 % and angles by 4° (standard deviations).
    seed
        Seed of what is random.

    Returns
    -------
    list of Mesh
        Vertex k at the same place of the bone in each, all near the place of the original.

    Examples
    --------
    >>> from mrbone_nb.mesh import Mesh
    >>> corners = [[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9.0]]
    >>> len(similar_bones(Mesh(corners, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]), 5))
    5
    """
    if not 1 <= count <= 10_000 or not 0 <= spread <= 3:
        raise InputError(f"count={count}, spread={spread}: expected 1 to 10000 bones and a spread from 0 to 3")
    rng = np.random.default_rng([seed, 8])
    return [Mesh(_varied(mesh.vertices, spread * rng.standard_normal(9)), mesh.faces) for _ in range(count)]


def _varied(points: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Change points by nine random numbers; along the longest axis, places run from -1 to 1."""
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    axes[2] = np.cross(axes[0], axes[1])
    p = (points - middle) @ axes.T
    half = np.abs(p[:, 0]).max()
    along = p[:, :1] / half
    p = p * (1 + 0.05 * by[0] + 0.03 * by[1:4])
    p[:, 1:] *= 1 + 0.05 * by[4] * along  # thicker at one end
    p[:, 1:] += half * (np.deg2rad(4) * by[5:7] * along**2 + np.deg2rad(2) * by[7] * along**3)
    turn = np.deg2rad(4) * by[8] * along[:, 0]
    y, z = p[:, 1].copy(), p[:, 2].copy()
    p[:, 1], p[:, 2] = np.cos(turn) * y - np.sin(turn) * z, np.sin(turn) * y + np.cos(turn) * z
    return p @ axes + middle
