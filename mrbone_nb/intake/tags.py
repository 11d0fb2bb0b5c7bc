"""Take values out of a DICOM header without trusting it.

pydicom splits the header into elements; their values are converted here, one by one and strictly, so that a broken
value costs that value alone, with its text kept for the message, and nothing is converted that is not asked for.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from typing import TYPE_CHECKING, Any

from .files import Damaged, stream_of

if TYPE_CHECKING:
    from pydicom import Dataset

DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
LONG = 8 << 20  # bytes of a sequence beyond which the steps are counted
MAX_TEXT = 20_000  # bytes of one text value that are looked at


class BadValue(ValueError):
    """Say which tag holds what nonsense."""


def tag_name(tag: int) -> str:
    """Give a tag in words and numbers: "Pixel Spacing (0028,0030)"."""
    from pydicom.datadict import dictionary_description

    try:
        words = dictionary_description(tag) + " "
    except KeyError:
        words = ""
    return f"{words}({tag >> 16:04X},{tag & 0xFFFF:04X})"


@functools.cache
def _key(tag: int) -> Any:
    """The tag in pydicom's own type, made once."""
    from pydicom.tag import Tag

    return Tag(tag)


def get(ds: Dataset, tag: int) -> Any:
    """Give an element as it stands, unconverted, or None."""
    return ds.get_item(_key(tag))


def _raw(ds: Dataset, tag: int) -> tuple[str, Any, bool]:
    """The VR, the value as it stands, and whether bytes are little endian; value None where missing or empty."""
    element = ds.get_item(_key(tag))
    if element is None or element.value is None or element.value == b"":
        return "", None, True
    return str(element.VR or ""), element.value, getattr(element, "is_little_endian", True)


def text(ds: Dataset, tag: int) -> str:
    """Give a text value, "" where missing; characters outside ASCII are kept as Latin-1."""
    _, value, _ = _raw(ds, tag)
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value[:MAX_TEXT].decode("latin-1").strip(" \0\t\r\n")
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return str(value)[:MAX_TEXT].strip(" \0")
    return "\\".join(str(v) for v in list(value)[:1000])[:MAX_TEXT]


def texts(ds: Dataset, tag: int) -> tuple[str, ...]:
    """Give the parts of a text of several values, in upper case."""
    whole = text(ds, tag)
    return tuple(part.strip(" \0").upper() for part in whole.split("\\")) if whole else ()


def numbers(ds: Dataset, tag: int, kind: str = "DS") -> tuple[float, ...]:
    """Give the numbers of an element, () where missing.

    Parameters
    ----------
    ds
        The header.
    tag
        The tag as one number.
    kind
        Value representation to assume where the file does not state one.

    Raises
    ------
    BadValue
        Where the value is no finite number, as with "abc" or a decimal comma.
    """
    vr, value, little = _raw(ds, tag)
    if value is None:
        return ()
    if not isinstance(value, bytes):
        value = value if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value]
        found = [str(v) for v in value] if not isinstance(value, str) else value.split("\\")
        return tuple(_decimal(tag, part) for part in found)
    vr = vr if vr in BINARY or vr in ("DS", "IS") else kind
    if vr in BINARY:
        size = struct.calcsize("<" + BINARY[vr])
        if len(value) % size:
            raise BadValue(f"{tag_name(tag)} has {len(value)} bytes, no multiple of {size}")
        found = struct.unpack(f"{'<' if little else '>'}{len(value) // size}{BINARY[vr]}", value)
        if not all(math.isfinite(v) for v in found):
            raise BadValue(f"{tag_name(tag)} is not finite")
        return tuple(float(v) for v in found)
    whole = value[:MAX_TEXT].decode("latin-1").strip(" \0\t\r\n")
    return tuple(_decimal(tag, part) for part in whole.split("\\")) if whole else ()


def _decimal(tag: int, part: str) -> float:
    part = part.strip(" \0\t\r\n")
    if not DECIMAL.fullmatch(part):
        raise BadValue(f"{tag_name(tag)} is {part[:40]!r}, not a number")
    value = float(part)
    if not math.isfinite(value):
        raise BadValue(f"{tag_name(tag)} is {part[:40]!r}, not finite")
    return value


def number(ds: Dataset, tag: int, kind: str = "DS") -> float | None:
    """Give the first number of an element; None where it is missing or broken (for facts that geometry does not need)."""
    try:
        found = numbers(ds, tag, kind)
    except BadValue:
        return None
    return found[0] if found else None


def whole(ds: Dataset, tag: int, kind: str = "US") -> int | None:
    """Give the only whole number of an element, None where missing.

    Raises
    ------
    BadValue
        Where there are several numbers, or it is not whole.
    """
    found = numbers(ds, tag, kind)
    if not found:
        return None
    if len(found) > 1 or found[0] != int(found[0]):
        raise BadValue(f"{tag_name(tag)} is {' and '.join(f'{v:g}' for v in found)}, not one whole number")
    return int(found[0])


def written_step(ds: Dataset, tag: int) -> tuple[float, ...]:
    """Give the step of the last written digit of each number ("12.50" gives 0.01); 0 for binary numbers."""
    _, value, _ = _raw(ds, tag)
    if not isinstance(value, bytes):
        return ()
    steps = []
    for part in value[:MAX_TEXT].decode("latin-1").strip(" \0").split("\\"):
        mantissa, _, exponent = part.strip().lower().partition("e")
        digits = len(mantissa.partition(".")[2])
        try:
            steps.append(10.0 ** (int(exponent or 0) - digits))
        except (ValueError, OverflowError):
            return ()
    return tuple(steps)


def items(ds: Dataset | None, tag: int) -> list[Dataset]:
    """Give the items of a sequence, [] where missing or broken."""
    element = None if ds is None else get(ds, tag)
    if element is None:
        return []
    try:
        if isinstance(element.value, bytes) and len(element.value) > LONG:
            value = _long_sequence(element)
        else:
            value = ds[_key(tag)].value
    except Damaged:
        raise
    except Exception:  # pydicom raises nearly anything on broken sequences
        return []
    return list(value) if hasattr(value, "append") and not isinstance(value, (bytes, str)) else []


def _long_sequence(element: Any) -> Any:
    """Take a long sequence apart within a number of steps."""
    from pydicom.filereader import read_sequence

    stream = stream_of(element.value)
    return read_sequence(stream, element.is_implicit_VR, element.is_little_endian, len(element.value), "iso8859")


def item(ds: Dataset | None, tag: int) -> Dataset | None:
    """Give the first item of a sequence, or None."""
    found = items(ds, tag)
    return found[0] if found else None


def private(ds: Dataset, group: int, creator: str, element: int) -> int | None:
    """Give the full tag of a private element of a named creator, or None where that creator reserved no block."""
    first, last = (group << 16) + 0x10, (group << 16) + 0xFF
    for tag in ds.keys():
        if first <= int(tag) <= last and text(ds, int(tag)).upper() == creator.upper():
            return (group << 16) + ((int(tag) & 0xFF) << 8) + element
    return None
