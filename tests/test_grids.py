"""Pooling to a coarser grid and interpolating back."""

import numpy as np
import pytest

from mrbone_nb.grids import pool, unpool


@pytest.mark.parametrize(("how", "value"), [("mean", 3.5), ("min", 0), ("max", 7)])
def test_pool_of_one_block(how, value):
    assert pool(np.arange(8, dtype=np.float32).reshape(2, 2, 2), (2, 2, 2), how).tolist() == [[[value]]]


def test_pool_repeats_the_border_for_the_last_blocks():
    assert pool(np.array([[[1, 3, 5]]], np.float32), (1, 1, 2), "mean").tolist() == [[[2, 5]]]


@pytest.mark.parametrize("factors", [(1, 1, 1), (1, 2, 3), (2, 3, 4), (4, 1, 5)])
def test_unpool_keeps_a_ramp_between_the_centers(factors):
    shape = (9, 13, 22)
    ramp = np.add.outer(np.add.outer(np.arange(9) * 2.0, np.arange(13) * -1.0), np.arange(22) * 0.5).astype(np.float32)
    coarse = pool(ramp, factors, "mean")
    back = unpool(coarse[None], factors, shape)[0]
    assert back.shape == shape
    inner = tuple(slice(f // 2, n // f * f - f // 2) for f, n in zip(factors, shape, strict=True))
    assert np.allclose(back[inner], ramp[inner], atol=1e-4)


def test_unpool_is_constant_beyond_the_last_centers():
    assert unpool(np.array([[[[0, 1]]]], np.float32), (1, 1, 4), (1, 1, 8))[0, 0, 0].tolist() == [
        0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1,
    ]  # fmt: skip


def test_unpool_of_one_coarse_voxel_is_constant():
    assert (unpool(np.full((1, 1, 1, 1), 0.25, np.float32), (3, 5, 7), (2, 5, 6)) == 0.25).all()
