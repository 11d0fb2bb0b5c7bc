"""Steps image -> mask by gray value alone.

On MR these find marrow together with all other fat; they serve as a start, as a limit for growing,
and to see why a threshold is not enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np

from ..errors import InputError
from ..step import Image, Mask, Range, Spacing, step

Level = Annotated[float, Range(0, 2, 0.01)]
Polarity = Literal["bright", "dark"]


@step(preview="volume", bytes_per_voxel=2)
def threshold(image: Image, *, lower: Level = 0.5, upper: Level = 2.0) -> Mask:
    """Mark the voxels between two gray values of a normalized image.

    Finds bright marrow together with every other fat; needs `normalize` first, so that the values
    transfer between scans.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    lower
        Smallest value that belongs to the mask.
    upper
        Largest value that belongs to the mask.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> threshold(np.array([[[0.2, 0.6, 0.9]]]), lower=0.5, upper=0.8).tolist()
    [[[False, True, False]]]
    """
    return (image >= np.float32(lower)) & (image <= np.float32(upper))


@step(preview="volume", bytes_per_voxel=2)
def hounsfield_threshold(
    image: Image,
    *,
    lower: Annotated[float, Range(-1000, 3000, 10, "HU")] = 226.0,
    upper: Annotated[float, Range(-1000, 10000, 10, "HU")] = 10000.0,
) -> Mask:
    """Mark the voxels between two CT numbers.

    The usual way in CT, where bone is the densest tissue; of no use on MR, which has no such scale.

    Parameters
    ----------
    image
        CT numbers in HU, (P, M, N), not normalized.
    lower
        Smallest value that belongs to the mask.
    upper
        Largest value that belongs to the mask.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> hounsfield_threshold(np.array([[[-900.0, 40.0, 700.0]]])).tolist()
    [[[False, False, True]]]
    """
    return (image >= np.float32(lower)) & (image <= np.float32(upper))


def _histogram(image: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges of the bins; in float64, since float32 cannot part the bins of a nearly constant image."""
    return np.histogram(image, bins, range=(np.float64(image.min()), np.float64(image.max())))


@step(preview="volume", bytes_per_voxel=3)
def otsu(image: Image, *, polarity: Polarity = "bright") -> Mask:
    """Mark the brighter or darker of the two classes that Otsu's threshold parts best.

    Parts air from tissue, or fat from the rest in a scan with much fat; the two classes need not be
    the two that are wanted.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    polarity
        Which of the two classes becomes the mask.

    Returns
    -------
    Mask
        (P, M, N); empty for a constant image.

    References
    ----------
    Otsu (1979), doi:10.1109/TSMC.1979.4310076

    Examples
    --------
    >>> otsu(np.array([[[0.0, 0.1, 0.9, 1.0]]])).tolist()
    [[[False, False, True, True]]]
    """

    def level() -> float:
        counts, edges = _histogram(image, 1024)
        return _skimage("threshold_otsu", hist=(counts, (edges[1:] + edges[:-1]) / 2))

    return _above(image, polarity, level)


@step(preview="volume", bytes_per_voxel=6)
def li(image: Image, *, polarity: Polarity = "bright") -> Mask:
    """Mark the brighter or darker class of Li's minimum cross-entropy threshold.

    Lies lower than Otsu's where bright tissue is rare, and so keeps faint marrow.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    polarity
        Which of the two classes becomes the mask.

    Returns
    -------
    Mask
        (P, M, N); empty for a constant image.

    References
    ----------
    Li & Tam (1998), doi:10.1016/S0167-8655(98)00057-9

    Examples
    --------
    >>> li(np.array([[[0.0, 0.1, 0.9, 1.0]]])).tolist()
    [[[False, False, True, True]]]
    """
    from ..filters import sample

    return _above(image, polarity, lambda: _skimage("threshold_li", sample(image)))


Method = Literal[
    "otsu", "huang", "intermodes", "iso_data", "kittler_illingworth", "li", "maximum_entropy", "moments",
    "renyi_entropy", "shanbhag", "triangle", "yen",
]  # fmt: skip


@step(preview="volume", bytes_per_voxel=24)
def automatic_threshold(
    image: Image,
    *,
    method: Method = "otsu",
    histogram: Literal["foreground", "all"] = "foreground",
    polarity: Polarity = "bright",
) -> Mask:
    """Mark the brighter or darker side of a threshold that one of the usual methods finds.

    In CT the threshold between soft tissue and bone, where CT numbers cannot be trusted (cone beam); `foreground`
    leaves out the air, which would otherwise be one of the two classes. On MR it finds fat and marrow together.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    method
        How the threshold is found in the histogram; all of them look for two classes.
    histogram
        Whether all voxels count, or only those brighter than Otsu's threshold between air and body.
    polarity
        Which side of the threshold becomes the mask.

    Returns
    -------
    Mask
        (P, M, N); empty for a constant image.

    Raises
    ------
    InputError
        The method finds no threshold in this histogram.

    References
    ----------
    Sezgin & Sankur (2004), a survey, doi:10.1117/1.1631315

    Examples
    --------
    >>> ct = np.array([[[-1000.0, -990, 40, 50, 60, 900, 1000]]])
    >>> automatic_threshold(ct, method="otsu").astype(int).tolist()
    [[[0, 0, 0, 0, 0, 1, 1]]]
    """

    def level() -> float:
        values = image.ravel().astype(np.float64)
        if histogram == "foreground":
            values = values[values > _found(values, "otsu")]
        return _found(values, method)

    return _above(image, polarity, level)


