"""Pose and weights of a shape model at once, for places on it that shall come to lie at given points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..mesh import Mesh
from .model import ShapeModel

SIDEWAYS = 0.1  # weight of the distance along the surface, relative to that across


class Pairs(NamedTuple):
    """Hold points and the places of the model that belong to them.

    Parameters
    ----------
    points
        (N, 3), in the model's place.
    places
        (N, 3), on the present shape.
    normals
        (N, 3), of that shape there.
    corners, shares
        (N, 3), the vertices around each place, and how much of each it is.
    trust
        (N,), 0 to 1.
    """

    points: np.ndarray
    places: np.ndarray
    normals: np.ndarray
    corners: np.ndarray
    shares: np.ndarray
    trust: np.ndarray


def solve(
    model: ShapeModel, pairs: Pairs, weights: np.ndarray, noise: float, limit: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimize distances and unusualness together, linear around the present pose and weights.

    Parameters
    ----------
    model
        The model.
    pairs
        What belongs together.
    weights
        (K,), the present ones, in standard deviations.
    noise
        How far points lie off, standard deviation in mm.
    limit
        Most standard deviations of a mode.

    Returns
    -------
    tuple
        The (4, 4) step of the points, the new weights, and the largest change of both.
    """
    scaled = model.modes * np.sqrt(model.variances)[:, None, None]
    modes = np.einsum("nc,kncx->nkx", pairs.shares, scaled[:, pairs.corners])
    middle = pairs.points.mean(axis=0)
    arm = max(float(np.linalg.norm(pairs.points - middle, axis=1).mean()), 1e-6)
    rows, values = [], []
    for direction, share in _directions(pairs.normals):
        weight = share * np.sqrt(pairs.trust)
        turn = np.cross(pairs.points - middle, direction) / arm
        across = np.einsum("nkx,nx->nk", modes, direction)
        gap = np.einsum("nx,nx->n", pairs.points - pairs.places, direction) + across @ weights
        rows.append(np.hstack([across, -turn, -direction]) * weight[:, None])
        values.append(gap * weight)
    left, right = np.concatenate(rows), np.concatenate(values)
    prior = np.concatenate([np.full(model.count, noise**2), np.full(6, 1e-9 * len(pairs.points))])
    answer = np.linalg.solve(left.T @ left + np.diag(prior), left.T @ right)
    new = np.clip(answer[: model.count], -limit, limit)
    change = max(float(np.abs(answer[-6:]).max()), float(np.abs(new - weights).max()))
    return _motion(answer[-6:-3] / arm, answer[-3:], middle), new, change


def _directions(normals: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """The normals with full weight, and two directions along the surface with little."""
    aside = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, aside)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return [(normals, 1.0), (first, SIDEWAYS), (np.cross(normals, first), SIDEWAYS)]


def _motion(turn: np.ndarray, shift: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """The rigid motion that turns about a point and then shifts."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = middle + shift - matrix[:3, :3] @ middle
    return matrix


def barycentric(points: np.ndarray, mesh: Mesh, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the shares, (N, 3), of the corners in points that lie on triangles, and the numbers of these corners."""
    corners = mesh.faces[faces]
    a, b, c = (mesh.vertices[corners[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    size = np.einsum("nx,nx->n", normal, normal)
    second = np.einsum("nx,nx->n", np.cross(points - a, c - a), normal) / size
    third = np.einsum("nx,nx->n", np.cross(b - a, points - a), normal) / size
    return np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1), corners
