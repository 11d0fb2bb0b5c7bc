"""An array stored in one file behind a header, plain or packed: read exactly, or said where it ends."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from ..errors import InputError
from ..volume import Volume
from .files import Entry
from .issues import Issue

CHUNK = 1 << 22
MAX_GROWTH = 1100  # no packed byte grows to more
MAX_PLANE, MAX_UNPACKED = 64 << 20, 1 << 30  # bytes of one plane, and before it in a packed file, for a quick look
PLAUSIBLE_MM = (0.002, 200.0)
RIGHT_ANGLE_DEG = 0.05


@dataclass(slots=True)
class Stored:
    """What the header of a file says of its array."""

    shape: tuple[int, ...]  # x, y, z and perhaps t
    dtype: np.dtype
    start: int  # byte of the file at which the array, or the stream that holds it, begins
    packing: str = ""  # "", "gzip" or "zlib"
    skip: int = 0  # bytes of the stream before the array
    slope: float = 1.0
    intercept: float = 0.0
    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))  # index x y z to LPS mm
    issues: list[Issue] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        total = self.dtype.itemsize
        for n in self.shape:
            total *= int(n)
        return total


def check(entry: Entry, stored: Stored) -> None:
    """Refuse what is no volume, is cut short, or lies in space in an impossible way.

    Raises
    ------
    InputError
        With the file, what is wrong, and what to do.
    """
    if len(stored.shape) not in (3, 4):
        shown = " × ".join(str(n) for n in stored.shape)
        raise InputError(f"{entry.name}: holds {shown} values: expected a volume of 3 dimensions. Export one volume")
    have = max(0, entry.size - stored.start)
    if have * (MAX_GROWTH if stored.packing else 1) < stored.nbytes + stored.skip:
        raise InputError(
            f"{entry.name}: cut short: {have} bytes of values, but its header claims {stored.nbytes}; not read. "
            "Copy it again from its source"
        )
    check_matrix(entry, stored.matrix, "header")


def check_matrix(entry: Entry, matrix: np.ndarray, where: str) -> None:
    """Refuse axes that are no axes, or not at right angles, and voxels of an implausible size."""
    sizes = np.linalg.norm(matrix[:3, :3], axis=0) if np.isfinite(matrix).all() else np.zeros(3)
    if not (sizes > 0).all():
        raise InputError(f"{entry.name}: the {where} does not give voxels a size; not read. Repair the header")
    axes = matrix[:3, :3] / sizes
    off = float(np.degrees(np.arcsin(np.clip(np.abs(axes.T @ axes - np.eye(3)).max(), 0, 1))))
    if off > RIGHT_ANGLE_DEG:
        raise InputError(
            f"{entry.name}: the axes of the {where} are {off:.2f}° off right angles (a sheared scan); not read. "
            "Resample it onto an upright grid first"
        )
    if not ((sizes >= PLAUSIBLE_MM[0]) & (sizes <= PLAUSIBLE_MM[1])).all() or np.abs(matrix[:3, 3]).max() > 1e5:
        shown = " × ".join(f"{v:g}" for v in sizes)
        raise InputError(
            f"{entry.name}: voxels of {shown} mm at {np.round(matrix[:3, 3], 1).tolist()} mm are implausible; not read. "
            "Look at the unit in the header"
        )


def load(entry: Entry, stored: Stored, name: str, time: int = 0) -> Volume:
    """Give one volume of a file.

    Raises
    ------
    InputError
        Where the file ends early or its packing is damaged.
    """
    x, y, z = stored.shape[:3]
    raw = np.empty((z, y, x), stored.dtype)
    done = 0
    try:
        with _opened(entry, stored) as stream:
            _pass_over(stream, stored.skip + time * raw.nbytes)
            view = memoryview(raw).cast("B")
            while done < len(view):
                data = stream.read(min(CHUNK, len(view) - done))
                if not data:
                    break
                view[done : done + len(data)] = data
                done += len(data)
            if stored.packing:  # go on to the end, where the check sum stands
                _pass_over(stream, stored.nbytes - done - time * raw.nbytes + CHUNK)
    except (OSError, EOFError, zlib.error) as error:
        reason = f"damaged ({type(error).__name__})"
    else:
        reason = "cut short"
    if done < raw.nbytes or reason != "cut short":
        raise InputError(
            f"{entry.name}: {reason} after {done} of {raw.nbytes} bytes of values; not read. Copy it again from its source"
        )
    return _placed(raw, stored, name)


def load_plane(entry: Entry, stored: Stored, index: int, time: int = 0) -> Volume:
    """Give one plane of a volume, reading no more of the file than has to be unpacked before it.

    Raises
    ------
    InputError
        Where the file ends early or is damaged, or too much would have to be unpacked.
    """
    x, y, z = stored.shape[:3]
    size = x * y * stored.dtype.itemsize
    start = stored.skip + (time * z + index) * size
    if size > MAX_PLANE or (stored.packing and start > MAX_UNPACKED):
        raise InputError(f"{entry.name}: too large for a quick look")
    try:
        with _opened(entry, stored) as stream:
            if stored.packing:
                _pass_over(stream, start)
            else:
                stream.seek(start, 1)
            raw = b""
            while len(raw) < size and (data := stream.read(size - len(raw))):
                raw += data
    except (OSError, EOFError, zlib.error):
        raw = b""
    if len(raw) < size:
        raise InputError(f"{entry.name}: damaged or cut short before its middle plane")
    return _placed(np.frombuffer(raw, stored.dtype).reshape(1, y, x), stored, entry.name, index)


def _placed(raw: np.ndarray, stored: Stored, name: str, first: int = 0) -> Volume:
    """Values on their grid; ``first`` is the plane of the file with which they begin."""
    sizes = np.linalg.norm(stored.matrix[:3, :3], axis=0)
    left, _, right = np.linalg.svd(stored.matrix[:3, :3] / sizes)  # the nearest exact rotation
    origin = stored.matrix[:3, 3] + first * stored.matrix[:3, 2] if first else stored.matrix[:3, 3]
    return Volume(
        real_values(raw, stored.slope, stored.intercept),
        tuple(sizes[::-1].tolist()),
        tuple(origin.tolist()),
        tuple((left @ right).ravel().tolist()),
        name=name,
    )


@contextmanager
def _opened(entry: Entry, stored: Stored) -> Iterator[IO[bytes]]:
    with open(entry.path, "rb") as file:
        file.seek(stored.start)
        if stored.packing == "gzip":
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream
        else:
            yield _Inflated(file) if stored.packing == "zlib" else file


class _Inflated:
    """Read a zlib stream in pieces."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.engine = file, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self.engine.eof:
            packed = self.engine.unconsumed_tail or self.file.read(1 << 16)
            out = self.engine.decompress(packed, size)
            if out:
                return out
            if not packed:
                raise EOFError
        return b""


def _pass_over(stream: IO[bytes], size: int) -> None:
    while size > 0:
        data = stream.read(min(CHUNK, size))
        if not data:
            return
        size -= len(data)


def real_values(raw: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Give the values as float32, as float64 where that would lose something of the stored numbers."""
    plain = slope == 1 and intercept == 0
    if raw.dtype.itemsize <= 2 or raw.dtype.kind == "f" and raw.dtype.itemsize == 4:
        return raw.astype(np.float32) if plain else (raw * slope + intercept).astype(np.float32)
    values = raw.astype(np.float64) if plain else raw * slope + intercept
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values, equal_nan=True) else values
