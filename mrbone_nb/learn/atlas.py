"""Atlases: the training scans themselves, small, each pulled into a new scan's shape to say where its bones lie."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..step import Spacing
from .frame import Frame, pooled_labels

if TYPE_CHECKING:
    import SimpleITK as sitk

RESOLUTION = 3.6  # mm of the grid on which scans are registered
SHIFT_MM = 7.2  # grid on which the shift is sought
OVERLAP = 0.5  # share of the scans that must overlap after it
LEVELS = ((14.4, 150), (7.2, 100), (3.6, 30))  # mm of the grid, and iterations of the demons
SMOOTH = 1.0  # voxels of blur of the displacements
BINS, POINTS = 64, 12  # of matching the histograms
ALIKE_MM = 7.0  # width of the surroundings that are compared
ALIKE = 0.02  # mean squared difference of gray at which a vote weighs a third
AIR = 0.08  # gray value below which there is no body
BRIGHTEST = 1.5  # gray value that is kept as 255


@dataclass(frozen=True, eq=False)
class Atlas:
    """Hold a small scan in the body's axes and its bones.

    Parameters
    ----------
    image
        Gray values, (p, m, n) uint8: 255 stands for 1.5.
    labels
        Place of the bone among the model's labels, (p, m, n) uint8; 0 is background.
    spacing
        In mm, (3,).
    """

    image: np.ndarray
    labels: np.ndarray
    spacing: Spacing

    @classmethod
    def of(cls, frame: Frame, labels: np.ndarray, numbers: tuple[int, ...]) -> Atlas:
        """Keep a frame and the labels of its scan."""
        gray = np.rint(np.clip(frame.image / BRIGHTEST, 0, 1) * 255).astype(np.uint8)
        return cls(gray, pooled_labels(labels, numbers, frame.image.shape), tuple(map(float, frame.spacing)))

    @classmethod
    def checked(cls, image: np.ndarray, labels: np.ndarray, spacing: Sequence[float], most: int) -> Atlas:
        """Take over arrays from a file; ValueError where they are no atlas."""
        good = image.ndim == 3 and image.shape == labels.shape and image.dtype == labels.dtype == np.uint8
        if not (good and min(image.shape) >= 1 and labels.max() <= most and len(spacing) == 3):
            raise ValueError("atlas")
        if not all(0 < s < 100 for s in spacing):
            raise ValueError("spacing")
        return cls(image, labels, tuple(float(s) for s in spacing))


def votes(frame: Frame, atlases: Sequence[Atlas], labels: int) -> np.ndarray:
    """Say how likely each label is by the atlases, (L, p, m, n) float32, background first.

    Each atlas is shifted to where it fits best and then warped by demons from coarse to fine; where its gray values
    then differ from the scan's, its vote weighs less.

    Parameters
    ----------
    frame
        The scan, at the atlases' resolution.
    atlases
        At least one.
    labels
        Number of labels, background included.

    Returns
    -------
    numpy.ndarray
        Shares of the weighted votes.

    References
    ----------
    Iglesias & Sabuncu (2015), doi:10.1016/j.media.2015.06.012 (voting of atlases);
    Vercauteren et al. (2009), doi:10.1016/j.neuroimage.2008.10.040 (demons); Padfield (2012),
    doi:10.1109/TIP.2011.2181402 (shift by masked correlation)
    """
    total = np.zeros((labels, *frame.image.shape), np.float32)
    with ThreadPoolExecutor(2) as workers:  # summed in the atlases' order, so that the bits stay the same
        for found, weight in workers.map(lambda atlas: _warped(frame, atlas), atlases):
            for label in range(labels):
                total[label] += weight * (found == label)
    return total / np.maximum(total.sum(axis=0), 1e-12)


def _warped(frame: Frame, atlas: Atlas) -> tuple[np.ndarray, np.ndarray]:
    """The atlas's labels on the frame's grid, and the weight of its vote there."""
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter

    fixed = _image(frame.image, frame.spacing)
    moving = _image(atlas.image.astype(np.float32) * np.float32(BRIGHTEST / 255), atlas.spacing)
    labels = _image(atlas.labels, atlas.spacing)
    shift = sitk.TranslationTransform(3, _shift(fixed, moving))
    near = _matched(sitk.Resample(moving, fixed, shift, sitk.sitkLinear, 0.0), fixed)
    field = sitk.DisplacementFieldTransform(_demons(fixed, near))
    way = sitk.CompositeTransform([shift, field])
    found = sitk.GetArrayFromImage(sitk.Resample(labels, fixed, way, sitk.sitkNearestNeighbor, 0))
    gray = sitk.GetArrayFromImage(_matched(sitk.Resample(moving, fixed, way, sitk.sitkLinear, 0.0), fixed))
    unlike = gaussian_filter((gray - frame.image) ** 2, [ALIKE_MM / s for s in frame.spacing])
    return found, np.exp(-unlike / ALIKE).astype(np.float32) + np.float32(1e-6)


def _image(array: np.ndarray, spacing: Spacing) -> sitk.Image:
    """An image of SimpleITK whose axes are the array's, backward."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(s) for s in spacing[::-1]])
    return image


