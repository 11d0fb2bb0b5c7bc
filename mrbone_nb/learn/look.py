"""What trees are told of a voxel: gray, edges and surroundings at several widths, and random differences, all in mm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..step import Spacing

FINE = 0.35  # a Gaussian narrower than this many voxels is none


def blurred(image: np.ndarray, spacing: Spacing, width: float) -> np.ndarray:
    """The image after a Gaussian of that many mm; across thick planes, where it is narrower than these, unchanged."""
    from scipy.ndimage import gaussian_filter

    sigma = [width / s if width / s > FINE else 0 for s in spacing]
    return gaussian_filter(image, sigma, mode="nearest", truncate=3)


def offsets(count: int, nearest: float, farthest: float, seed: int) -> np.ndarray:
    """Random ways in mm, (count, 3): all directions alike, and as many near as far ones."""
    random = np.random.default_rng(seed)
    way = random.normal(size=(count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return way * np.exp(random.uniform(np.log(nearest), np.log(farthest), (count, 1)))


def shifted(shape: tuple[int, ...], spacing: Spacing, places: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Flat indices of the voxels that lie a way in mm farther; beyond the scan those of its border."""
    at = np.unravel_index(places, shape)
    steps = np.rint(way / np.array(spacing)).astype(int)
    return np.ravel_multi_index([np.clip(a + s, 0, n - 1) for a, s, n in zip(at, steps, shape, strict=True)], shape)


def look(
    image: np.ndarray, spacing: Spacing, places: np.ndarray, widths: tuple[float, ...], ways: np.ndarray
) -> Iterator[np.ndarray]:
    """The features of voxels that come from the image, one column after the other.

    Parameters
    ----------
    image
        Gray values, 0 to about 1.
    spacing
        In mm.
    places
        Flat indices of the voxels, (n,).
    widths
        Of the Gaussians in mm, ascending.
    ways
        To other places in mm, (m, 3); what lies there is seen the more blurred the farther it is.

    Yields
    ------
    numpy.ndarray
        (n,): gray values, slopes, curvatures, the darkest and the brightest around, differences.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    smooth = {width: blurred(image, spacing, width) for width in widths}
    yield image.ravel()[places]
    for width, field in smooth.items():
        yield field.ravel()[places]
    for width in widths[:3]:
        yield from (f.ravel()[places] for f in _edges(smooth[width], spacing, width))
    for half in (2 * widths[0], 4 * widths[0], 8 * widths[0]):
        box = [2 * round(half / s) + 1 for s in spacing]
        yield minimum_filter(smooth[widths[0]], box, mode="nearest").ravel()[places]
        yield maximum_filter(smooth[widths[0]], box, mode="nearest").ravel()[places]
    here = smooth[widths[0]].ravel()[places]
    for way in ways:
        reach = np.linalg.norm(way)
        field = smooth[min(widths, key=lambda w: abs(np.log(4 * w / reach)))]
        yield field.ravel()[shifted(image.shape, spacing, places, way)] - here


def _edges(field: np.ndarray, spacing: Spacing, width: float) -> Iterator[np.ndarray]:
    """The slope along each axis, its size, and the Laplacian, times the width."""
    slopes = [np.gradient(field, s, axis=a) if n > 1 else np.zeros_like(field)
              for a, (s, n) in enumerate(zip(spacing, field.shape, strict=True))]
    yield from (slope * width for slope in slopes)
    yield np.sqrt(sum(slope * slope for slope in slopes)) * width
    bent = [np.gradient(v, s, axis=a) if v.shape[a] > 1 else np.zeros_like(v)
            for a, (v, s) in enumerate(zip(slopes, spacing, strict=True))]
    yield sum(bent) * width**2
