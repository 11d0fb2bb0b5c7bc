"""Surfaces of even triangles: sizes, angles, closed, on the same shape; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.mesh import Mesh, check
from mrbone_nb.volume import Volume


def ball(radius=12.0, spacing=(3.0, 1.0, 1.0)):
    z, y, x = (np.arange(-20, 20 + s, s) for s in spacing)
    return Volume(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2, spacing)


@pytest.mark.parametrize("edge", [1.0, 2.0, 4.0])
def test_triangles_are_even_and_of_the_wanted_size(edge):
    traced = mb.extract_surface(ball())
    even = mb.remesh(traced, edge)
    quality = mb.mesh_quality(even)
    assert quality.edge_mean == pytest.approx(edge, rel=0.06) and quality.edge_std < 0.15 * edge
    assert quality.smallest_angle > 25 and quality.closed and quality.crossing == 0
    assert even.volume == pytest.approx(traced.volume, rel=0.01 * max(1, edge**2 / 2))
    far = np.linalg.norm(even.vertices, axis=1)
    assert far.mean() == pytest.approx(np.linalg.norm(traced.vertices, axis=1).mean(), abs=0.1)
    assert np.array_equal(mb.remesh(traced, edge).vertices, even.vertices), "twice the same"


def test_what_has_a_handle_keeps_it():
    ring = np.zeros((3, 30, 30), bool)
    y, x = np.ogrid[:30, :30]
    ring[:] = abs(np.hypot(y - 14.5, x - 14.5) - 9) < 3.5
    traced = mb.extract_surface(Volume(ring, (3, 1, 1)))
    even = mb.remesh(traced, 1.5)
    euler = len(even.vertices) - len(even.faces) * 3 // 2 + len(even.faces)
    assert euler == 0 and not check(even).reason


def test_two_parts_stay_two():
    two = Mesh(*(np.concatenate(a) for a in _twice(mb.extract_surface(ball(8.0)))))
    assert check(mb.remesh(two, 1.5)).parts == 2


def _twice(mesh):
    return (mesh.vertices, mesh.vertices + 50), (mesh.faces, mesh.faces + len(mesh.vertices))


def test_poor_triangles_are_told():
    flat = mb.mesh_quality(mb.extract_surface(ball(), smoothing=0.7))
    assert flat.smallest_angle < 20 and flat.triangles == len(mb.extract_surface(ball(), smoothing=0.7).faces)
    one, other = mb.extract_surface(ball(8.0)), mb.extract_surface(ball(8.0))
    both = Mesh(
        np.concatenate([one.vertices, other.vertices + [9, 0.3, 0.2]]),
        np.concatenate([one.faces, other.faces + len(one.vertices)]),
    )
    assert mb.mesh_quality(both).crossing > 10


@pytest.mark.parametrize("edge", [0.0, -1.0, 9.0, float("nan")])
def test_an_edge_that_does_not_suit_is_refused(edge):
    with pytest.raises(InputError, match="expected more than 0 and at most a third of the model's width"):
        mb.remesh(mb.extract_surface(ball()), edge)


def test_an_open_surface_is_refused():
    mesh = mb.extract_surface(ball())
    with pytest.raises(InputError, match="only a closed surface"):
        mb.remesh(Mesh(mesh.vertices, mesh.faces[1:]), 2.0)
