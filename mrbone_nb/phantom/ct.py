"""A CT of the same bodies: Hounsfield units by tissue, the scanner's point spread, slices and noise."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..volume import Volume
from .anatomy import Body
from .scanner import Phantom, average, average_labels, place_key, scan_grid
from .tissue import CODES

# Air and water are so by definition; the others are plausible round numbers of adults at 120 kV, each a choice and
# not a measurement. Marrow stands for marrow with its trabeculae, so it is denser than fat.
HOUNSFIELD = {
    "air": -1000.0,
    "skin": 10.0,
    "fat": -100.0,
    "muscle": 55.0,
    "tendon": 90.0,
    "cortex": 1300.0,
    "marrow": 120.0,
    "red_marrow": 160.0,
    "scar": 420.0,
    "cartilage": 100.0,
    "meniscus": 90.0,
    "fluid": 10.0,
    "vessel": 45.0,
}
LIMITS = {"blur": (0.0, 5.0, "mm"), "noise": (0.0, 500.0, "HU")}


def scan_ct(
    body: Body,
    *,
    spacing: tuple[float, float, float] = (1.0, 0.5, 0.5),
    plane: str = "axial",
    grid: Volume | None = None,
    blur: float = 0.4,
    noise: float = 25.0,
    seed: int = 0,
) -> Phantom:
    """Scan a body part with CT.

    Parameters
    ----------
    body
        What ``build_body``, ``knee_body`` … made.
    spacing
        Slice thickness, row and column spacing in mm.
    plane
        Orientation of the slices: "axial", "coronal", "sagittal" or "native", the body's own axes.
    grid
        Scan exactly this grid; overrides ``spacing`` and ``plane``.
    blur
        Point spread within the slice, standard deviation in mm, 0 to 5: about 0.4 for a sharp bone
        kernel, 0.7 for a soft one.
    noise
        Standard deviation of the noise in HU, 0 to 500.
    seed
        Seed of the noise.

    Returns
    -------
    Phantom
        ``volume`` float32 in HU and ``truth`` uint8 on one grid.

    Raises
    ------
    InputError
        A number out of its range.

    Examples
    --------
    >>> from mrbone_nb.phantom import knee_body, scan_ct
    >>> volume, truth = scan_ct(knee_body(size=32), spacing=(4.0, 4.0, 4.0))
    >>> volume.meta["modality"], bool(volume.array[truth.array > 0].mean() > 150)
    ('CT', True)
    """
    for name, value in (("blur", blur), ("noise", noise)):
        low, high, unit = LIMITS[name]
        if not low <= value <= high:
            raise InputError(f"{name}={value} {unit}: expected {low:g} to {high:g} {unit}")
    target = grid if grid is not None else scan_grid(body.tissue, spacing, plane)
    image = average(body.tissue.with_array(_attenuation(body)), target) - 1000
    rng = np.random.default_rng([seed, 7, *place_key(target)])
    image = _within_slices(image, blur, target) + noise * _grain(target, blur, rng)
    volume = target.with_array(image.astype(np.float32), name="phantom_ct", meta={"modality": "CT"})
    return Phantom(volume, target.with_array(average_labels(body.bones, target), name="truth", meta={}))


def _attenuation(body: Body) -> np.ndarray:
    """How much each voxel takes from the beam, water 1000 and air 0; voxels of the body vary as in its texture."""
    table = np.zeros(len(CODES), np.float32)
    table[[CODES[name] for name in HOUNSFIELD]] = [value + 1000 for value in HOUNSFIELD.values()]
    return table[body.tissue.array] + np.float32(100) * (body.texture - 1)


def _within_slices(image: np.ndarray, blur: float, grid: Volume) -> np.ndarray:
    """Smooth with the point spread, which acts within the slice."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, [0, blur / grid.spacing[1], blur / grid.spacing[2]], truncate=3)


def _grain(grid: Volume, blur: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 1, as fine as the point spread, since it goes through the same kernel."""
    noise = _within_slices(rng.standard_normal(grid.shape).astype(np.float32), blur, grid)
    return noise / max(float(noise.std()), 1e-6)
