"""Growing from strokes against brute force: plain Dijkstra, plain flooding."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scenes import SPACING, bones, dice, positions
from scipy.ndimage import label as connected

from mrbone_nb.segment.growing import compete, gradient_magnitude, grow_from_seeds, region_growing

OFFSETS = [o for o in itertools.product((-1, 0, 1), repeat=3) if any(o)]
SIDES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4)


def dijkstra(cost, starts, spacing):
    """Cheapest path to every voxel: half the cost of both ends times the distance in mm, 26 neighbors."""
    total = np.full(cost.shape, np.inf)
    queue = [(0.0, s) for s in starts if cost[s] >= 0]
    while queue:
        far, here = heapq.heappop(queue)
        if far >= total[here]:
            continue
        total[here] = far
        for offset in OFFSETS:
            there = tuple(h + o for h, o in zip(here, offset, strict=True))
            if all(0 <= t < n for t, n in zip(there, cost.shape, strict=True)) and cost[there] >= 0:
                length = np.linalg.norm(np.multiply(offset, spacing))
                heapq.heappush(queue, (far + length * (cost[here] + cost[there]) / 2, there))
    return total


@st.composite
def races(draw):
    shape = draw(SIDES)
    cost = draw(hnp.arrays(float, shape, elements=st.sampled_from([-1, 0.1, 0.5, 1, 3])))
    seeds = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 0, 1, 2, 255])))
    return cost, seeds, draw(st.sampled_from([(1, 1, 1), SPACING, (5, 0.4, 0.7)]))


@given(races())
def test_compete_finds_the_cheapest_path_of_all(race):
    cost, seeds, spacing = race
    labels, total = compete(cost, seeds, spacing)
    each = {n: dijkstra(cost, [tuple(s) for s in np.argwhere(seeds == n)], spacing) for n in (1, 2, 255)}
    best = np.minimum.reduce(list(each.values()))
    assert total == pytest.approx(best)
    assert np.array_equal(labels == 0, np.isinf(best))
    for number, far in each.items():  # the winner is one of those that reach it at the lowest cost
        assert far[labels == number] == pytest.approx(best[labels == number])


def test_compete_goes_around_walls():
    cost = np.ones((1, 5, 7))
    cost[0, :4, 3] = -1
    labels, total = compete(cost, (np.arange(35).reshape(1, 5, 7) == 0).astype(np.uint8), (1, 1, 1))
    assert labels[0, 0, 6] == 1 and labels[0, 0, 3] == 0
    assert total[0, 0, 6] == pytest.approx(6 * np.sqrt(2) + 2)  # down along the wall, one row below it, up again


# region growing


@given(st.integers(0, 999))
def test_region_growing_fills_what_is_connected(seed):
    rng = np.random.default_rng(seed)
    image = rng.random((3, 6, 7)).astype(np.float32)
    seeds = np.zeros(image.shape, np.uint8)
    seeds[tuple(rng.integers(0, image.shape))] = 7
    inside = (image >= np.float32(0.35)) & (image <= np.float32(0.95)) | (seeds > 0)
    parts, _ = connected(inside)
    out = region_growing(image, seeds, spacing=SPACING, lower=0.35, upper=0.95)
    assert np.array_equal(out == 7, parts == parts[seeds == 7][0])
    assert set(np.unique(out)) <= {0, 7}


def test_region_growing_divides_a_shared_region_by_distance_in_mm():
    image = np.ones((5, 1, 13))
    seeds = np.zeros(image.shape, np.uint8)
    seeds[0, 0, 0], seeds[4, 0, 12], seeds[0, 0, 12] = 1, 2, 255
    spacing = (3.0, 1.0, 1.0)
    out = region_growing(image, seeds, spacing=spacing)
    z, _, x = positions(image.shape, spacing)

    def along_the_grid(dz, dx):  # cheapest way with steps to 8 neighbors in the plane of planes and columns
        steps = np.minimum(dz / 3, dx)
        return steps * np.sqrt(10) + (dz / 3 - steps) * 3 + (dx - steps)

    far = {n: along_the_grid(abs(z - z[seeds == n]), abs(x - x[seeds == n])) for n in (1, 2, 255)}
    for number in (1, 2):
        others = np.minimum.reduce([f for n, f in far.items() if n != number])
        assert (out[far[number] < others - 1e-6] == number).all()
        assert (out[far[number] > others + 1e-6] != number).all()


def test_region_growing_measures_along_the_region_not_across_its_walls():
    image = np.ones((1, 5, 9))
    image[0, :4, 4] = 0  # a wall with a way around it at the bottom
    seeds = np.zeros(image.shape, np.uint8)
    seeds[0, 0, 3], seeds[0, 4, 8] = 1, 2  # the top right corner lies 5 mm from 1, but behind the wall
    out = region_growing(image, seeds, spacing=(1, 1, 1))
    assert (out[0, :, 5:] == 2).all() and (out[0, :3, :4] == 1).all()


def test_region_growing_keeps_separate_regions_apart():
    image = np.array([[[0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9]]])
    seeds = np.array([[[1, 0, 0, 2, 0, 0, 255]]])
    assert region_growing(image, seeds, spacing=(1, 1, 1)).tolist() == [[[1, 1, 0, 2, 2, 0, 0]]]


def test_a_stroke_outside_the_values_marks_itself():
    out = region_growing(np.array([[[0.1, 0.1, 0.9, 0.9]]]), np.array([[[0, 3, 0, 0]]]), spacing=(1, 1, 1))
    assert out.tolist() == [[[0, 3, 3, 3]]]


# the gradient, and growing from seeds


@pytest.mark.parametrize("sigma", [0, 1.5])
def test_gradient_is_per_mm(sigma):
    z, y, x = positions((9, 24, 20), SPACING)
    slope = gradient_magnitude((2 * z - 3 * y + x).astype(np.float32), SPACING, sigma)
    assert slope[3:-3, 8:-8, 7:-7] == pytest.approx(np.sqrt(14), rel=1e-3)
    flat = gradient_magnitude((2 * z - 3 * y + x)[:1].astype(np.float32), SPACING, 0)
    assert flat[0, 1:-1, 1:-1] == pytest.approx(np.sqrt(10), rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("edge", [4, 9, 14])
def test_border_lies_on_the_strongest_edge(axis, edge):
    """One strong step, a weak one, a little noise; the strokes are far from the step."""
    shape = [5, 5, 5]
    shape[axis] = 20
    at = np.broadcast_to(np.arange(20), shape[:axis] + shape[axis + 1 :] + [20])
    at = np.moveaxis(at, -1, axis)
    image = 0.8 * (at >= edge) + 0.2 * (at >= 17) + np.random.default_rng(0).normal(0, 0.003, shape)
    seeds = np.where(at == 1, 1, np.where(at == 19, 255, 0)).astype(np.uint8)
    out = grow_from_seeds(image, seeds, spacing=SPACING, sigma=0.4, smoothness=0.001)
    assert (out == (at < edge)).mean() > 0.98


def test_smoothness_moves_the_border_to_the_middle_in_mm():
    """Without an edge the border lies where both strokes are equally far, whatever the voxels."""
    image = np.zeros((21, 1, 31))
    seeds = np.zeros(image.shape, np.uint8)
    seeds[0, 0, 0], seeds[20, 0, 0], seeds[0, 0, 30] = 1, 255, 2
    out = grow_from_seeds(image, seeds, spacing=(3, 1, 1))
    assert out[:, 0, 0].tolist() == [1] * 10 + [out[10, 0, 0]] + [0] * 10
    assert (out[0, 0, :15] == 1).all() and (out[0, 0, 16:] == 2).all()
    image[..., 5:] = 0.3
    near_edge = grow_from_seeds(image, seeds, spacing=(3, 1, 1), sigma=0, smoothness=0.001)
    assert (near_edge[0, 0] == 1).sum() <= 6
    stiff = grow_from_seeds(image, seeds, spacing=(3, 1, 1), sigma=0, smoothness=1)
    assert (stiff[0, 0] == 1).sum() > 12


def test_bones_are_found_from_strokes():
    scene = bones((12, 44, 44), (3.0, 0.9, 0.9))
    out = scene.run(grow_from_seeds)
    assert dice(out == 1, scene.arrays["labels"] == 1) > 0.85
    assert dice(out == 2, scene.arrays["labels"] == 2) > 0.8