def _matched(image: sitk.Image, like: sitk.Image) -> sitk.Image:
    """The image with the gray values of the other."""
    import SimpleITK as sitk

    return sitk.HistogramMatching(image, like, BINS, POINTS, True)


def _shift(fixed: sitk.Image, moving: sitk.Image) -> list[float]:
    """The way in mm from a place in the scan to where it lies in the atlas, by masked correlation of coarse copies."""
    import SimpleITK as sitk
    from skimage.registration import phase_cross_correlation

    copies = []
    for image in (fixed, moving):
        size = [max(1, int(n * s / SHIFT_MM)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
        smooth = sitk.DiscreteGaussian(image, [(SHIFT_MM / 2) ** 2] * 3)
        coarse = sitk.Resample(smooth, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [SHIFT_MM] * 3)
        copies.append(sitk.GetArrayFromImage(coarse))
    masks = [copy > AIR for copy in copies]
    if not all(mask.any() for mask in masks):
        return [0.0, 0.0, 0.0]
    size = np.max([copy.shape for copy in copies], axis=0)  # copies of one size: the shift of others would be off
    padded = [np.pad(a, [(0, m - n) for n, m in zip(a.shape, size, strict=True)]) for a in (*copies, *masks)]
    found = phase_cross_correlation(
        *padded[:2], reference_mask=padded[2], moving_mask=padded[3], overlap_ratio=OVERLAP
    )[0]
    return [-float(s) * SHIFT_MM for s in found[::-1]]


def _demons(fixed: sitk.Image, moving: sitk.Image) -> sitk.Image:
    """Displacements in mm from the scan to the atlas, from coarse to fine."""
    import SimpleITK as sitk

    field = None
    for width, rounds in LEVELS:
        sizes = zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)
        factors = [max(1, min(round(width / s), n // 4)) for n, s in sizes]
        blur = [(0.5 * f * s) ** 2 if f > 1 else 0.0 for f, s in zip(factors, fixed.GetSpacing(), strict=True)]
        coarse, other = (sitk.Shrink(sitk.DiscreteGaussian(image, blur), factors) for image in (fixed, moving))
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(rounds)
        demons.SetStandardDeviations(SMOOTH)
        demons.SetSmoothDisplacementField(True)
        if field is None:
            field = demons.Execute(coarse, other)
        else:
            start = sitk.Resample(field, coarse, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64)
            field = demons.Execute(coarse, other, start)
    return sitk.Cast(sitk.Resample(field, fixed, sitk.Transform(), sitk.sitkLinear, 0.0), sitk.sitkVectorFloat64)
