"""Look for personal data and machine paths in what is about to be shared.

Masks, models, recipes and records are written without any; notebooks hold whatever their cells print.
The check reads files as text and as the formats it knows, and names what it found and where. It is a
help, not a proof: it cannot see a face in a picture or a name that no scan and no pattern gives away.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import gzip
import json
import re
import socket
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError

MAX_BYTES = 400_000_000  # a file larger than this is named as not looked through
PATTERNS = {
    "path": re.compile(
        r"(?:file:///?|(?<![\w.:/~-]))(?:/(?:home|Users|root|mnt|media|private|tmp|var|data|srv|scratch|work|Volumes)/"
        r"[\w.+@%()-][^\s\"'<>|:*?\\]+|[A-Za-z]:\\+\w[\w. ()-]*\\+\w[\w.\\ ()-]*|~/[\w.-]+/[\w./-]+)"
    ),
    "e-mail address": re.compile(r"\b[\w.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b"),
    "DICOM UID": re.compile(r"\b(?:1\.2\.840|1\.3\.(?:6\.1\.4\.1|12\.2)|2\.16|2\.25)(?:\.\d+){4,}\b"),
    "patient tag": re.compile(
        r"\b(?:Patient'?s?\s?(?:Name|ID|Birth\s?Date|Address)|PatientsName|AccessionNumber|ReferringPhysician\w*|"
        r"InstitutionName|OperatorsName)\b\s*(?:\([^)]*\))?\s*[\"']?\s*[:=]\s*[\"']?[^\s\"',}]{2,}",
        re.IGNORECASE,
    ),
}
# In data that are no text, chance makes things like t@U.wo: there an address has a domain in one case, with an
# ending of two letters or one of the common ones, and more than two letters before the sign.
LIKELY_ADDRESS = re.compile(
    r"[\w.+-]{3,64}@(?:(?:[a-z0-9-]{2,}\.)+(?:[a-z]{2}|com|org|net|edu|gov|mil|int|info|biz|name|health|clinic|hospital)"
    r"|(?:[A-Z0-9-]{2,}\.)+(?:[A-Z]{2}|COM|ORG|NET|EDU|GOV|MIL|INT|INFO|BIZ|NAME|HEALTH|CLINIC|HOSPITAL))"
)
PERSONAL = (  # keywords whose values are looked for in everything, where a scan is given
    "PatientName PatientID OtherPatientIDs PatientBirthDate PatientAddress PatientTelephoneNumbers "
    "PatientMotherBirthName AccessionNumber StudyID InstitutionName InstitutionAddress StationName "
    "ReferringPhysicianName PerformingPhysicianName OperatorsName RequestingPhysician NameOfPhysiciansReadingStudy "
    "DeviceSerialNumber StudyDate SeriesDate AcquisitionDate StudyInstanceUID SeriesInstanceUID"
).split()
DUMMY = re.compile(r"(?i)^(?:anon\w*|phantom|unknown|none|n/?a|0+(?:\.0+)?|00010101|19000101|)$")


@dataclass(frozen=True)
class Finding:
    """Say what was found in which file, where in it, and a few characters of it."""

    file: str
    place: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.kind}: {self.text}"


def check_private(path: Path | str, *, scans: Iterable[Path | str] = ()) -> list[Finding]:
    """List the personal data and machine paths in a notebook, a file, or all files of a folder.

    Parameters
    ----------
    path
        A file, or a folder that is searched with its subfolders; links are not followed.
    scans
        DICOM files or folders that the shared files were made from: the values of their personal tags
        are looked for in everything.

    Returns
    -------
    list of Finding
        Empty where nothing was found.

    Raises
    ------
    InputError
        There is nothing at ``path``, or a scan holds no DICOM file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    needles = _machine_words() | {k: v for scan in scans for k, v in personal_values(scan).items()}
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    top = path.parent if path.is_file() else path
    found: dict[Finding, None] = {}
    for file in files:
        name = file.relative_to(top).as_posix()
        try:
            texts = [("file name", name), *_texts(file)]
        except (InputError, OSError) as error:
            texts = [("file name", name)]
            reason = getattr(error, "strerror", None) or error
            found.setdefault(Finding(name, "content", "not looked through", f"{reason}; look at it yourself"))
        for place, text in texts:
            for kind, excerpt in _search(text, needles):
                found.setdefault(Finding(name, place, kind, excerpt))
    return list(found)


def personal_values(scan: Path | str) -> dict[str, str]:
    """Give the values of the personal tags of a DICOM file or folder, each with the tag's name."""
    import pydicom

    scan = Path(scan)
    files = [scan] if scan.is_file() else sorted(p for p in scan.rglob("*") if p.is_file() and not p.is_symlink())
    values: dict[str, str] = {}
    headers = 0
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(PERSONAL))
            found = {keyword: str(header.get(keyword, "") or "") for keyword in PERSONAL}
        except Exception:  # pydicom raises many kinds on files that are damaged or none of its own
            continue
        headers += 1
        for keyword, value in found.items():
            for word in _words_of(value):
                values.setdefault(word, keyword)
    if not headers:
        raise InputError(f"{scan}: no DICOM file in it; give the folder of the scan")
    return values


