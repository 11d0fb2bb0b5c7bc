"""Slices that make no stack, each with its own place in space: radial scans and the like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Volume


@dataclass(frozen=True, eq=False)
class Slice:
    """Hold one plane of shape (M, N) together with its place in the scanner.

    Parameters
    ----------
    array
        Values, (row, column).
    spacing
        Distance between rows and between columns, mm.
    origin
        Center of pixel [0, 0], LPS mm.
    direction
        Nine numbers, row by row, as in `Volume`: its columns are where column, row and plane index grow to.
    thickness
        Slice thickness in mm, None where the header does not state it.
    """

    array: np.ndarray
    spacing: tuple[float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    thickness: float | None = None

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane, (3,) LPS."""
        return np.reshape(self.direction, (3, 3))[:, 2]

    def points(self, index: np.ndarray) -> np.ndarray:
        """Give LPS mm positions, (K, 3), of pixel indices (row, column), (K, 2)."""
        matrix = np.reshape(self.direction, (3, 3))[:, [1, 0]] * self.spacing
        return np.asarray(index, float) @ matrix.T + self.origin

    def volume(self, **facts: Any) -> Volume:
        """Give the plane as a `Volume` of one plane as thick as the header says.

        Raises
        ------
        InputError
            Where the header states no thickness.
        """
        from ..errors import InputError

        if self.thickness is None:
            raise InputError("slice without Slice Thickness (0018,0050): its extent across the plane is unknown")
        spacing = (self.thickness, *self.spacing)
        return Volume(self.array[None], spacing, self.origin, self.direction, **facts)


@dataclass(frozen=True, eq=False)
class SliceSet:
    """Hold slices that make no stack, as a radial scan does.

    Parameters
    ----------
    slices
        The planes; of a radial scan in the order of their angle.
    axis_point, axis_direction
        The line that all planes share (LPS mm, and unit vector); None where there is none.
    axis_residual_mm
        Largest distance of a plane from that line.
    name, meta, issues, files, accepted
        As in `Volume`.
    """

    slices: tuple[Slice, ...]
    axis_point: tuple[float, ...] | None = None
    axis_direction: tuple[float, ...] | None = None
    axis_residual_mm: float | None = None
    name: str = "slices"
    meta: Mapping[str, Any] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    accepted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Slice]:
        return iter(self.slices)

    def __getitem__(self, k: int) -> Slice:
        return self.slices[k]

    @property
    def is_radial(self) -> bool:
        """Whether the planes share a line."""
        return self.axis_point is not None

    def angles_deg(self) -> np.ndarray:
        """Give the angle of each plane round the common axis against the first, in degrees, 0 to 180."""
        if not self.is_radial:
            raise ValueError("these slices share no axis: they have no angle round it")
        axis = np.array(self.axis_direction)
        normals = np.array([s.normal for s in self.slices])
        flat = normals - np.outer(normals @ axis, axis)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        turn = np.arctan2(np.cross(np.broadcast_to(flat[0], flat.shape), flat) @ axis, flat @ flat[0])
        return np.degrees(turn) % 180.0
