"""NIfTI, NRRD and MetaImage: the header is checked here, with limits, before any value is read."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from ..memory import GIB, LIMIT, available
from ..volume import Volume
from . import nifti
from .files import Entry, kind_of, read_head
from .issues import Issue

MAX_GROWTH = 1100  # no deflated byte grows to more
SPACES = {"ras", "las", "lps", "right-anterior-superior", "left-anterior-superior", "left-posterior-superior"}


@dataclass(slots=True)
class Described:
    """What the header of a file says, before its values are read."""

    entry: Entry
    kind: str
    shape: tuple[int, ...]  # (plane, row, column), or (time, plane, row, column)
    bytes_needed: int
    issues: list[Issue] = field(default_factory=list)
    header: Any = None


def describe(entry: Entry) -> Described:
    """Check a file's header, and the number of its bytes, without reading the values.

    Raises
    ------
    InputError
        Where it is broken, cut short, too large, refers to another file, or is no gray volume.
    """
    head = _head(entry)
    kind = kind_of(read_head(entry, 1024), entry.name)
    reader = {"nifti": _nifti, "nrrd": _nrrd, "metaimage": _metaimage}.get(kind)
    if reader is None:  # a label map is named by the user, so its kind was not looked at before
        raise InputError(f"{entry.name}: cannot be read as an image; expected NIfTI, NRRD or MetaImage")
    try:
        found = reader(entry, head)
    except (struct.error, ValueError, LookupError, OverflowError, StopIteration) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{entry.name}: the {kind} header is damaged ({error}); not read. Copy it again") from None
    if len(found.shape) not in (3, 4):
        shown = " × ".join(str(n) for n in found.shape[::-1])
        raise InputError(f"{entry.name}: holds {shown} values: expected a volume of 3 dimensions. Export one volume")
    return found


def _head(entry: Entry, size: int = 64 << 10) -> bytes:
    """The first bytes, inflated where the file is packed."""
    raw = read_head(entry, size)
    if raw[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(31).decompress(raw, size)
        except zlib.error:
            raise InputError(f"{entry.name}: the packed data is damaged; not read. Copy it again") from None
    return raw


def _bytes(shape: tuple[int, ...] | list[int], width: int) -> int:
    need = width
    for n in shape:
        need *= int(n)
    return need


def _fits(entry: Entry, need: int, start: int, packed: bool) -> None:
    """Refuse a file that is cut short, or whose header claims more than it can hold."""
    have = max(0, entry.size - start)
    if have * (MAX_GROWTH if packed else 1) < need:
        raise InputError(
            f"{entry.name}: cut short: {have} bytes of values, but its header claims {need}; not read. Copy it again from "
            "its source"
        )


def _nifti(entry: Entry, head: bytes) -> Described:
    header = nifti.read_header(entry, head)
    need = _bytes(header.shape, header.dtype.itemsize)
    packed = entry.name.lower().endswith(".gz")
    _fits(entry, need, 0 if packed else header.offset, packed)
    return Described(entry, "nifti", header.shape[::-1], need, list(header.issues), header)


# ---------------------------------------------------------------------------------------------------- NRRD, MetaImage


def _fields(text: str, mark: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition(mark)
        if sign and not line.startswith("#"):
            found[key.strip().lower()] = value.strip().lstrip("=").strip()
    return found


def _nrrd(entry: Entry, head: bytes) -> Described:
    text, _, _ = head.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = _fields(text.decode("latin-1"), ":")
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .nrrd file")
    sizes = [int(n) for n in fields["sizes"].split()]
    if len(sizes) != int(fields["dimension"]) or any(n < 1 for n in sizes):
        raise ValueError(f"sizes {sizes}")
    kinds = fields.get("kinds", "").lower().split()
    if any(k not in ("domain", "space", "time", "none", "???") for k in kinds):
        raise InputError(f"{entry.name}: several values a voxel (kinds: {' '.join(kinds)}); not read. Export one channel")
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f"{entry.name}: encoding {encoding[:20]!r} is not read here; save it raw or packed with gzip")
    need = _bytes(sizes, _nrrd_width(fields["type"]))
    _fits(entry, need, len(text), encoding != "raw")
    found = Described(entry, "nrrd", tuple(sizes[::-1]), need)
    if "space directions" not in fields and "spacings" not in fields:
        raise InputError(f"{entry.name}: neither space directions nor spacings: the voxel size is unknown; not read")
    if "space directions" not in fields or fields.get("space", "").lower() not in SPACES:
        found.issues.append(_nowhere(entry, "no space directions in a named space (such as left-posterior-superior)"))
    return found


def _nowhere(entry: Entry, why: str) -> Issue:
    text = f"{entry.name}: {why}, so the file does not say where the scan lies; it was read as it is. Export it again"
    return Issue("geometry", f'{text}, or accept "geometry"', blocks=True)


def _nrrd_width(kind: str) -> int:
    kind = kind.lower()
    for names, width in ((("char", "int8", "uint8"), 1), (("short", "int16"), 2), (("double", "long", "int64"), 8)):
        if any(n in kind for n in names):
            return width
    if "int" in kind or "float" in kind:
        return 4
    raise ValueError(f"type {kind[:20]!r}")


def _metaimage(entry: Entry, head: bytes) -> Described:
    where = re.search(rb"ElementDataFile\s*=\s*(\S+)[ \t]*\r?\n", head)
    if where is None or where.group(1) != b"LOCAL":
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .mha file")
    fields = _fields(head[: where.start()].decode("latin-1"), "=")
    sizes = [int(n) for n in fields["dimsize"].split()]
    if len(sizes) != int(fields["ndims"]) or any(n < 1 for n in sizes):
        raise ValueError(f"DimSize {sizes}")
    if int(fields.get("elementnumberofchannels", "1")) != 1:
        raise InputError(f"{entry.name}: several values a voxel; not read. Export one gray channel")
    widths = {"CHAR": 1, "SHORT": 2, "LONG": 8, "DOUBLE": 8, "INT": 4, "FLOAT": 4}
    kind = fields["elementtype"].upper()
    need = _bytes(sizes, next(w for name, w in widths.items() if name in kind))
    packed = fields.get("compresseddata", "").lower() == "true"
    _fits(entry, need, where.end(), packed)
    if packed:
        _fits(entry, int(fields.get("compresseddatasize", "0")), where.end(), False)
    found = Described(entry, "metaimage", tuple(sizes[::-1]), need)
    if not ({"elementspacing", "elementsize"} & set(fields)):
        raise InputError(f"{entry.name}: no ElementSpacing: the voxel size is unknown; not read. Export it again")
    if "transformmatrix" not in fields or not ({"offset", "position", "origin"} & set(fields)):
        found.issues.append(_nowhere(entry, "no TransformMatrix and Offset"))
    return found


# ---------------------------------------------------------------------------------------------------- values


def load(described: Described, name: str, time: int = 0) -> Volume:
    """Give the volume of a file that `describe` found in order.

    Raises
    ------
    InputError
        Where it cannot be read, does not fit into memory, or holds more than one value a voxel.
    """
    entry, free = described.entry, available()
    if free is not None and 2.0 * described.bytes_needed > LIMIT * free:
        raise InputError(
            f"{entry.name}: needs about {2 * described.bytes_needed / GIB:.1f} GB of memory, and {free / GIB:.1f} GB are "
            "free; not read. Close other programs"
        )
    if described.kind == "nifti":
        return nifti.load(entry, described.header, name, time)
    import SimpleITK as sitk

    try:
        with _silent():
            image = sitk.ReadImage(str(entry.path))
    except RuntimeError as error:
        raise InputError(f"{entry.name}: not read ({_reason(str(error))}). Export or copy it again") from None
    if image.GetDimension() == 4:
        image = image[:, :, :, time]
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() != 3:
        raise InputError(f"{entry.name}: {image.GetNumberOfComponentsPerPixel()} values a voxel; not read. Export one")
    _plausible(entry, image.GetSpacing())
    return Volume(
        _narrow(sitk.GetArrayFromImage(image)),
        image.GetSpacing()[::-1],
        image.GetOrigin(),
        image.GetDirection(),
        name=name,
    )


def _plausible(entry: Entry, sizes: tuple[float, ...]) -> None:
    if not all(0.002 <= v <= 200 for v in sizes):
        shown = " × ".join(f"{v:g}" for v in sizes)
        raise InputError(f"{entry.name}: voxels of {shown} mm are implausible; not read. Look at the unit in the header")


@contextmanager
def _silent() -> Iterator[None]:
    """Hold back ITK's warnings on standard error: what matters is checked here and told with the file's name."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _narrow(array: np.ndarray) -> np.ndarray:
    """The values as float32, as float64 where float32 would lose something."""
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = array.astype(np.float32)
        exact = array.dtype.itemsize <= 2 or np.array_equal(narrow.astype(np.float64), array, equal_nan=True)
    return narrow if exact else array.astype(np.float64)


def _reason(error: str) -> str:
    """The telling line of a long message of ITK."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if "orthonormal" in error:
        return "its axes are not at right angles: a sheared scan"
    return lines[-1][:160].rpartition("): ")[2] if lines else "no reason given"
