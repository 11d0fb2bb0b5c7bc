"""Filters against their mathematics, on small anisotropic scans."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import SPACING, ball, positions
from scipy.ndimage import median_filter

from mrbone_nb.filters import (
    _noise_level,
    curvature_anisotropic_diffusion,
    gaussian,
    gradient_anisotropic_diffusion,
    median,
    nonlocal_means,
    normalize,
    sample,
)

DIFFUSIONS = pytest.mark.parametrize("diffuse", [gradient_anisotropic_diffusion, curvature_anisotropic_diffusion])


def widths(image, spacing):
    """Standard deviation in mm along each axis of a picture of one dot."""
    axes = positions(image.shape, spacing)
    return [float(np.sqrt((image * x**2).sum() / image.sum())) for x in axes]


# normalize


def test_normalize_maps_two_percentiles_to_0_and_1(rng):
    image = rng.normal(300, 40, (6, 50, 40)).astype(np.float32)
    out = normalize(image, lower=5, upper=90)
    low, high = np.percentile(image, (5, 90))
    expected = np.maximum((image - low) / (high - low), 0)
    assert out == pytest.approx(expected, abs=1e-4)
    assert normalize(image, lower=5, upper=90, clip=True) == pytest.approx(np.minimum(expected, 1), abs=1e-4)


def test_normalize_forgets_the_scanner_scale(rng):
    image = rng.gamma(2, 50, (4, 30, 30)).astype(np.float32)
    assert normalize(image * 37 + 500) == pytest.approx(normalize(image), abs=1e-4)


def test_normalize_of_a_mostly_even_scan_uses_its_extremes():
    image = np.zeros((4, 30, 30), np.float32)
    image[0, 0, :5] = [10, 20, 30, 40, 50]  # rarer than the percentiles
    assert normalize(image)[0, 0, :5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert not normalize(np.full((2, 3, 4), 9)).any()


def test_sample_is_regular_and_spans_the_array():
    values = np.arange(1_700_000)
    taken = sample(values)
    assert 500_000 <= len(taken) <= 600_000 and taken[-1] > 1_699_990
    assert np.ptp(np.diff(taken)) == 0
    assert len(sample(values[:10])) == 10


# gaussian


def test_gaussian_has_its_width_in_mm_on_every_axis():
    dot = np.zeros((21, 61, 41), np.float32)
    dot[10, 30, 20] = 1
    out = gaussian(dot, spacing=SPACING, sigma=3.3)
    assert out.sum() == pytest.approx(1, abs=1e-3)
    assert widths(out, SPACING) == pytest.approx([3.3] * 3, rel=0.02)
    assert np.array_equal(gaussian(dot, spacing=SPACING, sigma=0), dot)


def test_gaussian_of_a_wave_follows_the_formula():
    spacing = (4.0, 0.5, 0.9)
    *_, x = positions((3, 4, 120), spacing)
    wave = np.cos(2 * np.pi * x / 12)
    out = gaussian(wave, spacing=spacing, sigma=2)[..., 20:-20]
    assert out == pytest.approx(wave[..., 20:-20] * np.exp(-((2 * np.pi / 12 * 2) ** 2) / 2), abs=2e-3)


# median


@pytest.mark.parametrize("radius", [0, 0.9, 1.1, 2.3, 4.0])
def test_median_is_the_median_of_a_box_in_mm(rng, radius):
    image = rng.normal(size=(5, 14, 12)).astype(np.float32)
    box = [2 * k + 1 for k in {0: (0, 0, 0), 0.9: (0, 1, 0), 1.1: (0, 1, 1), 2.3: (0, 2, 2), 4.0: (1, 5, 3)}[radius]]
    expected = median_filter(image, size=box, mode="nearest")
    assert np.array_equal(median(image, spacing=SPACING, radius=radius), expected)


def test_median_counts_a_voxel_exactly_at_the_radius(rng):
    image = rng.random((1, 1, 30)).astype(np.float32)
    expected = median_filter(image, size=(1, 1, 7), mode="nearest")
    assert np.array_equal(median(image, spacing=(2, 2, 0.4), radius=1.2), expected)  # 1.2 / 0.4 < 3 in a computer


# diffusion


@DIFFUSIONS
def test_diffusion_lowers_noise_and_keeps_a_strong_edge(diffuse, rng):
    step_edge = np.repeat([0.0, 1.0], 16)[None, None] * np.ones((6, 32, 1))
    noisy = step_edge + rng.normal(0, 0.05, step_edge.shape)
    out = diffuse(noisy, spacing=SPACING)
    flat = (slice(1, -1), slice(4, -4), slice(4, 12))
    assert out[flat].std() < 0.6 * noisy[flat].std()
    height = out[:, :, 17].mean() - out[:, :, 14].mean()
    blurred = gaussian(noisy, spacing=SPACING, sigma=1.2)
    assert height > 0.95
    assert np.abs(np.diff(out.mean((0, 1))))[15] > 2 * np.abs(np.diff(blurred.mean((0, 1))))[15]


@DIFFUSIONS
def test_diffusion_smooths_the_more_the_larger_sigma_and_conductance(diffuse, rng):
    noise = rng.normal(size=(4, 24, 24))
    left = [diffuse(noise, spacing=SPACING, sigma=s, conductance=c).std() for s, c in [(0.3, 1), (0.8, 1), (0.8, 4)]]
    assert noise.std() > left[0] > left[1] > left[2]
    assert np.array_equal(diffuse(noise, spacing=SPACING, sigma=0), noise.astype(np.float32))


# nonlocal means


def test_nonlocal_means_lowers_noise_and_keeps_a_line(rng):
    clean = np.full((2, 48, 48), 0.5)
    clean[:, :, 22:24] = 0.1  # a dark line, thinner than any blur would keep
    noisy = clean + rng.normal(0, 0.04, clean.shape)
    out = nonlocal_means(noisy)
    flat = (slice(None), slice(6, -6), slice(4, 16))
    assert out[flat].std() < 0.5 * noisy[flat].std()
    assert out[..., 22:24].mean() == pytest.approx(0.1, abs=0.03)
    assert np.abs(out - clean).mean() < 0.5 * np.abs(noisy - clean).mean()


def test_nonlocal_means_smooths_the_more_the_stronger(rng):
    noisy = rng.normal(1, 0.1, (1, 32, 32)).astype(np.float32)
    left = [nonlocal_means(noisy, strength=s).std() for s in (0.1, 0.8, 3)]
    assert noisy.std() > left[0] > 1.3 * left[1] > 1.3 * left[2]


def test_nonlocal_means_treats_planes_one_by_one(rng):
    noisy = rng.normal(1, 0.1, (3, 24, 24)).astype(np.float32)
    other = noisy.copy()
    other[1:] = noisy[:0:-1]  # the same planes in another order: the same noise level
    assert np.allclose(nonlocal_means(noisy)[0], nonlocal_means(other)[0], atol=1e-6)
    assert np.allclose(nonlocal_means(noisy)[1], nonlocal_means(other)[2], atol=1e-6)


@pytest.mark.parametrize("air", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("kind", ["estimated", "rician"])
def test_noise_level_is_found(rng, kind, air):
    """Magnitude of complex noise of sigma 20 around a bright object; from little to much air."""
    shape = (8, 64, 64)
    signal = np.where(np.arange(64) < 64 * air, 0, 300) * np.ones(shape)
    magnitude = np.hypot(signal + rng.normal(0, 20, shape), rng.normal(0, 20, shape)).astype(np.float32)
    if kind == "estimated":  # of air and object together: air has 0.655 sigma
        assert 0.6 * 20 < _noise_level(magnitude, kind) < 1.05 * 20
    else:
        assert _noise_level(magnitude, kind) == pytest.approx(20, rel=0.1)


def test_noise_level_of_nothing_is_0():
    for kind in ("estimated", "rician"):
        assert _noise_level(np.zeros((2, 9, 9), np.float32), kind) == 0
    image = np.zeros((1, 30, 30), np.float32)
    image[ball(9, image.shape, SPACING)] = 5  # air that the scanner cut to 0 tells no noise
    assert np.array_equal(nonlocal_means(image, noise="rician"), image)
