"""From a DICOM header to a `Source`: whose image it is, of which series, made how; or why it is no image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import tags
from .files import Damaged, Entry, Opened, Skip
from .issues import clean
from .records import Pixels, Source
from .tags import number, private, text, texts

if TYPE_CHECKING:
    from pydicom import Dataset

DIRECTORY_RECORDS = 0x00041220  # what makes a DICOMDIR
UID_FORM = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){3,}")
UNKNOWN = "unknown kind of object"
STORAGE = "1.2.840.10008.5.1.4.1.1."
# What shares folders, even series, with images and is none.
NOT_IMAGES = ("88.", "11.", "104.", "66", "4.2", "481.2", "481.3", "481.5", "481.8", "9.", "67", "68.", "79.", "200.")
# CT, MR, PET and their multi-frame kinds: a file of these without pixels is a broken image.
IMAGES = {"2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130"}
PATIENT_ID, PATIENT_NAME = 0x00100020, 0x00100010


def read_source(entry: Entry, opened: Opened) -> Source:
    """Give the file-level facts, or raise `Skip` for what is not an image."""
    ds = opened.header
    sop_class = text(ds, 0x00080016)
    if tags.get(ds, DIRECTORY_RECORDS) is not None or entry.name.rpartition("/")[2].upper() == "DICOMDIR":
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
