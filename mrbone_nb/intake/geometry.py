"""Where the slices of a group lie: order, distance, gaps, shear; all measured from their positions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .records import Frame

AXES_TOLERANCE = 2e-4  # components of direction vectors: above the rounding of any vendor, below 0.02 degrees
GAP_MM = 0.01
SHEAR_DEG = 0.1
RADIAL_TILT = 0.02  # largest cosine between a plane's normal and the common axis
RADIAL_MM = 1.5  # largest distance of a plane from the common axis


@dataclass(slots=True)
class Stack:
    """The grid of a stack of parallel planes.

    Parameters
    ----------
    order
        Indices of the frames from the first plane to the last.
    spacing
        Usual distance of planes in mm; None for a single plane whose header does not state one.
    heights
        Place of each plane along the normal in mm, in that order.
    sideways
        In-plane shift of each plane against the first in mm, (K, 2): along the rows' direction, along the columns'.
    gaps
        (index of the plane before, distance in mm) of every distance that is not the usual one.
    shear
        Angle between the line of positions and the normal in degrees.
    """

    order: list[int]
    spacing: float | None
    origin: np.ndarray
    axes: np.ndarray  # (3, 3): columns are the directions of increasing column, row and plane
    heights: np.ndarray
    sideways: np.ndarray
    gaps: list[tuple[int, float]]
    shear: float
    wander: float  # largest sideways deviation from a straight line, mm
    tolerance: float


def unit_axes(axes: Sequence[float]) -> np.ndarray:
    """Give an exact right-handed frame, (3, 3) by columns, for the direction of rows and columns of a header."""
    row = np.array(axes[:3], float)
    column = np.array(axes[3:], float)
    row /= np.linalg.norm(row)
    column -= row * (row @ column)
    column /= np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)], axis=1)


def angle_between(a: Sequence[float], b: Sequence[float]) -> float:
    """Give the angle in degrees of the turn that takes one orientation to the other."""
    turn = unit_axes(a).T @ unit_axes(b)
    return math.degrees(math.acos(max(-1.0, min(1.0, (np.trace(turn) - 1) / 2))))


def cluster_axes(frames: list[Frame]) -> list[int]:
    """Number the orientations; those that differ by rounding only get the same number."""
    known: dict[tuple[float, ...], int] = {}
    centers = np.empty((0, 6))
    out = []
    for frame in frames:
        if frame.axes not in known:
            near = np.abs(centers - frame.axes).max(axis=1) <= AXES_TOLERANCE if len(centers) else np.zeros(0, bool)
            if near.any():
                known[frame.axes] = int(near.argmax())
            else:
                known[frame.axes] = len(centers)
                centers = np.vstack([centers, frame.axes])
        out.append(known[frame.axes])
    return out


def mean_axes(frames: list[Frame]) -> np.ndarray:
    """Give the common frame of directions of parallel planes."""
    distinct = {f.axes for f in frames}
    return unit_axes(np.mean([f.axes for f in frames], axis=0) if len(distinct) > 1 else next(iter(distinct)))


def heights(frames: list[Frame]) -> np.ndarray:
    """Give the place of each plane along the common normal, in mm."""
    return np.array([f.position for f in frames]) @ mean_axes(frames)[:, 2]


def places(frames: list[Frame], tolerance: float) -> list[int]:
    """Number the places along the normal; planes closer than ``tolerance`` mm share a number."""
    values = heights(frames)
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) > tolerance
    numbers = np.concatenate([[0], np.cumsum(steps)])
    out = np.empty(len(frames), int)
    out[order] = numbers
    return out.tolist()


def written_precision(frames: list[Frame]) -> float:
    """Give the step of the last digit to which positions are written, in mm (0 for binary numbers)."""
    steps = [min(f.step) for f in frames if f.step]
    return min(steps) if len(steps) == len(frames) and steps else 0.0


def measure(frames: list[Frame]) -> Stack:
    """Measure a stack of parallel planes, each at a place of its own."""
    axes = mean_axes(frames)
    local = np.array([f.position for f in frames]) @ axes
    order = np.argsort(local[:, 2], kind="stable")
    local = local[order]
    origin = np.array(frames[order[0]].position)
    tolerance = max(GAP_MM, written_precision(frames))
    sideways = local[:, :2] - local[0, :2]
    if len(frames) == 1:
        f = frames[0]
        spacing = next((v for v in (f.between, f.thickness) if v and 0.01 <= abs(v) <= 500), None)
        return Stack([0], spacing and abs(spacing), origin, axes, local[:, 2], sideways, [], 0.0, 0.0, tolerance)
    usual, gaps = _gaps(local[:, 2], tolerance)
    shear, wander = _shear(local, sideways, tolerance)
    return Stack(order.tolist(), usual, origin, axes, local[:, 2], sideways, gaps, shear, wander, tolerance)


def _gaps(height: np.ndarray, tolerance: float) -> tuple[float, list[tuple[int, float]]]:
    """The usual distance, and the places where the distance is another."""
    steps = np.diff(height)
    usual = float(np.median(steps))
    tolerance = max(GAP_MM, min(tolerance, 0.45 * usual))  # a missing plane shows however coarse the positions are
    odd = [(int(k), float(steps[k])) for k in np.flatnonzero(np.abs(steps - usual) > tolerance)]
    if odd:
        return usual, odd
    even = float((height[-1] - height[0]) / len(steps))
    drift = np.abs(height - height[0] - even * np.arange(len(height)))
    if drift.max() > tolerance:  # every step is near the usual one, but they add up
        worst = int(drift.argmax())
        return usual, [(min(worst, len(steps) - 1), float(steps[min(worst, len(steps) - 1)]))]
    return even, []


def _shear(local: np.ndarray, sideways: np.ndarray, tolerance: float) -> tuple[float, float]:
    """The angle of the line of positions against the normal, and the largest deviation from that line."""
    height = local[:, 2] - local[0, 2]
    slope = np.linalg.lstsq(np.stack([height, np.ones_like(height)], 1), sideways, rcond=None)[0]
    angle = math.degrees(math.atan(float(np.hypot(*slope[0]))))
    if float(np.hypot(*slope[0])) * float(np.ptp(height)) <= tolerance:
        angle = 0.0  # no more than the rounding of the positions
    rest = sideways - height[:, None] * slope[0] - slope[1]
    return angle, float(np.hypot(*rest.T).max())


def orientation_name(axes: np.ndarray) -> str:
    """Name the plane: "sagittal", "coronal" or "axial", "oblique" where no axis is within 30 degrees of the normal."""
    normal = np.abs(axes[:, 2])
    k = int(normal.argmax())
    return ("sagittal", "coronal", "axial")[k] if normal[k] >= math.cos(math.radians(30)) else "oblique"


# ---------------------------------------------------------------------------------------------------- radial


def slice_set(frames: list[Frame], directions: list[int]) -> str:
    """Tell whether planes in many directions belong together: "radial", "slices", or "" where they make stacks."""
    sizes = Counter(directions)
    if len(sizes) < 4 or len(frames) > 2 * len(sizes):
        return ""
    axis = radial_axis(frames)
    return "radial" if axis is not None and axis[2] <= RADIAL_MM else "slices"


def radial_axis(frames: list[Frame]) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Find the line that all planes share.

    Returns
    -------
    tuple or None
        A point of the line (LPS mm), its direction, and the largest distance of a plane from it in mm; None where the
        planes have no common direction.
    """
    axes = np.array([unit_axes(f.axes) for f in frames])
    normals = axes[:, :, 2]
    _, _, basis = np.linalg.svd(normals, full_matrices=True)
    direction = basis[2]
    if len(frames) < 3 or np.abs(normals @ direction).max() > RADIAL_TILT:
        return None
    middle = np.array([_center(f, a) for f, a in zip(frames, axes, strict=True)])
    offsets = np.einsum("ij,ij->i", normals, middle)
    point = np.linalg.lstsq(normals, offsets, rcond=1e-3)[0]
    point += direction * float((middle.mean(axis=0) - point) @ direction)
    return point, direction, float(np.abs(normals @ point - offsets).max())


def _center(frame: Frame, axes: np.ndarray) -> np.ndarray:
    half = np.array([(frame.columns - 1) * frame.spacing[1], (frame.rows - 1) * frame.spacing[0]]) / 2
    return np.array(frame.position) + axes[:, :2] @ half
