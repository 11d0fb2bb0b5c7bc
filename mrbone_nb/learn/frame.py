"""The body's frame: arrays turned so that axes run to the head, the back and the left, on a working grid in mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..grids import pool, unpool
from ..step import Spacing
from ..volume import Volume

SKIN = 0.12  # gray value above which there is body and not air, 1 being bright
BLUR = 3.0  # mm before that, so that noise in air is none
OUTERMOST = 0.01  # share of the body beyond either end of its box


def nested(shape: Sequence[int], spacing: Spacing, resolution: float) -> tuple[int, ...]:
    """How many voxels of each axis make one of about a resolution in mm: powers of two, so that all grids nest."""
    return tuple(
        2 ** max(0, min(round(float(np.log2(resolution / s))), int(np.log2(n))))
        for n, s in zip(shape, spacing, strict=True)
    )


def ratio(fine: Sequence[int], coarse: Sequence[int]) -> tuple[int, ...]:
    """How many voxels of a grid make one of a coarser grid of the same scan, given both shapes."""
    found = []
    for n, m in zip(fine, coarse, strict=True):
        factor = 1
        while -(-n // factor) > m:
            factor *= 2
        found.append(factor)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Frame:
    """Hold an image whose axes run to the head, the back and the left.

    Parameters
    ----------
    image
        Gray values, 0 to about 1, (head, back, left).
    spacing
        In mm, in that order.
    box
        First and last index of the body along each axis, (2, 3).
    depth
        Distance in mm from the skin, inside the body; 0 outside.
    """

    image: np.ndarray
    spacing: Spacing
    box: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, turned: Volume, resolution: float) -> Frame:
        """Pool a normalized volume in LPS order where it is finer than the resolution in mm."""
        import edt
        from scipy.ndimage import gaussian_filter

        factors = nested(turned.shape, turned.spacing, resolution)
        image = cls.pooled(turned, factors)
        spacing = tuple(s * f for s, f in zip(turned.spacing, factors, strict=True))
        body = gaussian_filter(image, [BLUR / s for s in spacing]) > SKIN
        ends = []
        for axis in range(3):
            filled = np.cumsum(body.sum(axis=tuple(a for a in range(3) if a != axis)))
            ends.append(np.searchsorted(filled, [OUTERMOST * filled[-1], (1 - OUTERMOST) * filled[-1]]))
        depth = edt.edt(np.ascontiguousarray(body), anisotropy=spacing, black_border=False)
        return cls(image, spacing, np.array(ends, np.float32).T, np.minimum(depth, 1e3))

    @staticmethod
    def pooled(turned: Volume, factors: Sequence[int]) -> np.ndarray:
        """Give the gray values alone, in blocks of voxels."""
        return pool(turned.array.astype(np.float32), tuple(factors), "mean")

    def position(self, places: np.ndarray) -> np.ndarray:
        """Where voxels lie: shares of the body's box, mm from its middle, and mm below the skin, (7, n)."""
        at = np.array(np.unravel_index(places, self.image.shape), np.float32)
        low, high = self.box[0][:, None], self.box[1][:, None]
        size = np.float32(self.spacing)[:, None]
        middle = (at - (low + high) / 2) * size
        return np.concatenate([(at - low) / np.maximum(high - low, 1), middle, self.depth.ravel()[None, places]])


def on_grid_of(frame: Frame, layers: np.ndarray) -> np.ndarray:
    """Interpolate fields of a coarser frame of the same scan, (L, p, m, n), to this frame's grid."""
    factors = ratio(frame.image.shape, layers.shape[1:])
    return unpool(layers, factors, frame.image.shape)


def spacing_of(frame: Frame, layers: np.ndarray) -> Spacing:
    """The spacing in mm of fields of a coarser frame of the same scan, (L, p, m, n)."""
    factors = ratio(frame.image.shape, layers.shape[1:])
    return tuple(s * f for s, f in zip(frame.spacing, factors, strict=True))


def pooled_labels(labels: np.ndarray, numbers: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The place in ``numbers`` (0 is background) of the label that fills most of each voxel of a coarser grid."""
    factors = ratio(labels.shape, shape)
    best, most = np.zeros(shape, np.uint8), pool((~np.isin(labels, numbers)).astype(np.float32), factors, "mean")
    for place, number in enumerate(numbers, 1):
        share = pool((labels == number).astype(np.float32), factors, "mean")
        best[share > most] = place
        most = np.maximum(most, share)
    return best
