"""Rigid registration of surfaces, of which one may show only a part of the bone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .closest import Nearest, Surface

SHIFTS = np.linspace(-0.4, 0.4, 7)  # starts along the longer bone, in parts of its length
STAGES = ((150, 8, 14), (400, 25, 3))  # points, rounds, and how many of the best starts go on
COARSE_POINTS = 3000
QUICK, FINE = (800, 12), (4000, 30)  # points and rounds: to choose a start, and to end with
KEPT = 0.65  # share of the pairs that a round trusts
NORMAL_WEIGHT = 0.06  # a turned normal counts as this part of the bone's size
SAME_WAY = 0.7  # cosine between normals of one place on two surfaces of a bone
MUTUAL = 0.7  # the way back from the nearest place may be shorter, down to this part
STILL_MM = 1e-4
LEAST_POINTS = 20


@dataclass(frozen=True, eq=False)
class Placement:
    """Tell where a surface comes to lie on another.

    Parameters
    ----------
    matrix
        (4, 4), from the place of the moving surface to that of the fixed one, mm.
    offset_mm
        By how much the moving surface lies evenly outside of the fixed one, which moves nothing.
    rms_mm
        What remains besides, root mean square over the pairs that were trusted.
    overlap
        Share of the smaller surface that has its like on the other.
    """

    matrix: np.ndarray
    offset_mm: float
    rms_mm: float
    overlap: float

    def apply(self, mesh: Mesh) -> Mesh:
        """Give the mesh in the place of the fixed surface."""
        return Mesh(moved(self.matrix, mesh.vertices), mesh.faces)


def register(moving: Mesh, fixed: Mesh, *, start: np.ndarray | None = None) -> Placement:
    """Turn and shift a surface onto another of the same bone.

    Either may be cut off, and they may lie anywhere: starts from the principal axes are tried and the best is
    refined with the pairs whose normals agree. An even difference of thickness is told apart from a shift. A mirrored
    bone, or a shaft alone, that fits in many places, is not recognized.

    Parameters
    ----------
    moving, fixed
        The surfaces, mm, faces counterclockwise seen from outside.
    start
        A (4, 4) matrix near the answer, which is then the only start.

    Returns
    -------
    Placement
        Of the moving surface on the fixed one.

    Raises
    ------
    InputError
        A surface of fewer than 20 vertices, or no overlap found.

    References
    ----------
    Besl PJ, McKay ND (1992). doi:10.1109/34.121791. Chen Y, Medioni G (1992). doi:10.1016/0262-8856(92)90066-C.
    Chetverikov D, Stepanov D, Krsek P (2005). doi:10.1016/j.imavis.2004.05.007
    """
    for name, mesh in (("moving", moving), ("fixed", fixed)):
        if len(mesh.vertices) < LEAST_POINTS or not np.isfinite(mesh.vertices).all():
            raise InputError(
                f"{name} mesh of {len(mesh.vertices)} vertices: expected {LEAST_POINTS} or more, all finite"
            )
    if _size(moving.vertices) > 1.05 * _size(fixed.vertices):  # the points of the smaller one look for the larger
        there = None if start is None else np.linalg.inv(start)
        found = register(fixed, moving, start=there)
        return Placement(np.linalg.inv(found.matrix), -found.offset_mm, found.rms_mm, found.overlap)
    target = Surface(fixed)
    starts = [np.asarray(start, float)] if start is not None else _starts(moving, fixed)
    results = [_refine(matrix, moving, target, *QUICK) for matrix in starts]
    best = min(results, key=lambda r: r.rms_mm / max(r.overlap, 1e-3))
    return _refine(best.matrix, moving, target, *FINE)


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a (4, 4) matrix to points, (N, 3)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def thinned(points: np.ndarray, count: int) -> np.ndarray:
    """Choose about so many points, evenly spread: the numbers of the first in each of many equal boxes."""
    low, extent = points.min(axis=0), max(float(np.ptp(points, axis=0).max()), 1e-9)
    chosen = np.arange(len(points))
    for cells in np.geomspace(2, 400, 40):
        boxes = np.floor((points - low) * (cells / extent)).astype(np.int64)
        first = np.unique(boxes @ np.array([1, 1000, 1_000_000]), return_index=True)[1]
        if len(first) >= count:
            return np.sort(first)
    return chosen


def fit_rigid(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Give the (4, 4) rigid motion that brings points closest to others, pair by pair.

    References
    ----------
    Kabsch W (1976). doi:10.1107/S0567739476001873
    """
    share = np.full(len(source), 1.0) if weights is None else np.asarray(weights, float)
    share = share / share.sum()
    a, b = share @ source, share @ target
    u, _, vt = np.linalg.svd((source - a).T @ ((target - b) * share[:, None]))
    turn = vt.T @ np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))]) @ u.T
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, b - turn @ a
    return matrix


