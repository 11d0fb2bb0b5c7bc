"""Coarser grids and back: block means of an image, and fields interpolated to the full grid."""

from __future__ import annotations

from typing import Literal

import numpy as np


def cut(axis: int, start: int, stop: int | None, stride: int = 1) -> tuple[slice, ...]:
    """Slices that take a range of one of three axes and all of the others."""
    return tuple(slice(start, stop, stride) if a == axis else slice(None) for a in range(3))


def pool(image: np.ndarray, factors: tuple[int, ...], how: Literal["mean", "min", "max"]) -> np.ndarray:
    """Reduce blocks of voxels to their mean, minimum or maximum; the last blocks repeat the border."""
    combine = {"mean": np.add, "min": np.minimum, "max": np.maximum}[how]
    for axis in (2, 1, 0):  # the last axis first: it is the one that lies together in memory
        factor, n = factors[axis], image.shape[axis]
        if n % factor:
            image = np.concatenate([image] + [image[cut(axis, n - 1, None)]] * (-n % factor), axis)
        blocks = [image[cut(axis, start, None, factor)] for start in range(factor)]
        image = blocks[0]
        for block in blocks[1:]:
            image = combine(image, block)
    return image / np.float32(np.prod(factors)) if how == "mean" else np.ascontiguousarray(image)


def unpool(layers: np.ndarray, factors: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate coarse fields (L, p, m, n) linearly to the full grid, constant beyond the last centers."""
    out = np.empty((len(layers), *shape), np.float32)
    for layer, target in zip(layers, out, strict=True):
        for axis in (0, 1):
            layer = _finer(layer, axis, factors[axis], shape[axis])
        _finer(layer, 2, factors[2], shape[2], target)
    return out


def _finer(coarse: np.ndarray, axis: int, factor: int, n: int, out: np.ndarray | None = None) -> np.ndarray:
    """Interpolate along one axis: each of the factor voxels in a block has its own fixed pair of weights."""
    last = coarse.shape[axis] - 1
    before = np.concatenate([coarse[cut(axis, 0, 1)], coarse[cut(axis, 0, last)]], axis)
    after = np.concatenate([coarse[cut(axis, 1, None)], coarse[cut(axis, last, None)]], axis)
    if out is None:
        out = np.empty((*coarse.shape[:axis], n, *coarse.shape[axis + 1 :]), np.float32)
    for phase in range(min(factor, n)):
        shift = np.float32((phase + 0.5) / factor - 0.5)
        count = len(range(phase, n, factor))
        here, beside = (x[cut(axis, 0, count)] for x in (coarse, before if shift < 0 else after))
        out[cut(axis, phase, None, factor)] = here + abs(shift) * (beside - here) if shift else here
    return out
