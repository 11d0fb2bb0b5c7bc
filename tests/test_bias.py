"""Bias correction against fields that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import bones, positions

from mrbone_nb.bias import _shrink, lowpass_bias_correction, n4_bias_correction
from mrbone_nb.grids import unpool

SPACING = (5.0, 1.8, 2.2)
SHAPE = (8, 48, 40)


def spread(values):
    """Coefficient of variation."""
    return float(values.std() / values.mean())


@pytest.fixture(scope="module")
def knee():
    """Muscle at 0.5 with bones, air on one side, and a smooth coil field of a factor of about 4."""
    scene = bones(SHAPE, SPACING)
    z, y, x = positions(SHAPE, SPACING)
    clean = scene.arrays["image"]
    clean[:, :, :5] = 0.0
    field = np.exp(0.5 * np.sin(y / 30) + 0.3 * np.cos(x / 35 + z / 40)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.01, SHAPE)
    muscle = (clean > 0.45) & (clean < 0.55)
    return np.maximum(clean * field + noise, 0).astype(np.float32), muscle, clean, field


@pytest.mark.parametrize(("correct", "left"), [(lowpass_bias_correction, 0.5), (n4_bias_correction, 0.25)])
def test_a_known_field_is_removed_and_the_mean_kept(knee, correct, left):
    image, muscle, clean, field = knee
    flat = correct(image, spacing=SPACING)
    assert spread(flat[muscle]) < left * spread(image[muscle])
    found = np.log(image[muscle] / flat[muscle])
    assert np.corrcoef(found, np.log(field[muscle]))[0, 1] > 0.95
    assert np.array_equal(flat == 0, image == 0)  # air stays air
    assert flat[muscle].mean() == pytest.approx(image[muscle].mean(), rel=0.1)


@pytest.mark.parametrize("correct", [lowpass_bias_correction, n4_bias_correction])
def test_the_unit_of_gray_values_does_not_matter(knee, correct):
    image = knee[0]
    words = {"iterations": 10} if correct is n4_bias_correction else {}
    expected = 700 * correct(image, spacing=SPACING, **words)
    assert correct(image * 700, spacing=SPACING, **words) == pytest.approx(expected, rel=1e-2)


def test_lowpass_takes_only_what_is_slower_than_sigma():
    """A Gaussian of sigma mm passes this much of a wave; the rest of it stays in the image."""
    shape, wavelength = (4, 30, 400), 120
    x = positions(shape, (4, 1, 1))[2]
    image = np.exp(0.2 * np.cos(2 * np.pi * x / wavelength))
    for sigma in (10, 20, 40):
        flat = np.log(lowpass_bias_correction(image, spacing=(4, 1, 1), sigma=sigma))[:, 5:-5, 120:-120]
        left = 1 - np.exp(-((2 * np.pi / wavelength * sigma) ** 2) / 2)
        assert np.ptp(flat) / 0.4 == pytest.approx(left, abs=0.05)


def test_n4_takes_what_its_control_points_can_follow(rng):
    x = positions(SHAPE, SPACING)[2]
    for wavelength, distance, least, most in [(300, 120, 0, 0.5), (60, 120, 0.9, 1.1), (60, 30, 0, 0.5)]:
        image = np.exp(0.1 * np.sin(2 * np.pi * x / wavelength)) + rng.normal(0, 0.02, SHAPE)
        flat = n4_bias_correction(image, spacing=SPACING, levels=1, iterations=20, distance=distance)
        assert least <= spread(flat) / spread(image) <= most


def test_thin_scans_fall_back_to_the_lowpass():
    image = np.exp(np.linspace(0, 1, 600)).reshape(1, 20, 30).astype(np.float32)
    expected = lowpass_bias_correction(image, spacing=SPACING, sigma=30)
    assert np.array_equal(n4_bias_correction(image, spacing=SPACING), expected)


def test_shrinking_makes_blocks_nearly_cubic_in_mm_and_enlarging_undoes_it():
    shape, spacing = (20, 200, 160), (4.0, 0.5, 0.5)
    z, y, x = positions(shape, spacing)
    ramp = (z + 2 * y - x).astype(np.float32)
    small, factors = _shrink(ramp, spacing, 10_000)
    edges = np.multiply(spacing, factors)
    assert edges.max() / edges.min() < 2 and 5_000 < small.size < 20_000
    again = unpool(small[None], factors, shape)[0]
    inner = tuple(slice(f, n // f * f - f) for f, n in zip(factors, shape, strict=True))
    assert again[inner] == pytest.approx(ramp[inner], abs=1e-3)
    assert again.min() >= small.min() and again.max() <= small.max()
