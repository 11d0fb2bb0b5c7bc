"""Watershed against SimpleITK and scikit-image, and its borders against scenes with a known ridge."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import skimage.segmentation
from scenes import SPACING, bones, dice
from scipy.ndimage import gaussian_filter

from mrbone_nb.segment.growing import gradient_magnitude
from mrbone_nb.segment.watershed import flood, watershed


@pytest.fixture(scope="module")
def scene():
    scene = bones((12, 44, 44), (3.0, 0.9, 0.9))
    scene.arrays["image"] = scene.arrays["image"] + np.random.default_rng(0).normal(0, 0.02, scene.shape)
    return scene


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (7, -30), (0.003, 0.2)])
def test_flood_equals_simpleitk_on_a_relief_of_256_levels(rng, scale, shift):
    relief = np.minimum(rng.integers(0, 262, (8, 20, 20)), 255)  # the highest half percent is one level
    markers = np.zeros(relief.shape, np.uint8)
    markers[1, 3, 3], markers[6, 15, 14], markers[0, 19, 0] = 1, 2, 255
    image = sitk.GetImageFromArray(relief.astype(np.uint8))
    basins = sitk.MorphologicalWatershedFromMarkers(image, sitk.GetImageFromArray(markers), markWatershedLine=False)
    out = flood((relief * scale + shift).astype(np.float32), markers)
    assert (out == sitk.GetArrayFromImage(basins)).mean() >= 0.999


def test_agrees_with_scikit_image_on_the_float_relief(scene):
    image, seeds = scene.arrays["image"].astype(np.float32), scene.arrays["seeds"]
    relief = gradient_magnitude(image, scene.spacing, 0.7)
    expected = skimage.segmentation.watershed(relief, seeds.astype(np.int32))
    out = scene.run(watershed)
    for number in (1, 2):
        assert dice(out == number, expected == number) > 0.97


def test_relief_is_blurred_in_mm(scene):
    out = scene.run(watershed, relief="darkness", sigma=1.8)
    smooth = gaussian_filter(scene.arrays["image"].astype(np.float32), [1.8 / s for s in scene.spacing], mode="nearest")
    expected = flood(-smooth, scene.arrays["seeds"])
    assert np.array_equal(out, np.where(expected == 255, 0, expected))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("relief", "line"), [("darkness", 0.1), ("brightness", 0.9)])
def test_border_lies_on_the_line(axis, relief, line):
    """A line in the middle of nowhere, with other gray values on its two sides."""
    shape = [5, 5, 5]
    shape[axis] = 20
    at = np.moveaxis(np.broadcast_to(np.arange(20), (5, 5, 20)), -1, axis)
    image = np.where(at < 12, 0.6, 0.4)
    image[at == 12] = line
    seeds = np.where(at == 2, 1, np.where(at == 18, 255, 0)).astype(np.uint8)
    out = watershed(image, seeds, spacing=SPACING, relief=relief, sigma=0)
    assert (out[at < 12] == 1).all() and not out[at > 12].any()


def test_darkness_puts_the_border_on_the_cortex_and_gradient_at_the_marrow(scene):
    """From outside in: muscle, cortex of 2.5 mm, marrow; the darkest place is the middle of the cortex."""
    marrow = (scene.arrays["labels"] == 1).sum()
    found = {r: (scene.run(watershed, relief=r, sigma=0.5) == 1).sum() for r in ("gradient", "darkness")}
    assert abs(found["gradient"] - marrow) < 0.15 * marrow
    assert found["darkness"] > 1.2 * marrow


def test_every_voxel_belongs_to_a_stroke(scene):
    seeds = np.where(scene.arrays["seeds"] == 255, 3, scene.arrays["seeds"])
    out = watershed(scene.arrays["image"], seeds, spacing=scene.spacing)
    assert set(np.unique(out)) == {1, 2, 3}
    assert (out[seeds > 0] == seeds[seeds > 0]).all()


def test_a_cortex_that_a_vessel_breaks_holds_when_gaps_are_closed():
    """Marrow and fat of one brightness, parted by a dark wall with a hole of 2 mm."""
    spacing, shape = (2.0, 0.5, 0.5), (7, 60, 80)
    image = np.full(shape, 0.9, np.float32)
    image[:, :, 38:42] = 0.05
    image[3, 28:32, 38:42] = 0.9
    seeds = np.zeros(shape, np.uint8)
    seeds[3, 30, 10] = 1
    seeds[3, 2, 78] = 255  # far off, so that the bone's flood comes through the hole first
    words = {"spacing": spacing, "relief": "darkness", "sigma": 0}
    leak, held = (watershed(image, seeds, gap=gap, **words)[:, :, 42:] == 1 for gap in (0, 1.5))
    assert leak.mean() > 0.05 and held.mean() == 0
