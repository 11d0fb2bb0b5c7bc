"""From a DICOM header to a `Source` and its frames: the facts that geometry and grouping need, each checked."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from . import tags
from .files import BIG_ENDIAN, DEFLATED, EXPLICIT, GE_MIXED, IMPLICIT, UNDEFINED, Damaged, Entry, Opened, Skip
from .issues import clean
from .records import Frame, Pixels, Source
from .tags import BadValue, items, number, numbers, private, tag_name, text, texts, whole

if TYPE_CHECKING:
    from pydicom import Dataset

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
DICOMDIR = "1.2.840.10008.1.3.10"
UID_FORM = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){3,}")
UNKNOWN = "unknown kind of object"
STORAGE = "1.2.840.10008.5.1.4.1.1."
# What shares folders, even series, with images and is none.
NOT_IMAGES = ("88.", "11.", "104.", "66", "4.2", "481.2", "481.3", "481.5", "481.8", "9.", "67", "68.", "79.", "200.")
# CT, MR, PET and their multi-frame kinds: a file of these without pixels is a broken image.
IMAGES = {"2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130"}
PATIENT_ID, PATIENT_NAME = 0x00100020, 0x00100010
MAX_SIDE = 65535
BLANK = 20_000  # bytes of pixels to one compressed byte: not even a blank image is packed tighter
PLAUSIBLE_MM = (0.002, 30.0)  # distance between pixels
MAX_VIEW_MM = 4000.0
MAX_PLACE_MM = 1e5
UNIT_TOLERANCE = 5e-3


def read_source(entry: Entry, opened: Opened) -> Source:
    """Give the file-level facts, or raise `Skip` for what is not an image."""
    ds = opened.header
    sop_class = text(ds, 0x00080016)
    if sop_class == DICOMDIR or entry.name.rpartition("/")[2].upper() == "DICOMDIR":
        raise Skip("a DICOMDIR, whose references are not followed")
    if not sop_class and tags.get(ds, 0x00280010) is None and opened.pixel_kind is None:
        raise Damaged("no image in it, and no SOP Class UID (0008,0016) that says what else it is")
    rest = sop_class.removeprefix(STORAGE)
    if rest != sop_class and rest.startswith(NOT_IMAGES):
        raise Skip(f"{_class_name(sop_class)}: no image to segment")
    if opened.pixel_kind is None and not text(ds, 0x0020000E):
        raise Damaged("the header is cut short, or holds no image")
    if opened.pixel_kind is None and rest not in IMAGES and not _may_exist(sop_class):
        raise Damaged(f"no image in it, and its SOP Class UID (0008,0016) {clean(sop_class)!r} does not exist")
    if opened.pixel_kind is None and not opened.cut and rest not in IMAGES:
        raise Skip(f"{_class_name(sop_class)}: a header without pixels (no Pixel Data (7FE0,0010))")
    source = Source(
        path=entry.path,
        name=entry.name,
        size=entry.size,
        pixels=Pixels(),
        patient=(text(ds, PATIENT_ID), text(ds, PATIENT_NAME)),
        study=text(ds, 0x0020000D),
        series=text(ds, 0x0020000E),
        sop=text(ds, 0x00080018),
        sop_class=sop_class,
        modality=text(ds, 0x00080060).upper()[:16],
        description=clean(_decoded(ds, 0x0008103E) or _decoded(ds, 0x00181030)),
        frame_of_reference=text(ds, 0x00200052),
        manufacturer=clean(text(ds, 0x00080070), 40),
        model=clean(text(ds, 0x00081090), 40),
        field_strength=number(ds, 0x00180087),
        side=_side(ds),
        promised=_promised(ds),
        facts=_facts(ds),
    )
    found = number(ds, 0x00200011)
    source.number = int(found) if found is not None and abs(found) < 1e9 else None
    return source


def _may_exist(uid: str) -> bool:
    """Whether a SOP class is known, or well formed and of a vendor's own."""
    return _class_name(uid) != UNKNOWN or bool(UID_FORM.fullmatch(uid) and not uid.startswith("1.2.840.10008."))


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    name = UID(uid, validation_mode=0).name if uid else ""
    return clean(name.replace(" Storage", "")) if name and name != uid else UNKNOWN


def _decoded(ds: Dataset, tag: int) -> str:
    """A text in the file's own character set, Latin-1 where that is unknown."""
    from pydicom import charset

    element = tags.get(ds, tag)
    if element is None or not isinstance(element.value, bytes):
        return text(ds, tag)
    try:
        encodings = charset.convert_encodings(list(texts(ds, 0x00080005)) or None)
        return charset.decode_bytes(element.value[: tags.MAX_TEXT], encodings, {"\\", "\r", "\n"}).strip(" \0")
    except Exception:  # an unknown character set costs some letters, not the scan
        return text(ds, tag)


