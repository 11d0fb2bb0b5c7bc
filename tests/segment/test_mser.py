"""Extremal regions: the tree of gray levels, cores, slices, cortex, and the limb round them."""

import numpy as np
import pytest
from scenes import SPACING, ball, bones, dice, distance_to

import mrbone_nb as mb
from mrbone_nb.phantom import forearm, simulated_strokes
from mrbone_nb.segment.leveltree import level_tree

SHAPE = (14, 40, 36)


def test_the_tree_knows_sizes_parents_and_marks():
    image = np.zeros((1, 3, 9), np.float32)
    image[0, 1, 1:8] = [0.9, 0.9, 0.5, 0.7, 0.7, 0.7, 0.2]
    marks = np.zeros(image.shape, np.uint8)
    marks[0, 1, 1], marks[0, 1, 5] = 4, 9
    tree = level_tree(image, np.array([0.1, 0.4, 0.6, 0.8]), marks, 1)
    assert tree.size.tolist() == [7, 6, 2, 3, 2] and tree.level.tolist() == [0, 1, 2, 2, 3]
    assert tree.parent.tolist() == [0, 0, 1, 1, 2]
    assert tree.heir.tolist() == [1, 3, 4, -1, -1]
    assert list(zip(tree.least.tolist(), tree.most.tolist(), strict=True)) == [(4, 9), (4, 9), (4, 4), (9, 9), (4, 4)]
    assert tree.change(1)[1] == (7 - 3) / 6 and tree.change(1)[3] == (6 - 0) / 3
    chosen = tree.largest(tree.least == tree.most)
    assert chosen.tolist() == [2, 3]
    assert tree.paint(chosen, np.array([4, 9]))[0, 1].tolist() == [0, 4, 4, 0, 9, 9, 9, 0, 0]


def test_small_parts_are_left_out():
    image = np.zeros((1, 1, 8), np.float32)
    image[0, 0, [1, 4, 5]] = 1
    assert level_tree(image, np.array([0.5]), np.zeros(image.shape, np.uint8), 2).size.tolist() == [2]


def scene_of_a_leak():
    """Marrow of two bones at different brightness, and a bridge 2 mm wide from one to as bright fat."""
    image = np.full(SHAPE, 0.4, np.float32)
    one, other = ball(8, SHAPE, SPACING, (0, -6, -8)), ball(6, SHAPE, SPACING, (0, 6, 10))
    image[ball(10, SHAPE, SPACING, (0, -6, -8)) | ball(8, SHAPE, SPACING, (0, 6, 10))] = 0.05
    image[one], image[other] = 0.9, 0.7
    image[:, 14:17, :6] = 0.9  # the bridge
    image[:, :, :2] = 0.9  # fat
    seeds = np.zeros(SHAPE, np.uint8)
    seeds[distance_to((0, -6, -8), SHAPE, SPACING) < 2.5], seeds[distance_to((0, 6, 10), SHAPE, SPACING) < 2.5] = 3, 5
    seeds[:, 30:, :2] = 255
    return image, one, other, seeds


def test_strokes_choose_the_bones_and_hold_leaks_back():
    image, one, other, seeds = scene_of_a_leak()
    found = mb.trabecular_regions(image, seeds, spacing=SPACING, neck=3, resolution=0.8)
    assert set(np.unique(found)) == {0, 3, 5}
    assert dice(found == 3, one) > 0.9 and dice(found == 5, other) > 0.9
    assert not found[:, :, :2].any()


def test_without_strokes_wide_regions_off_the_skin_are_numbered_by_size():
    image, one, other, _ = scene_of_a_leak()
    image[:, 14:17, :6] = 0.4
    limb = np.ones(SHAPE, bool)
    limb[:, :, 0] = False
    found = mb.trabecular_regions(image, None, limb, spacing=SPACING, neck=3, width=8, skin=3, resolution=0.8)
    assert set(np.unique(found)) == {0, 1, 2}
    assert dice(found == 1, one) > 0.9 and dice(found == 2, other) > 0.9


def test_slices_fill_what_the_core_left():
    image, one, _, seeds = scene_of_a_leak()
    core = 3 * (distance_to((0, -6, -8), SHAPE, SPACING) < 4).astype(np.uint8)
    for axes in ("acquired", "three"):
        found = mb.regions_on_slices(image, core, seeds, spacing=SPACING, axes=axes, neck=4)
        assert dice(found == 3, one) > 0.9 > dice(core == 3, one)
        assert (found[core > 0] == 3).all() and not found[seeds == 255].any()


def test_cortex_is_added_as_far_as_it_is_dark():
    scene = bones((14, 44, 40), (2.0, 0.8, 0.9))
    truth = ball(10.0, scene.shape, scene.spacing, (0, -3, -5))
    found = mb.cortical_regions(scene.arrays["image"], scene.arrays["mask"], spacing=scene.spacing)
    assert dice(found, truth) > 0.9 > dice(scene.arrays["mask"], truth)
    thin = mb.cortical_regions(scene.arrays["image"], scene.arrays["mask"], spacing=scene.spacing, thickest=1)
    assert scene.arrays["mask"].sum() < thin.sum() < found.sum()


def test_the_limb_is_found_however_the_coil_shades_it():
    truth = ball(13, SHAPE, SPACING)
    rng = np.random.default_rng(1)
    shade = np.linspace(0.4, 1.2, SHAPE[2], dtype=np.float32)
    image = np.abs(truth * shade * (0.7 + 0.1 * rng.standard_normal(SHAPE)) + 0.004 * rng.standard_normal(SHAPE))
    assert dice(mb.limb_mask(image, spacing=SPACING), truth) > 0.85


def test_equalization_evens_out_shading_inside_the_mask_alone():
    rng = np.random.default_rng(2)
    pattern = rng.integers(0, 2, (8, 48, 64)) * 0.5 + 0.3
    shaded = (pattern * np.linspace(0.5, 1.0, 64)).astype(np.float32)
    mask = np.zeros(shaded.shape, bool)
    mask[:, :, 8:] = True
    even = mb.adaptive_equalization(shaded, mask, spacing=(3, 1, 1), kernel=20, share=1)
    bright = pattern > 0.5

    def drift(image):
        return np.mean(image[..., -12:][bright[..., -12:]]) / np.mean(image[..., 12:24][bright[..., 12:24]])

    assert drift(even) < drift(shaded) - 0.1
    assert np.array_equal(even[~mask], shaded[~mask])


@pytest.mark.parametrize("seed", [0, 1])
def test_forearm_from_end_to_end(seed):
    volume, truth = forearm(size=110, spacing=(4.0, 1.2, 1.2), seed=seed)
    assert set(np.unique(truth.array)) == {0, 1, 2} and volume.same_grid(truth)
    found = mb.preset("extremal-regions").run(volume, seeds=simulated_strokes(truth, every_mm=10)).labels.array
    assert all(dice(found == n, truth.array == n) > 0.75 for n in (1, 2))
