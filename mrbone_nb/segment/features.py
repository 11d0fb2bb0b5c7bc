"""What a classifier sees of each voxel: gray, edges, texture and surroundings at several widths, all in mm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..step import Spacing

WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0)  # mm of the Gaussians
EDGES = (1.0, 2.0, 4.0)  # mm, for slopes and curvatures
TEXTURES = (2.0, 4.0, 8.0)  # mm, half the side of the box of a standard deviation
RIMS = (3.0, 6.0, 12.0)  # mm, half the side of the box in which the darkest and the brightest are sought
RINGS = ((6.0, 2.0), (12.0, 4.0), (24.0, 8.0), (40.0, 8.0))  # mm: how far to look, and the blur there
DIRECTIONS = 8
BESIDE = 4.0  # mm across the planes
COUNT = 1 + len(WIDTHS) + 3 * len(EDGES) + len(TEXTURES) + 2 * len(RIMS) + 2 + len(RINGS) * DIRECTIONS
FINE = 0.35  # a Gaussian narrower than this many voxels is none


def features(image: np.ndarray, spacing: Spacing, places: np.ndarray, more: np.ndarray | None = None) -> np.ndarray:
    """Describe voxels by numbers.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    spacing
        (plane, row, column) in mm.
    places
        Flat indices of the voxels, (n,).
    more
        Further features of these voxels, (m, n).

    Returns
    -------
    numpy.ndarray
        (n, F) float32: what the image shows, the position in mm along the three axes, and what was given.
    """
    position = np.array(np.unravel_index(places, image.shape), np.float32) * np.float32(spacing)[:, None]
    extra = [*position, *(() if more is None else more)]
    out = np.empty((len(places), COUNT + len(extra)), np.float32)  # filled column by column: the whole is large
    for column, field in enumerate(_fields(image, spacing)):
        out[:, column] = field.ravel()[places]
    for column, values in enumerate(extra, COUNT):
        out[:, column] = values
    return out


def _fields(image: np.ndarray, spacing: Spacing) -> Iterator[np.ndarray]:
    """The features that are pictures themselves, one after the other to save memory."""
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, uniform_filter

    blurred = {}
    for width in WIDTHS:
        sigma = [width / s if width / s > FINE else 0 for s in spacing]
        blurred[width] = gaussian_filter(image, sigma, mode="nearest")
    yield image
    yield from blurred.values()
    for width in EDGES:
        yield from _edges(blurred[width], spacing, width)
    for half in TEXTURES:
        box = _box(half, spacing)
        mean = uniform_filter(image, box, mode="nearest")
        yield np.sqrt(np.maximum(uniform_filter(image * image, box, mode="nearest") - mean * mean, 0))
    for half in RIMS:
        box = _box(half, spacing)
        yield minimum_filter(blurred[1.0], box, mode="nearest")
        yield maximum_filter(blurred[1.0], box, mode="nearest")
    planes = max(1, round(BESIDE / spacing[0]))
    yield _shifted(blurred[2.0], (planes, 0, 0))
    yield _shifted(blurred[2.0], (-planes, 0, 0))
    for radius, width in RINGS:
        for turn in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
            way = (0, round(radius * np.sin(turn) / spacing[1]), round(radius * np.cos(turn) / spacing[2]))
            yield _shifted(blurred[width], way)


def _box(half: float, spacing: Spacing) -> list[int]:
    """An odd box in the plane."""
    return [1, *(2 * round(half / s) + 1 for s in spacing[1:])]


def _edges(blurred: np.ndarray, spacing: Spacing, width: float) -> Iterator[np.ndarray]:
    """Slope and both curvatures in the plane, times the width, so that they compare between widths."""
    if min(blurred.shape[1:]) < 2:
        yield from [np.zeros_like(blurred)] * 3
        return
    down, right = np.gradient(blurred, *spacing[1:], axis=(1, 2))
    yield np.hypot(down, right) * width
    (down_down, down_right), right_right = (
        np.gradient(down, *spacing[1:], axis=(1, 2)),
        np.gradient(right, spacing[2], axis=2),
    )
    trace, root = down_down + right_right, np.hypot(down_down - right_right, 2 * down_right)
    yield (trace + root) * (width**2 / 2)
    yield (trace - root) * (width**2 / 2)


def _shifted(field: np.ndarray, way: tuple[int, int, int]) -> np.ndarray:
    """The field's value that many voxels further; beyond the scan its border goes on."""
    for axis, step in enumerate(way):
        if step:
            field = field.take(np.clip(np.arange(field.shape[axis]) + step, 0, field.shape[axis] - 1), axis=axis)
    return field
