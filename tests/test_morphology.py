"""Morphology in mm against the definition: every pair of voxels, exact distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scenes import SPACING, ball, distance_to
from scipy import ndimage

from mrbone_nb.morphology import bounding_box, connected_parts, dilate, distance_inside, erode, in_box, signed_distance

SIDES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)
MASKS = SIDES.flatmap(lambda shape: hnp.arrays(bool, shape))
SPACINGS = st.sampled_from([(1, 1, 1), SPACING, (4, 0.5, 0.5), (0.7, 0.7, 0.7), (0.3, 2.0, 0.6)])
RADII = st.sampled_from([0, 0.5, 0.6, 0.7, 1, 1.2, 1.4, 2.1, 3.3])


def far(one, other, spacing):
    """Distances in mm of each voxel of one list to each of the other."""
    return np.linalg.norm((one[:, None] - other[None]) * spacing, axis=2)


def grown(mask, radius, spacing):
    """All voxels within a radius of a mask, by trying every pair."""
    out = np.zeros_like(mask)
    if mask.any():
        every = np.argwhere(np.ones_like(mask))
        out[tuple(every.T)] = far(every, np.argwhere(mask), spacing).min(1) <= radius + 1e-6
    return out


@given(MASKS, SPACINGS)
def test_distance_is_exact(mask, spacing):
    assume(mask.any() and not mask.all())
    expected = far(np.argwhere(mask), np.argwhere(~mask), spacing).min(1)
    out = distance_inside(mask, spacing)
    assert out[mask] == pytest.approx(expected, rel=1e-5)
    assert not out[~mask].any()


@given(MASKS, RADII, SPACINGS)
def test_dilate_and_erode_equal_their_definition(mask, radius, spacing):
    assert np.array_equal(dilate(mask, radius, spacing), grown(mask, radius, spacing))
    assert np.array_equal(erode(mask, radius, spacing), ~grown(~mask, radius, spacing))


@pytest.mark.parametrize("spacing", [0.1, 0.3, 0.35, 0.7, 1.1])
def test_a_voxel_exactly_at_the_radius_is_within(spacing):
    line = np.arange(81)[None, None] == 40
    for count in range(1, 30):
        radius = round(count * spacing, 6)
        out = dilate(line, radius, (3, 1, spacing))
        assert out.sum() == 2 * count + 1
        assert np.array_equal(erode(out, radius, (3, 1, spacing)), line)


@given(MASKS, RADII, SPACINGS)
def test_work_in_a_box_equals_work_on_the_whole(mask, radius, spacing):
    padded = np.pad(mask, 5)
    for work in (lambda m: dilate(m, radius, spacing), lambda m: erode(dilate(m, radius, spacing), radius, spacing)):
        assert np.array_equal(in_box(work, padded, 2 * radius, spacing), work(padded))


def test_box_holds_the_mask_and_its_margin_in_mm():
    mask = np.zeros((20, 60, 60), bool)
    mask[10, 30:33, 40] = True
    box = bounding_box(mask, 4.0, SPACING)
    margins = [(10 - box[0].start) * 3.0, (30 - box[1].start) * 0.8, (box[2].stop - 41) * 1.1]
    assert all(4.0 <= m <= 4.0 + 2 * s for m, s in zip(margins, SPACING, strict=True))
    assert bounding_box(mask, 1000, SPACING) == (slice(0, 20), slice(0, 60), slice(0, 60))
    assert mask[bounding_box(np.zeros_like(mask), 4, SPACING)].size == 0


@given(MASKS, st.sampled_from([6, 18, 26]))
def test_connected_parts_equal_another_librarys(mask, connectivity):
    reach = {6: 1, 18: 2, 26: 3}[connectivity]
    wanted, count = ndimage.label(mask, ndimage.generate_binary_structure(3, reach))
    parts, found = connected_parts(mask, connectivity)
    assert found == count and parts.shape == mask.shape
    assert len({*zip(parts.ravel().tolist(), wanted.ravel().tolist(), strict=True)}) == len(np.unique(wanted))


def test_signed_distance_of_a_ball():
    shape, spacing = (20, 40, 40), (1.0, 0.5, 0.5)
    expected = distance_to((0, 0, 0), shape, spacing) - 6
    out = signed_distance(ball(6, shape, spacing), spacing)
    assert out == pytest.approx(expected, abs=0.75)
    assert ((out < 0) == (expected <= 0)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_signed_distance_is_0_halfway_between_voxels(axis):
    mask = np.moveaxis(np.broadcast_to(np.arange(8) < 3, (5, 5, 8)), 2, axis)
    expected = np.moveaxis(np.broadcast_to((np.arange(8) - 2.5) * 0.7, (5, 5, 8)), 2, axis)
    assert signed_distance(mask, (0.7, 0.7, 0.7)) == pytest.approx(expected, abs=1e-4)
