"""A scan turned as the front end knows it, planes from foot to head, and the way back."""

from __future__ import annotations

import gzip
import io

import numpy as np
from PIL import Image

from ..picture import window_of
from ..volume import Volume

AXES = "LPS"
QUALITY = 85  # of JPEG slices


class Turned:
    """Turn arrays, slices and voxel numbers of a scan to planes, rows and columns in LPS, and back.

    Parameters
    ----------
    volume
        The scan.
    """

    def __init__(self, volume: Volume) -> None:
        self.scan = volume.with_array(np.zeros(volume.shape, np.uint8)).reorient(AXES)
        steps = np.linalg.solve(volume.affine[:3, :3], self.scan.affine[:3, :3])  # from turned index to own index
        self.order = tuple(int(axis) for axis in np.abs(steps).argmax(axis=0))
        self.flipped = tuple(bool(v) for v in steps.sum(axis=0) < 0)
        self.shape = self.scan.shape

    def array(self, own: np.ndarray) -> np.ndarray:
        """The array turned; a view."""
        return own.transpose(self.order)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def slab(self, axis: int, first: int, count: int) -> tuple[int, int]:
        """The axis and the first slice, turned, of some slices of the scan's own array."""
        turned = self.order.index(axis)
        return turned, self.shape[turned] - first - count if self.flipped[turned] else first

    def numbers(self, own_voxels: np.ndarray, own_shape: tuple[int, int, int]) -> np.ndarray:
        """Voxel numbers in the turned array, of voxel numbers in the scan's own."""
        index = np.unravel_index(own_voxels, own_shape)
        turned = [index[axis] for axis in self.order]
        turned = [n - 1 - k if flip else k for k, n, flip in zip(turned, self.shape, self.flipped, strict=True)]
        return np.ravel_multi_index(turned, self.shape)

    def own(self, voxels: np.ndarray, own_shape: tuple[int, int, int]) -> np.ndarray:
        """Voxel numbers in the scan's own array, of voxel numbers in the turned one."""
        turned = np.unravel_index(voxels, self.shape)
        turned = [n - 1 - k if flip else k for k, n, flip in zip(turned, self.shape, self.flipped, strict=True)]
        index = [turned[self.order.index(axis)] for axis in range(3)]
        return np.ravel_multi_index(index, own_shape)


def window(volume: Volume) -> tuple[float, float]:
    """The gray values that become 0 and 255."""
    low, high = window_of(volume)
    return float(low), float(high)


def gray(array: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Gray values as 8 bits between two ends."""
    low, high = ends
    scaled = array.astype(np.float32)
    scaled -= low
    scaled *= 255 / (high - low)
    return np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled).astype(np.uint8)


def packed(array: np.ndarray, quick: bool = False) -> bytes:
    """Bytes of an array, without loss; the same for the same array."""
    return gzip.compress(np.ascontiguousarray(array).tobytes(), 1 if quick else 6, mtime=0)


def jpeg(plane: np.ndarray) -> bytes:
    """One slice of 8-bit gray values as a JPEG picture."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plane)).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
