"""A similarity is found exactly, and a warp passes through its control points."""

import numpy as np
import pytest
from solids import egg

from mrbone_nb.errors import InputError
from mrbone_nb.shape import similarity, warp


def turned(rng):
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


def test_a_similarity_is_found_again(rng):
    points = rng.uniform(-40, 40, (5, 3))
    turn, shift = turned(rng), np.array([100.0, -20, 7])
    found = similarity(points, 1.2 * points @ turn.T + shift)
    assert found.scale == pytest.approx(1.2) and np.allclose(found.turn, turn) and np.allclose(found.shift, shift)
    rigid = similarity(points, 1.2 * points @ turn.T + shift, scaling=False)
    assert rigid.scale == 1 and np.allclose(rigid.turn, turn)


def test_it_never_mirrors(rng):
    points = rng.uniform(-40, 40, (6, 3))
    assert np.linalg.det(similarity(points, points * [-1, 1, 1]).turn) == pytest.approx(1)


@pytest.mark.parametrize(
    ("points", "said"),
    [(np.zeros((2, 3)), "3 or more"), (np.arange(5)[:, None] * [1.0, 2, 3], "on a line"), (np.zeros((4, 2)), "3 or more")],
)
def test_points_that_leave_it_open_are_refused(points, said):
    with pytest.raises(InputError, match=said):
        similarity(points, points)


def test_a_warp_passes_through_its_points_and_keeps_what_is_a_similarity(rng):
    mesh = egg()
    source = mesh.vertices[:: len(mesh.vertices) // 9]
    target = source + rng.normal(0, 2, source.shape)
    bent = warp(mesh, source, target, smoothing=0)
    assert np.allclose(bent.vertices[:: len(mesh.vertices) // 9], target, atol=1e-6)
    turn = turned(rng)
    moved = warp(mesh, source, 1.1 * source @ turn.T + 5)
    assert np.allclose(moved.vertices, 1.1 * mesh.vertices @ turn.T + 5, atol=1e-6)


def test_smoothing_bends_less(rng):
    mesh = egg()
    source = mesh.vertices[:: len(mesh.vertices) // 9]
    target = source + rng.normal(0, 1, source.shape)
    missed = [np.abs(warp(mesh, source, target, smoothing=s).vertices[:: len(mesh.vertices) // 9] - target).mean() for s in (0, 0.1, 1)]
    assert missed[0] < missed[1] < missed[2] < 1.5


def test_points_in_a_plane_are_refused(rng):
    flat = rng.uniform(-20, 20, (6, 3)) * [1, 1, 0]
    with pytest.raises(InputError, match="in one plane"):
        warp(egg(), flat, flat)
