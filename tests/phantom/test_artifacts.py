"""Noise, coil, motion and metal."""

import numpy as np
import pytest
from bodies import CLEAN, made_of

from mrbone_nb import Volume
from mrbone_nb import phantom as ph
from mrbone_nb.phantom.artifacts import add_motion, add_noise, coil
from mrbone_nb.phantom.tissue import CODES


def test_noise_is_rician():
    codes = np.zeros((20, 64, 64))
    codes[:, :, 32:] = CODES["fat"]
    image, _ = ph.scan(made_of(codes), "t1", **{**CLEAN, "noise": 0.05})
    air, fat = image.array[..., :32], image.array[..., 33:]
    assert air.mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(50 * np.sqrt(2 - np.pi / 2), rel=0.02)
    assert fat.std() == pytest.approx(50, rel=0.02)
    assert fat.mean() == pytest.approx(np.sqrt(1000**2 + 50**2), rel=0.002)  # the bias of a magnitude, at high signal


def test_no_noise_leaves_the_signal(rng):
    image = rng.random((2, 3, 4), dtype=np.float32)
    assert np.array_equal(add_noise(image, 0.0, rng), image)


def test_the_coil_is_smooth_and_keeps_its_bounds():
    grid = Volume(np.zeros((20, 60, 50), np.uint8), (4.0, 2.0, 2.0))
    gain = coil(grid, grid, 0.5, np.random.default_rng(1))
    assert 1 / 1.5 * 0.99 <= gain.min() < 0.75 and 1.3 < gain.max() <= 1.5 * 1.01
    for axis, step in enumerate(grid.spacing):
        assert np.abs(np.diff(gain, axis=axis)).max() / step < 0.03  # a change per mm
    assert np.array_equal(coil(grid, grid, 0.0, np.random.default_rng(1)), np.ones(grid.shape))


def test_the_coil_is_fixed_to_the_body():
    body = Volume(np.zeros((20, 60, 50), np.uint8), (4.0, 2.0, 2.0))
    part = body.crop((slice(5, 6), slice(0, 40), slice(20, 50)))
    whole, seen = (coil(grid, body, 0.5, np.random.default_rng(1)) for grid in (body, part))
    assert np.allclose(seen, whole[5:6, :40, 20:], rtol=0.01)


def test_motion_makes_ghosts_at_the_period_and_keeps_the_energy():
    image = np.zeros((1, 120, 8), np.float32)
    image[0, 60] = 100
    moved = add_motion(image, 1.0, 0.3, period=12)
    assert (moved**2).sum() == pytest.approx((image**2).sum(), rel=1e-4)
    profile = moved[0, :, 4].copy()
    profile[57:64] = 0
    assert np.abs(np.argsort(profile)[-4:] - 60).tolist() == pytest.approx([10] * 4, abs=1)  # 120 rows / 12
    assert profile.max() > 5
    assert np.allclose(add_motion(image, 1.0, 0.0), image, atol=1e-3)


def test_metal_voids_the_signal_nearby_and_more_in_gradient_echoes():
    body = made_of(np.full((21, 61, 61), CODES["fat"]), origin=(-30.0, -30.0, -10.0))
    metal = ph.Metal((0.0, 0.0, 0.0), 4.0, 30.0)
    lost = {}
    for name in ("t1", "gre"):
        with_metal, without = (ph.scan(body, name, metal=m, **CLEAN).volume.array for m in (metal, None))
        assert (with_metal[10, 28:33, 28:33] == 0).all()
        far = np.s_[:, :6, :6]
        assert with_metal[far] == pytest.approx(without[far], rel=0.03)
        lost[name] = (with_metal < 0.3 * without).sum()
    assert lost["gre"] > 1.2 * lost["t1"] > 1.2 * 4 / 3 * np.pi * 4**3
