"""Steps image -> image: normalize and remove noise.

Every length is in mm. ``spacing`` is (plane, row, column), so the same value means the same on
thick slices and on isotropic voxels.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from .diffusion import diffuse
from .step import Image, Range, Spacing, step

SAMPLE_VOXELS = 500_000  # enough for a percentile to 0.1 %, and quick on any scan


def sample(values: np.ndarray) -> np.ndarray:
    """A regular sample of an array's values, the same for the same array."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE_VOXELS)]


@step(preview="volume", bytes_per_voxel=9)
def normalize(
    image: Image,
    *,
    lower: Annotated[float, Range(0, 20, 0.5, "%")] = 1.0,
    upper: Annotated[float, Range(80, 100, 0.1, "%")] = 99.0,
    clip: bool = False,
) -> Image:
    """Scale intensities so that two percentiles of the scan become 0 and 1.

    MR intensity has no unit, so thresholds transfer between scans only after this step, which leads
    every MR recipe. It does not correct differences inside one scan: see `n4_bias_correction`.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    lower
        Percentile that becomes 0, usually air.
    upper
        Percentile that becomes 1, usually fat or fluid.
    clip
        Cut off what lies above 1; what lies below 0 is always cut off.

    Returns
    -------
    Image
        (P, M, N), 0 to about 1.

    Notes
    -----
    Percentiles of a regular sample of half a million voxels. A constant image becomes 0.

    References
    ----------
    Nyúl & Udupa (1999), doi:10.1002/(SICI)1522-2594(199912)42:6<1072::AID-MRM11>3.0.CO;2-M

    Examples
    --------
    >>> ramp = np.linspace(0, 500, 1000).reshape(1, 20, 50)
    >>> round(float(normalize(ramp, lower=0, upper=100).max()), 3)
    1.0
    """
    low, high = np.percentile(sample(image), (lower, upper))
    if high <= low:
        low, high = float(image.min()), float(image.max())
    if high <= low:
        return np.zeros_like(image)
    out = image - np.float32(low)
    out *= np.float32(1 / (high - low))
    return np.clip(out, 0, 1 if clip else None, out=out)


@step(preview="volume", bytes_per_voxel=6)
def gaussian(image: Image, *, spacing: Spacing, sigma: Annotated[float, Range(0, 5, 0.1, "mm")] = 0.7) -> Image:
    """Smooth with a Gaussian kernel.

    The plainest way to remove noise; it also blurs the thin dark cortex, so keep `sigma` below the
    thickness of the cortex, or take one of the diffusion steps.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    spacing
        (plane, row, column) in mm.
    sigma
        Standard deviation of the kernel; 0 leaves the image as it is.

    Returns
    -------
    Image
        (P, M, N).

    Examples
    --------
    >>> dot = np.zeros((1, 9, 9))
    >>> dot[0, 4, 4] = 1
    >>> round(float(gaussian(dot, spacing=(4, 1, 1), sigma=1).max()), 2)
    0.16
    """
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, [sigma / s for s in spacing], mode="nearest")


@step(preview="slice", bytes_per_voxel=9)
def median(image: Image, *, spacing: Spacing, radius: Annotated[float, Range(0, 5, 0.1, "mm")] = 1.0) -> Image:
    """Replace each voxel by the median of a box around it.

    Removes single bright and dark voxels and keeps straight edges; it closes dark lines thinner than
    half the box, so a large `radius` eats thin cortex.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    spacing
        (plane, row, column) in mm.
    radius
        Half the width of the box; on an axis with thicker voxels than this the box is one voxel wide.

    Returns
    -------
    Image
        (P, M, N).

    Examples
    --------
    >>> speck = np.zeros((1, 5, 5))
    >>> speck[0, 2, 2] = 1
    >>> float(median(speck, spacing=(4, 1, 1), radius=1).max())
    0.0
    """
    import SimpleITK as sitk

    half = [int(radius / s + 1e-6) for s in spacing]
    return sitk.GetArrayFromImage(sitk.Median(sitk.GetImageFromArray(image), half[::-1]))


