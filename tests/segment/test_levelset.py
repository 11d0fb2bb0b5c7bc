"""Level sets on bodies of known size."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import ball, dice, distance_to, positions

from mrbone_nb.recipe import Recipe
from mrbone_nb.step import Call
from mrbone_nb.volume import Volume
from mrbone_nb.segment.levelset import geodesic_active_contour, shape_detection, threshold_level_set

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


# shape detection and the threshold level set: fronts that start deep inside

FRONTS = pytest.mark.parametrize("front", [shape_detection, threshold_level_set], ids=lambda f: f.name)


@FRONTS
@pytest.mark.parametrize("center", [(0.0, 0.0, 0.0), (4.0, -3.0, 5.0)])
def test_a_ball_is_found_from_a_small_core(front, center):
    start = ball(4, SHAPE, FINE, center)
    soft = np.clip(12 - FAR + 0.5, 0, 1).astype(np.float32)
    found = front(soft, start, spacing=FINE, reach=20)
    early = 1.5 if front is shape_detection else 0  # it comes to rest where the blurred edge begins
    assert radius(found) == pytest.approx(12 - early, abs=0.6)
    final = contour(soft, found)  # and is drawn on to the edge itself
    assert radius(final) == pytest.approx(12, abs=0.6)
    assert dice(final, FAR <= 12) > 0.94


@FRONTS
def test_a_disk_in_one_plane_is_found_from_a_core(front):
    shape, spacing = (1, 60, 80), (4.0, 0.8, 0.6)
    found = front(ball(14, shape, spacing), ball(6, shape, spacing), spacing=spacing, reach=12)
    assert dice(found, ball(14, shape, spacing)) > 0.9


@FRONTS
def test_a_front_moves_as_far_as_its_reach_in_mm_and_no_farther(front):
    even, start = np.ones(SHAPE, np.float32), FAR <= 6
    for reach in (2.0, 5.0):
        grown = front(even, start, spacing=FINE, reach=reach, smoothness=0)
        assert FAR[grown].max() <= 6 + reach + 0.75
        assert radius(grown) == pytest.approx(6 + reach, abs=0.8)


def test_shape_detection_shrinks_onto_a_ball_too():
    soft = np.clip(9 - FAR + 0.5, 0, 1).astype(np.float32)
    assert radius(shape_detection(soft, FAR <= 14, spacing=FINE, growth=-1)) == pytest.approx(10.3, abs=0.4)


def test_threshold_level_set_draws_back_from_other_gray_values():
    image = np.where(FAR <= 9, 0.8, 0.1).astype(np.float32)
    found = threshold_level_set(image, FAR <= 13, spacing=FINE)
    assert radius(found) == pytest.approx(9, abs=0.7)
    bright = np.where(FAR <= 9, 0.8, 1.5).astype(np.float32)
    assert radius(threshold_level_set(bright, FAR <= 5, spacing=FINE, upper=1.1)) == pytest.approx(9, abs=0.7)


def test_curvature_keeps_a_front_out_of_a_narrow_gap():
    """A canal as bright as the ball leads out of it."""
    z, y, x = positions(SHAPE, FINE)
    canal = (x > 0) & (np.hypot(y, z) <= 1.5) & (FAR > 11)
    image = ((FAR <= 11) | canal).astype(np.float32)
    open_, held = (
        threshold_level_set(image, FAR <= 6, spacing=FINE, reach=12, smoothness=s) for s in (0, 1.2)
    )
    assert (held & canal).sum() < 0.5 * (open_ & canal).sum()
    assert dice(held, FAR <= 11) > 0.88


def test_a_cortex_of_one_voxel_stops_a_front():
    """As dark on neither side of it, it has no central difference."""
    image = np.ones((9, 30, 40), np.float32)
    image[:, :, 20] = 0.5
    image[5] = 0.2
    start = np.zeros(image.shape, bool)
    start[1:4, 12:18, 6:12] = True
    found = shape_detection(image, start, spacing=(3, 1, 1), sigma=0.3, reach=20)
    assert found[2, 15, 17] and not found[:, :, 20:].any() and not found[6:].any()


@FRONTS
def test_a_front_grows_from_a_stroke(front):
    """By a recipe, label by label. A front that edges slow down rests where the edge begins, about 1.5 mm before it."""
    image = np.where(FAR <= 9, 0.8, 0.1).astype(np.float32)
    seeds = np.zeros(SHAPE, np.uint8)
    middle = tuple(n // 2 for n in SHAPE)
    seeds[middle[0], middle[1], middle[2] - 4 : middle[2] + 5] = 3
    seeds[middle[0], 0, :] = 255
    recipe = Recipe((Call("strokes_as_start", {"radius": 3}), Call(front.name, {"reach": 20, "smoothness": 0.2})))
    labels = recipe.run(Volume(image, FINE), seeds=seeds).labels.array
    assert set(np.unique(labels)) == {0, 3}
    assert not (labels[FAR > 9]).any()
    assert radius(labels == 3) == pytest.approx(9, abs=1.6 if front is shape_detection else 0.3)
