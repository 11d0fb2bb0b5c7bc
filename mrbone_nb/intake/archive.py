"""Unpack a zip archive with limits, under names of our own, into a folder that is removed afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from .files import Entry
from .issues import clean

MAX_BYTES = 20 << 30
MAX_RATIO = 200
MAX_ENTRIES = 50_000
SMALL = 64 << 20  # bytes up to which a single entry may be packed tighter, as blank slices are


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[list[Entry]]:
    """Give the files of a zip archive for as long as the context lasts.

    Raises
    ------
    InputError
        Where an entry leads out of its folder, the archive is too large, packed too tightly, encrypted or damaged.
    """
    with tempfile.TemporaryDirectory(prefix="mrbone_nb_") as scratch:
        try:
            with zipfile.ZipFile(path) as archive:
                infos = _checked(path.name, archive, shutil.disk_usage(scratch).free)
                entries = [_extract(path.name, archive, info, Path(scratch), k) for k, info in enumerate(infos)]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise InputError(
                f"{clean(path.name)}: the archive is damaged or cut short ({clean(str(error), 120)}); nothing was read. "
                "Copy it again from its source"
            ) from None
        yield entries


def _checked(name: str, archive: zipfile.ZipFile, free: int) -> list[zipfile.ZipInfo]:
    """The entries that are files, after a look at all of them."""
    name = clean(name)
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise InputError(f"{name}: {len(infos)} entries, more than {MAX_ENTRIES}; not unpacked. Unpack it yourself")
    for info in infos:
        reason = _unsafe(info)
        if reason:
            raise InputError(f"{name}: entry {clean(info.filename)!r} {reason}; nothing was unpacked. Do not trust it")
    size, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if size > MAX_BYTES or size > free * 0.9:
        limit = min(MAX_BYTES, int(free * 0.9)) / 1e9
        raise InputError(
            f"{name}: would grow to {size / 1e9:.1f} GB (limit {limit:.1f} GB); not unpacked. Unpack a part"
        )
    for info in [i for i in infos if i.file_size > SMALL]:
        if info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise InputError(
                f"{name}: entry {clean(info.filename)!r} would grow {info.file_size // max(1, info.compress_size)} times "
                f"(limit {MAX_RATIO}); not unpacked. Do not trust it"
            )
    if size > SMALL and size > MAX_RATIO * max(1, packed):
        raise InputError(f"{name}: would grow {size // max(1, packed)} times (limit {MAX_RATIO}); not unpacked")
    return [i for i in infos if not i.is_dir()]


def _unsafe(info: zipfile.ZipInfo) -> str:
    """Why an entry must not be unpacked, "" where it may."""
    parts = re.split(r"[\\/]", info.filename)
    mode = info.external_attr >> 16
    if ".." in parts:
        return "leads out of its folder"
    if info.filename[:1] in ("/", "\\") or re.match(r"[A-Za-z]:", info.filename):
        return "has an absolute path"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if stat.S_ISLNK(mode) else "is a special file"
    return "is encrypted" if info.flag_bits & 1 else ""


def _extract(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, k: int) -> Entry:
    """Write one entry under a running number, no longer than it claims to be."""
    lower = info.filename.lower()
    suffix = next((s for s in (".nii.gz", ".nii", ".nrrd", ".mha") if lower.endswith(s)), "")
    target = folder / f"{k:06d}{suffix}"
    have = 0
    with archive.open(info) as source, open(target, "wb") as out:
        while chunk := source.read(1 << 20):
            have += len(chunk)
            if have > info.file_size:
                raise InputError(f"{clean(name)}: entry {clean(info.filename)!r} is longer than it says; not unpacked")
            out.write(chunk)
    if os.name == "posix":
        os.chmod(target, 0o600)
    return Entry(target, info.filename, have)
