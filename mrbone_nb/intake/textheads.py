"""NRRD and MetaImage: headers of text, read here, since a damaged one can keep the usual readers busy for ever."""

from __future__ import annotations

import re

import numpy as np

from ..errors import InputError
from .files import Entry
from .issues import Issue
from .stored import Stored

TO_LPS = {  # for x, y, z of each named space of NRRD
    "left-posterior-superior": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
}
SHORT = {"lps": "left-posterior-superior", "ras": "right-anterior-superior", "las": "left-anterior-superior"}
NRRD_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
PLAIN_KINDS = ("domain", "space", "time", "none", "???")


def _fields(text: str, mark: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition(mark)
        if sign and not line.startswith("#"):
            found[key.strip().lower()] = value.strip().lstrip("=").strip()
    return found


def _sizes(text: str, dimension: str) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in text.split())
    if len(sizes) != int(dimension) or any(n < 1 for n in sizes):
        raise ValueError(f"sizes {text[:40]!r}")
    return sizes


def _numbers(text: str, count: int) -> np.ndarray:
    found = np.array([float(v) for v in text.split()])
    if len(found) < count:
        raise ValueError(f"{text[:40]!r} holds less than {count} numbers")
    return found


def nowhere(entry: Entry, why: str) -> Issue:
    """Give the issue of a file that does not say where the scan lies."""
    text = f"{entry.name}: {why}, so the file does not say where the scan lies; it was read as it is. Export it again"
    return Issue("geometry", f'{text}, or accept "geometry"', blocks=True)


# ---------------------------------------------------------------------------------------------------- NRRD


def read_nrrd(entry: Entry, head: bytes) -> Stored:
    """Check the header of an NRRD file whose values lie in the same file.

    Raises
    ------
    InputError
        Where it holds several values a voxel, refers to another file, or does not give its voxel size.
    """
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None:
        raise ValueError("it does not end")
    fields = _fields(head[: end.start()].decode("latin-1"), ":")
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .nrrd file")
    sizes = _sizes(fields["sizes"], fields["dimension"])
    kinds = fields.get("kinds", "").lower().split()
    if any(k not in PLAIN_KINDS for k in kinds):
        shown = " ".join(kinds)[:60]
        raise InputError(f"{entry.name}: several values a voxel (kinds: {shown}); not read. Export one channel")
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in ("raw", "gzip", "gz") or int(fields.get("line skip", 0)) or int(fields.get("byte skip", 0)):
        raise InputError(f"{entry.name}: encoding {encoding[:20]!r} is not read here; save it raw or packed with gzip")
    packing = "" if encoding == "raw" else "gzip"
    found = Stored(sizes, _nrrd_type(fields), end.end(), packing)
    _nrrd_place(entry, found, fields)
    return found


def _nrrd_type(fields: dict[str, str]) -> np.dtype:
    kind = fields["type"].lower()
    code = next((code for code, names in NRRD_TYPES.items() if kind in names), None)
    if code is None:
        raise ValueError(f"type {kind[:20]!r}")
    return np.dtype((">" if fields.get("endian", "little").lower() == "big" else "<") + code)


def _nrrd_place(entry: Entry, found: Stored, fields: dict[str, str]) -> None:
    space = fields.get("space", "").lower()
    space = SHORT.get(space, space)
    if "space directions" in fields:
        vectors = re.findall(r"\(([^)]*)\)|none", fields["space directions"])
        columns = [[float(v) for v in text.split(",")] for text in vectors if text][:3]
        origin = [float(v) for v in fields.get("space origin", "(0,0,0)").strip("() ").split(",")]
        if np.shape(columns) != (3, 3) or len(origin) != 3:
            raise ValueError("space directions")
        found.matrix[:3, :3], found.matrix[:3, 3] = np.array(columns).T, origin
        found.matrix[:3] *= np.array(TO_LPS.get(space, (1, 1, 1)))[:, None]
    elif "spacings" in fields:
        found.matrix[:3, :3] = np.diag(np.abs(_numbers(fields["spacings"], 3)[:3]))
    else:
        raise InputError(f"{entry.name}: neither space directions nor spacings: the voxel size is unknown; not read")
    if "space directions" not in fields or "space origin" not in fields or space not in TO_LPS:
        found.issues.append(
            nowhere(entry, "no origin and directions in a named space (such as left-posterior-superior)")
        )


# ---------------------------------------------------------------------------------------------------- MetaImage


def read_metaimage(entry: Entry, head: bytes) -> Stored:
    """Check the header of a MetaImage whose values lie in the same file.

    Raises
    ------
    InputError
        Where it holds several values a voxel, refers to another file, or does not give its voxel size.
    """
    where = re.search(rb"ElementDataFile\s*=\s*(\S+)[ \t]*\r?\n", head)
    if where is None or where.group(1) != b"LOCAL":
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .mha file")
    fields = _fields(head[: where.start()].decode("latin-1"), "=")
    sizes = _sizes(fields["dimsize"], fields["ndims"])
    if int(fields.get("elementnumberofchannels", "1")) != 1:
        raise InputError(f"{entry.name}: several values a voxel; not read. Export one gray channel")
    if fields.get("binarydata", "true").lower() != "true":
        raise InputError(f"{entry.name}: values as text are not read here; save them as binary data")
    big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "false")).lower() == "true"
    dtype = np.dtype((">" if big else "<") + META_TYPES[fields["elementtype"].upper()])
    packing = "zlib" if fields.get("compresseddata", "").lower() == "true" else ""
    found = Stored(sizes, dtype, where.end(), packing)
    if packing and entry.size - found.start < int(fields.get("compresseddatasize", "0")):
        raise InputError(f"{entry.name}: cut short: its packed values are incomplete; not read. Copy it again")
    _meta_place(entry, found, fields)
    return found


def _meta_place(entry: Entry, found: Stored, fields: dict[str, str]) -> None:
    dims = len(found.shape)
    spacing = fields.get("elementspacing", fields.get("elementsize"))
    if spacing is None:
        raise InputError(f"{entry.name}: no ElementSpacing: the voxel size is unknown; not read. Export it again")
    turn = next((fields[k] for k in ("transformmatrix", "rotation", "orientation") if k in fields), None)
    origin = next((fields[k] for k in ("offset", "position", "origin") if k in fields), None)
    if turn is None or origin is None:
        found.issues.append(nowhere(entry, "no TransformMatrix and Offset"))
    axes = np.eye(dims) if turn is None else np.reshape(_numbers(turn, dims * dims)[: dims * dims], (dims, dims)).T
    if dims >= 3:
        found.matrix[:3, :3] = axes[:3, :3] * _numbers(spacing, dims)[:3]
        found.matrix[:3, 3] = 0 if origin is None else _numbers(origin, dims)[:3]
