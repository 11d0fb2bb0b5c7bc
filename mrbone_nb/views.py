"""How a scan is laid out for the eye: which axis of the array runs where, and what lies at each edge."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .errors import InputError
from .volume import Volume

Plane = Literal["native", "axial", "coronal", "sagittal"]
PLANES = ("native", "axial", "coronal", "sagittal")

# Display conventions, as directions in LPS: (across the slices, to the right of the picture, down).
# The patient's right is on the left of axial and coronal pictures, and sagittal ones look to the left.
CONVENTIONS = {
    "sagittal": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "coronal": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "axial": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
}
LETTERS = ("LR", "PA", "SI")  # toward plus and toward minus of x, y and z
SECOND_LETTER = 0.38  # sine of 22.5 degrees: an edge leaning further than that gets two letters


@dataclass(frozen=True)
class View:
    """Lay out the array of a scan for the eye.

    Parameters
    ----------
    name
        "axial", "coronal" or "sagittal": what the slices come nearest to.
    axis
        The array axis across the slices.
    down, right
        The array axes that run down and to the right in the picture.
    flip_down, flip_right
        Whether the index shrinks in that direction.
    """

    name: str
    axis: int
    down: int
    right: int
    flip_down: bool
    flip_right: bool

    def take(self, array: np.ndarray, index: int) -> np.ndarray:
        """Give one slice as rows and columns of the picture, without copying."""
        plane = array[(slice(None),) * self.axis + (index,)]
        plane = plane if self.down < self.right else plane.T
        return plane[:: -1 if self.flip_down else 1, :: -1 if self.flip_right else 1]

    def sides(self, volume: Volume) -> dict[str, str]:
        """Name what lies at the "left", "right", "top" and "bottom" of the picture."""
        axes = _axes(volume)
        right = axes[self.right] * (-1 if self.flip_right else 1)
        down = axes[self.down] * (-1 if self.flip_down else 1)
        return {"left": letters(-right), "right": letters(right), "top": letters(-down), "bottom": letters(down)}

    def title(self, volume: Volume, index: int) -> str:
        """Give plane, number and position of a slice, the position along the axis that it crosses."""
        center = [(n - 1) / 2 for n in volume.shape]
        center[self.axis] = index
        world = int(np.argmax(np.abs(CONVENTIONS[self.name][0])))
        mm = float(volume.points([center])[0, world])
        side = LETTERS[world][0 if mm >= 0 else 1]
        return f"{self.name} slice {index} (0 to {volume.shape[self.axis] - 1}),  {side} {abs(mm):.1f} mm"


def view_of(volume: Volume, plane: Plane = "native") -> View:
    """Find how to show a scan in a plane, without interpolation.

    An oblique scan is shown in the planes of its array that come nearest; "native" is the plane in
    which it was taken, turned so that the head is up.
    """
    if plane not in PLANES:
        raise InputError(f"plane={plane!r}: expected one of {', '.join(PLANES)}")
    axes = _axes(volume)
    order = max(itertools.permutations(range(3)), key=lambda p: sum(abs(axes[p[world], world]) for world in range(3)))
    name = ("sagittal", "coronal", "axial")[order.index(0)] if plane == "native" else plane
    across, right, down = (int(np.argmax(np.abs(way))) for way in CONVENTIONS[name])
    flips = [float(np.dot(axes[order[w]], CONVENTIONS[name][k])) < 0 for k, w in ((2, down), (1, right))]
    return View(name, order[across], order[down], order[right], *flips)


def _axes(volume: Volume) -> np.ndarray:
    """Row k is the direction in LPS along which the array index k grows."""
    return np.reshape(volume.direction, (3, 3)).T[::-1]


def letters(way: Iterable[float]) -> str:
    """Name a direction in LPS: "A", or "AS" where it leans.

    Examples
    --------
    >>> letters((0, -1, 0)), letters((0.1, -0.8, 0.6))
    ('A', 'AS')
    """
    way = np.asarray(way, float)
    order = np.argsort(-np.abs(way), kind="stable")[:2]
    chosen = [k for rank, k in enumerate(order) if rank == 0 or abs(way[k]) > SECOND_LETTER]
    return "".join(LETTERS[k][0 if way[k] > 0 else 1] for k in chosen)
