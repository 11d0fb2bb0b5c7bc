"""Label maps from meshes, and the fields between two grids."""

import numpy as np
import pytest
import trimesh
from bodies import TILTED

from mrbone_nb import InputError, Volume
from mrbone_nb import phantom as ph
from mrbone_nb.mesh import Mesh
from mrbone_nb.phantom.fields import interpolate


def test_meshes_fill_as_much_as_they_enclose():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=12.0)
    ball.apply_translation([3.3, -2.1, 5.7])
    grid = Volume(np.zeros((40, 44, 50), np.uint8), (1.1, 0.8, 0.9), (-24.0, -20.0, -9.0), TILTED)
    filled = ph.label_meshes({4: Mesh(ball.vertices, ball.faces)}, grid)
    index = np.argwhere(filled.array == 4)
    assert len(index) * np.prod(grid.spacing) == pytest.approx(ball.volume, rel=0.01)
    assert grid.points(index).mean(axis=0) == pytest.approx([3.3, -2.1, 5.7], abs=0.1)


def test_an_open_mesh_is_refused():
    box = trimesh.creation.box([10, 10, 10])
    with pytest.raises(InputError, match="label 2"):
        ph.label_meshes({2: Mesh(box.vertices, box.faces[:-1])}, Volume(np.zeros((9, 9, 9)), origin=(-4.0, -4.1, -4.2)))


def test_interpolation_of_a_linear_field_is_exact():
    coarse = Volume(np.zeros((5, 6, 7)), (2.0, 3.0, 2.5), (1.0, 2.0, 3.0), TILTED)
    fine = Volume(np.zeros((9, 19, 16)), (1.0, 0.75, 0.9), tuple(coarse.points([[0, 0.2, 0.1]])[0]), TILTED)
    field = coarse.points(np.argwhere(np.ones(coarse.shape, bool))).reshape(*coarse.shape, 3)
    want = fine.points(np.argwhere(np.ones(fine.shape, bool))).reshape(*fine.shape, 3)
    for axis in range(3):
        assert np.allclose(interpolate(field[..., axis], coarse, fine), want[..., axis], atol=1e-4)
