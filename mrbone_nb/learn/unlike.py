"""Whether a scan is like those that a model was trained on: voxel size, plane, gray values and what the trees see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..volume import Volume

LEVELS = 32  # of the histogram of gray values, 0 to 1.6
RANGE = (0.0, 1.6)
TIMES = 1.6  # voxels that much larger or smaller than all of training are unlike
SLACK = 1.5  # a scan may be that much farther from the nearest of training than these are from each other
LEAST_GRAY, LEAST_SEEN = 0.12, 0.35  # distances that are always fine: training scans may be near copies
PLANES = {0: "axial", 1: "coronal", 2: "sagittal"}  # by the LPS axis, head first, that the planes are stacked along


def gray_of(image: np.ndarray) -> np.ndarray:
    """The share of voxels with each gray value, cumulated, of what is not air, (32,)."""
    counts, _ = np.histogram(image, LEVELS, RANGE)
    counts[0] = 0
    return (np.cumsum(counts) / max(1, counts.sum())).astype(np.float32)


def seen_of(rows: np.ndarray) -> np.ndarray:
    """Quartiles of every column of what the first pass sees, (3, columns)."""
    return np.quantile(rows, (0.25, 0.5, 0.75), axis=0).astype(np.float32)


def plane_of(volume: Volume) -> str:
    """The name of the slices' plane."""
    along = np.abs(np.reshape(volume.direction, (3, 3))[:, 2])
    return PLANES[2 - int(along.argmax())]


@dataclass(frozen=True, eq=False)
class Likeness:
    """Hold what the scans of training were like, one row each.

    Parameters
    ----------
    spacings
        Of the voxels in mm, smallest first.
    planes
        Of the slices.
    marrow
        "bright", "dark" or "unknown".
    gray
        Cumulated histograms, (scans, 32).
    seen
        Quartiles of what the first pass sees, (scans, 3, columns).
    """

    spacings: tuple[tuple[float, ...], ...]
    planes: tuple[str, ...]
    marrow: tuple[str, ...]
    gray: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, volumes: Sequence[Volume], images: Sequence[np.ndarray], seen: Sequence[np.ndarray]) -> Likeness:
        """Describe scans by their volumes, normalized images and rows of the first pass."""
        return cls(
            tuple(tuple(sorted(v.spacing)) for v in volumes),
            tuple(plane_of(v) for v in volumes),
            tuple(str(v.meta.get("marrow") or "unknown") for v in volumes),
            np.stack([gray_of(image) for image in images]),
            np.stack([seen_of(rows) for rows in seen]),
        )

    def facts(self) -> dict[str, Any]:
        """Give what is no array, as plain data."""
        return {"spacings": [list(s) for s in self.spacings], "planes": list(self.planes), "marrow": list(self.marrow)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any], gray: np.ndarray, seen: np.ndarray) -> Likeness:
        """Take over what `facts` gave."""
        spacings = tuple(tuple(float(v) for v in s) for s in facts["spacings"])
        words = tuple(map(str, facts["planes"])), tuple(map(str, facts["marrow"]))
        if not len(spacings) == len(words[0]) == len(words[1]) == len(gray) == len(seen) > 0 or seen.ndim != 3:
            raise ValueError("likeness")
        return cls(spacings, *words, gray, seen)

    def warnings(self, volume: Volume, image: np.ndarray, rows: np.ndarray) -> tuple[str, ...]:
        """Say in which ways a scan is unlike all scans of training; empty where it is like them."""
        found = []
        ratio = np.array(sorted(volume.spacing)) / np.array(self.spacings)
        if np.maximum(ratio, 1 / ratio).max(axis=1).min() > TIMES:
            its, theirs = (" × ".join(f"{s:.3g}" for s in sorted(size)) for size in (volume.spacing, self.spacings[0]))
            found.append(f"its voxels measure {its} mm, those of training {theirs} mm")
        if plane_of(volume) not in self.planes:
            theirs = " and ".join(sorted(set(self.planes)))
            found.append(f"its slices are {plane_of(volume)}, those of training {theirs}")
        marrow = str(volume.meta.get("marrow") or "unknown")
        if "unknown" not in (marrow, *self.marrow) and marrow not in self.marrow:
            found.append(f"its marrow is likely {marrow}, that of training {self.marrow[0]}")
        if _far(gray_of(image), self.gray, LEAST_GRAY):
            found.append("its gray values are distributed otherwise than in any scan of training")
        spread = np.maximum((self.seen[:, 2] - self.seen[:, 0]).mean(axis=0), 1e-3)
        if _far(seen_of(rows) / spread, self.seen / spread, LEAST_SEEN):
            found.append("what the model sees in it is distributed otherwise than in any scan of training")
        return tuple(f"this scan is unlike those that the model was trained on: {what}" for what in found)


def _far(this: np.ndarray, known: np.ndarray, least: float) -> bool:
    """Whether something is farther from its nearest known one than any known one is from its own."""
    def away(one: np.ndarray, others: np.ndarray) -> float:
        return float(np.abs(others - one).reshape(len(others), -1).mean(axis=1).min())

    among = [away(one, np.delete(known, k, 0)) for k, one in enumerate(known)] if len(known) > 1 else [0.0]
    return away(this, known) > max(least, SLACK * max(among))
