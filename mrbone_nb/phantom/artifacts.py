"""What a scanner adds to the signal: coil, noise, ghosts of motion, metal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage as ndi

from ..volume import Volume
from .tissue import Sequence


class Metal(NamedTuple):
    """Hold an implant: a ball at a point in mm (LPS), its radius in mm, and the field shift at its surface in ppm."""

    center: tuple[float, float, float]
    radius: float = 4.0
    strength: float = 20.0


def coil(grid: Volume, bias: float, rng: np.random.Generator) -> np.ndarray:
    """Compute the smooth sensitivity of a coil, float32, from 1/(1 + bias) to 1 + bias."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32) for n in grid.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    a = rng.uniform(-1, 1, 9).astype(np.float32)
    wave = a[0] * z + a[1] * y + a[2] * x + a[3] * z * y + a[4] * y * x + a[5] * z * x
    wave = wave + a[6] * z**2 + a[7] * y**2 + a[8] * x**2
    low, high = float(wave.min()), float(wave.max())
    if high - low < 1e-6:
        return np.ones(grid.shape, np.float32)
    return np.exp(np.float32(np.log1p(bias)) * (2 * (wave - low) / (high - low) - 1), dtype=np.float32)


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to both channels and take the magnitude, which makes it Rician.

    References
    ----------
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.
    """
    if sigma == 0:
        return np.abs(image)
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.hypot(real, imaginary)


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


def add_metal(image: np.ndarray, grid: Volume, metal: Metal, settings: Sequence) -> np.ndarray:
    """Displace the signal round an implant along the rows and void it where the field varies too fast.

    Notes
    -----
    Outside a ball of radius R the field is that of a dipole, strength (R/r)^3 (3 cos^2 - 1) / 2 with the
    angle to the main field, z. It moves signal by field / bandwidth columns. Where the field changes by
    more than a pixel's bandwidth from one column to the next, signal piles up elsewhere or, in gradient
    echoes, is dephased: there it is voided.
    """
    column = np.asarray(metal.center, float)
    place = [c - m for c, m in zip(_coordinates(grid), column, strict=True)]
    distance = np.sqrt(sum(p**2 for p in place), dtype=np.float32)
    inside = distance < metal.radius
    distance = np.maximum(distance, np.float32(metal.radius))
    dipole = (metal.radius / distance) ** 3 * (3 * (place[2] / distance) ** 2 - 1) / 2
    hertz = metal.strength * 42.577 * 3.0 * dipole
    shift = hertz / settings.bandwidth
    change = np.gradient(shift, axis=2)
    at = np.indices(image.shape, dtype=np.float32)
    at[2] -= shift
    warped = ndi.map_coordinates(image, at, order=1, mode="nearest") * np.clip(1 - change, 0.2, 4)
    if settings.kind in ("gradient echo", "double echo steady state"):
        phase = np.abs(change) * settings.bandwidth * settings.te / 1000
        warped *= np.abs(np.sinc(phase))
    warped[inside | (np.abs(change) > 1)] = 0
    return warped.astype(np.float32)


def _coordinates(grid: Volume) -> list[np.ndarray]:
    """Give x, y and z in mm of all voxels, each (P, M, N) float32."""
    index = np.ogrid[tuple(slice(n) for n in grid.shape)]
    affine = grid.affine.astype(np.float32)
    return [sum(i * a for i, a in zip(index, row[:3], strict=True)).astype(np.float32) + row[3] for row in affine[:3]]
