"""Bringing a template to a scan by points alone: a similarity, and a thin-plate warp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh

SMALLEST_SPREAD_MM = 1.0  # of the second direction of the points: below it they lie on a line


@dataclass(frozen=True, eq=False)
class Similarity:
    """Hold a turn, a scale and a shift: points become ``scale * points @ turn.T + shift``."""

    scale: float
    turn: np.ndarray
    shift: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Move points, (N, 3)."""
        return self.scale * np.asarray(points, float) @ self.turn.T + self.shift


def similarity(source: np.ndarray, target: np.ndarray, *, scaling: bool = True) -> Similarity:
    """Find the similarity that brings points closest to others, in the sense of least squares.

    Parameters
    ----------
    source, target
        Points that belong together, (K, 3) in mm, at least three and not on a line.
    scaling
        Whether the size may change; else a rigid motion is found.

    Returns
    -------
    Similarity
        Without mirroring.

    Raises
    ------
    InputError
        Too few points, or points on a line.

    References
    ----------
    Umeyama S (1991). Least-squares estimation of transformation parameters between two point patterns.
    doi:10.1109/34.88573

    Examples
    --------
    >>> triangle = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])
    >>> round(similarity(triangle, 2 * triangle + 5).scale, 6)
    2.0
    """
    source, target = _pairs(source, target, 3)
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    for points in (a, b):
        if np.linalg.svd(points, compute_uv=False)[1] < SMALLEST_SPREAD_MM:
            raise InputError("the points lie on a line, so that a turn round it stays open; choose others")
    left, sizes, right = np.linalg.svd(b.T @ a)
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    turn = (left * signs) @ right
    scale = float((sizes * signs).sum() / (a**2).sum()) if scaling else 1.0
    return Similarity(scale, turn, target.mean(axis=0) - scale * turn @ source.mean(axis=0))


def warp(mesh: Mesh, source: np.ndarray, target: np.ndarray, *, smoothing: float = 0.02) -> Mesh:
    """Bend a mesh so that its control points come to lie on those of the image.

    A similarity brings it near, and a thin-plate spline does the rest: of all ways through the points it bends
    least.

    Parameters
    ----------
    mesh
        The template.
    source, target
        Control points on it and in the image, (K, 3) in mm; four or more, not in one plane.
    smoothing
        0 passes through every control point; more bends less instead, since nobody hits a point exactly. It is
        measured with the points' mean distance from their middle as the unit of length.

    Returns
    -------
    Mesh
        The same triangles in their new place.

    References
    ----------
    Bookstein FL (1989). Principal warps: thin-plate splines and the decomposition of deformations. doi:10.1109/34.24792
    Arezoomand S, Lee WS, Rakhra KS, Beaulé PE (2015). doi:10.1007/s11548-014-1125-6
    """
    from scipy.interpolate import RBFInterpolator

    source, target = _pairs(source, target, 4)
    if np.linalg.svd(source - source.mean(axis=0), compute_uv=False)[2] < SMALLEST_SPREAD_MM:
        raise InputError("the control points lie in one plane, so that the depth stays open; choose another beside it")
    near = similarity(source, target)
    placed = near(source)
    middle = placed.mean(axis=0)
    unit = float(np.linalg.norm(placed - middle, axis=1).mean())
    bend = RBFInterpolator(
        (placed - middle) / unit, target, kernel="thin_plate_spline", smoothing=smoothing, degree=1
    )
    return Mesh(bend((near(mesh.vertices) - middle) / unit), mesh.faces)



def _pairs(source: np.ndarray, target: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3 or len(source) < least:
        raise InputError(f"points {source.shape} and {target.shape}: expected the same number of both, {least} or more")
    return source, target
