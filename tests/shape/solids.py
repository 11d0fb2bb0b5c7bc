"""Small shapes for tests: an egg as a mesh, as a grid of gray values, and in slices."""

import numpy as np

from mrbone_nb import Volume
from mrbone_nb.mesh import Mesh
from mrbone_nb.shape.fill import inside_mesh

RADII = np.array([14.0, 11.0, 20.0])


def sphere(subdivisions=3):
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions)
    return Mesh(ball.vertices, ball.faces)


def egg(radii=RADII, middle=(0.0, 0.0, 0.0), subdivisions=3):
    """An ellipsoid."""
    ball = sphere(subdivisions)
    return Mesh(ball.vertices * radii + middle, ball.faces)


def grid(spacing, half=30.0):
    """An empty grid round the origin whose axes are not those of the patient."""
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)  # coronal
    count = np.floor(2 * half / np.array(spacing)).astype(int)
    origin = -turn @ ((count[::-1] - 1) / 2 * spacing[::-1])
    return Volume(np.zeros(count, np.float32), spacing, tuple(origin), tuple(turn.ravel()))


def radial_slices(count=9, spacing=(3.0, 1.0, 1.0), half=30.0, point=(1.0, -2.0, 3.0), axis=(0.3, 0.1, 1.0)):
    """Empty slices that turn about an axis."""
    down = np.array(axis) / np.linalg.norm(axis)
    first = np.cross(down, [1.0, 0, 0])
    first /= np.linalg.norm(first)
    second = np.cross(down, first)
    size = int(2 * half / spacing[1])
    found = []
    for angle in np.pi * np.arange(count) / count:
        right = np.cos(angle) * first + np.sin(angle) * second
        axes = np.stack([right, down, np.cross(right, down)], axis=1)
        origin = np.array(point) - axes[:, :2] @ np.full(2, (size - 1) / 2 * spacing[1])
        found.append(Volume(np.zeros((1, size, size), np.float32), spacing, tuple(origin), tuple(axes.ravel())))
    return found


def marrow_and_cortex(mesh, part, rng, shell=1.5, noise=0.02):
    """Gray values: bright marrow, dark cortex, gray outside."""
    inner = Mesh(mesh.vertices - shell * mesh.normals(), mesh.faces)
    gray = np.where(inside_mesh(mesh, part), 0.05, 0.45)
    gray[inside_mesh(inner, part)] = 0.9
    return part.with_array((gray + noise * rng.standard_normal(part.shape)).astype(np.float32))


def off(mesh, radii=RADII, middle=(2.0, -1.0, 1.0)):
    """Mean distance in mm of a mesh from an ellipsoid, to first order."""
    scaled = (mesh.vertices - middle) / radii
    one = np.linalg.norm(scaled, axis=1)
    return float(np.abs(one * (one - 1) / np.linalg.norm(scaled / radii, axis=1)).mean())
