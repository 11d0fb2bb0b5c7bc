"""What can be wrong with a scan: each doubt has a name, a sentence, and says what it holds up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import InputError

# Every name that `accept` may hold, with its meaning. "Build" faults keep a volume from being built until they are
# accepted (the bad files are then left out); "export" faults let it be looked at, but not be exported.
NAMES = {
    # build
    "truncated": "files cut short are left out",
    "undecodable": "files whose pixels cannot be decoded are left out",
    "bits": "files whose pixel bytes do not fit Bits Allocated are left out",
    "position": "files without a usable position are left out",
    "orientation": "files with a missing, broken or other orientation are left out",
    "spacing": "files with a missing, broken or other pixel spacing are left out",
    "size": "files with other numbers of rows and columns are left out",
    "frame-of-reference": "files from another frame of reference are left out",
    "echo": "files with another echo time are left out",
    "type": "files with another kind of values are left out",
    "slope": "files without the rescale slope that the others have are left out",
    "mosaic": "tiled images that cannot be taken apart are left out",
    "pixels": "files without readable pixels are left out",
    "duplicates": "of several images at one position the first is used",
    # export
    "gap": "planes missing or unevenly spaced; the grid between is interpolated",
    "shear": "slices shifted sideways; put straight by interpolation",
    "single": "one slice only: no 3D model",
    "damaged": "a damaged file in the folder may belong to this series",
    "nan": "values that are no numbers",
    "geometry": "the file does not say where the scan lies",
}


class Issue(str):
    """Hold one sentence on what is wrong, with a short name.

    Parameters
    ----------
    name
        Short name, as in `accept=("gap",)`.
    text
        Which file, what is wrong, what was done, what to do.
    blocks
        True where an export must wait until the name is accepted.
    build
        True where not even the volume is built until the name is accepted.
    """

    name: str
    blocks: bool
    build: bool
    is_note: bool  # whether this is information only

    def __new__(cls, name: str, text: str, blocks: bool = False, build: bool = False, is_note: bool = False) -> Issue:
        if text.lower().startswith("note") != is_note:  # a file may be called "notes": what begins so only informs
            text = f"note: {text}" if is_note else f"file {text}"
        self = super().__new__(cls, text)
        self.name, self.blocks, self.build, self.is_note = name, blocks or build, build, is_note
        return self

    def __getnewargs__(self) -> tuple[str, str, bool, bool, bool]:
        return self.name, str(self), self.blocks, self.build, self.is_note


def note(name: str, text: str) -> Issue:
    """Give an issue that only informs; its text begins with "note: "."""
    return Issue(name, f"note: {text}", is_note=True)


def check_accept(accept: Iterable[str]) -> tuple[str, ...]:
    """Give the accepted names as a tuple, or say which one is unknown."""
    names = (accept,) if isinstance(accept, str) else tuple(accept)
    for name in names:
        if name not in NAMES:
            raise InputError(f"accept={name!r}: expected some of {', '.join(NAMES)}")
    return names


def clean(text: str, limit: int = 80) -> str:
    """Give text from a file without control characters and not longer than ``limit``."""
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def named(names: Sequence[str], total: int | None = None, what: str = "files") -> str:
    """Give "IM1.dcm" or "IM1.dcm, IM2.dcm and 3 more", followed by "(5 of 24 files)"."""
    shown = [clean(n) for n in list(dict.fromkeys(names))[:3]]
    more = len(set(names)) - len(shown)
    text = ", ".join(shown) + (f" and {more} more" if more else "")
    if total is not None:
        text += f" ({len(names)} of {total} {what})"
    return text


def count(n: int, thing: str) -> str:
    """Give "1 file" or "3 files"."""
    plural = thing[:-1] + "ies" if thing.endswith("y") else thing + ("es" if thing.endswith("s") else "s")
    return f"{n} {thing if n == 1 else plural}"