def _words_of(value: str) -> Iterator[str]:
    """A value, and the parts of a person's name; dummies and what is too short to mean anything fall away."""
    parts = {value.strip(), *(part.strip() for part in re.split(r"[\^=\\]", value))}
    yield from (part for part in parts if len(part) >= 4 and not DUMMY.match(part))


def _machine_words() -> dict[str, str]:
    """The names of this user and this computer, where they are names of somebody."""
    words = {}
    common = {"root", "user", "admin", "jovyan", "runner", "localhost", "ubuntu", "debian", "docker", "home"}
    try:
        words[getpass.getuser()] = "user name"
    except (OSError, KeyError, ImportError):
        pass  # a container may run under a number without a name
    words[socket.gethostname()] = "computer name"
    return {w: kind for w, kind in words.items() if len(w) >= 4 and w.lower() not in common}


def _search(text: str, needles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """All hits in one text: what kind, and a short excerpt."""
    for kind, pattern in PATTERNS.items():
        for hit in pattern.finditer(text):
            yield kind, _excerpt(hit.group())
    lowered = text.lower()
    for word, kind in needles.items():
        at = lowered.find(word.lower())
        if at >= 0 and _stands_alone(lowered, at, len(word)):
            yield kind, _excerpt(text[at : at + len(word)])


def _stands_alone(text: str, at: int, length: int) -> bool:
    """Whether a word found in a text is not the inside of a longer word or number."""
    before, after = text[at - 1 : at], text[at + length : at + length + 1]
    return not (before.isalnum() and text[at].isalnum()) and not (after.isalnum() and text[at + length - 1].isalnum())


def _excerpt(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else text[:57] + "…"


def _texts(file: Path) -> Iterator[tuple[str, str]]:
    """The texts in a file, each with its place: cells of a notebook, entries of JSON, strings of a binary."""
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file.stat().st_size} bytes are more than is searched")
    data = file.read_bytes()
    if _is_dicom(data):
        yield from _dicom_texts(file)
    elif file.suffix == ".ipynb":
        yield from _notebook_texts(data)
    else:
        if data[:2] == b"\x1f\x8b":
            data = _unpacked(data)
        yield "content", _printable(data)


def _is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def _dicom_texts(file: Path) -> Iterator[tuple[str, str]]:
    """A DICOM file (a SEG, a source file) carries the identity of the patient by design."""
    try:
        values = personal_values(file)
    except InputError:
        raise InputError("its DICOM header cannot be read") from None
    for value, keyword in values.items():
        yield "DICOM header, which holds identity by design", f"{keyword}: {value}"


def _notebook_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Sources, outputs, attachments and metadata of a notebook, and the state of its widgets."""
    try:
        notebook = json.loads(data)
        cells = list(enumerate(notebook["cells"], 1))
    except (ValueError, KeyError, TypeError, RecursionError):
        yield "content (not a readable notebook)", _printable(data)
        return
    for number, cell in cells:
        for part in ("source", "metadata", "attachments"):
            yield f"cell {number} {part}", _flat(cell.get(part, ""))
        for index, output in enumerate(cell.get("outputs", []), 1):
            yield f"cell {number} output {index}", _flat(output)
    for key, value in notebook.get("metadata", {}).items():
        yield "widget state" if key == "widgets" else f"metadata {key}", _flat(value)


def _flat(value: Any) -> str:
    """All texts of a piece of JSON; what is packed as base64 is unpacked and searched for strings too."""
    if isinstance(value, str):
        packed = _decoded(value)
        return value if packed is None else _printable(packed)
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        lines = value if all(isinstance(item, str) for item in value) else [_flat(item) for item in value]
        return "".join(lines) if lines and lines is value else "\n".join(lines)
    return str(value)


def _decoded(text: str) -> bytes | None:
    """The bytes of a long base64 text (a picture, a widget's buffer), unpacked where they are packed."""
    if len(text) < 200 or not re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}\s*", text):
        return None
    try:
        return _unpacked(base64.b64decode(text, validate=False))
    except (binascii.Error, ValueError):
        return None


def _unpacked(data: bytes) -> bytes:
    """Unpack gzip up to the limit; other bytes, and damaged ones, stay as they are."""
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, MAX_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        return data


def _printable(data: bytes) -> str:
    """The readable strings of a file: all of a text, and the runs of a binary that chance does not make."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\n".join(run.decode("ascii") for run in re.findall(rb"[\x20-\x7e]{6,}", data))
        return PATTERNS["e-mail address"].sub(_without_chance, text)


def _without_chance(hit: re.Match[str]) -> str:
    """An address in data that are no text, or what only looks like one, without its sign."""
    return hit.group() if LIKELY_ADDRESS.fullmatch(hit.group()) else hit.group().replace("@", "?")
