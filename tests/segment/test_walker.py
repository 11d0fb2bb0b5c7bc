"""Random walker against the exact solution of its linear equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SPACING, bones, dice

from mrbone_nb.errors import InputError
from mrbone_nb.segment import walker
from mrbone_nb.segment.walker import coarsening, most_likely, pool, pool_seeds, random_walker, unpool


def exact(image, seeds, labels, spacing, contrast):
    """Write down every edge between neighbors, and solve for the voxels without a stroke."""
    number = np.arange(image.size).reshape(image.shape)
    laplacian = np.zeros((image.size, image.size))
    for index in np.ndindex(image.shape):
        for axis in range(3):
            there = tuple(i + (a == axis) for a, i in enumerate(index))
            if there[axis] < image.shape[axis]:
                one, other = number[index], number[there]
                edge = np.exp(-(((image[index] - image[there]) / contrast) ** 2))
                weight = (np.mean(spacing[1:]) / spacing[axis]) ** 2 * edge + walker.FLOOR
                laplacian[[one, other], [other, one]] = -weight
                laplacian[one, one] += weight
                laplacian[other, other] += weight
    marked = seeds.ravel() > 0
    known = np.stack([seeds.ravel()[marked] == n for n in labels], axis=1).astype(float)
    out = np.zeros((image.size, len(labels)))
    out[marked] = known
    out[~marked] = np.linalg.solve(laplacian[~marked][:, ~marked], -laplacian[~marked][:, marked] @ known)
    return out.T.reshape(len(labels), *image.shape)


@settings(max_examples=25)
@given(st.integers(0, 999), st.sampled_from([SPACING, (1, 1, 1), (6, 0.5, 0.5)]), st.sampled_from([0.05, 0.2]))
def test_solves_the_equations(seed, spacing, contrast):
    rng = np.random.default_rng(seed)
    image = (rng.random((3, 5, 6)) * 0.3).astype(np.float32)
    seeds = np.zeros(image.shape, np.uint8)
    seeds.ravel()[rng.choice(image.size, 5, replace=False)] = [1, 7, 255, 7, 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walker, "TOLERANCE", 1e-7)
        out = random_walker(image, seeds, spacing=spacing, contrast=contrast, resolution=0.3, likeness=0)
    assert out == pytest.approx(exact(image, seeds, [255, 1, 7], spacing, contrast), abs=0.01)
    assert out.sum(0) == pytest.approx(1, abs=0.01)


def test_stops_early_where_more_work_changes_few_labels(monkeypatch):
    scene = bones((12, 40, 40), (2.4, 1.2, 1.2))
    scene.arrays["image"] = scene.arrays["image"] + np.random.default_rng(0).normal(0, 0.05, scene.shape)
    quick = scene.run(random_walker)
    monkeypatch.setattr(walker, "TOLERANCE", 1e-6)
    monkeypatch.setattr(walker, "MOST_ITERATIONS", 4000)
    slow = scene.run(random_walker)
    seeds = scene.arrays["seeds"]
    assert np.abs(quick - slow).mean() < 0.005
    assert (most_likely(quick, seeds) != most_likely(slow, seeds)).mean() < 0.002


def test_half_way_is_even_and_an_edge_decides():
    image = np.zeros((1, 1, 9), np.float32)
    seeds = np.zeros((1, 1, 9), np.uint8)
    seeds[..., 0], seeds[..., 8] = 4, 255
    fair = random_walker(image, seeds, spacing=(1, 1, 1), resolution=1)
    assert fair[1, 0, 0] == pytest.approx(np.linspace(1, 0, 9), abs=0.01)
    image[..., 3:] = 0.5
    held = random_walker(image, seeds, spacing=(1, 1, 1), resolution=1)
    assert held[1, 0, 0, :3].min() > 0.95 and held[1, 0, 0, 3:].max() < 0.05


def test_coarse_grid_first_changes_little(monkeypatch):
    scene = bones((16, 48, 48), (2.0, 0.8, 0.8))
    words = dict(resolution=0.8, contrast=0.1)
    whole = scene.run(random_walker, **words)
    monkeypatch.setattr(walker, "ENOUGH", 1000)
    quick = scene.run(random_walker, **words)
    seeds = scene.arrays["seeds"]
    assert np.abs(quick - whole).mean() < 0.01
    assert (most_likely(quick, seeds) != most_likely(whole, seeds)).mean() < 0.005


def test_bones_are_found_from_strokes():
    scene = bones((12, 44, 44), (3.0, 0.9, 0.9))
    labels = most_likely(scene.run(random_walker, contrast=0.1, resolution=0.9), scene.arrays["seeds"])
    for number in (1, 2):
        assert dice(labels == number, scene.arrays["labels"] == number) > 0.85


def test_certainty_sets_how_far_bones_reach():
    probability = np.array([[0.2, 0.5, 0.6], [0.5, 0.1, 0.3], [0.3, 0.4, 0.1]]).reshape(3, 1, 1, 3)
    probability = np.concatenate([probability, probability], axis=3)
    seeds = np.array([[[0, 0, 0, 9, 4, 255]]])
    strokes = [9, 4, 0]  # whatever the probability there
    assert most_likely(probability, seeds, certainty=0.5).tolist() == [[[4, 9, 0, *strokes]]]
    assert most_likely(probability, seeds, certainty=0.7).tolist() == [[[4, 0, 0, *strokes]]]
    assert most_likely(probability, seeds, certainty=0).tolist() == [[[4, 9, 4, *strokes]]]
    with pytest.raises(InputError, match="probability has 3 layers; expected 2, as many as the strokes"):
        most_likely(probability, np.array([[[9, 0, 0, 0, 0, 0]]]))


def test_thin_dark_lines_survive_pooling():
    image = np.ones((1, 4, 8), np.float32)
    image[..., 3] = 0.2
    assert pool(image, (1, 2, 4), "min").tolist() == [[[np.float32(0.2), 1]] * 2]
    assert pool(image, (1, 2, 4), "max").min() == 1
    assert pool(image, (1, 2, 4), "mean")[0, 0] == pytest.approx([0.8, 1])
    assert pool(np.array([[[1.0, 3, 5]]]), (1, 1, 2), "mean").tolist() == [[[2, 5]]]  # an odd end repeats


def test_what_pooling_keeps_decides_what_holds_up_a_walk():
    image = np.full((1, 6, 36), 0.6)
    image[..., 16] = 0.1  # a cortex of one voxel
    seeds = np.zeros(image.shape, np.uint8)
    seeds[..., :3], seeds[..., -3:] = 1, 255
    words = dict(spacing=(3, 0.4, 0.4), contrast=0.2, resolution=1.2)
    beyond = {k: random_walker(image, seeds, keep=k, **words)[1, 0, 3, 22] for k in ("mean", "dark lines", "bright lines")}
    assert beyond["dark lines"] < 0.02 < beyond["mean"] < beyond["bright lines"]


def test_resolution_is_in_mm():
    assert coarsening((10, 100, 100), (4, 0.5, 0.4), 1.2) == (1, 2, 3)
    assert coarsening((10, 100, 1), (0.4, 1.2, 0.4), 1.2) == (3, 1, 1)


@pytest.mark.parametrize(
    ("block", "mark"), [((0, 0), 0), ((0, 5), 5), ((5, 5), 5), ((255, 0), 255), ((5, 255), 0), ((5, 6), 0)]
)
def test_strokes_that_meet_in_a_block_leave_it_open(block, mark):
    assert pool_seeds(np.array([[block]], np.uint8), (1, 1, 2)).tolist() == [[[mark]]]


def test_unpool_interpolates_between_the_middles_of_blocks():
    shape, factors = (4, 9, 8), (1, 3, 2)
    ramp = np.add.outer(np.zeros(4), np.add.outer(2.0 * np.arange(9), np.arange(8))).astype(np.float32)
    again = unpool(pool(ramp, factors, "mean")[None], factors, shape)[0]
    assert again[:, 1:-1, 1:-1] == pytest.approx(ramp[:, 1:-1, 1:-1], abs=1e-5)


def test_gray_values_that_only_everything_else_has_end_walks(monkeypatch):
    """A gray layer without strokes beside bone: edges alone cannot say whose it is."""
    monkeypatch.setattr(walker, "TOLERANCE", 1e-7)
    image = np.full((1, 30, 30), 0.7, np.float32)
    image[:, 15:19] = 0.35  # like cartilage
    image[:, 19:] = 0.1
    seeds = np.zeros(image.shape, np.uint8)
    seeds[:, 5, 5:25], seeds[:, 25, 5:25] = 1, 255
    image[:, 22:25, 10:20], seeds[:, 23, 11:19] = 0.35, 255  # strokes have seen such gray elsewhere
    words = dict(spacing=(3, 1, 1), resolution=1, contrast=0.07)
    alone, told = (random_walker(image, seeds, likeness=x, **words)[1] for x in (0, 0.02))
    assert told[0, 17].max() < 0.1 < 0.3 < alone[0, 17].min()
    assert told[0, 5:14, 5:25].min() > 0.9


def test_gray_values_of_both_or_of_no_stroke_end_no_walk():
    image = np.array([[[0.5, 0.5, 0.9, 0.1]]], np.float32)
    seeds = np.array([[[1, 255, 0, 255]]], np.uint8)
    assert walker.unlike_bone(image, seeds)[0, 0] == pytest.approx([0, 0, 0, 1], abs=0.35)
