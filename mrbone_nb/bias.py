"""Steps image -> image that flatten the slow changes of brightness across a coil (the bias field)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from .grids import pool, unpool
from .step import Image, Mask, Range, Spacing, step


def _shrink(image: np.ndarray, spacing: Spacing, voxels: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Block means on a grid of about so many voxels, cubic in mm as far as the slices allow."""
    edge = (image.size * np.prod(spacing) / voxels) ** (1 / 3)
    factors = tuple(
        int(np.clip(round(edge / s), 1, max(1, n // 4))) for s, n in zip(spacing, image.shape, strict=True)
    )
    return pool(image, factors, "mean"), factors


def _foreground(small: np.ndarray) -> np.ndarray:
    """Where there is signal rather than air (Otsu's threshold, lowered so that muscle stays in)."""
    from skimage.filters import threshold_otsu

    if small.max() == small.min():
        return np.zeros(small.shape, bool)
    return small > 0.4 * threshold_otsu(small.ravel().astype(float))  # as a list, lest it be taken for a color picture


def _flatten(image: np.ndarray, log_field: np.ndarray, factors: tuple[int, ...], inside: np.ndarray) -> np.ndarray:
    """Divide by the field, scaled so that the tissue keeps its mean intensity."""
    gain = np.exp(log_field[inside].mean() - log_field).astype(np.float32)
    return image * unpool(gain[None], factors, image.shape)[0]


@step(preview="volume", bytes_per_voxel=17)
def lowpass_bias_correction(
    image: Image, *, spacing: Spacing, sigma: Annotated[float, Range(5, 100, 1, "mm")] = 30.0
) -> Image:
    """Flatten slow changes of brightness by dividing by the blurred logarithm of the tissue.

    Quick enough for a slider. It takes a large bright or dark organ for bias, so use a `sigma` well
    above the width of a bone; where that fails, use `n4_bias_correction`.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 or more.
    spacing
        (plane, row, column) in mm.
    sigma
        Width of the blur: changes slower than this are taken for bias.

    Returns
    -------
    Image
        (P, M, N), with the mean of the tissue kept.

    References
    ----------
    Homomorphic unsharp masking: Brinkmann et al. (1998), doi:10.1109/42.700729

    Examples
    --------
    >>> tilted = np.ones((4, 64, 64)) * np.exp(np.linspace(0, 1, 64))
    >>> tilted[:, :8] = 0
    >>> flat = lowpass_bias_correction(tilted, spacing=(4, 1, 1), sigma=10)
    >>> bool(flat[:, 8:].std() < 0.5 * tilted[:, 8:].std())
    True
    """
    from scipy.ndimage import gaussian_filter

    small, factors = _shrink(image, spacing, 200_000)
    inside = _foreground(small)
    if not inside.any():
        return image
    logs = np.where(inside, np.log(np.maximum(small, 1e-6)), 0)
    width = [sigma / (s * f) for s, f in zip(spacing, factors, strict=True)]
    weight = gaussian_filter(inside.astype(np.float32), width, mode="nearest")
    field = gaussian_filter(logs.astype(np.float32), width, mode="nearest") / np.maximum(weight, 1e-3)
    field = np.where(weight > 1e-3, field, field[inside].mean())
    return _flatten(image, field, factors, inside)


@step(preview="none", bytes_per_voxel=17)
def n4_bias_correction(
    image: Image,
    *,
    spacing: Spacing,
    iterations: Annotated[int, Range(5, 100, 5)] = 50,
    levels: Annotated[int, Range(1, 4)] = 2,
    distance: Annotated[float, Range(20, 300, 10, "mm")] = 120.0,
) -> Image:
    """Flatten the coil's bias field with N4, estimated on a shrunk grid.

    Surface coils make marrow near the skin brighter than deep marrow; N4 finds the smooth field that
    sharpens the histogram. It can absorb part of a contrast that fills the whole view.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 or more.
    spacing
        (plane, row, column) in mm.
    iterations
        At most so many iterations on each level.
    levels
        Number of levels; each halves the distance of the control points.
    distance
        Distance of the control points of the B-spline on the first level.

    Returns
    -------
    Image
        (P, M, N), with the mean of the tissue kept.

    Notes
    -----
    The field is found on about 100 000 voxels and interpolated: seconds on any scan.

    References
    ----------
    Tustison et al. (2010), doi:10.1109/TMI.2010.2046908

    Examples
    --------
    >>> tilted = np.ones((4, 32, 32)) * np.exp(np.linspace(0, 1, 32))
    >>> tilted[:, :8] = 0
    >>> flat = n4_bias_correction(tilted, spacing=(4, 1, 1), iterations=20)
    >>> bool(flat[:, 8:].std() < 0.5 * tilted[:, 8:].std())
    True
    """
    import SimpleITK as sitk

    small, factors = _shrink(image, spacing, 100_000)
    inside = _foreground(small)
    if not inside.any() or min(small.shape) < 2:
        return lowpass_bias_correction.function(image, spacing=spacing, sigma=30.0)
    scan = sitk.GetImageFromArray(np.maximum(small, 1e-6))
    edges = [s * f for s, f in zip(spacing, factors, strict=True)]
    scan.SetSpacing(edges[::-1])
    field = sitk.N4BiasFieldCorrectionImageFilter()
    field.SetMaximumNumberOfIterations([iterations] * levels)
    extent = np.array(small.shape) * edges
    field.SetNumberOfControlPoints([int(max(4, np.ceil(e / distance) + 3)) for e in extent[::-1]])
    tissue = sitk.GetImageFromArray(inside.astype(np.uint8))
    tissue.CopyInformation(scan)
    field.Execute(scan, tissue)
    log_field = sitk.GetArrayFromImage(field.GetLogBiasFieldAsImage(scan))
    return _flatten(image, log_field, factors, inside)


@step(preview="none", bytes_per_voxel=150)
def adaptive_equalization(
    image: Image,
    mask: Mask | None = None,
    *,
    spacing: Spacing,
    kernel: Annotated[float, Range(5, 200, 5, "mm")] = 60.0,
    clip: Annotated[float, Range(0.001, 0.1, 0.001)] = 0.01,
    share: Annotated[float, Range(0, 1, 0.05)] = 0.5,
) -> Image:
    """Equalize the histogram of every neighborhood in 3D, with limited contrast.

    Where the coil is weak, marrow becomes as bright as elsewhere. It also spreads the gray values of marrow itself, so
    that fewer regions of it are stable: mix it with the image by `share`.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    mask
        The limb, (P, M, N); what lies beyond stays as it is. Without it all is equalized.
    spacing
        (plane, row, column) in mm.
    kernel
        Edge of the boxes whose histograms are taken, about: a whole number of them fills the scan.
    clip
        Largest share of a box in one gray value; more gives more contrast.
    share
        Share of the equalized image in the result.

    Returns
    -------
    Image
        (P, M, N), between the same least and most gray value.

    References
    ----------
    Zuiderveld (1994), doi:10.1016/B978-0-12-336156-1.50061-6

    Examples
    --------
    >>> ramp = np.linspace(0, 2, 4096).reshape(16, 16, 16)
    >>> even = adaptive_equalization(ramp, spacing=(4, 1, 1))
    >>> bool(even.max() <= 2)
    True
    """
    from skimage.exposure import equalize_adapthist

    low, high = float(image.min()), float(image.max())
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-6):
        return image
    scaled = (image.astype(np.float64) - low) / (high - low)
    columns = image.shape[2]
    scaled = np.pad(scaled, [(0, 0), (0, 0), (0, max(0, 5 - columns))], mode="edge")  # 3 or 4 would be taken for colors
    whole = [max(1, round(n * s / kernel)) for s, n in zip(spacing, scaled.shape, strict=True)]
    box = tuple(-(-n // count) for n, count in zip(scaled.shape, whole, strict=True))  # no box is mostly padding
    even = low + (high - low) * equalize_adapthist(scaled, box, clip_limit=clip)[..., :columns]
    mixed = (1 - share) * image + share * even
    return mixed if mask is None else np.where(mask, mixed, image)