def _side(ds: Dataset) -> str:
    said = (text(ds, 0x00200062) or text(ds, 0x00200060)).upper()
    return {"R": "right", "L": "left"}.get(said, "")


def _promised(ds: Dataset) -> int | None:
    """How many slices or images the header counts."""
    places = [0x00201002, private(ds, 0x2001, "Philips Imaging DD 001", 0x18)]
    found = [number(ds, tag, "SL") for tag in places if tag]
    counts = [int(v) for v in found if v is not None and 0 < v < 1e6]
    return counts[0] if counts else None


def _facts(ds: Dataset) -> dict:
    """What tells how the image was made; multi-frame files add theirs from the functional groups."""
    facts = {
        "sequence": texts(ds, 0x00180020),
        "variant": texts(ds, 0x00180021),
        "options": texts(ds, 0x00180022),
        "name": clean(text(ds, 0x00180024) or text(ds, 0x00189005), 40),
        "protocol": clean(_decoded(ds, 0x00181030)),
        "tr": number(ds, 0x00180080),
        "ti": number(ds, 0x00180082),
        "flip": number(ds, 0x00181314),
        "train": number(ds, 0x00180091, "IS"),
        "suppression": texts(ds, 0x00189025),
        "pulse": text(ds, 0x00189008).upper(),
        "contrast": text(ds, 0x00089209).upper(),
    }
    spir = private(ds, 0x2001, "Philips Imaging DD 001", 0x21)
    if spir and text(ds, spir).upper() == "Y":
        facts["suppression"] = (*facts["suppression"], "SPIR")
    return facts


# ---------------------------------------------------------------------------------------------------- pixels


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
                faults.append(("truncated", f"cut short: a compressed frame ends {at - entry.size} bytes after the file"))
                return
            found += 1
            total += length
    p.length = at - p.offset
    if found - 1 < p.frames:  # the first item is the offset table
        faults.append(("truncated", f"{max(found - 1, 0)} compressed frames, but the header counts {p.frames} frames"))
    elif p.frame_bytes * p.frames > max(BLANK * total, 64 << 20):
        need = p.frame_bytes * p.frames / 1e9
        faults.append(("size", f"{total} compressed bytes for {p.rows} × {p.columns} × {p.frames} frames ({need:.1f} GB)"))


# ---------------------------------------------------------------------------------------------------- frames


def read_classic(opened: Opened, source: Source) -> Frame:
    """Give the one frame of a classic image."""
    ds = opened.header
    p = source.pixels
    frame = Frame(source=source, rows=p.rows, columns=p.columns, image_type=texts(ds, 0x00080008)[:12])
    read_place(frame, ds, ds, ds)
    read_scale(frame, ds)
    frame.thickness = number(ds, 0x00180050)
    frame.between = number(ds, 0x00180088)
    frame.echo_time = number(ds, 0x00180081)
    echo = number(ds, 0x00180086, "IS")
    frame.echo_number = int(echo) if echo is not None and 0 <= echo < 1e4 else None
    frame.instance = number(ds, 0x00200013, "IS")
    frame.component = component(frame.image_type, text(ds, 0x00089208), _ge_part(ds))
    frame.splitters = {
        "time point": number(ds, 0x00200100, "IS"),
        "trigger time": number(ds, 0x00181060),
        "inversion time": number(ds, 0x00180082),
        "flip angle": number(ds, 0x00181314),
        "b-value": number(ds, 0x00189087, "FD"),
        "acquisition number": number(ds, 0x00200012, "IS"),
        "acquisition time": text(ds, 0x00080032) or None,
        "content time": text(ds, 0x00080033) or None,
    }
    return frame


def _ge_part(ds: Dataset) -> str:
    tag = private(ds, 0x0043, "GEMS_PARM_01", 0x2F)
    part = number(ds, tag, "SS") if tag else None
    return {0: "M", 1: "P", 2: "R", 3: "I"}.get(part, "")


