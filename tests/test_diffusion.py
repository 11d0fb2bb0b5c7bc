"""Diffusion against its differential equation, and against ITK where ITK is right: on voxels of 1 mm."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scenes import positions

from mrbone_nb import diffusion
from mrbone_nb.diffusion import diffuse

BOTH = pytest.mark.parametrize("curvature", [False, True], ids=["gradient", "curvature"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradient_diffusion_without_edges_equals_a_gaussian_of_sigma(axis):
    """A wave's gradient is never far above its mean, so a high conductance lets all of it through."""
    spacing = (2.0, 0.8, 1.1)
    shape = [4, 4, 4]
    shape[axis] = 48
    wave = np.cos(2 * np.pi * positions(shape, spacing)[axis] / (spacing[axis] * 12))
    out = diffuse(wave.astype(np.float32), spacing, 2, 10, curvature=False)
    middle = tuple(slice(n // 4, -n // 4) for n in shape)
    kept = np.exp(-((2 * np.pi / (spacing[axis] * 12) * 2) ** 2) / 2)
    assert out[middle].std() / wave[middle].std() == pytest.approx(kept, rel=0.04)


def test_curvature_diffusion_shrinks_a_rod_as_curvature_flow_does():
    """Level sets move by their curvature: after the time of `sigma` the squared radius is smaller by sigma²."""
    spacing = (3.0, 0.5, 0.5)
    _, y, x = positions((5, 72, 72), spacing)
    cone = 12 - np.hypot(x, y)  # every level set is a circle, every gradient the same
    out = diffuse(cone.astype(np.float32), spacing, 2, 10, curvature=True)
    for radius in (5.0, 8.0):
        area = (out[2] > 12 - radius).sum() * 0.25
        assert np.sqrt(area / np.pi) == pytest.approx(np.sqrt(radius**2 - 4), abs=0.1)


@BOTH
def test_equals_itk_on_voxels_of_one_mm(rng, curvature):
    image = rng.normal(size=(9, 20, 22)).astype(np.float32)
    steps = int(np.ceil(0.5 * 3 / (0.5 * diffusion.STABLE)))
    kind = "Curvature" if curvature else "Gradient"
    itk = getattr(sitk, f"{kind}AnisotropicDiffusionImageFilter")()
    itk.SetTimeStep(0.5 / steps)
    itk.SetNumberOfIterations(steps)
    itk.SetConductanceParameter(1.5)
    expected = sitk.GetArrayFromImage(itk.Execute(sitk.GetImageFromArray(image)))
    out = diffuse(image, (1, 1, 1), 1.0, 1.5, curvature)
    assert np.abs(out - expected).max() < 1e-3 * np.abs(expected - image).max()


@BOTH
def test_slabs_leave_no_trace(rng, curvature, monkeypatch):
    image = rng.normal(size=(7, 10, 12)).astype(np.float32)
    whole = diffuse(image, (3, 0.8, 1.1), 1.0, 2.0, curvature)
    monkeypatch.setattr(diffusion, "SLAB_VOXELS", 250)
    assert diffuse(image, (3, 0.8, 1.1), 1.0, 2.0, curvature) == pytest.approx(whole, abs=1e-5)


@BOTH
@pytest.mark.parametrize("scale", [1e-6, 1000.0])
def test_depends_on_contrast_alone_not_on_the_unit_of_gray_values(rng, curvature, scale):
    image = rng.normal(size=(4, 12, 12)).astype(np.float32)
    expected = diffuse(image, (3, 0.8, 1.1), 1.0, 1.0, curvature)
    out = diffuse(image * np.float32(scale), (3, 0.8, 1.1), 1.0, 1.0, curvature)
    assert out / scale == pytest.approx(expected, abs=1e-4)


@BOTH
def test_everything_twice_as_large_looks_the_same(rng, curvature):
    image = rng.normal(size=(4, 12, 12)).astype(np.float32)
    small = diffuse(image, (1.5, 0.4, 0.55), 0.5, 1.0, curvature)
    assert diffuse(image, (3, 0.8, 1.1), 1.0, 1.0, curvature) == pytest.approx(small, abs=1e-4)


@BOTH
@pytest.mark.parametrize("spacing", [(4, 0.5, 0.5), (0.2, 0.2, 0.2), (10, 10, 10)], ids=str)
def test_noise_never_grows(rng, curvature, spacing):
    image = rng.normal(size=(4, 12, 12)).astype(np.float32)
    last = image
    for sigma in (0.2, 0.5, 1.0, 2.0):
        out = diffuse(image, spacing, sigma, 10.0, curvature)
        assert out.std() < last.std() and out.min() >= image.min() and out.max() <= image.max()
        last = out


def test_gray_values_flow_but_are_not_lost(rng):
    image = rng.normal(5, 1, size=(4, 12, 12)).astype(np.float32)
    assert diffuse(image, (3, 0.8, 1.1), 2.0, 3.0, curvature=False).mean() == pytest.approx(image.mean(), rel=1e-5)
