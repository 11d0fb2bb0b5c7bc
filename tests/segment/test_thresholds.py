"""Thresholds against brute force and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.filters
from hypothesis import given
from hypothesis import strategies as st
from scenes import SPACING
from scipy.ndimage import label, uniform_filter

from mrbone_nb.segment.thresholds import (
    hounsfield_threshold,
    hysteresis,
    li,
    local_threshold,
    multi_otsu,
    otsu,
    threshold,
)

LEVELS = st.integers(0, 200).map(lambda n: n / 100)


@pytest.fixture
def tissues(rng):
    """Air, muscle and fat in unequal shares, with noise."""
    means = rng.choice([0.05, 0.4, 0.9], size=(6, 30, 28), p=[0.5, 0.35, 0.15])
    return (means + rng.normal(0, 0.04, means.shape)).astype(np.float32)


@given(LEVELS, LEVELS)
def test_both_ends_of_a_threshold_belong_to_it(lower, upper):
    image = np.arange(0, 201, dtype=np.float32).reshape(1, 3, 67) / np.float32(100)
    hundredths = np.rint(image * 100)
    expected = (hundredths >= round(lower * 100)) & (hundredths <= round(upper * 100))
    assert np.array_equal(threshold(image, lower=lower, upper=upper), expected)


def test_hounsfield_units_are_taken_as_they_are():
    image = np.array([[[-1000, 225, 226, 227, 3000, 10_000]]])
    assert hounsfield_threshold(image).tolist() == [[[False, False, True, True, True, True]]]
    assert hounsfield_threshold(image, lower=-1000, upper=226).tolist() == [[[True, True, True, False, False, False]]]


def between_classes(image, mask):
    """What Otsu's threshold makes as large as it can be."""
    share = mask.mean()
    return share * (1 - share) * (image[mask].mean() - image[~mask].mean()) ** 2


def test_otsu_parts_the_classes_best(tissues):
    found = otsu(tissues)
    values = np.unique(tissues)
    best = max(between_classes(tissues, tissues > v) for v in values[:-1:7])
    assert between_classes(tissues, found) >= 0.999 * best
    assert tissues[found].min() > tissues[~found].max()


@pytest.mark.parametrize(("method", "reference"), [(otsu, "threshold_otsu"), (li, "threshold_li")])
def test_equals_scikit_image_but_for_a_few_voxels(method, reference, tissues):
    expected = tissues > getattr(skimage.filters, reference)(tissues)
    assert (method(tissues) != expected).mean() < 0.002
    assert np.array_equal(method(tissues, polarity="dark"), ~method(tissues))


def test_li_lies_below_otsu_where_bright_tissue_is_rare(tissues):
    assert li(tissues).sum() > otsu(tissues).sum()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_classes_of_multi_otsu_are_those_of_scikit_image(tissues, classes):
    levels = skimage.filters.threshold_multiotsu(tissues, classes=classes, nbins=256)
    for keep in range(1, classes + 1):
        expected = np.digitize(tissues, levels) == keep - 1
        assert (multi_otsu(tissues, classes=classes, keep=keep) != expected).mean() < 0.02


def test_multi_otsu_finds_the_tissues_and_each_voxel_has_one_class(tissues):
    masks = [multi_otsu(tissues, classes=3, keep=k) for k in (1, 2, 3)]
    assert np.array_equal(sum(m.astype(int) for m in masks), np.ones(tissues.shape))
    for mask, mean in zip(masks, [0.05, 0.4, 0.9], strict=True):
        assert np.abs(tissues[mask] - mean).max() < 0.25
    assert np.array_equal(multi_otsu(tissues, classes=3, keep=5), masks[2])  # above the number: the brightest
    five = [multi_otsu(tissues, classes=5, keep=k) for k in range(1, 6)]
    assert all(m.any() for m in five) and sum(m.sum() for m in five) == tissues.size
    assert not multi_otsu(np.array([[[0, 1.0]]]), classes=3).any()  # fewer values than classes


@given(LEVELS, LEVELS, st.integers(0, 99))
def test_hysteresis_keeps_the_parts_that_are_bright_somewhere(lower, upper, seed):
    image = np.random.default_rng(seed).integers(0, 200, (3, 6, 7)).astype(np.float32) / 100 + 0.005
    numbers, count = label(image > lower)
    expected = np.zeros(image.shape, bool)
    for number in range(1, count + 1):
        part = numbers == number
        expected |= part & (image[part].max() > max(lower, upper))
    assert np.array_equal(hysteresis(image, lower=lower, upper=upper), expected)


@pytest.mark.parametrize("radius", [2, 3.3, 6])
def test_local_threshold_compares_with_the_mean_of_a_box_in_mm(rng, radius):
    image = rng.random((7, 20, 18)).astype(np.float32)
    box = [2 * {2: (0, 2, 1), 3.3: (1, 4, 3), 6: (2, 7, 5)}[radius][axis] + 1 for axis in range(3)]
    mean = uniform_filter(image.astype(float), box, mode="nearest")
    bright = local_threshold(image, spacing=SPACING, radius=radius, offset=0.1)
    dark = local_threshold(image, spacing=SPACING, radius=radius, offset=0.1, polarity="dark")
    close = np.abs(np.abs(image - mean) - 0.1) < 1e-5
    assert np.array_equal(bright | close, (image > mean + 0.1) | close)
    assert np.array_equal(dark | close, (image < mean - 0.1) | close)


def test_local_threshold_counts_a_voxel_exactly_at_the_radius():
    image = np.zeros((1, 1, 41))
    image[..., 30] = 1
    reached = local_threshold(image, spacing=(1, 1, 0.7), radius=2.1, offset=0.01, polarity="dark")
    assert np.flatnonzero(reached).tolist() == [27, 28, 29, 31, 32, 33]


def test_local_threshold_sees_through_a_bias_field():
    y, x = np.mgrid[:60, :60]
    rod = np.hypot((y - 30), (x % 20) - 10) < 4
    image = ((0.3 + 0.4 * rod) * np.linspace(1, 2.5, 60))[None]
    found = local_threshold(image, spacing=(4, 1, 1), radius=12)
    assert 2 * (found[0] & rod).sum() / (found[0].sum() + rod.sum()) > 0.95
    fixed = (image > skimage.filters.threshold_otsu(image))[0]
    assert 2 * (fixed & rod).sum() / (fixed.sum() + rod.sum()) < 0.6