def _found(values: np.ndarray, method: str, levels: int = 256) -> float:
    """The threshold of some gray values, float64; just below them where they are all alike."""
    import SimpleITK as sitk

    low, high = values.min(), values.max()
    if low == high:
        return np.nextafter(np.float32(low), np.float32(-np.inf))
    steps = np.minimum((values - low) * (levels / (high - low)), levels - 1).astype(np.uint8)
    find = getattr(sitk, "".join(word.capitalize() for word in method.split("_")) + "ThresholdImageFilter")()
    find.SetNumberOfHistogramBins(levels)
    try:
        find.Execute(sitk.GetImageFromArray(steps[None]))
    except RuntimeError:
        where = f"between {low:g} and {high:g}"
        raise InputError(f"method={method!r}: it finds no threshold {where}; take another") from None
    return low + (find.GetThreshold() + 1) * (high - low) / levels


@step(preview="volume", bytes_per_voxel=17)
def multi_otsu(
    image: Image, *, classes: Annotated[int, Range(2, 5)] = 3, keep: Annotated[int, Range(1, 5)] = 3
) -> Mask:
    """Mark one of several classes of gray value, counted from the darkest.

    Three classes are often air and cortex, muscle and water, fat and marrow.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    classes
        Into how many classes the histogram is parted.
    keep
        Number of the class that becomes the mask, 1 the darkest; above `classes` it means the brightest.

    Returns
    -------
    Mask
        (P, M, N); empty for a constant image.

    References
    ----------
    Liao et al. (2001), J. Inf. Sci. Eng. 17(5):713-727

    Examples
    --------
    >>> multi_otsu(np.array([[[0.0, 0.1, 0.5, 0.52, 0.9, 1.0]]]), classes=3, keep=2).tolist()
    [[[False, False, True, True, False, False]]]
    """
    counts, edges = _histogram(image, 256 if classes < 5 else 128)  # the search takes bins ** (classes - 1)
    if np.count_nonzero(counts) < classes:
        return np.zeros(image.shape, bool)
    levels = _skimage("threshold_multiotsu", classes=classes, hist=(counts, edges[1:]))
    return np.digitize(image, levels) == min(keep, classes) - 1


@step(preview="volume", bytes_per_voxel=23)
def hysteresis(image: Image, *, lower: Level = 0.4, upper: Level = 0.6) -> Mask:
    """Mark voxels above a lower value that connect to voxels above an upper one.

    Keeps the faint rim of bright marrow without the noise elsewhere.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    lower
        Value that every marked voxel exceeds.
    upper
        Value that each connected part exceeds somewhere; where it is below `lower`, `lower` counts.

    Returns
    -------
    Mask
        (P, M, N).

    References
    ----------
    Canny (1986), doi:10.1109/TPAMI.1986.4767851

    Examples
    --------
    >>> hysteresis(np.array([[[0.5, 0.7, 0.0, 0.5]]])).tolist()
    [[[True, True, False, False]]]
    """
    return _skimage("apply_hysteresis_threshold", image, lower, max(lower, upper))


@step(preview="slice", bytes_per_voxel=9)
def local_threshold(
    image: Image,
    *,
    spacing: Spacing,
    radius: Annotated[float, Range(2, 60, 1, "mm")] = 20.0,
    offset: Annotated[float, Range(-0.5, 0.5, 0.01)] = 0.05,
    polarity: Polarity = "bright",
) -> Mask:
    """Mark voxels brighter or darker than the mean of their neighborhood.

    Follows a bias field that a global threshold would trip over; inside large even regions it is
    decided by noise, so keep `radius` above half the width of a bone.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    spacing
        (plane, row, column) in mm.
    radius
        Half the width of the box whose mean is compared.
    offset
        How far beyond the mean a voxel must lie.
    polarity
        Whether brighter or darker voxels become the mask.

    Returns
    -------
    Mask
        (P, M, N).

    Examples
    --------
    >>> spot = np.zeros((1, 9, 9))
    >>> spot[0, 4, 4] = 1
    >>> int(local_threshold(spot, spacing=(4, 1, 1), radius=3).sum())
    1
    """
    from scipy.ndimage import uniform_filter

    box = [2 * int(radius / s + 1e-6) + 1 for s in spacing]
    excess = image - uniform_filter(image, box, mode="nearest")
    return excess > offset if polarity == "bright" else -excess > offset


def _above(image: np.ndarray, polarity: str, level: Callable[[], float]) -> np.ndarray:
    """The side of a threshold that is wanted; nothing where the image is constant."""
    if image.max() == image.min():
        return np.zeros(image.shape, bool)
    cut = np.float32(level())
    return image > cut if polarity == "bright" else image <= cut


def _skimage(name: str, *arguments: object, **words: object) -> object:
    """Call a function of skimage.filters, loaded when it is first needed."""
    import skimage.filters

    return getattr(skimage.filters, name)(*arguments, **words)
