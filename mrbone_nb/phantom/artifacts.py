"""What a scanner adds to the signal: coil, noise, ghosts of motion, metal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage as ndi

from ..volume import Volume
from .fields import coordinates, interpolate
from .tissue import GYROMAGNETIC_MHZ_PER_T, Sequence


class Metal(NamedTuple):
    """Hold an implant: a ball at a point in mm (LPS), its radius in mm, and the field shift at its surface in ppm."""

    center: tuple[float, float, float]
    radius: float = 4.0
    strength: float = 20.0


def coil(grid: Volume, body: Volume, bias: float, rng: np.random.Generator) -> np.ndarray:
    """Compute the smooth sensitivity of a coil, float32, from 1/(1 + bias) to 1 + bias within the body.

    It is a quadratic in space, fixed to the body, so that all slices of a scan share it.
    """
    weights = rng.uniform(-1, 1, 9)
    inside = _coil_wave(_thinned(body), body, weights)
    middle, half = (inside.max() + inside.min()) / 2, max(1e-9, (inside.max() - inside.min()) / 2)
    thinned = _thinned(grid)
    level = (_coil_wave(thinned, body, weights) - middle) / half
    return interpolate(np.exp(np.log1p(bias) * np.clip(level, -1.2, 1.2)), thinned, grid)


def _coil_wave(grid: Volume, body: Volume, weights: np.ndarray) -> np.ndarray:
    """A quadratic of the place, about -1 to 1 on each axis across the body."""
    corners = body.corners()
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = np.maximum(1e-9, (high - low) / 2)
    x, y, z = ((p - m) / s for p, m, s in zip(coordinates(grid, float), (low + high) / 2, scale, strict=True))
    terms = (x, y, z, x * y, y * z, z * x, x**2, y**2, z**2)
    return sum(w * t for w, t in zip(weights, terms, strict=True)) + np.zeros(grid.shape)


def _thinned(grid: Volume, mm: float = 5.0) -> Volume:
    """A coarse grid, without values, over the same place and with the same axes."""
    spacing = tuple(max(mm, s) for s in grid.spacing)
    size = [int(np.ceil((n - 1) * s / c)) + 1 for n, s, c in zip(grid.shape, grid.spacing, spacing, strict=True)]
    return Volume(np.zeros(size, np.uint8), spacing, grid.origin, grid.direction)


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to both channels and take the magnitude, which makes it Rician.

    References
    ----------
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.
    """
    if sigma == 0:
        return np.abs(image)
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    real *= np.float32(sigma)
    real += image
    imaginary *= np.float32(sigma)
    return np.hypot(real, imaginary, out=real)


def add_motion(image: np.ndarray, spacing: float, amplitude: float, period: int = 12) -> np.ndarray:
    """Move the body to and fro while the lines of each slice are measured.

    Parameters
    ----------
    image
        Signal (P, M, N); rows are the phase-encoding direction.
    spacing
        Row spacing in mm.
    amplitude
        Largest displacement along the columns in mm.
    period
        Lines measured in one period of the motion; ghosts lie 1/period of the field of view apart.

    Notes
    -----
    A shift is a phase in k-space, here one that changes from line to line.
    """
    lines = np.fft.fftfreq(image.shape[1])
    order = np.argsort(np.argsort(lines))  # lines are measured from one edge of k-space to the other
    moved = amplitude / spacing * np.sin(2 * np.pi * order / period)
    phase = np.exp(-2j * np.pi * lines * moved).astype(np.complex64)
    return np.abs(np.fft.ifft(np.fft.fft(image, axis=1) * phase[:, None], axis=1)).astype(np.float32)


def add_metal(image: np.ndarray, grid: Volume, metal: Metal, settings: Sequence, field: float) -> np.ndarray:
    """Displace the signal round an implant along the rows and void it where the field varies too fast.

    Notes
    -----
    Outside a ball of radius R the field is that of a dipole, strength (R/r)^3 (3 cos^2 - 1) / 2 with the
    angle to the main field, which runs along z. It moves signal by field / bandwidth columns: where the
    shift changes by more than a column from one to the next, nothing is left; elsewhere signal is spread
    or piled up. In gradient echoes the spread of the field within a voxel dephases it besides.
    """
    place = [p - np.float32(m) for p, m in zip(coordinates(grid), metal.center, strict=True)]
    distance = np.sqrt(sum(p**2 for p in place)) + np.zeros(grid.shape, np.float32)
    inside = distance < metal.radius
    distance = np.maximum(distance, np.float32(metal.radius))
    dipole = (metal.radius / distance) ** 3 * (3 * (place[2] / distance) ** 2 - 1) / 2
    hertz = (metal.strength * GYROMAGNETIC_MHZ_PER_T * field * dipole).astype(np.float32)
    shift = hertz / np.float32(settings.bandwidth)
    change = np.gradient(shift, axis=2)
    at = np.indices(image.shape, dtype=np.float32)
    at[2] -= shift
    warped = ndi.map_coordinates(image, at, order=1, mode="nearest") * np.clip(1 - change, 0.2, 4)
    if settings.kind in ("gradient echo", "double echo steady state"):
        for axis, count in enumerate(image.shape):
            if count > 1:
                warped *= np.abs(np.sinc(np.gradient(hertz, axis=axis) * (settings.te / 1000)))
    warped[inside | (np.abs(change) > 1)] = 0
    return warped.astype(np.float32)
