"""Edge-preserving diffusion in mm.

The equations are those of ITK's gradient and curvature anisotropic diffusion, but with every
derivative per mm: ITK divides by the spacing once where diffusion needs its square, so that there
4 mm slices blur four times as much into each other as they should.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .step import Spacing

STABLE = 0.375  # of the largest stable time step; also keeps the finest noise from changing its sign
SLAB_VOXELS = 250_000  # planes are worked on in slabs that stay in the processor's cache


def diffuse(image: np.ndarray, spacing: Spacing, sigma: float, conductance: float, curvature: bool) -> np.ndarray:
    """Diffuse for the time in which plain diffusion blurs by sigma mm.

    Parameters
    ----------
    image
        Gray values, (P, M, N), float32.
    spacing
        (plane, row, column) in mm.
    sigma
        Width in mm of the Gaussian that plain diffusion of the same duration equals.
    conductance
        How steep an edge still lets much through, in units of the mean gradient.
    curvature
        Move level sets by their curvature instead of letting gray values flow.

    Returns
    -------
    ndarray
        (P, M, N), float32.
    """
    duration = sigma**2 / 2
    steps = int(np.ceil(duration * sum(s**-2 for s in spacing) / (0.5 * STABLE)))
    for _ in range(steps):
        slope = sum(float(_steepness(part, spacing).sum()) for part in _slabs(image)) / image.size
        if slope < 1e-30:  # nothing but rounding
            return image
        change = [_change(part, spacing, slope, conductance, curvature) for part in _slabs(image)]
        image = image + np.float32(duration / steps) * np.concatenate(change)
    return image


def _slabs(image: np.ndarray) -> Iterator[np.ndarray]:
    """Slabs of planes with one voxel more on every side, repeated where the scan ends."""
    padded = np.pad(image, 1, mode="edge")
    thick = max(1, SLAB_VOXELS // image[0].size)
    for first in range(0, len(image), thick):
        yield padded[first : first + thick + 2]


def _cut(array: np.ndarray, axis: int, start: int, stop: int | None) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _central(padded: np.ndarray, axis: int, spacing: Spacing) -> np.ndarray:
    """Derivative per mm along an axis, which loses its outer voxels."""
    return (_cut(padded, axis, 2, None) - _cut(padded, axis, 0, -2)) * np.float32(0.5 / spacing[axis])


def _steepness(padded: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Squared gradient of the voxels inside."""
    inner = padded[1:-1, 1:-1, 1:-1]
    total = np.zeros_like(inner)
    for axis in range(3):
        part = _central(padded, axis, spacing)
        for other in {0, 1, 2} - {axis}:
            part = _cut(part, other, 1, -1)
        total += part * part
    return total


def _change(padded: np.ndarray, spacing: Spacing, slope: float, conductance: float, curvature: bool) -> np.ndarray:
    """Change of each voxel in a unit of time: what flows in through its six faces."""
    speed = np.zeros_like(padded[1:-1, 1:-1, 1:-1])
    rise, fall = np.zeros_like(speed), np.zeros_like(speed)
    for axis, s in enumerate(spacing):
        across, square = _at_faces(padded, axis, spacing)
        flow = across * np.exp(square * np.float32(-0.5 / (slope * conductance**2)))
        if curvature:
            flow /= np.sqrt(square + np.float32(1e-6 * slope))
            back, ahead = _cut(across, axis, 0, -1), _cut(across, axis, 1, None)
            rise += np.minimum(back, 0) ** 2 + np.maximum(ahead, 0) ** 2
            fall += np.maximum(back, 0) ** 2 + np.minimum(ahead, 0) ** 2
        speed += np.diff(flow, axis=axis) * np.float32(1 / s)
    return speed * np.sqrt(np.where(speed > 0, rise, fall)) if curvature else speed


def _at_faces(padded: np.ndarray, axis: int, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Derivative across the faces between neighbors along an axis, and the squared gradient there."""
    across = np.diff(padded, axis=axis) * np.float32(1 / spacing[axis])
    others = sorted({0, 1, 2} - {axis})
    for other in others:
        across = _cut(across, other, 1, -1)
    square = across * across
    for other, third in (others, others[::-1]):
        along = _cut(_central(padded, other, spacing), third, 1, -1)
        along = (_cut(along, axis, 1, None) + _cut(along, axis, 0, -1)) * np.float32(0.5)
        square += along * along
    return across, square
