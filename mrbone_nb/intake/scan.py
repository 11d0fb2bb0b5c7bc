"""Look through a folder, a file or an archive: every file ends as a frame of a group, as skipped, or as damaged."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from . import files, frames, headers, mosaic, pixelinfo, planes
from .files import Damaged, Entry, Skip
from .groups import Group, split
from .issues import clean
from .records import Frame, Source

JUNK = {".ds_store", "thumbs.db", "desktop.ini"}
APPLE_DOUBLE = b"\0\x05\x16\x07"  # what macOS leaves beside files on foreign disks, under "._" and their name
REASONS = {
    "zip": "an archive: open it by its own name",
    "other": "not a medical image",
}


@dataclass(slots=True)
class Scan:
    """What was found at one place."""

    place: Path
    groups: list[Group] = field(default_factory=list)
    volumes: list[Entry] = field(default_factory=list)  # NIfTI, NRRD and MetaImage files
    skipped: list[tuple[str, str]] = field(default_factory=list)  # name, why: in order as it is
    damaged: list[tuple[str, str]] = field(default_factory=list)  # name, why: should have been readable
    total: int = 0  # files looked at
    archive: Path | None = None

    @property
    def patients(self) -> int:
        """How many patients the files name."""
        return len({g.first.source.patient for g in self.groups})


@contextlib.contextmanager
def scanned(path: str | os.PathLike) -> Iterator[Scan]:
    """Look through a folder, a file or a zip archive, which stays unpacked in the meantime.

    Raises
    ------
    InputError
        Where the place does not exist or cannot be read, or an archive is not safe to unpack.
    """
    from .archive import unpacked

    place = Path(path).expanduser()
    try:
        place = place.resolve(strict=True)
    except (OSError, RuntimeError):
        raise InputError(f"{clean(str(path), 300)}: no such file or folder; check the path") from None
    with contextlib.ExitStack() as stack:
        scan = Scan(place)
        if place.is_dir():
            entries = list(files.walk(place, scan.skipped))
        elif not place.is_file():
            raise InputError(f"{clean(str(path), 300)}: neither a folder nor a regular file; check the path")
        else:
            entries = [Entry(place, place.name, place.stat().st_size)]
            if _begins_as_zip(entries[0]):
                entries = stack.enter_context(unpacked(place))
                scan.archive = place
        with quiet():
            _look(scan, entries)
        yield scan


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back pydicom's warnings on odd values: what matters of them is in the issues, with the file's name."""
    import logging

    from pydicom import config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, config.settings.reading_validation_mode = config.settings.reading_validation_mode, config.IGNORE
        logger = logging.getLogger("pydicom")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            config.settings.reading_validation_mode = before
            logger.setLevel(level)


def _begins_as_zip(entry: Entry) -> bool:
    """Whether a file begins like an archive; its end tells nothing, for DICOM files may hold archives."""
    try:
        return files.kind_of(files.read_head(entry, 512), entry.name) == "zip"
    except Damaged:
        return False


def _look(scan: Scan, entries: list[Entry]) -> None:
    found: list[Frame] = []
    scan.total = len(entries) + len(scan.skipped)
    for entry in entries:
        if entry.size == 0:
            scan.skipped.append((entry.name, "an empty file (0 bytes)"))
            continue
        try:
            head = files.read_head(entry)
            kind = files.kind_of(head, entry.name)
            if _of_the_system(entry, head):
                scan.skipped.append((entry.name, "a file of the operating system"))
            elif kind in ("dicom", "maybe dicom"):
                named_so = files.kind_of(b"", entry.name) == "broken dicom"
                found += read_file(entry, head, sure=kind == "dicom" or named_so)
            elif kind == "broken dicom":
                scan.damaged.append(
                    (entry.name, "its beginning is damaged, or it is no DICOM file in spite of its name")
                )
            elif kind in ("nifti", "nrrd", "metaimage"):
                scan.volumes.append(entry)
            else:
                scan.skipped.append((entry.name, REASONS[kind]))
        except Skip as reason:
            scan.skipped.append((entry.name, str(reason)))
        except Damaged as reason:
            scan.damaged.append((entry.name, str(reason)))
    scan.groups = split(found)


def _of_the_system(entry: Entry, head: bytes) -> bool:
    base = entry.name.rpartition("/")[2].lower()
    return base in JUNK or (base.startswith("._") and head[:4] == APPLE_DOUBLE)


def read_file(entry: Entry, head: bytes, sure: bool = True) -> list[Frame]:
    """Give the frames of one DICOM file.

    Raises
    ------
    Skip
        Where it is no image.
    Damaged
        Where it should be one and cannot be read.
    """
    try:
        opened = files.open_dicom(entry, head)
        source = headers.read_source(entry, opened)
        return _frames_of(entry, opened, source)
    except Damaged:
        if not sure:
            raise Skip(REASONS["other"]) from None
        raise
    except (Skip, MemoryError):
        raise
    except Exception as error:  # a header broken in a way that nobody thought of costs this file alone
        if not sure:
            raise Skip(REASONS["other"]) from None
        raise Damaged(f"the header cannot be read ({type(error).__name__})") from None


def _frames_of(entry: Entry, opened: files.Opened, source: Source) -> list[Frame]:
    faults: list[tuple[str, str]] = []
    source.pixels = pixelinfo.read_pixels(entry, opened, faults)
    if faults:
        frame = planes.read_classic(opened, source)
        frame.faults, frame.index = faults + frame.faults, -1
        return [frame]
    if frames.is_multiframe(opened):
        return frames.read_multiframe(opened, source)
    frame = planes.read_classic(opened, source)
    if source.pixels.frames > 1:
        what = f"{source.pixels.frames} frames in one file that says nothing of their places"
        frame.faults.insert(0, ("position", what))
        frame.index = -1
        return [frame]
    return mosaic.unpack(opened, frame)
