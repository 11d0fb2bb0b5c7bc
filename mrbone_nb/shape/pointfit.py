"""Fit a shape model: to points of a surface, few or many, anywhere in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .closest import Surface
from .model import LIMIT, ShapeModel, shape
from .register import fit_rigid, moved, principal_starts, thinned
from .solve import Pairs, barycentric, solve

SHIFTS = np.linspace(-0.35, 0.35, 5)
COARSE_POINTS, COARSE_ROUNDS, BEST = 200, 12, 4
FEW_POINTS, FINE_POINTS = 400, 3000
ROUNDS = 40
STIFF_MM, NOISE_MM = 8.0, 0.5  # what a point may lie off: at first, when the pose is not right yet, and at last
STILL_MM = 1e-3
LEAST_POINTS = 6


@dataclass(frozen=True, eq=False)
class Fit:
    """Hold the shape of a model that fits what was given, and where it lies.

    Parameters
    ----------
    mesh
        In the place of what was given, mm.
    weights
        (K,), of the modes, in standard deviations.
    matrix
        (4, 4), from the model's place to there.
    rms_mm
        What remains: root mean square distance to the points.
    """

    mesh: Mesh
    weights: np.ndarray
    matrix: np.ndarray
    rms_mm: float


def fit_points(
    model: ShapeModel,
    points: np.ndarray,
    *,
    start: np.ndarray | None = None,
    noise: float = NOISE_MM,
    limit: float = LIMIT,
) -> Fit:
    """Find the pose and the weights with which the model passes through points of a surface.

    The points may be few, cover a part, and need no correspondence: each looks for the nearest place of the model,
    and shapes are preferred the more, the more usual they are. For a mask, take the vertices of its surface.

    Parameters
    ----------
    model
        The model.
    points
        (N, 3), mm, six or more, anywhere in space.
    start
        A (4, 4) matrix from the model's place to near the answer; without it poses all round are tried.
    noise
        How far the points lie off the surface, standard deviation in mm; larger keeps nearer to the mean.
    limit
        Most standard deviations of a mode.

    Returns
    -------
    Fit
        The best of the poses tried.

    Raises
    ------
    InputError
        Too few points, or numbers out of range.

    References
    ----------
    Albrecht T, Lüthi M, Gerig T, Vetter T (2013). Posterior shape models. doi:10.1016/j.media.2013.05.010
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < LEAST_POINTS or not np.isfinite(points).all():
        raise InputError(f"points of shape {points.shape}: expected (N, 3), finite, {LEAST_POINTS} or more")
    if not (noise > 0 and limit > 0):
        raise InputError(f"noise={noise} mm, limit={limit}: expected numbers above 0")
    poses = [np.linalg.inv(start)] if start is not None else _poses(model, points)
    few = thinned(points, FEW_POINTS)
    fits = [_fitted(model, points[few], matrix, noise, limit) for matrix in poses]
    best = min(fits, key=lambda fit: fit.rms_mm**2 / noise**2 + (fit.weights**2).sum() / len(few))
    points = points[thinned(points, FINE_POINTS)]
    if len(points) <= len(few):
        return best
    return _fitted(model, points, np.linalg.inv(best.matrix), noise, limit, best.weights)


def _poses(model: ShapeModel, points: np.ndarray) -> list[np.ndarray]:
    """The most promising motions that bring the points onto the mean."""
    from scipy.spatial import cKDTree

    tree = cKDTree(model.mean)
    few = points[thinned(points, COARSE_POINTS)]
    scored = []
    for number, matrix in enumerate(principal_starts(few, model.mean, SHIFTS)):
        for _ in range(COARSE_ROUNDS):
            far, pair = tree.query(moved(matrix, few))
            kept = far <= np.quantile(far, 0.9)
            matrix = fit_rigid(few[kept], model.mean[pair[kept]])
        scored.append((float(np.mean(far[kept] ** 2)), number, matrix))
    return [matrix for _, _, matrix in sorted(scored, key=lambda s: s[:2])[:BEST]]


def _fitted(
    model: ShapeModel,
    points: np.ndarray,
    matrix: np.ndarray,
    noise: float,
    limit: float,
    begin: np.ndarray | None = None,
) -> Fit:
    """Rounds of nearest places and of pose and weights for them, which grow free as the pose gets right."""
    weights = np.zeros(model.count) if begin is None else begin
    for round_ in range(ROUNDS):
        here = moved(matrix, points)
        mesh = shape(model, weights)
        found = Surface(mesh).nearest(here)
        stiff = max(noise, STIFF_MM * 0.8**round_) if begin is None else noise
        trust = 1 / (1 + (found.distances / (3 * max(stiff, 1.0))) ** 2)  # what lies far off pulls less
        shares, corners = barycentric(found.points, mesh, found.faces)
        pairs = Pairs(here, found.points, found.normals, corners, shares, trust)
        step, weights, change = solve(model, pairs, weights, stiff, limit)
        matrix = step @ matrix
        if stiff == noise and change < STILL_MM:
            break
    mesh = shape(model, weights)
    far = Surface(mesh).nearest(moved(matrix, points)).distances
    back = np.linalg.inv(matrix)
    return Fit(Mesh(moved(back, mesh.vertices), mesh.faces), weights, back, float(np.sqrt(np.mean(far**2))))
