"""Fit a shape model to an image: each place of the model looks along its normal for the border of the bone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from ..volume import Volume
from .pointfit import Fit
from .model import LIMIT, ShapeModel, shape
from .register import moved, thinned
from .solve import Pairs, solve

PLACES = 2500
STEP_MM = 0.25
LEVELS = (1.0, 0.6, 0.35, 0.2)  # of the reach, from round to round
ROUNDS = 6  # on each level
STEADY = 0.5  # how much an edge at the end of the reach must be stronger than one nearby
Edge = Literal["falling", "rising"]


def fit_image(
    model: ShapeModel,
    volume: Volume,
    start: Fit | np.ndarray,
    *,
    edge: Edge = "rising",
    reach: float = 6.0,
    sigma: float = 0.7,
    noise: float = 1.0,
    limit: float = LIMIT,
) -> Fit:
    """Move a shape model to the borders that an image shows, and keep it a shape of the model.

    From each of some places a line runs along the normal; its strongest edge of the wanted kind is where the border
    should be. Starts must lie within the reach, as from `fit_points` with a few landmarks or strokes.

    Parameters
    ----------
    model
        The model.
    volume
        The scan.
    start
        A fit, or a (4, 4) matrix from the model's place to the scan's, which starts from the mean.
    edge
        What happens outward across the border: "falling" for bone in CT, or for bright marrow with a thin cortex;
        "rising" for the outer edge of dark cortex in MR.
    reach
        How far the border may be from the start, mm.
    sigma
        Width of the blur along the lines, mm.
    noise
        How far borders found lie off, standard deviation in mm; larger keeps nearer to the mean.
    limit
        Most standard deviations of a mode.

    Returns
    -------
    Fit
        With the root mean square distance to the borders found.

    Raises
    ------
    InputError
        Numbers out of range, or a start outside the scan.

    References
    ----------
    Cootes TF et al. (1995). Active shape models. doi:10.1006/cviu.1995.1004
    """
    if edge not in ("falling", "rising"):
        raise InputError(f"edge={edge!r}: expected 'falling' or 'rising'")
    for name, value in {"reach": reach, "sigma": sigma, "noise": noise, "limit": limit}.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}={value}: expected a number above 0")
    weights = start.weights if isinstance(start, Fit) else np.zeros(model.count)
    matrix = start.matrix if isinstance(start, Fit) else np.asarray(start, float)
    few = thinned(model.mean, PLACES)
    corners, shares = np.repeat(few[:, None], 3, axis=1), np.tile([1.0, 0, 0], (len(few), 1))
    for level in np.repeat(LEVELS, ROUNDS):
        mesh = shape(model, weights)
        places, normals = mesh.vertices[few], mesh.normals()[few]
        shift, trust = _edges(volume, moved(matrix, places), normals @ matrix[:3, :3].T, level * reach, sigma, edge)
        pairs = Pairs(places + shift[:, None] * normals, places, normals, corners, shares, trust)
        step, weights, _ = solve(model, pairs, weights, noise, limit)
        matrix = matrix @ np.linalg.inv(step)
    mesh = shape(model, weights)
    rms = float(np.sqrt(trust @ shift**2 / trust.sum()))
    return Fit(Mesh(moved(matrix, mesh.vertices), mesh.faces), weights, matrix, rms)


def _edges(
    volume: Volume, points: np.ndarray, normals: np.ndarray, reach: float, sigma: float, edge: str
) -> tuple[np.ndarray, np.ndarray]:
    """How far along each normal the strongest edge lies, mm, and how far it is to be trusted, 0 to 1."""
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    ends = int(np.ceil((reach + 2 * sigma) / STEP_MM))
    along = np.arange(-ends, ends + 1) * STEP_MM
    at = volume.index((points[:, None] + along[:, None] * normals[:, None]).reshape(-1, 3))
    inside = np.all((at >= 0) & (at <= np.array(volume.shape) - 1), axis=1).reshape(len(points), -1)
    gray = map_coordinates(volume.array.astype(np.float32, copy=False), at.T, order=1, mode="nearest")
    rise = gaussian_filter1d(gray.reshape(len(points), -1), sigma / STEP_MM, axis=1, order=1, mode="nearest")
    strength = np.where(inside, np.maximum(rise if edge == "rising" else -rise, 0), 0)
    strength[:, np.abs(along) > reach] = 0
    best = (strength * (1 - STEADY * (along / reach) ** 2)).argmax(axis=1)
    found = strength[np.arange(len(points)), best]
    if not found.any():
        raise InputError(f"no {edge} edge within {reach:g} mm of the model; does it lie in the scan {volume.name}?")
    usual = np.median(found[found > 0])
    return np.where(found > 0, along[best], 0.0), np.clip(found / usual, 0, 1) ** 2
