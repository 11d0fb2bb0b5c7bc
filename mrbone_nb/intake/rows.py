"""One row for each volume: what its headers tell, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..errors import InputError
from . import formats, geometry, marrow
from .assess import assess, file_count, is_localizer
from .files import Entry
from .groups import Group
from .issues import NAMES, Issue, clean
from .scan import Scan

KINDS = {
    "stack": "stack",
    "single": "single slice",
    "radial": "slice set (radial)",
    "slices": "slice set",
    "one place": "one slice over time",
    "unreadable": "unreadable",
}


@dataclass
class Row:
    """Hold what is known of one volume before its pixels are read.

    Parameters
    ----------
    number
        Place in the table, from 1; `read` takes it as `series`.
    key
        First eight digits of the hash of the series UID; `read` takes it too.
    series
        The Series Instance UID itself, kept in memory only; "" for files that are not DICOM.
    kind
        "stack", "single slice", "slice set (radial)", "slice set", "one slice over time", "unreadable".
    size
        (planes, rows, columns).
    spacing
        mm in that order; None where the header does not say.
    marrow, marrow_why
        "bright", "dark" or "unknown", and the reason.
    part
        Which of several volumes of a series ("time point 2 of 5").
    """

    number: int
    key: str
    series: str
    kind: str
    description: str = ""
    modality: str = ""
    sequence: str = ""
    component: str = ""
    echo: int | None = None
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    fat_suppressed: bool | None = None
    size: tuple[int, ...] = ()
    spacing: tuple[float | None, ...] = ()
    orientation: str = ""
    marrow: str = "unknown"
    marrow_why: str = ""
    side: str = ""
    part: str = ""
    is_localizer: bool = False
    files: int = 0
    issues: tuple[Issue, ...] = ()
    source: Any = field(default=None, repr=False, compare=False)

    @property
    def readable(self) -> bool:
        """Whether a volume can be built without accepting anything."""
        return self.kind not in ("unreadable", "one slice over time") and not any(i.build for i in self.issues)

    @property
    def acceptable(self) -> tuple[str, ...]:
        """Names of the doubts that hold something up and may be accepted, worst first."""
        empty = isinstance(self.source, Group) and not self.source.frames  # accepting would leave nothing
        names = [i.name for i in self.issues if i.blocks and i.name in NAMES and not (i.build and empty)]
        return tuple(dict.fromkeys(names))

    def waiting(self, accepted: tuple[str, ...]) -> list[Issue]:
        """Give the faults that keep a volume from being built, after some doubts were accepted."""
        return [i for i in self.issues if i.build and (i.name not in accepted or i.name not in self.acceptable)]

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """The issues that are more than notes."""
        return tuple(i for i in self.issues if not i.is_note)

    def to_dict(self) -> dict[str, Any]:
        """Give the row for JSON; without the series UID and anything personal."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("series", "source", "issues")}
        out["size"], out["spacing"] = list(self.size), list(self.spacing)
        out["issues"] = [{"name": i.name, "text": str(i), "blocks": i.blocks, "note": i.is_note} for i in self.issues]
        return out

    def line(self) -> str:
        """One line that tells this volume from the others of the same place."""
        bits = [f"{self.number}", self.description or "(no description)"]
        if self.echo_time_ms is not None:
            bits.append(f"echo {self.echo or '?'} (TE {self.echo_time_ms:g} ms)")
        bits += [b for b in (self.part, "" if self.component == "magnitude" else self.component) if b]
        bits.append(f"{self.orientation} {by(self.size)}".strip())
        if self.is_localizer:
            bits.append("localizer")
        if self.kind != "stack":
            bits.append(self.kind)
        return ", ".join(bits)


def by(size: tuple[int, ...]) -> str:
    """Give a size as "24 × 256 × 256"."""
    return " × ".join(str(n) for n in size)


