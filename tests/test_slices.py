"""Distance fields in thick slices: the mathematics below the surfaces."""

import numpy as np
import pytest
from scenes import SPACING, ball, distance_to
from scipy.ndimage import distance_transform_edt, gaussian_filter

from mrbone_nb.slices import resample, slice_distances, smooth, straighten

THICK = (4.0, 0.6, 0.6)


def test_distances_are_those_in_each_slice_alone():
    mask = ball(7, (9, 40, 40), THICK, center=(-2, 1, 0))
    field = slice_distances(mask, THICK)
    for plane in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = distance_transform_edt(mask[plane], THICK[1:])
        outside = distance_transform_edt(~mask[plane], THICK[1:])
        assert np.allclose(field[plane], np.where(mask[plane], 0.3 - inside, outside - 0.3), atol=1e-4)


def test_zero_lies_halfway_between_two_pixels():
    mask = np.zeros((3, 20, 20), bool)
    mask[1, :, :10] = True
    assert slice_distances(mask, (4, 0.5, 0.5))[1, 5, 8:12].tolist() == pytest.approx([-0.75, -0.25, 0.25, 0.75])


def test_an_outline_that_ends_is_closed_half_a_slice_on_with_a_rounded_rim():
    mask = np.zeros((5, 60, 60), bool)
    mask[2] = ball(15, (1, 60, 60), THICK)
    field = slice_distances(mask, THICK)
    here, next_one = field[2], field[3]
    assert np.array_equal(field[1], next_one), "both ends alike"
    share = -here[mask[2]] / (next_one - here)[mask[2]]  # where linear interpolation crosses 0
    assert share.max() == pytest.approx(0.5)
    depth = -here[mask[2]]
    assert share[depth > 4].min() == pytest.approx(0.5), "flat inside"
    assert np.all(np.diff(share[np.argsort(depth)]) > -1e-5), "rounded toward the rim"
    assert share[depth < 0.5].max() < 0.35
    assert (next_one[~mask[2]] > 0).all()


def test_an_outline_that_tapers_goes_on_tapering():
    mask = np.zeros((5, 80, 80), bool)
    mask[1], mask[2] = ball(20, (1, 80, 80), THICK), ball(10, (1, 80, 80), THICK)  # 10 mm less a slice
    field = slice_distances(mask, THICK)
    depth = -field[2][mask[2]]
    share = depth / (depth + field[3][mask[2]])
    slope = depth < 4
    assert np.abs(share - depth / 10)[slope].max() < 0.08, "the cone goes on"
    assert share.max() == pytest.approx(0.5), "but half a slice at most"


def test_only_the_part_that_ends_is_closed():
    mask = np.zeros((4, 30, 60), bool)
    mask[1:3, 5:25, 5:25] = True
    mask[1, 5:25, 35:55] = True  # ends here
    field = slice_distances(mask, THICK)
    goes_on, ends = field[2, 15, 15], field[2, 15, 45]
    assert goes_on < 0
    assert ends == pytest.approx(-field[1, 15, 45]), "as deep outside as inside: the middle of the two slices"


@pytest.mark.parametrize("cell", [0.3, 0.6, 1.1, 2.5])
def test_resampling_keeps_what_is_linear(cell):
    planes, rows = np.arange(7) * SPACING[0], np.arange(30) * SPACING[1]
    field = (planes[:, None, None] + 0.5 * rows[:, None] + np.zeros(26)).astype(np.float32)
    fine = resample(field, SPACING, cell)
    assert fine.shape == tuple(int((n - 1) * s / cell + 1e-6) + 1 for n, s in zip((7, 30, 26), SPACING, strict=True))
    expected = (np.arange(fine.shape[0]) + 0.5 * np.arange(fine.shape[1])[:, None]).T * cell
    inner = (slice(3, -3), slice(4, -4))  # averages at the ends see one side only
    assert np.abs(fine[..., 0] - expected)[inner].max(initial=0) < 0.03


def test_cubic_interpolation_across_slices_is_closer_than_linear_and_never_overshoots():
    places = np.arange(8) * 4.0
    field = np.sin(places / 7).astype(np.float32).reshape(-1, 1, 1) * np.ones((1, 2, 2), np.float32)
    fine = resample(field, (4.0, 0.5, 0.5), 0.5)[:, 0, 0]
    at = np.arange(len(fine)) * 0.5
    linear = np.interp(at, places, field[:, 0, 0])
    assert np.abs(fine - np.sin(at / 7)).mean() < 0.6 * np.abs(linear - np.sin(at / 7)).mean()
    step = resample(np.repeat([-5.0, -5, 9, 9], 4).reshape(4, 2, 2).astype(np.float32), (4.0, 0.5, 0.5), 0.5)
    assert step.min() == -5 and step.max() == 9


def test_straightening_makes_steep_fields_distances():
    cell = 0.5
    x = (np.arange(60) - 30) * cell
    steep = np.broadcast_to(8 * x[:, None, None], (60, 8, 8)).astype(np.float32)
    near = np.abs(x) < 3
    assert np.allclose(straighten(steep, cell, 4)[near, 4, 4], x[near], atol=1e-4)
    flat = np.broadcast_to(x[None, :, None], (8, 60, 8)).astype(np.float32)
    assert np.allclose(straighten(flat, cell, 4)[4, near, 4], x[near], atol=1e-4), "distances stay"
    assert straighten(flat, cell, 4).max() == 4


def radius_of(field, cell):
    """Where the line from the middle along the last axis crosses 0, in mm."""
    line = field[field.shape[0] // 2, field.shape[1] // 2, field.shape[2] // 2 :]
    k = int(np.argmax(line > 0))
    return cell * (k - line[k] / (line[k] - line[k - 1]))


def test_smoothing_keeps_the_radius_of_a_ball():
    cell, radius, sigma = 0.5, 8.0, 1.5
    shape = (61, 61, 61)
    field = (distance_to((0, 0, 0), shape, (cell,) * 3) - radius).astype(np.float32)
    once = gaussian_filter(field, sigma / cell)
    assert radius_of(once, cell) < radius - 0.2, "a plain Gaussian shrinks it"
    assert radius_of(smooth(field, sigma, cell), cell) == pytest.approx(radius, abs=0.05)


def test_smoothing_evens_out_noise(rng):
    noise = rng.standard_normal((20, 20, 20)).astype(np.float32)
    assert smooth(noise, 1.0, 0.5).std() < 0.3 * noise.std()
    assert smooth(noise, 0, 0.5) is noise
