"""Strokes as a user would draw them, made from a truth."""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage as ndi
from skimage.graph import route_through_array

from ..errors import InputError
from ..volume import Volume

ELSE = 255  # the seed label of everything that is no bone


def simulated_strokes(truth: Volume, every_mm: float = 15.0, *, seed: int = 0) -> Volume:
    """Draw what a user would draw: thin curves in each bone and around the bones, in slices some way apart.

    Parameters
    ----------
    truth
        Label map of the bones.
    every_mm
        Distance between the slices that carry strokes, in mm.
    seed
        Seed of the hand: where each curve begins and ends.

    Returns
    -------
    Volume
        Seeds, uint8: the bone's label, 255 = everything else, 0 = unmarked.

    Raises
    ------
    InputError
        ``every_mm`` is not positive.

    Notes
    -----
    In a bone a curve joins two far ends along its middle, at least 1.5 mm away from the rim where there
    is room. Outside, curves follow the bones at 4 to 10 mm and cross the rest of the slice.
    """
    if not (np.isfinite(every_mm) and every_mm > 0):
        raise InputError(f"every_mm={every_mm}: expected a positive number of mm")
    rng = np.random.default_rng([seed, 3])
    step = max(1, round(every_mm / truth.spacing[0]))
    marked = np.flatnonzero(truth.array.any(axis=(1, 2)))
    seeds = np.zeros(truth.shape, np.uint8)
    pixel = truth.spacing[1:]
    if marked.size:
        first = marked[0] + (marked[-1] - marked[0]) % step // 2
        for plane in range(first, marked[-1] + 1, step):
            _draw_slice(seeds[plane], truth.array[plane], pixel, rng)
    return truth.with_array(seeds, name="seeds", meta={})


def _draw_slice(seeds: np.ndarray, labels: np.ndarray, pixel: tuple[float, float], rng: np.random.Generator) -> None:
    for number in np.unique(labels[labels > 0]):
        pieces, count = ndi.label(labels == number)
        for piece in range(1, count + 1):
            inside = pieces == piece
            if inside.sum() * pixel[0] * pixel[1] >= 20:  # a user passes over what is smaller than 20 mm²
                _draw_curve(seeds, inside, number, pixel, rng)
    outside = labels == 0
    away = edt.edt(outside, anisotropy=pixel)
    _draw_curve(seeds, outside & (away > 3) & (away < 10), ELSE, pixel, rng)
    _draw_curve(seeds, outside & (away > 10), ELSE, pixel, rng)


def _draw_curve(
    seeds: np.ndarray, region: np.ndarray, number: int, pixel: tuple[float, float], rng: np.random.Generator
) -> None:
    """Join two far points of a region by a path along its middle."""
    region = ndi.label(region)[0]
    if not region.any():
        return
    region = region == np.bincount(region[region > 0]).argmax()
    depth = edt.edt(np.pad(region, 1), anisotropy=pixel)[1:-1, 1:-1]
    core = np.argwhere(depth >= min(1.5, 0.8 * depth.max()))
    if len(core) == 0:
        return
    start = core[rng.integers(len(core))]
    for _ in range(2):  # the farthest point from the farthest point: about the two ends
        start, end = core[np.linalg.norm((core - start) * pixel, axis=1).argmax()], start
    cost = np.where(region, 1 + 4 / (0.5 + depth), np.inf)
    path = np.array(route_through_array(np.where(np.isfinite(cost), cost, -1), start, end, geometric=True)[0])
    seeds[tuple(path.T)] = number
