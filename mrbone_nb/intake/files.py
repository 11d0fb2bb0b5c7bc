"""Which files are there, what kind each one is, and a DICOM header read with limits."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

FIRST_READ = 128 << 10  # holds the header of nearly every classic image
MAX_HEADER = 64 << 20  # bytes of header, pixels not counted
MAX_READS = 2_000_000  # steps to take a header apart; the longest sound ones, of 10 000 frames, take less
MAX_DEPTH = 40  # folders in folders
PIXEL_TAGS = {0x7FE00010: "int", 0x7FE00008: "float", 0x7FE00009: "double"}
LONG_VR = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UT", b"UC", b"UR", b"SQ", b"SV", b"UV"}
UNDEFINED = 0xFFFFFFFF

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
GE_MIXED = "1.2.840.113619.5.2"  # implicit little endian header, big endian pixels


class Skip(Exception):
    """Say why a file is not an image; that is in order."""


class Damaged(Exception):
    """Say why a file that should be readable is not."""


class Counted(io.BytesIO):
    """Bytes to take a header from, within a number of steps: a small file may hold millions of empty elements."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual, or stop where there is no end of it."""
        self.left -= 1
        if self.left < 0:
            raise Damaged(f"a header that takes more than {MAX_READS} steps to read")
        return super().read(size)


def stream_of(data: bytes) -> io.BytesIO:
    """Give bytes as a stream; only long ones are worth counting."""
    return Counted(data) if len(data) > 4 * MAX_READS else io.BytesIO(data)


@dataclass(slots=True)
class Entry:
    """One file found: its place, how messages call it, its size in bytes."""

    path: Path
    name: str
    size: int


@dataclass(slots=True)
class Opened:
    """A DICOM header, and where its pixel data begins (None where there is none)."""

    header: Dataset
    syntax: str
    little: bool
    deflated: bool
    cut: bool = False  # ends in the middle of the header
    pixel_kind: str | None = None
    pixel_vr: str = ""
    pixel_offset: int = 0
    pixel_length: int = 0
    pixel_head: bytes = b""  # first bytes of the pixel data, where already read
    available: int = 0  # bytes from the offset to the end of the file (or of the inflated bytes)


def walk(folder: Path, skipped: list[tuple[str, str]]) -> Iterator[Entry]:
    """Give every regular file below a folder in a fixed order; links are not followed, but told."""
    pending = [(folder, "", 0)]
    while pending:
        place, prefix, depth = pending.pop()
        try:
            found = sorted(os.scandir(place), key=lambda e: e.name)
        except OSError as error:
            skipped.append((prefix or str(place), f"folder cannot be listed ({error.strerror})"))
            continue
        deeper = []
        for entry in found:
            name = prefix + entry.name
            try:
                if entry.is_symlink() or getattr(entry, "is_junction", bool)():
                    skipped.append((name, "a link, which is not followed"))
                elif entry.is_dir(follow_symlinks=False):
                    if depth >= MAX_DEPTH:
                        skipped.append((name, f"more than {MAX_DEPTH} folders deep"))
                    else:
                        deeper.append((Path(entry.path), name + "/", depth + 1))
                elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    skipped.append((name, "not a regular file"))
                else:
                    yield Entry(Path(entry.path), name, entry.stat(follow_symlinks=False).st_size)
            except OSError as error:
                skipped.append((name, f"cannot be looked at ({error.strerror})"))
        pending.extend(reversed(deeper))


def kind_of(head: bytes, name: str) -> str:
    """Tell from its first bytes what a file is.

    Returns
    -------
    str
        "dicom", "maybe dicom" (no preamble), "nifti", "nrrd", "metaimage", "zip", "other", or "broken dicom": named like
        DICOM, or with its marks at a wrong place.
    """
    lower = name.lower()
    if head[128:132] == b"DICM":
        return "dicom"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return "nifti"
    if head[:2] == b"\x1f\x8b":
        return "nifti" if lower.endswith((".nii", ".nii.gz")) else "other"
    if head[:6] == b"NRRD00":
        return "nrrd"
    if lower.endswith((".mha", ".mhd")) and b"=" in head[:400]:
        return "metaimage"
    if head[:4] == b"PK\x03\x04" or head[:4] == b"PK\x05\x06":
        return "zip"
    if len(head) > 16 and head[:2] in (b"\x02\0", b"\x08\0") and head[3] == 0:
        return "maybe dicom"
    if len(head) > 16 and head[:2] in (b"\0\x02", b"\0\x08") and head[2] == 0:
        return "maybe dicom"
    if lower.endswith((".dcm", ".dicom", ".ima")) or b"DICM" in head[:400] or b"\x02\0\0\0UL\x04\0" in head[:400]:
        return "broken dicom"
    return "nifti" if lower.endswith((".nii", ".nii.gz")) else "other"  # reading it tells what is damaged


def read_head(entry: Entry, size: int = FIRST_READ) -> bytes:
    """Give the first bytes of a file."""
    try:
        with open(entry.path, "rb", buffering=0) as file:
            return file.read(min(size, entry.size + 1)) or b""
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror})") from None


