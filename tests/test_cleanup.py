"""Clean-up steps against brute force in mm, and the rim of cortex against a phantom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import SPACING, ball, distance_to, positions
from scipy.ndimage import binary_fill_holes, distance_transform_edt, generate_binary_structure, label, median_filter
from test_morphology import MASKS, RADII, SPACINGS, grown

from mrbone_nb.cleanup import (
    closing,
    cortical_shell,
    fill_holes,
    islands,
    median_smoothing,
    opening,
    slice_islands,
)


def parts_of(mask, connectivity):
    """Connected parts as masks, the largest first."""
    numbers, count = label(mask, generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity]))
    return sorted((numbers == n for n in range(1, count + 1)), key=lambda p: -p.sum())


# islands


@given(MASKS, st.sampled_from([6, 18, 26]), st.integers(0, 6))
def test_islands_of_a_volume_stay(mask, connectivity, voxels):
    minimum = voxels * np.prod(SPACING)  # in mm³: a part of exactly this size stays
    out = islands(mask, spacing=SPACING, minimum=minimum, keep="all", connectivity=connectivity)
    expected = sum((p for p in parts_of(mask, connectivity) if p.sum() >= voxels), np.zeros_like(mask))
    assert np.array_equal(out, expected)


@given(MASKS, st.sampled_from([6, 18, 26]))
def test_the_largest_island_stays(mask, connectivity):
    out = islands(mask, spacing=SPACING, minimum=0, keep="largest", connectivity=connectivity)
    parts = parts_of(mask, connectivity)
    if parts:
        assert any(np.array_equal(out, p) for p in parts if p.sum() == parts[0].sum())
    else:
        assert not out.any()


def test_the_largest_island_must_be_large_enough_too():
    assert not islands(np.ones((1, 2, 2), bool), spacing=(1, 1, 1), minimum=5).any()
    assert islands(np.ones((1, 2, 2), bool), spacing=(1, 1, 1.25), minimum=5).all()


def test_slice_islands_are_judged_slice_by_slice():
    mask = np.zeros((3, 12, 12), bool)
    mask[0, :10, :10] = True  # 100 voxels
    mask[0, 11, :4] = True  # 4 % of them
    mask[1, 0, :4] = True  # small, but all that there is in this slice
    out = slice_islands(mask, share=4)
    assert np.array_equal(out, mask)
    out = slice_islands(mask, share=4.5)
    assert not out[0, 11].any() and np.array_equal(out[1], mask[1]) and out[0].sum() == 100
    diagonal = np.eye(3, dtype=bool)[None]
    diagonal[0, 0, 1] = True
    assert slice_islands(diagonal, share=50).sum() == 3  # corners do not connect


# holes


@given(MASKS)
def test_holes_are_what_a_flood_from_outside_does_not_reach(mask):
    expected = np.stack([binary_fill_holes(p) for p in mask])
    assert np.array_equal(fill_holes(mask, planes="slices"), expected)
    if len(mask) > 1:
        expected = binary_fill_holes(mask)
    assert np.array_equal(fill_holes(mask), expected)


def test_a_tunnel_is_a_hole_of_its_slices_alone():
    tube = np.ones((4, 5, 5), bool)
    tube[:, 2, 2] = False
    assert np.array_equal(fill_holes(tube), tube)
    assert fill_holes(tube, planes="slices").all()


# opening and closing


@given(MASKS, RADII, SPACINGS)
def test_opening_and_closing_equal_their_definition(mask, radius, spacing):
    opened = grown(~grown(~mask, radius, spacing), radius, spacing)
    assert np.array_equal(opening(mask, spacing=spacing, radius=radius), opened if mask.any() else mask)
    closed = ~grown(~grown(mask, radius, spacing), radius, spacing)
    assert np.array_equal(closing(mask, spacing=spacing, radius=radius), closed)


def test_opening_cuts_a_thin_neck_and_closing_a_thin_gap():
    shape, spacing = (9, 40, 60), (2.0, 1.0, 1.0)
    balls = ball(8, shape, spacing, (0, 0, -14)) | ball(8, shape, spacing, (0, 0, 14))
    neck = balls.copy()
    neck[4, 19:21, 20:40] = True  # two mm wide
    cut = opening(neck, spacing=spacing, radius=2)
    assert not cut[..., 28:32].any() and cut.sum() > 0.9 * balls.sum()
    notch = ball(12, shape, spacing)
    solid = notch.copy()
    notch[:, :15, 29:31] = False  # two mm wide
    assert np.array_equal(closing(notch, spacing=spacing, radius=0.9) & solid, notch)
    assert (closing(notch, spacing=spacing, radius=2) & solid).sum() > 0.98 * solid.sum()


# majority


@pytest.mark.parametrize("size", [0, 1, 3, 4.5, 9])
def test_majority_of_a_box_in_mm(rng, size):
    mask = np.pad(rng.random((6, 20, 18)) < 0.5, ((2, 2), (8, 8), (8, 8)))
    box = [2 * int(size / 2 / s + 1e-9) + 1 for s in SPACING]
    assert [b * s <= size + s for b, s in zip(box, SPACING, strict=True)]
    expected = median_filter(mask.astype(np.uint8), size=box, mode="constant") > 0
    assert np.array_equal(median_smoothing(mask, spacing=SPACING, size=size), expected)


# cortical shell

SHAPE, FINE = (15, 60, 60), (2.0, 0.6, 0.6)
FAR = distance_to((0, 0, 0), SHAPE, FINE)


def shell(image, core, **given):
    words = dict(spacing=FINE, thickness=2.5, upper=0.35, smoothing=0) | given
    return cortical_shell(np.asarray(image, np.float32), core, **words)


def test_rim_of_cortex_is_added_and_nothing_else():
    core, bone = FAR <= 8, FAR <= 10
    image = np.where(core, 0.9, np.where(bone, 0.1, 0.5))
    assert np.array_equal(shell(image, core, thickness=4), bone)
    faint = np.where(image == 0.1, 0.3, image)
    assert np.array_equal(shell(faint, core, thickness=4, upper=0.3), bone)
    assert np.array_equal(shell(faint, core, thickness=4, upper=0.29), core)


@pytest.mark.parametrize("thickness", [0, 0.7, 1.3, 2.5])
def test_rim_is_no_thicker_than_allowed(thickness):
    core = FAR <= 8
    dark = np.where(core, 0.9, 0.1)  # dark all the way: tendon, air
    assert np.array_equal(shell(dark, core, thickness=thickness), distance_transform_edt(~core, sampling=FINE) <= thickness + 1e-6)


def test_dark_tissue_beyond_a_bright_gap_does_not_come_along():
    far = np.hypot(*positions(SHAPE, FINE)[1:])
    core = far <= 7
    image = np.where(core, 0.9, np.where((far > 8.2) & (far <= 9.4), 0.1, 0.6))  # the dark ring lies 1.2 mm off
    assert np.array_equal(shell(image, core, thickness=4), core)


def test_no_rim_across_slices_thicker_than_the_cortex():
    core = ball(8, (7, 50, 50), (4.0, 0.6, 0.6))
    dark = np.where(core, 0.9, 0.1)
    out = shell(dark, core, spacing=(4.0, 0.6, 0.6))
    used = core.any(axis=(1, 2))
    assert np.array_equal(out.any(axis=(1, 2)), used)
    alone = shell(dark[3:4], core[3:4], spacing=(4.0, 0.6, 0.6))
    assert np.array_equal(out[3], alone[0]) and alone.sum() > core[3].sum()


def test_smoothing_evens_out_the_rim_within_its_thickness():
    core = FAR <= 8
    rng = np.random.default_rng(0)
    image = np.where(core, 0.9, np.where((FAR <= 10) & (rng.random(SHAPE) < 0.8), 0.1, 0.5))
    rough, even = shell(image, core), shell(image, core, smoothing=0.9)
    bone = FAR <= 10
    assert (rough <= even).all() and (even & bone).sum() > (rough & bone).sum()


def test_smoothing_does_not_bridge_two_cores():
    y = positions(SHAPE, FINE)[1]
    core = np.abs(np.abs(y) - 4) < 1.4  # two slabs, 5 mm apart
    image = np.where(core, 0.9, 0.1)
    out = shell(image, core, thickness=1.2, smoothing=3)
    assert np.array_equal(out, distance_transform_edt(~core, sampling=FINE) <= 1.2 + 1e-6)


def test_a_dark_voxel_that_touches_by_a_corner_is_not_rim():
    image = np.array([[[0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [0.9, 0.9, 0.1]]])
    core = np.zeros((1, 3, 3), bool)
    core[0, 1, 1] = True
    assert np.array_equal(shell(image, core), core)


def test_a_bright_core_keeps_its_own_dark_spots():
    core = FAR <= 8
    image = np.full(SHAPE, 0.6)
    image[core] = 0.05
    assert np.array_equal(shell(image, core), core)
