"""Slices that turn about a common axis: which axis that is, and how far they keep to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..intake.geometry import RADIAL_MM, RADIAL_TILT
from ..volume import Volume

FEWEST = 3


@dataclass(frozen=True, eq=False)
class RadialAxis:
    """Hold the line that radial slices share.

    Parameters
    ----------
    point, direction
        Of the line: (3,) mm LPS, the point nearest the slices' middle, and a unit vector.
    offsets
        Distance of each slice plane from the point in mm, signed, (K,).
    tilts
        Angle between each slice plane and the line, degrees, (K,).
    angles
        Of each plane round the line against the first, degrees, 0 to 180, (K,).
    """

    point: np.ndarray
    direction: np.ndarray
    offsets: np.ndarray
    tilts: np.ndarray
    angles: np.ndarray

    @property
    def gap_deg(self) -> float:
        """Largest angle between neighboring planes: what nobody has seen in between."""
        turns = np.sort(self.angles)
        return float(np.diff(np.append(turns, turns[0] + 180)).max())


def fit_axis(slices: Sequence[Volume]) -> RadialAxis:
    """Fit the common axis of radial slices to their planes and check that they keep to it.

    Parameters
    ----------
    slices
        Volumes of one plane each, such as `parts_of` gives.

    Returns
    -------
    RadialAxis
        The line, and how far each plane is off.

    Raises
    ------
    InputError
        Fewer than three slices, or planes that share no line: the worst one is named, in mm or degrees.

    Notes
    -----
    The direction is the one most perpendicular to all normals, the point the nearest to all planes, both in the sense
    of least squares.
    """
    if len(slices) < FEWEST or any(part.shape[0] != 1 for part in slices):
        raise InputError(f"{len(slices)} slices: expected {FEWEST} or more of one plane each to find a common axis")
    normals = np.array([np.reshape(part.direction, (3, 3))[:, 2] for part in slices])
    middles = np.array([part.points([(np.array(part.shape) - 1) / 2])[0] for part in slices])
    _, spread, basis = np.linalg.svd(normals)
    direction = basis[2]
    if spread[1] < RADIAL_TILT:
        raise InputError("the slices are parallel: they make a stack and share no axis")
    heights = np.einsum("ij,ij->i", normals, middles)
    point = np.linalg.lstsq(normals, heights, rcond=1e-3)[0]
    point += direction * float((middles.mean(axis=0) - point) @ direction)
    offsets, slants = normals @ point - heights, normals @ direction
    if (worst := int(np.abs(slants).argmax())) >= 0 and np.abs(slants[worst]) > RADIAL_TILT:
        tilt, most = (np.degrees(np.arcsin(v)) for v in (np.abs(slants[worst]), RADIAL_TILT))
        raise InputError(f"slice {worst + 1} is tilted by {tilt:.1f}° against the common axis: expected {most:.1f}° at most")
    if np.abs(offsets).max() > RADIAL_MM:
        worst = int(np.abs(offsets).argmax())
        raise InputError(
            f"slice {worst + 1} passes {abs(offsets[worst]):.1f} mm beside the common axis: expected {RADIAL_MM} mm at most"
        )
    flat = normals - np.outer(slants, direction)
    turn = np.arctan2(np.cross(np.broadcast_to(flat[0], flat.shape), flat) @ direction, flat @ flat[0])
    return RadialAxis(point, direction, offsets, np.degrees(np.arcsin(slants)), np.degrees(turn) % 180.0)
