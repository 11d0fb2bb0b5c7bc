"""NIfTI, NRRD and MetaImage: the header is checked, with limits, before any value is read."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ..errors import InputError
from ..memory import GIB, LIMIT, available
from ..volume import Volume
from . import nifti, stored, textheads
from .files import Entry, kind_of, read_head
from .issues import Issue

HEAD = 256 << 10  # bytes within which a header must end
READERS = {"nifti": nifti.read_header, "nrrd": textheads.read_nrrd, "metaimage": textheads.read_metaimage}


@dataclass(slots=True)
class Described:
    """A file whose header was found in order."""

    entry: Entry
    stored: stored.Stored

    @property
    def shape(self) -> tuple[int, ...]:
        """(plane, row, column), or (time, plane, row, column)."""
        return self.stored.shape[::-1]

    @property
    def issues(self) -> list[Issue]:
        """What is doubtful about its header."""
        return self.stored.issues


def describe(entry: Entry) -> Described:
    """Check a file's header, and the number of its bytes, without reading the values.

    Raises
    ------
    InputError
        Where it is broken, cut short, too large, refers to another file, or is no gray volume.
    """
    raw = read_head(entry, HEAD)
    kind = kind_of(raw[:1024], entry.name)
    try:
        head = _unpacked(entry, raw) if kind == "nifti" else raw
        found = READERS[kind](entry, head)
        stored.check(entry, found)
    except (struct.error, ValueError, LookupError, OverflowError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error)[:120] or type(error).__name__
        what = f"has the name of a NIfTI file, but its header is damaged ({reason})"
        if kind != "nifti":
            what = f"the {kind} header is damaged ({reason})"
        raise InputError(f"{entry.name}: {what}; not read. Copy or export it again") from None
    return Described(entry, found)


def _unpacked(entry: Entry, raw: bytes) -> bytes:
    """The first bytes of a NIfTI file, inflated where its name says that it is packed."""
    packed = raw[:2] == b"\x1f\x8b"
    if packed != entry.name.lower().endswith(".gz"):
        if packed:
            raise InputError(f"{entry.name}: packed with gzip in spite of its name; not read. Name it .nii.gz")
        raise ValueError("it is not packed with gzip, as its name says")
    if not packed:
        return raw
    try:
        return zlib.decompressobj(31).decompress(raw, 4096)
    except zlib.error:
        raise InputError(f"{entry.name}: the packed data is damaged; not read. Copy or export it again") from None


def load(described: Described, name: str, time: int = 0) -> Volume:
    """Give the volume of a file that `describe` found in order.

    Raises
    ------
    InputError
        Where it ends early, is damaged, or does not fit into memory.
    """
    x, y, z = described.stored.shape[:3]
    need, free = x * y * z * (described.stored.dtype.itemsize + 4.0), available()
    if free is not None and need > LIMIT * free:
        raise InputError(
            f"{described.entry.name}: needs about {need / GIB:.1f} GB of memory, and {free / GIB:.1f} GB are free; not "
            "read. Close other programs"
        )
    return stored.load(described.entry, described.stored, name, time)


def load_middle(described: Described, time: int = 0) -> Volume:
    """Give the middle plane of one volume of a file that `describe` found in order.

    Raises
    ------
    InputError
        Where it ends early or is damaged, or is too large for a quick look.
    """
    return stored.load_plane(described.entry, described.stored, described.stored.shape[2] // 2, time)
