"""Before the trees and after them: normalized images in the body's axes, and labels back on the scan's grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..grids import unpool
from ..recipe import Recipe, run_call
from ..step import Call
from ..volume import Volume
from .frame import ratio

READY = Recipe(
    (Call("normalize", {"clip": False}), Call("lowpass_bias_correction", {"sigma": 30.0})), name="before-the-trees"
)
SMOOTH = 0.8  # mm of blur of the probabilities, so that the border is not ragged


def ready(scan: Volume, recipe: Recipe = READY) -> Volume:
    """Run the steps before the trees, and turn the axes to head, back and left."""
    state = {"image": np.asarray(scan.array, np.float32)}
    for call in recipe.calls:
        run_call(call, state, scan.spacing)
    return scan.with_array(state["image"].astype(np.float32)).reorient("LPS")


def as_scanned(turned: Volume, scan: Volume) -> np.ndarray:
    """Turn a volume in the body's axes back to those of its scan."""
    import SimpleITK as sitk

    return turned.reorient(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(scan.direction)).array


def labels_of(layers: np.ndarray, turned: Volume, scan: Volume, numbers: Sequence[int]) -> np.ndarray:
    """The likeliest label of every voxel of the scan, from probabilities (L, p, m, n) in the body's axes."""
    from scipy.ndimage import gaussian_filter

    factors = ratio(turned.shape, layers.shape[1:])
    size = [s * f for s, f in zip(turned.spacing, factors, strict=True)]
    best, most = np.zeros(turned.shape, np.uint8), np.zeros(turned.shape, np.float32)
    for number, layer in zip((0, *numbers), layers, strict=True):
        smooth = gaussian_filter(layer, [SMOOTH / s if SMOOTH / s > 0.35 else 0 for s in size], mode="nearest")
        full = unpool(smooth[None], factors, turned.shape)[0]
        best[full > most] = number
        np.maximum(most, full, out=most)
    return as_scanned(turned.with_array(best), scan)
