"""Where and how the pixels of a DICOM file are stored; what does not add up is found before any of them is read."""

from __future__ import annotations

import struct

from .files import BIG_ENDIAN, DEFLATED, EXPLICIT, GE_MIXED, IMPLICIT, UNDEFINED, Entry, Opened
from .issues import clean
from .records import Pixels
from .tags import BadValue, text, whole

NATIVE = {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, GE_MIXED}
LOSSLESS = {
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.57",  # JPEG lossless, any predictor
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first order
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless only
    "1.2.840.10008.1.2.4.201",  # high-throughput JPEG 2000 lossless only
    "1.2.840.10008.1.2.4.202",
}
LOSSY = {
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.203",  # high-throughput JPEG 2000
}
MAX_SIDE = 65535
BLANK = 20_000  # bytes of pixels to one compressed byte: not even a blank image is packed tighter


def read_pixels(entry: Entry, opened: Opened, faults: list[tuple[str, str]]) -> Pixels:
    """Give where and how the pixels are stored; what does not add up is put into ``faults``."""
    ds = opened.header
    if opened.pixel_kind is None:
        if opened.cut:
            faults.append(("truncated", "cut short in the header, before the pixels"))
        else:
            faults.append(("pixels", "a header without pixels (no Pixel Data (7FE0,0010))"))
    p = Pixels(
        offset=opened.pixel_offset,
        length=opened.pixel_length,
        kind=opened.pixel_kind or "int",
        vr=opened.pixel_vr,
        syntax=opened.syntax,
        little=opened.little,
        deflated=opened.deflated,
        encapsulated=opened.syntax not in NATIVE,
        photometric=text(ds, 0x00280004).upper() or "MONOCHROME2",
        lossy=text(ds, 0x00282110) == "01" or (opened.syntax in LOSSY and text(ds, 0x00282110) != "00"),
    )
    try:
        p.rows, p.columns = whole(ds, 0x00280010) or 0, whole(ds, 0x00280011) or 0
        p.frames = whole(ds, 0x00280008, "IS") or 1
        p.samples = whole(ds, 0x00280002) or 1
        p.planar = whole(ds, 0x00280006) or 0
        p.allocated = whole(ds, 0x00280100) or 0
        p.stored = whole(ds, 0x00280101) or p.allocated
        high = whole(ds, 0x00280102)
        p.high = p.stored - 1 if high is None else high
        p.signed = bool(whole(ds, 0x00280103))
    except BadValue as error:
        faults.append(("size", str(error)))
        return p
    p.allocated = {"float": 32, "double": 64}.get(p.kind, p.allocated)
    _check_shape(p, faults)
    if not faults:
        _check_length(entry, opened, p, faults)
    return p


def _check_shape(p: Pixels, faults: list[tuple[str, str]]) -> None:
    if not (0 < p.rows <= MAX_SIDE and 0 < p.columns <= MAX_SIDE and p.frames > 0):
        faults.append(("size", f"Rows × Columns × frames is {p.rows} × {p.columns} × {p.frames}"))
    elif p.samples != 1 or not p.photometric.startswith("MONOCHROME"):
        faults.append(("pixels", f"a color image (Photometric Interpretation (0028,0004) is {clean(p.photometric)})"))
    elif p.allocated not in (8, 16, 32, 64):
        faults.append(("bits", f"Bits Allocated (0028,0100) is {p.allocated}: expected 8, 16, 32 or 64"))
    elif p.kind == "int" and not 0 < p.stored <= p.high + 1 <= p.allocated:
        faults.append(
            ("bits", f"Bits Stored {p.stored} and High Bit {p.high} do not fit into Bits Allocated {p.allocated}")
        )


def _check_length(entry: Entry, opened: Opened, p: Pixels, faults: list[tuple[str, str]]) -> None:
    """Compare the bytes that the header needs with those that are there, before any pixel is read."""
    if p.encapsulated:
        if p.syntax not in LOSSLESS | LOSSY:
            from pydicom.uid import UID

            name = clean(UID(p.syntax, validation_mode=0).name)
            faults.append(("pixels", f"the transfer syntax {name} ({clean(p.syntax)}) is not readable here"))
        else:
            _check_fragments(entry, p, opened.little, faults)
        return
    need = p.frame_bytes * p.frames if p.allocated % 8 == 0 else 0
    have = min(p.length, opened.available) if p.length != UNDEFINED else opened.available
    shape = f"Rows × Columns × frames of {p.rows} × {p.columns} × {p.frames} with {p.allocated} bits"
    if have < need:
        faults.append(("truncated", f"cut short: {have} bytes of pixels, but {shape} need {need} bytes"))
    elif opened.available < p.length != UNDEFINED:
        faults.append(("truncated", f"cut short: Pixel Data counts {p.length} bytes, {opened.available} are there"))
    elif p.deflated and have > need + 4096:
        faults.append(("bits", f"inflates beyond its size: {have} bytes of pixels, but {shape} need {need} bytes"))
    elif have >= need * 3 // 2:
        faults.append(("bits", f"{have} bytes of pixels do not fit the bits: {shape} need {need} bytes"))


def _check_fragments(entry: Entry, p: Pixels, little: bool, faults: list[tuple[str, str]]) -> None:
    """Walk over the items of encapsulated pixel data without reading them."""
    at, total, found = p.offset, 0, 0
    with open(entry.path, "rb") as file:
        while at + 8 <= entry.size:
            file.seek(at)
            group, element, length = struct.unpack("<HHI", file.read(8))
            if (group, element) == (0xFFFE, 0xE0DD):
                break
            if (group, element) != (0xFFFE, 0xE000):
                faults.append(("undecodable", "the compressed pixel data is damaged (no item where one must begin)"))
                return
            at += 8 + length
            if at > entry.size:
                faults.append(
                    ("truncated", f"cut short: a compressed frame ends {at - entry.size} bytes after the file")
                )
                return
            found += 1
            total += length
    p.length = at - p.offset
    if found - 1 < p.frames:  # the first item is the offset table
        faults.append(("truncated", f"{max(found - 1, 0)} compressed frames, but the header counts {p.frames} frames"))
    elif p.frame_bytes * p.frames > max(BLANK * total, 64 << 20):
        need = p.frame_bytes * p.frames / 1e9
        faults.append(
            ("size", f"{total} compressed bytes for {p.rows} × {p.columns} × {p.frames} frames ({need:.1f} GB)")
        )
