"""Stored values of frames: plain ones read here, compressed ones by a child process under limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .files import Entry, inflate, meta_end
from .records import Frame, Pixels, Source


def stored_values(frames: list[Frame]) -> Iterator[tuple[int, np.ndarray | str]]:
    """Give the stored values of each frame, before slope and intercept.

    Parameters
    ----------
    frames
        Frames without faults; their byte counts have been compared with the file already.

    Yields
    ------
    tuple
        The index into ``frames``, and an array (rows, columns) or a text that says why there is none.
    """
    plain, packed = [], []
    for k, frame in enumerate(frames):
        (packed if frame.source.pixels.encapsulated else plain).append(k)
    yield from _plain(frames, plain)
    if packed:
        yield from _packed(frames, packed)


def _plain(frames: list[Frame], which: list[int]) -> Iterator[tuple[int, np.ndarray | str]]:
    held: tuple[Source | None, int, np.ndarray | str] = (None, -1, "")
    inflated: tuple[Source | None, bytes] = (None, b"")
    for k in which:
        frame = frames[k]
        source = frame.source
        if held[0] is not source or held[1] != frame.index:
            try:
                if source.pixels.deflated:
                    if inflated[0] is not source:
                        inflated = (source, _inflated(source))
                    image = _from_bytes(inflated[1], source.pixels, frame.index)
                else:
                    image = _from_file(source, frame.index)
            except (OSError, ValueError) as error:
                image = f"the pixels cannot be read ({error})"
            held = (source, frame.index, image)
        yield k, held[2] if isinstance(held[2], str) else _tile(held[2], frame)


def _packed(frames: list[Frame], which: list[int]) -> Iterator[tuple[int, np.ndarray | str]]:
    from .child import decode

    of_file: dict[int, list[int]] = {}
    for k in which:
        of_file.setdefault(id(frames[k].source), []).append(k)
    sources = [frames[members[0]].source for members in of_file.values()]
    for source, images in decode(sources):
        for k in of_file[id(source)]:
            if isinstance(images, str):
                yield k, images
            else:
                yield k, _tile(true_bits(images[frames[k].index], source.pixels), frames[k])


def _tile(image: np.ndarray, frame: Frame) -> np.ndarray:
    if frame.tile is None:
        return image
    row, column = frame.tile
    return image[row : row + frame.rows, column : column + frame.columns]


def dtype_of(p: Pixels) -> np.dtype:
    """Give the type of the stored values."""
    if p.kind != "int":
        code = f"f{p.allocated // 8}"
    else:
        code = f"{'i' if p.signed else 'u'}{p.allocated // 8}"
    return np.dtype(("<" if p.little else ">") + code)


def _from_file(source: Source, index: int) -> np.ndarray:
    p = source.pixels
    with open(source.path, "rb", buffering=0) as file:
        file.seek(p.offset + index * p.frame_bytes)
        raw = file.read(p.frame_bytes)
    if len(raw) != p.frame_bytes:
        raise ValueError(f"{len(raw)} of {p.frame_bytes} bytes")
    return _as_image(raw, p)


def _inflated(source: Source) -> bytes:
    p = source.pixels
    entry = Entry(source.path, source.name, source.size)
    need = p.offset + p.frame_bytes * p.frames
    data = inflate(entry, meta_end(entry), need + 1)
    if len(data) < need:
        raise ValueError(f"inflates to {len(data)} of {need} bytes")
    return data


def _from_bytes(data: bytes, p: Pixels, index: int) -> np.ndarray:
    start = p.offset + index * p.frame_bytes
    return _as_image(data[start : start + p.frame_bytes], p)


def _as_image(raw: bytes, p: Pixels) -> np.ndarray:
    if p.allocated == 8 and not p.little and p.vr == "OW" and len(raw) % 2 == 0:
        raw = np.frombuffer(raw, "<u2").byteswap().tobytes()  # bytes were swapped in pairs
    image = np.frombuffer(raw, dtype_of(p)).reshape(p.rows, p.columns)
    return true_bits(image, p)


def true_bits(image: np.ndarray, p: Pixels) -> np.ndarray:
    """Give values made of the stored bits alone: rubbish above them is cut, the sign extended."""
    if image.dtype.kind == "f" or p.stored >= p.allocated:
        return image
    if not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    bits = image.dtype.itemsize * 8
    low = p.high + 1 - p.stored
    if low == 0 and not p.signed and int(image.max()) >> p.stored == 0:
        return image
    if p.signed:
        return (image << (bits - p.high - 1)) >> (bits - p.stored)
    return (image >> low) & image.dtype.type((1 << p.stored) - 1)
