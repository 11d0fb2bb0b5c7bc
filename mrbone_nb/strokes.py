"""Strokes drawn by hand, kept one by one: what was drawn where, with which tool, so that it can be drawn again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .bones import LAST, LabelTable
from .errors import InputError
from .files import write_text
from .volume import Volume

SCHEMA = 1
KIND = "strokes"


@dataclass(frozen=True, eq=False)
class Stroke:
    """One stroke: the voxels that it set, and to which label.

    Parameters
    ----------
    label
        What it drew: 1 to 254 a bone, 255 everything else, 0 for an eraser.
    runs
        (K, 2): first voxel, in the order of the scan's array, and length of each run of voxels.
    how
        What tells a reader how it was drawn: tool, plane, slice number, radius in mm.
    """

    label: int
    runs: np.ndarray
    how: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, label: int, voxels: np.ndarray, how: dict[str, Any] | None = None) -> Stroke:
        """Make a stroke from the numbers of its voxels, in any order."""
        voxels = np.unique(np.asarray(voxels, np.int64))
        first = np.flatnonzero(np.diff(voxels, prepend=-2) != 1)
        lengths = np.diff(np.append(first, len(voxels)))
        return cls(int(label), np.stack([voxels[first], lengths], axis=1), dict(how or {}))

    @property
    def voxels(self) -> np.ndarray:
        """The numbers of its voxels, in order, (V,)."""
        first, lengths = self.runs.T
        inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.repeat(first, lengths) + inside


class Strokes:
    """All strokes on a scan, in the order in which they were drawn.

    Parameters
    ----------
    scan
        The scan on whose grid they lie; of a file that is read without its scan, an empty one.
    done
        The strokes.
    table
        What the labels mean.
    """

    def __init__(self, scan: Volume, done: Iterable[Stroke] = (), table: LabelTable | None = None) -> None:
        self.scan, self.done, self.table = scan, list(done), table or LabelTable()

    def __len__(self) -> int:
        return len(self.done)

    def array(self, base: np.ndarray | None = None) -> np.ndarray:
        """Draw all strokes, one after the other, on nothing or on labels that were there before: (P, M, N) uint8."""
        drawn = np.zeros(self.scan.shape, np.uint8) if base is None else np.array(base, np.uint8, order="C")
        if drawn.shape != self.scan.shape:
            raise InputError(f"strokes for shape {self.scan.shape}: the labels below them have shape {drawn.shape}")
        flat = drawn.reshape(-1)
        for stroke in self.done:
            flat[stroke.voxels] = stroke.label
        return drawn

    @property
    def sha256(self) -> str:
        """What tells these strokes from others: the digest of voxels and labels, one stroke after the other."""
        digest = hashlib.sha256(str(self.scan.shape).encode())
        for stroke in self.done:
            digest.update(f"{stroke.label}:{stroke.runs.tolist()}".encode())
        return digest.hexdigest()

    def volume(self) -> Volume:
        """The strokes as seeds with their place in space."""
        return self.scan.with_array(self.array())

    def to_json(self) -> str:
        """The text of a file that holds them."""
        grid = {
            "shape": list(self.scan.shape),
            "spacing": list(self.scan.spacing),
            "origin": list(self.scan.origin),
            "direction": list(self.scan.direction),
        }
        strokes = [{"label": s.label, **s.how, "runs": s.runs.ravel().tolist()} for s in self.done]
        head = {"schema": SCHEMA, "kind": KIND, "grid": grid, "labels": json.loads(self.table.to_json())}
        lines = ",\n  ".join(json.dumps(stroke) for stroke in strokes)
        return json.dumps(head)[:-1] + ',\n "strokes": [\n  ' + lines + "\n ]}\n"

    def save(self, path: Path | str) -> Path:
        """Write them into a ``.json`` file, over an older one; nothing is half-written."""
        return write_text(Path(path), self.to_json(), overwrite=True)


def read_strokes(path: Path | str, like: Volume | None = None) -> Strokes:
    """Read strokes that `Strokes.save` wrote.

    Parameters
    ----------
    path
        The ``.json`` file.
    like
        The scan that they were drawn on; another grid is refused.

    Returns
    -------
    Strokes
        In the order in which they were drawn.

    Raises
    ------
    InputError
        If it is no file of strokes, or one of another scan's grid.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path}: no such file, or it cannot be read") from None
    except ValueError:
        raise InputError(f"{path.name}: not JSON; expected a file of strokes") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise InputError(f"{path.name}: not a file of strokes")
    if data.get("schema") != SCHEMA:
        raise InputError(f"{path.name}: schema {data.get('schema')!r}; this version reads {SCHEMA}")
    try:
        grid = data["grid"]
        shape = tuple(int(n) for n in grid["shape"])
        place = {name: tuple(float(v) for v in grid[name]) for name in ("spacing", "origin", "direction")}
        empty = Volume(np.zeros(shape, np.uint8), **place, name=path.name)
        strokes = [_stroke(number, stroke, empty.array.size) for number, stroke in enumerate(data["strokes"], 1)]
        table = LabelTable.from_json(json.dumps(data.get("labels", {})), path.name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path.name}: damaged: {str(error) or type(error).__name__}") from None
    if like is not None and not like.same_grid(empty):
        raise InputError(
            f"{path.name}: drawn on a scan of {shape} voxels, which is not the grid of {like.name} {like.shape}; "
            "give the scan it was drawn on, or another file"
        )
    return Strokes(empty if like is None else like, strokes, table)


def _stroke(number: int, data: dict[str, Any], size: int) -> Stroke:
    """One stroke of a file, checked."""
    runs = np.asarray(data["runs"], np.int64).reshape(-1, 2)
    label = data["label"]
    if not isinstance(label, int) or not 0 <= label <= LAST + 1:
        raise ValueError(f"stroke {number}: label {label!r}, expected 0 to {LAST + 1}")
    if len(runs) and (runs[:, 0].min() < 0 or runs[:, 1].min() < 1 or runs.sum(axis=1).max() > size):
        raise ValueError(f"stroke {number} leaves the scan")
    return Stroke(label, runs, {name: value for name, value in data.items() if name not in ("label", "runs")})