def open_dicom(entry: Entry, head: bytes) -> Opened:
    """Read the header of a DICOM file up to its pixels.

    Raises
    ------
    Damaged
        Where the header is broken, cut short or too large.
    """
    syntax, start = _file_meta(head)
    if syntax == DEFLATED:
        return _open_deflated(entry, start)
    if not syntax:
        syntax = _guess_syntax(head[start : start + 8])
    while True:
        opened = _parse(head, start, syntax, entry.size)
        if opened.pixel_kind is not None or len(head) >= entry.size:
            break
        if len(head) >= MAX_HEADER:
            raise Damaged(f"header of more than {MAX_HEADER >> 20} MB")
        head = read_head(entry, min(len(head) * 16, MAX_HEADER))
    return opened


def _file_meta(head: bytes) -> tuple[str, int]:
    """The transfer syntax, and where the data set begins."""
    at = 132 if head[128:132] == b"DICM" else 0
    syntax = ""
    while head[at : at + 2] == b"\x02\0" and at + 8 <= len(head):
        vr, element = head[at + 4 : at + 6], head[at + 2 : at + 4]
        if vr in LONG_VR:
            (length,) = struct.unpack("<I", head[at + 8 : at + 12].ljust(4, b"\0"))
            value = at + 12
        else:
            (length,) = struct.unpack("<H", head[at + 6 : at + 8])
            value = at + 8
        if value + length > len(head):
            raise Damaged("the file meta information is cut short")
        if element == b"\x10\0":
            syntax = head[value : value + length].decode("latin-1").strip(" \0")
        at = value + length
    return syntax, at


def _guess_syntax(peek: bytes) -> str:
    """The syntax of a data set that does not state one, from its first element."""
    explicit = peek[4:6].isalpha() and peek[4:6].isupper()
    if peek[:1] == b"\0" and peek[1:2] != b"\0":
        return BIG_ENDIAN
    return EXPLICIT if explicit else IMPLICIT


def _parse(data: bytes, start: int, syntax: str, size: int) -> Opened:
    from pydicom.filereader import read_dataset

    little = syntax != BIG_ENDIAN
    implicit = syntax in (IMPLICIT, GE_MIXED)
    stream = stream_of(data)
    stream.seek(start)
    try:
        header = read_dataset(stream, implicit, little, stop_when=_at_pixels)
    except Damaged:
        raise
    except RecursionError:
        raise Damaged("sequences nested too deep") from None
    except Exception as error:  # pydicom raises nearly anything on broken bytes
        if len(data) < size:
            return Opened(None, syntax, little, False)  # cut by our own read: read more
        raise Damaged(f"the header cannot be read ({type(error).__name__})") from None
    opened = Opened(header, syntax, little and syntax != GE_MIXED, False)
    _find_pixels(opened, data, stream.tell(), size, little)
    if opened.pixel_kind is None and len(data) >= size:
        opened.cut = _ends_early(header)
    return opened


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return int(tag) >= 0x7FE00001


def _find_pixels(opened: Opened, data: bytes, at: int, size: int, little: bool) -> None:
    """Look whether a pixel element begins here, and note its place."""
    order = "<" if little else ">"
    while at + 12 <= len(data):
        group, element = struct.unpack(order + "HH", data[at : at + 4])
        vr = data[at + 4 : at + 6]
        if vr.isalpha() and vr.isupper():
            if vr in LONG_VR:
                (length,) = struct.unpack(order + "I", data[at + 8 : at + 12])
                value = at + 12
            else:
                (length,) = struct.unpack(order + "H", data[at + 6 : at + 8])
                value = at + 8
        else:
            vr = b"OW"
            (length,) = struct.unpack(order + "I", data[at + 4 : at + 8])
            value = at + 8
        tag = (group << 16) + element
        if tag in PIXEL_TAGS:
            opened.pixel_kind, opened.pixel_vr = PIXEL_TAGS[tag], vr.decode()
            opened.pixel_offset, opened.pixel_length = value, length
            opened.available = max(0, size - value)
            return
        if tag < 0x7FE00001 or tag > 0x7FE00010 or length == UNDEFINED:
            return
        at = value + length  # an offset table or the like before the pixels


def _ends_early(header: Dataset) -> bool:
    """Whether a header without pixels stops in the middle of an element."""
    for tag in sorted(header.keys())[-1:]:
        element = header.get_item(tag)
        length = getattr(element, "length", None)
        if length not in (None, UNDEFINED) and isinstance(element.value, bytes) and len(element.value) < length:
            return True
    return False


def _open_deflated(entry: Entry, start: int) -> Opened:
    """Inflate no more than a header; the pixels are inflated when read, up to the size that the header needs."""
    data = inflate(entry, start, FIRST_READ * 8)
    opened = _parse(data, 0, EXPLICIT, 1 << 62)
    if opened.pixel_kind is None:
        data = inflate(entry, start, 64 << 20)
        opened = _parse(data, 0, EXPLICIT, len(data))
    opened.syntax, opened.deflated = DEFLATED, True
    opened.available = opened.pixel_length
    return opened


def inflate(entry: Entry, start: int, limit: int) -> bytes:
    """Give at most ``limit`` inflated bytes of a deflated file; memory stays within that."""
    engine, out, have = zlib.decompressobj(-15), [], 0
    try:
        with open(entry.path, "rb") as file:
            file.seek(start)
            while have < limit and not engine.eof:
                fed = engine.unconsumed_tail or file.read(1 << 16)
                if not fed:
                    break
                out.append(engine.decompress(fed, min(1 << 20, limit - have)))
                have += len(out[-1])
    except zlib.error:
        raise Damaged("the deflated data set is damaged") from None
    return b"".join(out)


def meta_end(entry: Entry) -> int:
    """Give the place where the data set of a DICOM file begins."""
    return _file_meta(read_head(entry))[1]
