"""The tree of the connected parts of an image above each of many gray levels, and which of them hardly change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..morphology import connected_parts
from ..step import EVERYTHING_ELSE


@dataclass(frozen=True)
class LevelTree:
    """Hold the parts of an image above each level; part by part, those of the lowest level first.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    levels
        Gray levels, rising.
    level
        Number of the level of each part, (n,).
    place
        One voxel of each part, as an index into the flat image, (n,).
    size
        Voxels of each part, (n,).
    parent
        The part of the level below that holds it; a part of the lowest level holds itself.
    heir
        The largest part of the level above within it; -1 for none.
    least, most
        Least and most number of the marks in each part; 255 and 0 where it holds none.
    """

    image: np.ndarray
    levels: np.ndarray
    level: np.ndarray
    place: np.ndarray
    size: np.ndarray
    parent: np.ndarray
    heir: np.ndarray
    least: np.ndarray
    most: np.ndarray

    def change(self, delta: int) -> np.ndarray:
        """How much a part grows from ``delta`` levels above its own to ``delta`` below, relative to its size."""
        below, above = np.arange(len(self.size)), np.arange(len(self.size))
        for _ in range(delta):
            below = self.parent[below]
            above = np.where(above >= 0, self.heir[above], -1)
        return (self.size[below] - np.where(above >= 0, self.size[above], 0)) / self.size

    def largest(self, good: np.ndarray) -> np.ndarray:
        """Numbers of the parts that are good and lie in no other good one."""
        inside = np.zeros(len(good), bool)
        for number in range(len(self.levels)):
            here = np.flatnonzero(self.level == number)
            up = self.parent[here]
            inside[here] = (up != here) & (inside[up] | good[up])
        return np.flatnonzero(good & ~inside)

    def paint(self, chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Write the values of parts, none within another, into their voxels; 0 elsewhere."""
        out = np.zeros(self.image.shape, np.int32)
        for number in np.unique(self.level[chosen]):
            parts, count = connected_parts(self.image >= self.levels[number], 6)
            here = self.level[chosen] == number
            table = np.zeros(count + 1, np.int32)
            table[parts.ravel()[self.place[chosen[here]]]] = values[here]
            out += table[parts]
        return out


def level_tree(image: np.ndarray, levels: np.ndarray, marks: np.ndarray, smallest: int) -> LevelTree:
    """Find the connected parts of an image above each level, and which lies in which.

    Parameters
    ----------
    image
        Gray values, (P, M, N).
    levels
        Gray levels, rising.
    marks
        Numbers 1 to 255, (P, M, N), whose least and most is told for each part; 0 is unmarked.
    smallest
        Parts of fewer voxels are left out.

    Returns
    -------
    LevelTree
        The parts that are large enough.
    """
    where = np.flatnonzero(marks)
    values = marks.ravel()[where]
    columns: list[tuple[np.ndarray, ...]] = []
    before = lower = None
    total = 0
    for number, gray in enumerate(levels):
        parts, count = connected_parts(image >= gray, 6)
        size = np.bincount(parts.ravel(), minlength=count + 1)
        size[0] = 0
        kept = np.flatnonzero(size >= max(smallest, 1))
        least, most = np.full(count + 1, EVERYTHING_ELSE, np.uint8), np.zeros(count + 1, np.uint8)
        np.minimum.at(least, parts.ravel()[where], values)
        np.maximum.at(most, parts.ravel()[where], values)
        place = np.zeros(count + 1, np.int64)
        flat = parts.ravel()
        starts = np.append(np.flatnonzero(flat[1:] != flat[:-1])[::-1] + 1, 0)  # where a run of voxels begins
        place[flat[starts]] = starts
        own = np.full(count + 1, -1)
        own[kept] = total + np.arange(len(kept))
        parent = own[kept] if before is None else lower[before.ravel()[place[kept]]]
        columns.append((np.full(len(kept), number), place[kept], size[kept], parent, least[kept], most[kept]))
        before, lower, total = parts, own, total + len(kept)
    level, place, size, parent, least, most = (np.concatenate(c) for c in zip(*columns, strict=True))
    return LevelTree(image, levels, level, place, size, parent, _heirs(size, parent), least, most)


def _heirs(size: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """The largest child of each part, or -1."""
    heir = np.full(len(size), -1)
    order = np.argsort(size, kind="stable")
    order = order[parent[order] != order]
    heir[parent[order]] = order
    return heir
