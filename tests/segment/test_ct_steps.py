"""The steps of the CT route against cases whose answer is known."""

import numpy as np
import pytest
from scenes import SPACING, ball, dice, distance_to

import mrbone_nb as mb

SHAPE = (16, 60, 44)


def two_classes(rng, low=50.0, high=900.0, share=0.1):
    """Air, soft tissue and a little bone."""
    values = np.full((4, 50, 50), -1000.0)
    values[:, 10:] = rng.normal(low, 30, values[:, 10:].shape)
    bone = rng.random(values.shape) < share
    bone[:, :10] = False
    values[bone] = rng.normal(high, 60, bone.sum())
    return values, bone


METHODS = mb.automatic_threshold.params["method"].choices


@pytest.mark.parametrize("method", ["otsu", "iso_data", "intermodes", "kittler_illingworth", "li"])
def test_thresholds_between_tissue_and_bone_leave_out_air(method, rng):
    image, bone = two_classes(rng)
    assert dice(mb.automatic_threshold(image, method=method), bone) > 0.99


def test_all_methods_give_a_threshold_within_the_values(rng):
    assert len(METHODS) == 12
    image, _ = two_classes(rng)
    for method in METHODS:
        mask = mb.automatic_threshold(image, method=method)
        assert mask.any() and not mask.all()
        assert np.array_equal(mask, ~mb.automatic_threshold(image, method=method, polarity="dark"))


def test_a_method_that_finds_nothing_says_so(rng):
    with pytest.raises(mb.InputError, match="method='intermodes': it finds no threshold between -1000 and"):
        mb.automatic_threshold(two_classes(rng)[0], method="intermodes", histogram="all")  # three modes


def test_threshold_over_everything_parts_air_from_tissue(rng):
    image, _ = two_classes(rng, share=0.02)
    assert np.array_equal(mb.automatic_threshold(image, histogram="all"), image > -500)


def test_islands_are_numbered_by_size_in_mm():
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 2:12, 2:12], mask[8:10, 2:12, 2:10], mask[14, 50, 40] = True, True, True
    labels = mb.split_islands(mask, spacing=SPACING, minimum=100)
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert (labels[2:4, 2:12, 2:12] == 1).all() and (labels[8:10, 2:12, 2:10] == 2).all()
    assert mb.split_islands(mask, spacing=SPACING, minimum=0).max() == 3


def test_a_dim_bridge_is_cut_where_it_is_darkest():
    """Two bright blocks with a bridge that dims from 500 to 320 and back, on voxels of different lengths."""
    image = np.zeros(SHAPE)
    image[4:9, 10:20, 5:15] = image[4:9, 10:20, 26:34] = 900
    image[6, 15, 15:26] = 320 + 36 * np.abs(np.arange(11) - 5)
    image[14, 50:53, 5:15] = 450  # bright enough for the mask, but without a core
    found = mb.split_at_dim_bridges(image, image > 300, spacing=SPACING, core=550)
    assert (found[4:9, 10:20, 5:15] == 1).all() and (found[4:9, 10:20, 26:34] == 2).all()
    assert found[6, 15, 15:20].tolist() == [1] * 5 and found[6, 15, 21:26].tolist() == [2] * 5
    assert not found[14].any() and not found[image == 0].any()
    whole = mb.split_at_dim_bridges(image, image > 300, spacing=SPACING, core=310)
    assert (whole[image >= 900] == 1).all()


def test_joint_smoothing_leaves_no_gap_and_does_not_shrink(rng):
    inside = ball(14, SHAPE, SPACING)
    ragged = inside ^ ((rng.random(SHAPE) < 0.3) & (np.abs(distance_to((0, 0, 0), SHAPE, SPACING) - 14) < 1))
    labels = ragged.astype(np.uint8)
    labels[:, :, 22:][labels[:, :, 22:] > 0] = 2
    found = mb.joint_smoothing(labels, spacing=SPACING, radius=1.5)
    assert np.count_nonzero(found) == pytest.approx(inside.sum(), rel=0.03)
    assert dice(found > 0, inside) > dice(ragged, inside)
    middle = ball(12, SHAPE, SPACING)
    assert (found[middle] > 0).all()
    assert not (found[:, :, :22] == 2).any() and not (found[:, :, 22:] == 1).any()


@pytest.mark.parametrize("start", [11.0, 13.2])
def test_border_moves_to_half_the_height_from_either_side(start):
    """A shell of 1000 in 0, blurred: from a mask too small or too large to where the height is 500."""
    far = distance_to((0, 0, 0), SHAPE, SPACING)
    image = 1000 / (1 + np.exp((far - 12) / 0.4)) - 800 / (1 + np.exp((far - 9.5) / 0.4))
    found = mb.half_maximum_border(image, far <= start, spacing=SPACING, radius=2)
    assert np.mean(found != (far <= 12)) < 0.004
    assert found[far < 8].all()  # the inside is no border