def principal_starts(points: np.ndarray, onto: np.ndarray, shifts: np.ndarray) -> list[np.ndarray]:
    """Rigid motions that bring principal axes onto principal axes: 24 turns, and shifts along the first axis."""
    from scipy.spatial.transform import Rotation

    (a, own), (b, axes) = _frame(points), _frame(onto)
    turns = Rotation.create_group("O").as_matrix()
    length = np.ptp((onto - b) @ axes[:, 0])
    starts = []
    for turn in turns:
        for shift in shifts:
            matrix = np.eye(4)
            matrix[:3, :3] = axes @ turn @ own.T
            matrix[:3, 3] = b + shift * length * axes[:, 0] - matrix[:3, :3] @ a
            starts.append(matrix)
    return starts


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center, and principal axes as columns of a proper rotation, the longest first."""
    center = points.mean(axis=0)
    axes = np.linalg.svd(points - center, full_matrices=False)[2].T
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
    return center, axes


def _size(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.ptp(points @ _frame(points)[1], axis=0)))


def _starts(moving: Mesh, fixed: Mesh) -> list[np.ndarray]:
    """The most promising places, by rounds of closest points in which normals count too."""
    from scipy.spatial import cKDTree

    weight = NORMAL_WEIGHT * _size(moving.vertices)
    chosen = thinned(fixed.vertices, COARSE_POINTS)
    places, normals = fixed.vertices[chosen], fixed.normals()[chosen]
    tree = cKDTree(np.hstack([places, weight * normals]))
    own = moving.normals()
    ranked = principal_starts(moving.vertices, places, SHIFTS)
    for count, rounds, best in STAGES:
        few = thinned(moving.vertices, count)
        scored = []
        for number, matrix in enumerate(ranked):
            for _ in range(rounds):
                at = moved(matrix, moving.vertices[few])
                far, pair = tree.query(np.hstack([at, weight * own[few] @ matrix[:3, :3].T]))
                kept = far <= np.quantile(far, KEPT)
                matrix = fit_rigid(at[kept], places[pair[kept]]) @ matrix
            scored.append((float(np.sort(far)[: int(KEPT * len(far))].mean()), number, matrix))
        ranked = [matrix for _, _, matrix in sorted(scored, key=lambda s: s[:2])[:best]]
    return ranked


def _refine(matrix: np.ndarray, moving: Mesh, target: Surface, count: int, rounds: int) -> Placement:
    """Minimize the distance along the normals, less what is even all round, over the pairs that can be trusted."""
    few = thinned(moving.vertices, count)
    points, normals = moving.vertices[few], moving.normals()[few]
    offset, rms, overlap = 0.0, np.inf, 0.0
    for _ in range(rounds):
        at = moved(matrix, points)
        found = target.nearest(at)
        gap = np.einsum("nx,nx->n", at - found.points, found.normals)
        like = alike(at, normals @ matrix[:3, :3].T, found)
        if np.count_nonzero(like) < LEAST_POINTS:
            break
        overlap = float(like.mean())
        error = np.abs(gap - np.median(gap[like]))
        like &= error <= 3 * 1.4826 * np.median(error[like]) + 1e-3
        step, offset = _along_normals(at[like], found.normals[like], gap[like])
        rms = float(np.sqrt(np.mean((gap[like] - offset) ** 2)))
        matrix = step @ matrix
        if np.abs(moved(step, at) - at).max() < STILL_MM:
            break
    return Placement(matrix, offset, rms, overlap)


def alike(points: np.ndarray, normals: np.ndarray, found: Nearest) -> np.ndarray:
    """Tell which points have their like on the other surface: normals agree, and the way there runs along them."""
    same = np.einsum("nx,nx->n", normals, found.normals) >= SAME_WAY
    far = np.abs(found.distances)
    straight = np.abs(np.einsum("nx,nx->n", points - found.points, found.normals))
    return same & (straight >= SAME_WAY * far - 0.05)  # beyond an open or cut end the way runs aslant


def mutual(mesh: Mesh, found: Nearest) -> np.ndarray:
    """Tell for which vertices the way back is not much shorter, as it is from a flat cut that faces a far end."""
    back = Surface(mesh).nearest(found.points).distances
    return np.abs(back) >= MUTUAL * np.abs(found.distances) - 0.05


def _along_normals(points: np.ndarray, normals: np.ndarray, gap: np.ndarray) -> tuple[np.ndarray, float]:
    """One step of the motion, and the even offset, that make the gaps along the normals least."""
    from scipy.spatial.transform import Rotation

    middle = points.mean(axis=0)
    arm = np.linalg.norm(points - middle, axis=1).mean()
    turn = np.cross(points - middle, normals) / arm
    rows = np.hstack([turn, normals, -np.ones((len(points), 1))])
    square = rows.T @ rows + 1e-6 * len(points) * np.eye(7)  # where nothing holds a direction, stay
    answer = np.linalg.solve(square, -rows.T @ gap)
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(answer[:3] / arm).as_matrix()
    step[:3, 3] = middle + answer[3:6] - step[:3, :3] @ middle
    return step, float(answer[6])
