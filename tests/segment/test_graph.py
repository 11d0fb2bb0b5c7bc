"""Graph cut against brute force over all masks of tiny scenes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SPACING, bones, dice, distance_to, positions

from mrbone_nb.segment.graph import cheapest_cut, graph_cut, links, log_odds
from mrbone_nb.segment.growing import region_growing


def price(mask, weights, gain):
    """What a mask costs: every link it parts, less what its voxels gain."""
    parted = sum(float(w[np.diff(mask.astype(int), axis=axis) != 0].sum()) for axis, w in enumerate(weights))
    return parted - float(gain[mask].sum())


@settings(max_examples=40)
@given(st.integers(0, 9999), st.sampled_from([SPACING, (1, 1, 1), (6, 0.5, 0.7)]))
def test_no_mask_costs_less(seed, spacing):
    rng = np.random.default_rng(seed)
    shape = (2, 2, 3)
    image = rng.random(shape) * 0.3
    gain = rng.normal(0, 0.3, shape)
    inside, outside = np.zeros(shape, bool), np.zeros(shape, bool)
    first, last = rng.choice(12, 2, replace=False)
    inside.ravel()[first], outside.ravel()[last] = True, True
    weights = links(image, spacing, 0.1)
    found = cheapest_cut(weights, gain, inside, outside)
    assert found[inside].all() and not found[outside].any()
    masks = (np.array(bits).reshape(shape) for bits in itertools.product((False, True), repeat=12))
    least = min(price(m, weights, gain) for m in masks if m[inside].all() and not m[outside].any())
    assert price(found, weights, gain) == pytest.approx(least, abs=0.02)  # capacities are whole numbers


def test_links_cost_their_area_and_less_across_edges():
    image = np.zeros((2, 2, 3))
    image[..., 2] = 0.1
    planes, rows, columns = links(image, (4, 2, 1), 0.1)
    assert planes == pytest.approx(np.full((1, 2, 3), 1 / 4))  # per mm³: an area over a volume
    assert rows == pytest.approx(np.full((2, 1, 3), 1 / 2))
    assert columns[0, 0] == pytest.approx([1, np.exp(-0.5)])


def test_gray_values_speak_for_the_side_that_has_them_more_often():
    image = np.array([[[0.9, 0.9, 0.5, 0.5, 0.1, 0.1, 1.6]]], np.float32)
    seeds = np.array([[[1, 2, 2, 255, 255, 255, 0]]], np.uint8)
    odds = log_odds(image, seeds)[0, 0]
    assert odds[0] == odds[1] > 1 and odds[4] < -1 and abs(odds[2]) < 0.2 and odds[6] == pytest.approx(0, abs=0.01)
    assert not log_odds(image, np.where(seeds == 255, 0, seeds)).any()


def test_nothing_lies_beyond_reach():
    image, seeds = np.ones((9, 30, 40)), np.zeros((9, 30, 40), np.uint8)
    seeds[4, 15, 20] = 3
    found = graph_cut(image, seeds, spacing=(3, 1, 1), resolution=1, reach=8)
    assert (found == 3).any() and distance_to((0, 0, 0), found.shape, (3, 1, 1))[found > 0].max() <= 8 + 1


def test_a_hole_in_the_cortex_is_closed_by_a_short_piece():
    shape, spacing = (14, 50, 50), (2.0, 0.8, 0.8)
    z, y, x = positions(shape, spacing)
    far = distance_to((0, 0, 0), shape, spacing)
    hole = (x > 0) & (np.hypot(y, z) < 2)
    image = np.where((far > 9) & (far < 11) & ~hole, 0.1, 0.8).astype(np.float32)  # fat as bright as marrow
    seeds = np.where(far < 3, 1, np.where(np.maximum(abs(x), abs(y)) > 18, 255, 0)).astype(np.uint8)
    bone = far <= 9
    assert region_growing(image, seeds, spacing=spacing)[(far > 12) & (far < 14)].any()
    found = graph_cut(image, seeds, spacing=spacing, resolution=0.8, contrast=0.2) == 1
    assert dice(found, bone) > 0.93 and not found[far > 12.5].any()


def test_bones_that_touch_are_shared_out():
    image = np.full((3, 12, 40), 0.8, np.float32)
    image[..., 20] = 0.5  # a faint line between them
    image[..., :2] = image[..., -2:] = 0.1
    seeds = np.zeros(image.shape, np.uint8)
    seeds[..., 5], seeds[..., 33], seeds[..., 0] = 1, 2, 255
    found = graph_cut(image, seeds, spacing=(3, 1, 1), resolution=1)
    assert (found[..., 2:19] == 1).all() and (found[..., 22:38] == 2).all() and not found[..., :2].any()


def test_bones_are_found_from_strokes_on_a_coarse_and_on_the_full_grid():
    scene = bones((12, 44, 44), (3.0, 0.9, 0.9))
    for resolution in (0.9, 1.8):
        found = scene.run(graph_cut, contrast=0.1, resolution=resolution)
        for number in (1, 2):
            assert dice(found == number, scene.arrays["labels"] == number) > 0.85
