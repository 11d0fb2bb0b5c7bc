"""Geodesic active contour on bodies of known size."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import ball, dice, distance_to, positions

from mrbone_nb.segment.levelset import geodesic_active_contour

SHAPE, FINE = (20, 56, 56), (2.0, 0.7, 0.7)
FAR = distance_to((0, 0, 0), SHAPE, FINE)
VOXEL = float(np.prod(FINE))


def radius(mask):
    """Radius of the ball of this volume."""
    return float((3 * mask.sum() * VOXEL / (4 * np.pi)) ** (1 / 3))


def contour(image, start, **given):
    return geodesic_active_contour(image, start, spacing=FINE, **({"smoothness": 0.3} | given))


@pytest.mark.parametrize("start", [10.0, 12.0, 14.5])
def test_a_ball_is_found_from_inside_and_outside(start):
    image = (FAR <= 12).astype(np.float32)
    found = contour(image, FAR <= start)
    assert radius(found) == pytest.approx(12, abs=0.5)
    assert dice(found, FAR <= 12) > 0.95


def test_a_disk_in_one_plane_is_found():
    shape, spacing = (1, 60, 80), (4.0, 0.8, 0.6)
    disk = ball(14, shape, spacing)
    for start in (12.5, 15.5):
        found = geodesic_active_contour(disk, ball(start, shape, spacing), spacing=spacing, smoothness=0.3)
        assert dice(found, disk) > 0.98


def test_growth_pushes_out_and_shrinks():
    even = np.ones(SHAPE, np.float32)  # no edge anywhere
    start = FAR <= 8
    sizes = [radius(contour(even, start, growth=g, smoothness=0, iterations=20)) for g in (-1, 0, 1)]
    assert sizes[0] < sizes[1] - 1 < sizes[2] - 2
    assert sizes[1] == pytest.approx(8, abs=0.2)


def test_the_border_moves_no_farther_than_reach():
    even, start = np.ones(SHAPE, np.float32), FAR <= 8
    for reach in (1.0, 3.0):
        grown = contour(even, start, growth=2, reach=reach, iterations=200)
        shrunk = contour(even, start, growth=-2, reach=reach, iterations=200)
        assert 8 + reach - 1.5 < FAR[grown].max() <= 8 + reach + 0.75
        assert shrunk[FAR <= 8 - reach - 0.75].all()
        assert radius(grown) > 8 + 0.5 * reach and radius(shrunk) < 8 - 0.5 * reach


def test_smoothness_evens_out_a_ragged_border():
    rng = np.random.default_rng(0)
    ragged = FAR + rng.normal(0, 1.2, SHAPE) <= 10
    image = np.zeros(SHAPE, np.float32)

    def surface(mask):
        return sum(np.count_nonzero(np.diff(mask.astype(int), axis=a)) for a in range(3))

    even = contour(image, ragged, smoothness=1, iterations=15)
    assert surface(even) < 0.8 * surface(ragged)
    assert radius(even) == pytest.approx(radius(ragged), abs=0.7)


def test_a_small_gap_in_the_edge_is_bridged():
    """Where the bone's edge is missing, the start leaks out; the contour closes the gap."""
    z, y, x = positions(SHAPE, FINE)
    bone = FAR <= 11
    leak = (x > 0) & (np.hypot(y, z) <= 1.5) & (FAR <= 16)
    image = (bone | leak).astype(np.float32)
    found = contour(image, bone | leak, smoothness=1.5, iterations=80)
    assert dice(found, bone) > 0.9
    assert (found & leak & ~bone).sum() < 0.4 * (leak & ~bone).sum()