def component(image_type: tuple[str, ...], complex_part: str = "", vendor_part: str = "") -> str:
    """Tell what the values are: "magnitude", "phase", "real", "imaginary", "field map", "water", "fat", …"""
    words = set(image_type[2:])
    if any(w in words for w in ("P", "SW_P", "PHASE", "PHASE MAP", "PHASE_MAP", "P_FFE", "P_SE", "P_IR")):
        return "phase"
    if any(w in words for w in ("B0", "B0 MAP", "FIELD_MAP", "FIELDMAP", "FIELD MAP", "FREQUENCY", "FM")):
        return "field map"
    if any("VELOCITY" in w for w in words):
        return "velocity"
    for names, kind in (
        (("R", "REAL", "R_FFE", "R_SE", "R_IR"), "real"),
        (("I", "IMAGINARY", "I_FFE", "I_SE", "I_IR"), "imaginary"),
        (("WATER", "W", "DIXON_W", "W_FFE"), "water"),
        (("FAT", "F", "DIXON_F", "F_FFE"), "fat"),
        (("IN_PHASE", "IP", "DIXON_IP", "IP_FFE"), "in phase"),
        (("OUT_PHASE", "OUT_OF_PHASE", "OPP_PHASE", "OP", "DIXON_OP", "OP_FFE"), "out of phase"),
        (("T1 MAP", "T2 MAP", "T2_STAR MAP", "T2STAR MAP", "ADC", "FA", "R2STAR MAP"), "map"),
    ):
        if words & set(names):
            return kind
    part = complex_part.strip().upper()[:1] or vendor_part
    return {"P": "phase", "R": "real", "I": "imaginary"}.get(part, "magnitude")


def read_place(frame: Frame, position: Dataset, orientation: Dataset, measures: Dataset) -> None:
    """Put position, orientation and pixel spacing into a frame; what is missing or broken becomes a fault."""
    try:
        found = numbers(position, 0x00200032) if position is not None else ()
        if len(found) == 3 and max(map(abs, found)) > MAX_PLACE_MM:
            what = " × ".join(f"{v:g}" for v in found)
            frame.faults.append(("position", f"{tag_name(0x00200032)} is {what} mm, implausibly far away"))
        elif len(found) == 3:
            frame.position = found
            frame.step = tags.written_step(position, 0x00200032)
        else:
            frame.faults.append(("position", _missing(0x00200032, found, 3)))
    except BadValue as error:
        frame.faults.append(("position", str(error)))
    try:
        found = numbers(orientation, 0x00200037) if orientation is not None else ()
        if len(found) == 6:
            _check_axes(frame, found)
        else:
            frame.faults.append(("orientation", _missing(0x00200037, found, 6)))
    except BadValue as error:
        frame.faults.append(("orientation", str(error)))
    try:
        found = numbers(measures, 0x00280030) if measures is not None else ()
        if len(found) == 2:
            _check_spacing(frame, found)
        else:
            frame.faults.append(("spacing", _missing(0x00280030, found, 2)))
    except BadValue as error:
        frame.faults.append(("spacing", str(error)))


def _missing(tag: int, found: tuple[float, ...], wanted: int) -> str:
    return f"{tag_name(tag)} holds {len(found)} numbers, not {wanted}" if found else f"no {tag_name(tag)}"


def _check_axes(frame: Frame, axes: tuple[float, ...]) -> None:
    """Take unit vectors at right angles; what is off by more than rounding is a fault."""
    lengths = [sum(v * v for v in axes[k : k + 3]) ** 0.5 for k in (0, 3)]
    slant = sum(axes[k] * axes[k + 3] for k in range(3))
    if any(abs(length - 1) > UNIT_TOLERANCE for length in lengths) or abs(slant) > UNIT_TOLERANCE:
        frame.faults.append(
            (
                "orientation",
                f"{tag_name(0x00200037)}: the vectors are not orthogonal unit vectors "
                f"(lengths {lengths[0]:.3f} and {lengths[1]:.3f}, cosine between them {slant:.3f})",
            )
        )
    else:
        frame.axes = axes


def _check_spacing(frame: Frame, spacing: tuple[float, ...]) -> None:
    view = max(spacing[0] * frame.rows, spacing[1] * frame.columns)
    if not all(PLAUSIBLE_MM[0] <= v <= PLAUSIBLE_MM[1] for v in spacing) or view > MAX_VIEW_MM:
        frame.faults.append(
            ("spacing", f"{tag_name(0x00280030)} is {spacing[0]:g} × {spacing[1]:g} mm, an implausible size")
        )
    else:
        frame.spacing = (spacing[0], spacing[1])


def read_scale(frame: Frame, ds: Dataset | None) -> None:
    """Put slope and intercept into a frame; both stay None where the header has none."""
    if ds is None:
        return
    try:
        slope, intercept = numbers(ds, 0x00281053), numbers(ds, 0x00281052)
    except BadValue as error:
        frame.faults.append(("slope", str(error)))
        return
    if slope and slope[0] == 0:
        frame.faults.append(("slope", f"{tag_name(0x00281053)} is 0"))
        return
    frame.slope = slope[0] if slope else None
    frame.intercept = intercept[0] if intercept else None
    if items(ds, 0x00283000) and frame.slope is None:
        frame.faults.append(("slope", "a Modality LUT Sequence (0028,3000) instead of a slope, which is not applied"))
