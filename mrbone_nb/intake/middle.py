"""The middle slice of each volume, to be looked at: one file of a series is opened, not all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..errors import InputError
from ..volume import Volume
from . import formats, geometry
from .build import scaled
from .groups import Group
from .issues import clean
from .pixels import stored_values
from .records import Frame
from .rows import Row

LARGEST = 64 << 20  # bytes of one slice
LARGEST_FILE = 512 << 20  # bytes of a compressed file, of which all frames are decoded for the one
NO_PIXELS = "no readable pixels"
TOO_LARGE = "too large for a quick look"


def middle_slices(rows: Iterable[Row]) -> Iterator[tuple[Row, Volume | str]]:
    """Give one slice of each row, what is quick to read first; rows with faults too, as far as there are pixels.

    Parameters
    ----------
    rows
        Rows of an inventory whose files are still there.

    Yields
    ------
    tuple
        The row, and its middle slice as a volume of one plane, or a text that says why there is none.
    """
    plain: list[tuple[Row, Frame]] = []
    packed: list[tuple[Row, Frame]] = []
    files: list[Row] = []
    for row in rows:
        if isinstance(row.source, tuple):
            files.append(row)
            continue
        frame = _middle(row.source)
        if frame is None or _too_large(frame):
            yield row, NO_PIXELS if frame is None else TOO_LARGE
        else:
            (packed if frame.source.pixels.encapsulated else plain).append((row, frame))
    for one in plain:
        yield from _decoded([one])
    if packed:  # all at once: the decoder is a process of its own, which takes time to start
        yield from _decoded(packed)
    for row in files:
        yield row, _of_file(row)


def _middle(group: Group) -> Frame | None:
    """The frame in the middle; of a group without sound frames, a faulty one that has pixels."""
    frames = group.frames
    if not frames:
        frames = [f for f, _, _ in group.bad if f.index >= 0 and f.rows > 0 and f.columns > 0]
        return frames[len(frames) // 2] if frames else None
    if group.kind == "stack":
        frames = [frames[k] for k in geometry.measure(frames).order]
    return frames[len(frames) // 2]


def _too_large(frame: Frame) -> bool:
    pixels = frame.source.pixels
    whole = pixels.frame_bytes * pixels.frames if pixels.encapsulated or pixels.deflated else 0
    return pixels.frame_bytes > LARGEST or whole > LARGEST_FILE


def _decoded(wanted: list[tuple[Row, Frame]]) -> Iterator[tuple[Row, Volume | str]]:
    left = {id(row): row for row, _ in wanted}
    try:
        for k, image in stored_values([frame for _, frame in wanted]):
            row, frame = wanted[k]
            del left[id(row)]
            yield row, image if isinstance(image, str) else _placed(row, frame, image)
    except Exception:  # whatever is wrong with a file, it costs its picture and nothing else
        yield from ((row, NO_PIXELS) for row in left.values())


def _placed(row: Row, frame: Frame, image: np.ndarray) -> Volume:
    """One plane where it lies; where the header does not say, upright and with square pixels."""
    array = np.asarray(scaled(frame, image), np.float32)[None]
    thick = next((abs(v) for v in (*row.spacing[:1], frame.thickness) if v), 1.0)
    spacing = (thick, *(frame.spacing or (1.0, 1.0)))
    if frame.position is None or frame.axes is None:
        return Volume(array, spacing)
    direction = tuple(geometry.unit_axes(frame.axes).ravel().tolist())
    return Volume(array, spacing, tuple(float(v) for v in frame.position), direction)


def _of_file(row: Row) -> Volume | str:
    described, time = row.source
    try:
        return formats.load_middle(described, time)
    except InputError as error:
        return clean(str(error), 200)
    except Exception:  # as above
        return NO_PIXELS