def series_key(uid: str, digits: int = 8) -> str:
    """Give the first digits of the SHA-256 hash of a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:digits]


def rows_of(scan: Scan) -> list[Row]:
    """Give the rows of a scan in a fixed order: by series number, echo, type and time."""
    scan.groups.sort(key=_order)
    rows = [_row(group, scan) for group in scan.groups]
    for entry in scan.volumes:
        rows += _file_rows(entry, scan)
    for k, row in enumerate(rows):
        row.number = k + 1
    return rows


def _order(group: Group) -> tuple:
    f = group.first
    s = f.source
    number = s.number if s.number is not None else 1 << 30
    return (
        s.patient,
        s.study,
        number,
        s.series,
        group.echo or 0,
        f.component != "magnitude",
        f.component,
        -len(group.frames),
    )


def _row(group: Group, scan: Scan) -> Row:
    f = group.first
    facts = f.source.facts
    bright, why = marrow.polarity(f)
    return Row(
        number=0,
        key=series_key(f.source.series or f.source.name),
        series=f.source.series,
        kind=KINDS[group.kind],
        description=f.source.description,
        modality=f.source.modality,
        sequence=sequence_text(facts),
        component=f.component,
        echo=group.echo,
        echo_time_ms=f.echo_time,
        repetition_time_ms=facts["tr"],
        inversion_time_ms=facts["ti"],
        flip_angle_deg=facts["flip"],
        fat_suppressed=marrow.fat_suppressed(f)[0],
        **_grid(group),
        marrow=bright,
        marrow_why=why,
        side=f.source.side,
        part=group.part,
        is_localizer=is_localizer(group),
        files=file_count(group),
        issues=tuple(assess(group, scan)),
        source=group,
    )


def sequence_text(facts: dict) -> str:
    """Give the kind of sequence in short: "SE/SK *tse2d1"."""
    pulse = {"SPIN": "SE", "GRADIENT": "GR", "BOTH": "SE+GR"}.get(facts["pulse"], "")
    kind = "+".join(facts["sequence"]) or pulse
    variant = "+".join(v for v in facts["variant"] if v != "NONE")
    return clean(" ".join(b for b in (kind + (f"/{variant}" if variant else ""), facts["name"]) if b), 40)


def _grid(group: Group) -> dict[str, Any]:
    f = group.first
    size = (len(group.frames), f.rows, f.columns)
    if not group.frames:
        return {"size": (len(group.bad), f.rows, f.columns), "spacing": (), "orientation": ""}
    if group.kind in ("radial", "slices"):
        return {
            "size": size,
            "spacing": (None, *f.spacing),
            "orientation": "radial" if group.kind == "radial" else "many",
        }
    stack = geometry.measure(group.frames)
    between = None if group.kind == "one place" else stack.spacing
    spacing = tuple(None if v is None else round(v, 6) for v in (between, *f.spacing))
    return {"size": size, "spacing": spacing, "orientation": geometry.orientation_name(stack.axes)}


def _file_rows(entry: Entry, scan: Scan) -> list[Row]:
    """Rows of a NIfTI, NRRD or MetaImage file: one for each of its volumes."""
    try:
        found = formats.describe(entry)
    except InputError as error:
        scan.damaged.append((entry.name, str(error)))
        return []
    times = found.shape[0] if len(found.shape) == 4 else 1
    steps = np.linalg.norm(found.stored.matrix[:3, :3], axis=0)
    nowhere = any(i.name == "geometry" for i in found.issues)  # then a plane would be made up
    return [
        Row(
            number=0,
            key=series_key(entry.name),
            series="",
            kind="stack" if found.shape[-3] > 1 else "single slice",
            description=clean(entry.name.rpartition("/")[2]),
            size=found.shape[-3:],
            spacing=tuple(round(float(v), 6) for v in steps[::-1]),
            orientation="" if nowhere else geometry.orientation_name(found.stored.matrix[:3, :3] / steps),
            part=f"volume {t + 1} of {times}" if times > 1 else "",
            files=1,
            marrow_why="this file format does not tell how the image was made",
            issues=tuple(found.issues),
            source=(found, t),
        )
        for t in range(times)
    ]