@step(preview="slice", bytes_per_voxel=24)
def gradient_anisotropic_diffusion(
    image: Image,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0, 2, 0.05, "mm")] = 0.6,
    conductance: Annotated[float, Range(0.1, 10, 0.1)] = 1.0,
) -> Image:
    """Smooth inside regions while edges stay, by Perona-Malik diffusion.

    Evens out marrow and muscle and keeps the marrow's edge; very thin or faint cortex is lost with
    a large `sigma` or a high `conductance`.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    spacing
        (plane, row, column) in mm.
    sigma
        How far it smooths inside regions: the width of the Gaussian that plain diffusion of the
        same duration equals; the number of time steps follows from it.
    conductance
        How much edges let through, relative to the mean gradient; more is smoother.

    Returns
    -------
    Image
        (P, M, N).

    References
    ----------
    Perona & Malik (1990), doi:10.1109/34.56205

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(4, 16, 16))
    >>> bool(gradient_anisotropic_diffusion(noise, spacing=(4, 1, 1)).std() < noise.std())
    True
    """
    return diffuse(image, spacing, sigma, conductance, curvature=False)


@step(preview="slice", bytes_per_voxel=24)
def curvature_anisotropic_diffusion(
    image: Image,
    *,
    spacing: Spacing,
    sigma: Annotated[float, Range(0, 2, 0.05, "mm")] = 0.6,
    conductance: Annotated[float, Range(0.1, 10, 0.1)] = 3.0,
) -> Image:
    """Smooth along edges rather than across them, by modified curvature diffusion.

    Keeps thin lines such as cortex better than `gradient_anisotropic_diffusion` and takes about twice
    as long; weak edges between cartilage and muscle still fade.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    spacing
        (plane, row, column) in mm.
    sigma
        How far it smooths inside regions: the width of the Gaussian that plain diffusion of the
        same duration equals; the number of time steps follows from it.
    conductance
        How much edges let through, relative to the mean gradient; more is smoother.

    Returns
    -------
    Image
        (P, M, N).

    References
    ----------
    Whitaker & Xue (2001), doi:10.1109/ICIP.2001.958559

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(4, 16, 16))
    >>> bool(curvature_anisotropic_diffusion(noise, spacing=(4, 1, 1)).std() < noise.std())
    True
    """
    return diffuse(image, spacing, sigma, conductance, curvature=True)


@step(preview="slice", bytes_per_voxel=14)
def nonlocal_means(
    image: Image,
    *,
    strength: Annotated[float, Range(0.1, 3, 0.1)] = 0.8,
    patch: Annotated[int, Range(1, 4, 1, "voxel")] = 2,
    reach: Annotated[int, Range(2, 11, 1, "voxel")] = 5,
    noise: Literal["estimated", "rician"] = "estimated",
) -> Image:
    """Average voxels whose neighborhoods in the plane look alike, plane by plane.

    The best keeper of fine detail among the denoisers here, and the slowest; it may even out faint
    trabecular texture. Planes are treated one by one, since thick slices have no neighbors of use.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    strength
        Smoothing in units of the noise's standard deviation.
    patch
        Half the width of the compared neighborhoods.
    reach
        How far to look for similar neighborhoods.
    noise
        How the level is found: wavelet estimate, or from the background of a magnitude image.

    Returns
    -------
    Image
        (P, M, N).

    References
    ----------
    Buades et al. (2005), doi:10.1109/CVPR.2005.38

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(1, 0.1, (2, 32, 32))
    >>> bool(nonlocal_means(noisy, strength=1.5).std() < noisy.std())
    True
    """
    from skimage.restoration import denoise_nl_means

    level = _noise_level(image, noise)
    if level == 0:
        return image
    words = dict(patch_size=2 * patch + 1, patch_distance=reach, h=strength * level, sigma=level, fast_mode=True)
    return np.stack([denoise_nl_means(plane, preserve_range=True, **words) for plane in image])


def _noise_level(image: np.ndarray, kind: str) -> float:
    """Standard deviation of the noise: median absolute difference of diagonal neighbors, or of air."""
    if kind == "rician":
        return _noise_of_air(sample(image))
    if min(image.shape[1:]) < 2:
        return 0.0
    detail = (image[:, :-1, :-1] - image[:, :-1, 1:] - image[:, 1:, :-1] + image[:, 1:, 1:]) / 2
    return float(np.median(np.abs(detail))) / 0.6745


def _noise_of_air(values: np.ndarray) -> float:
    """Sigma from air, where a magnitude image is Rayleigh distributed and its median is 1.1774 sigma."""
    limit = float(values.mean())  # between air and tissue; then three sigma, which holds 99 % of the air
    for _ in range(20):
        air = values[values < limit]
        level = float(np.median(air)) / 1.1774 if air.size else 0.0
        if abs(3 * level - limit) <= 0.01 * limit:
            break
        limit = 3 * level
    return level
