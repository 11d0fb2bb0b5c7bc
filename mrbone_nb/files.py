"""Writing files so that a file is there and right, or not there; and names that are safe to write to."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from .volume import Volume

MAX_NAME = 80
PROBE_BYTES = 65_536
# Windows keeps these names for devices, with any extension.
DEVICES = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}

REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file would be larger than this system or user may write (`ulimit -f`)",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.EROFS: "that disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EISDIR: "is a folder; give the name of a file",
    errno.ENAMETOOLONG: "the path is too long for this system; choose a shorter name",
    errno.EINVAL: "this system does not allow that name",
}


def write_atomic(
    path: Path | str,
    write: Callable[[Path], None],
    check: Callable[[Path], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a file aside, read it back, and put it in its place in one move.

    Killed at any moment, the old file or the new one is there, never half of one. What a killed run
    left aside is overwritten by the next. Two processes must not write the same file at once.

    Parameters
    ----------
    path
        Where the file shall be.
    write
        Writes the content to the path it is given: same folder, same extension.
    check
        Reads that path again and raises an `InputError` if it does not hold what it should.
    overwrite
        Whether a file that is there already may be replaced.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        One line: exists already, disk full, no permission, folder missing, path too long, or the
        file read back is not what was written. An old file stays as it was.
    """
    path = Path(path)
    part = part_of(path)
    _refuse_taken(path, overwrite)
    try:
        part.unlink(missing_ok=True)  # never write through a link that lies there
        write(part)
        _flush(part)
        if check is not None:
            check(part)
        _refuse_taken(path, overwrite)
        os.replace(part, path)
    except InputError as error:
        raise _explained(path, part, error) from None
    except (OSError, RuntimeError) as error:
        raise _explained(path, part, error) from error
    finally:
        _discard(part)
    _flush_folder(path.parent)
    return path


def write_text(path: Path | str, text: str, overwrite: bool = False) -> Path:
    """Write a text file (UTF-8, line ends as given) as `write_atomic` does."""
    data = text.encode("utf-8")

    def check(part: Path) -> None:
        if part.read_bytes() != data:
            raise InputError("read back, it is not what was written")

    return write_atomic(path, lambda part: _write_bytes(part, data), check, overwrite)


def check_writable(folder: Path | str, names: Iterable[str] = (), overwrite: bool = False, needed: int = 0) -> None:
    """Make sure, before a long run, that these files can be written into a folder.

    A folder that does not exist yet is fine where it can be made. Nothing is left behind.

    Parameters
    ----------
    folder
        Where the files shall go.
    names
        Their names.
    overwrite
        Whether files that are there already may be replaced.
    needed
        Estimate of the bytes that will be written.
    """
    folder = Path(folder)
    for name in names:
        _refuse_taken(safe_path(folder, name), overwrite, folder_may_be_missing=True)
    place = folder
    while not _exists(place) and place.parent != place:
        place = place.parent
    if not place.is_dir():
        raise InputError(f"{place}: is a file, not a folder")
    probe = place / ".mrbone-probe.part"
    try:
        _write_bytes(probe, b"probe")
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise InputError(f"{folder}: {_reason(error)}") from None
    finally:
        _discard(probe)
    if free < needed:
        raise InputError(f"{folder}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free on that disk")


def refuse_blocked(volume: Volume) -> None:
    """Refuse to write what was made from a scan with a fault that nobody accepted (a gap, shear, …)."""
    faults = [str(f) for f in volume.meta.get("blocking", ()) if str(f) not in volume.accepted]
    if faults:
        words = ", ".join(f'"{f}"' for f in faults)
        flags = " ".join(f"--accept {f}" for f in faults)
        comma = "," if len(faults) == 1 else ""
        raise InputError(
            f"{volume.name}: not written, since the scan has a fault that changes sizes or places "
            f"({', '.join(faults)}); to go on all the same, read it with accept=({words}{comma}) or {flags}"
        )


def make_folder(folder: Path | str) -> Path:
    """Make a folder with its parents, or say in one line why not; it may exist already."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "is a file, not a folder" if isinstance(error, FileExistsError) else _reason(error)
        raise InputError(f"{folder}: {reason}") from None
    return folder


def safe_name(text: str, limit: int = MAX_NAME) -> str:
    """Turn any text into a name fit for a file on every system: letters, digits and ``._-`` alone.

    Examples
    --------
    >>> safe_name("../Müller, right knee")
    'Muller-right-knee'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", without_accents(str(text)))
    plain = re.sub(r"\.{2,}", ".", plain).strip("-._")[:limit].rstrip("-._")
    return f"x-{plain}"[:limit] if plain.split(".")[0].lower() in DEVICES else plain or "unnamed"


def without_accents(text: str) -> str:
    """Give text whose letters have lost their marks, however they were typed: "Muller" for "Müller"."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def safe_path(folder: Path | str, name: str) -> Path:
    """Give the path of a file in a folder, or refuse a name that leads out of it."""
    folder = Path(folder)
    bad = not name or name in (".", "..") or re.search(r"[\\/:\x00-\x1f]", name)
    if bad or (folder / name).resolve().parent != folder.resolve():
        raise InputError(f"{ascii(name)[:MAX_NAME]}: expected the plain name of a file, without folders")
    return folder / name


def part_of(path: Path) -> Path:
    """Give the path aside where a file is written first: ``knee.nii.gz`` has ``.knee.part.nii.gz``."""
    if path.name in ("", ".", ".."):
        raise InputError(f"{path}: expected the name of a file")
    stem, dot, suffix = path.name.partition(".") if not path.name.startswith(".") else (path.name, "", "")
    room = 255 - len(f"..part{dot}{suffix}".encode())
    return path.with_name(f".{stem.encode()[: max(room, 0)].decode(errors='ignore')}.part{dot}{suffix}")


def _refuse_taken(path: Path, overwrite: bool, folder_may_be_missing: bool = False) -> None:
    """Refuse a path that cannot become the file: a folder, too long, taken, in no folder."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        if not folder_may_be_missing and not path.parent.is_dir():
            raise InputError(f"{path}: {REASONS[errno.ENOENT]}") from None
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_reason(error)}") from None
    if path.is_dir():
        raise InputError(f"{path}: {REASONS[errno.EISDIR]}")
    if not overwrite:
        raise InputError(f"{path}: exists already; give another name, or allow it to be overwritten")


def _explained(path: Path, part: Path, error: Exception) -> InputError:
    """Turn whatever went wrong while writing into one line.

    Native writers report a full disk without an error number, or not at all until the file is read
    back; writing a little more by ourselves brings out the system's own reason.
    """
    if not isinstance(error, OSError) or error.errno is None:
        try:
            with open(part, "ab") as file:
                file.write(b"\0" * PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        except OSError as found:
            error = found
    if isinstance(error, InputError):
        text = str(error)
        return error if text.startswith(str(path)) else InputError(f"{path}: {text}")
    return InputError(f"{path}: not written: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Say in words why the system refused."""
    if isinstance(error, OSError) and error.errno in REASONS:
        return REASONS[error.errno]
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return text.splitlines()[-1][:200]


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _exists(path: Path) -> bool:
    """Tell whether something is there; a name too long, or below a file, is nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def _flush(path: Path) -> None:
    """Wait until the file is on the disk, not in a buffer."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Put the new name on the disk too; where a system cannot do that (Windows), it is not needed."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.fsync(handle)
    os.close(handle)


def _discard(path: Path) -> None:
    """Remove what was written aside; it must not hide the reason why the write failed."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
