"""Interpolation between painted slices against bodies of known shape."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import SPACING, ball, dice, positions

from mrbone_nb.segment.outlines import between, fill_between_slices

SHAPE, FINE = (25, 60, 50), (1.5, 0.8, 1.0)
Z, Y, X = positions(SHAPE, FINE)


def painted(labels, planes):
    """The labels on some planes alone."""
    seeds = np.zeros_like(labels)
    seeds[planes] = labels[planes]
    return seeds


def test_a_cone_comes_back_exactly():
    """Its distance to the outline changes linearly from slice to slice."""
    cone = (np.hypot(Y, X) <= 11 - 0.4 * Z).astype(np.uint8) * 7
    found = fill_between_slices(painted(cone, [0, 12, 24]), spacing=FINE)
    assert dice(found == 7, cone == 7) > 0.99
    rim = np.abs(np.hypot(Y, X) - (11 - 0.4 * Z))
    assert rim[found != cone].max() < 0.8  # less than a pixel from the border


@pytest.mark.parametrize(("every", "least"), [(2, 0.98), (3, 0.97), (4, 0.95)])
def test_an_ellipsoid_is_close(every, least):
    """The straight line between outlines lies inside what bulges, and the more so the farther they are apart."""
    body = ((Z / 17) ** 2 + (Y / 20) ** 2 + (X / 14) ** 2 <= 1).astype(np.uint8)
    planes = np.flatnonzero(body.any(axis=(1, 2)))
    kept = [*planes[::every], planes[-1]]
    assert dice(fill_between_slices(painted(body, kept), spacing=FINE) == 1, body == 1) > least


def test_painted_slices_stay_and_nothing_lies_beyond():
    labels = np.where(ball(15, SHAPE, FINE), np.where(X > 2, 9, 4), 0).astype(np.uint8)
    seeds = painted(labels, [6, 11, 17])
    seeds[8, 30, 20:30] = 255
    found = fill_between_slices(seeds, spacing=FINE)
    assert np.array_equal(found[[6, 11, 17]], seeds[[6, 11, 17]])
    assert not found[:6].any() and not found[18:].any()
    assert not found[8, 30, 20:30].any() and found[8, 29, 20:30].all()
    assert (found[6:18] > 0).any(axis=(1, 2)).all()


def test_bones_that_touch_share_what_lies_between_without_a_seam():
    labels = np.where(np.hypot(Y, X) < 15, np.where(X > 0.3 * Z, 9, 4), 0).astype(np.uint8)
    found = fill_between_slices(painted(labels, [2, 8, 14, 20]), spacing=FINE)[2:21]
    truth = labels[2:21]
    assert all(dice(found == n, truth == n) > 0.98 for n in (4, 9))
    inner = np.hypot(Y, X)[2:21] < 13
    assert (found[inner] > 0).mean() > 0.999


def test_a_bone_on_other_slices_than_its_neighbor():
    """A slice painted for one bone is not a slice in which the other is absent."""
    labels = np.where(np.hypot(Y, X - 12) < 8, 2, np.where(np.hypot(Y, X + 12) < 8, 1, 0)).astype(np.uint8)
    seeds = np.zeros_like(labels)
    seeds[[0, 24]] = np.where(labels == 1, 1, 0)[[0, 24]]
    seeds[[4, 12, 20]] = np.where(labels == 2, 2, 0)[[4, 12, 20]]
    found = fill_between_slices(seeds, spacing=FINE)
    assert np.array_equal(found == 1, labels == 1)
    assert np.array_equal((found == 2)[4:21], (labels == 2)[4:21]) and not (found == 2)[:4].any()


def test_slices_far_apart_are_not_joined():
    labels = ball(30, SHAPE, FINE).astype(np.uint8)
    seeds = painted(labels, [0, 8, 20])
    far = fill_between_slices(seeds, spacing=FINE, gap=12)
    assert far[:9].any(axis=(1, 2)).all() and not far[9:20].any()
    assert fill_between_slices(seeds, spacing=FINE, gap=18)[9:20].any(axis=(1, 2)).all()


def test_distances_are_in_mm_and_linear():
    mask = np.zeros((5, 9, 40), bool)
    mask[0, :, :10], mask[4, :, :30] = True, True
    field = between(mask, SPACING, 100)
    edges = [np.interp(0, field[k, 4], np.arange(40)) for k in range(5)]  # in pixels, where it changes sign
    assert edges == pytest.approx([9.5, 14.5, 19.5, 24.5, 29.5], abs=0.1)
    assert field[2, 4, 19] == pytest.approx(-0.5 * SPACING[2], abs=0.16)
