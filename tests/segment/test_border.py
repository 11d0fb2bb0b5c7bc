"""The outer edge of the cortex, on balls whose size is known."""

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.measure import assd, dice

GRIDS = [
    ((4.0, 0.5, 0.5), (9, 90, 90)),
    ((1.0, 1.0, 1.0), (46, 46, 46)),
    ((2.0, 0.8, 0.8), (22, 58, 58)),
    ((1.0, 0.5, 0.5), (46, 92, 92)),
]


def ball(radius, shape, spacing):
    place = np.indices(shape).T.astype(float).T
    away = [(p - (n - 1) / 2) * s for p, n, s in zip(place, shape, spacing, strict=True)]
    return np.sqrt(sum(a**2 for a in away))


def scene(shape, spacing, *, marrow, outside, cortex=2.0, radius=14.0, noise=0.02):
    """A bone with a dark shell in soft tissue; its truth ends at the outer edge of the shell."""
    away = ball(radius, shape, spacing)
    image = np.where(away < radius - cortex, marrow, np.where(away < radius, 0.03, outside))
    image = image + noise * np.random.default_rng(0).standard_normal(shape)
    return image.astype(np.float32), away < radius, away < radius - cortex


@pytest.mark.parametrize(("spacing", "shape"), GRIDS)
@pytest.mark.parametrize(("marrow", "outside"), [(0.9, 0.3), (0.9, 0.9), (0.2, 0.15), (0.2, 0.9)])
def test_a_core_of_marrow_becomes_the_bone(spacing, shape, marrow, outside):
    image, truth, core = scene(shape, spacing, marrow=marrow, outside=outside)
    found = mb.cortical_border(image, core, spacing=spacing)
    planes = (core & True).any(axis=(1, 2))  # what has no core in its plane cannot be found there
    if spacing[0] > 2:
        found, truth, core = found[planes], truth[planes], core[planes]
    assert dice(core, truth) < 0.86
    assert dice(found, truth) > 0.95
    assert assd(found, truth, spacing) < 0.6 * max(spacing[1:])


def test_a_border_in_muscle_moves_in_as_far_as_it_may():
    spacing, shape = GRIDS[1]
    image, truth, _ = scene(shape, spacing, marrow=0.9, outside=0.3)
    large = ball(15.0, shape, spacing) < 15.0
    assert dice(mb.cortical_border(image, large, spacing=spacing, inward=2), truth) > dice(large, truth) + 0.02


def test_a_place_without_edge_follows_its_neighbors():
    """A dark tendon on one side hides the edge there."""
    spacing, shape = (4.0, 0.5, 0.5), (9, 110, 110)
    image, truth, core = scene(shape, spacing, marrow=0.9, outside=0.4)
    tendon = (np.abs(np.arange(110) - 54.5) < 5)[None, :, None] & (np.arange(110) > 60)[None, None, :]
    image = np.where(tendon & ~truth, np.float32(0.03), image)
    found = mb.cortical_border(image, core, spacing=spacing, outward=6, smoothing=4)
    assert (found & ~truth & tendon)[4].sum() * 0.25 < 0.5 * 5 * 3  # less than half of what may be reached there


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1, 1), (1, 0.5, 0.5), (0.7, 0.36, 0.36), (1, 2, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slab_is_found_along_every_axis(spacing, axis):
    """Marrow of 10 mm in cortex of 2 mm on both sides: borders lie within half a voxel."""
    size = spacing[axis]
    away = (np.arange(round(40 / size)) + 0.5) * size - 20
    line = np.where(np.abs(away) < 5, 0.9, np.where(np.abs(away) < 7, 0.03, 0.4)).astype(np.float32)
    image = np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(3)]), [
        len(line) if a == axis else 20 for a in range(3)
    ])
    found = mb.cortical_border(image, image > 0.8, spacing=spacing)
    assert found.mean() * 40 == pytest.approx(14, abs=1.01 * size)


@pytest.mark.parametrize("cortex", [2.0, 7.0])
def test_a_thick_cortex_is_reached(cortex):
    spacing, shape = (1.0, 1.0, 1.0), (56, 56, 56)
    image, truth, core = scene(shape, spacing, marrow=0.9, outside=0.4, cortex=cortex, radius=12 + cortex)
    found = mb.cortical_border(image, core, spacing=spacing, outward=10)
    radius = (found.sum() * 3 / (4 * np.pi)) ** (1 / 3)
    assert radius == pytest.approx((truth.sum() * 3 / (4 * np.pi)) ** (1 / 3), abs=0.5)


def test_even_gray_moves_nothing():
    image = np.full((5, 20, 20), 0.5, np.float32)
    mask = np.zeros(image.shape, bool)
    mask[1:4, 5:15, 5:15] = True
    assert np.array_equal(mb.cortical_border(image, mask, spacing=(3, 1, 1)), mask)


def test_no_mask_and_a_full_one_stay():
    image = np.random.default_rng(1).random((3, 8, 8), np.float32)
    for mask in (np.zeros(image.shape, bool), np.ones(image.shape, bool)):
        assert np.array_equal(mb.cortical_border(image, mask, spacing=(1, 1, 1)), mask)


def test_the_scans_border_is_no_border_of_the_bone():
    image, truth, core = scene((9, 90, 90), (4.0, 0.5, 0.5), marrow=0.9, outside=0.3)
    words = {"spacing": (4.0, 0.5, 0.5), "smoothing": 1}
    whole, half = (mb.cortical_border(image[:, a:], core[:, a:], **words) for a in (0, 45))
    assert (half[:, 12:] != whole[:, 57:]).mean() < 1e-4
    assert dice(half, truth[:, 45:]) > 0.95 * dice(whole, truth)
