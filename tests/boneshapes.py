"""A small bone without symmetry, and what happens to it: moved, cut flat, grown evenly."""

from __future__ import annotations

import numpy as np

from mrbone_nb.mesh import Mesh


def knob(fineness=4):
    """A closed surface, 70 mm long, with a head, a bump and a bent shaft: no turn brings it onto itself."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=fineness)
    x, y, z = ball.vertices.T
    radius = 1 + 0.35 * np.exp(-4 * ((x - 0.9) ** 2 + y**2 + z**2)) + 0.25 * np.exp(-6 * (x**2 + (y - 1) ** 2 + z**2))
    p = radius[:, None] * ball.vertices * [14, 11, 30]
    p[:, 0] += 0.006 * p[:, 2] ** 2
    p[:, :2] *= (1 + 0.008 * p[:, 2])[:, None]
    return Mesh(p, ball.faces)


def motion(seed=0):
    """A rigid motion: any turn, and a shift of some hundred mm."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-300, 300, 3)
    return matrix


def grown(mesh, mm):
    """The surface moved outward evenly."""
    return Mesh(mesh.vertices + mm * mesh.normals(), mesh.faces)


def cut_flat(mesh, z):
    """What lies above a height; below, all vertices are pressed onto a flat end."""
    vertices = mesh.vertices.copy()
    vertices[:, 2] = np.maximum(vertices[:, 2], z)
    return Mesh(vertices, mesh.faces)
