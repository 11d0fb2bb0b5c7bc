"""The inventory: a table of everything that could be read, with what is wrong with it."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from . import formats, geometry, marrow
from .assess import assess, file_count, is_localizer
from .files import Entry
from .groups import Group
from .issues import Issue, clean, count
from .scan import Scan, scanned

KINDS = {
    "stack": "stack",
    "single": "single slice",
    "radial": "slice set (radial)",
    "slices": "slice set",
    "one place": "one slice over time",
    "unreadable": "unreadable",
}
COLLAPSE = 6  # volumes of one series in a row that are shown as one line


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
        bits.append(f"{self.orientation} {_by(self.size)}".strip())
        if self.is_localizer:
            bits.append("localizer")
        if self.kind != "stack":
            bits.append(self.kind)
        return ", ".join(bits)


@dataclass
class Inventory:
    """Hold what was found in a folder, a file or an archive; print it for a table.

    Parameters
    ----------
    place
        What was looked at, as given.
    rows
        One `Row` for each volume that could be read.
    skipped
        (file, reason) of what is no image, in order as it is.
    damaged
        (file, reason) of what should have been readable.
    """

    place: str
    rows: list[Row]
    skipped: list[tuple[str, str]]
    damaged: list[tuple[str, str]]
    total: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, k: int) -> Row:
        return self.rows[k]

    def to_dict(self) -> dict[str, Any]:
        """Give everything for JSON; the folder is told by its last name only, the series by the hash of their UIDs."""
        return {
            "place": os.path.basename(self.place.rstrip("/\\")),
            "files": self.total,
            "rows": [row.to_dict() for row in self.rows],
            "skipped": [{"file": clean(a, 200), "reason": b} for a, b in self.skipped],
            "damaged": [{"file": clean(a, 200), "reason": b} for a, b in self.damaged],
        }

    def __str__(self) -> str:
        head = f"{clean(self.place, 200)}: {count(len(self.rows), 'volume')} in {count(self.total, 'file')}"
        lines = [head]
        if self.rows:
            table = [HEADER, *(_cells(run) for run in self._runs())]
            widths = [max(len(row[k]) for row in table) for k in range(len(HEADER))]
            lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table]
        lines += self._remarks()
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        esc = html.escape
        head = f"{clean(self.place, 200)}: {count(len(self.rows), 'volume')} in {count(self.total, 'file')}"
        cells = "".join(f"<th>{esc(c)}</th>" for c in HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{esc(c)}</td>" for c in _cells(run)) + "</tr>" for run in self._runs()
        )
        remarks = "".join(f"<li>{esc(r)}</li>" for r in self._remarks())
        table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>" if self.rows else ""
        return f"<p>{esc(head)}</p>{table}" + (f"<ul>{remarks}</ul>" if remarks else "")

    def _runs(self) -> list[list[Row]]:
        """Rows, where a long run of time points of one series counts as one."""
        runs: list[list[Row]] = []
        for row in self.rows:
            same = runs and (row.key, row.echo, row.component, row.size) == (
                runs[-1][0].key,
                runs[-1][0].echo,
                runs[-1][0].component,
                runs[-1][0].size,
            )
            if same and row.part and runs[-1][0].part:
                runs[-1].append(row)
            else:
                runs.append([row])
        return [piece for run in runs for piece in ([run] if len(run) > COLLAPSE else [[r] for r in run])]

    def _remarks(self) -> list[str]:
        """Each issue once, with the rows that it concerns."""
        concerns: dict[str, list[int]] = {}
        for row in self.rows:
            for issue in row.issues:
                concerns.setdefault(str(issue), []).append(row.number)
        out = []
        for text, numbers in concerns.items():
            where = "" if len(numbers) == len(self.rows) else f"row {_ranges(numbers)}: "
            out.append(f"note: {where}{text[6:]}" if text.startswith("note: ") else f"{where}{text}")
        if not self.rows:
            out += [f"{clean(name)}: {reason}" for name, reason in (self.damaged + self.skipped)[:20]]
        return out


HEADER = ("row", "key", "description", "sequence", "echo", "TE ms", "TR ms", "size", "spacing mm", "plane", "marrow", "")


def _cells(run: list[Row]) -> tuple[str, ...]:
    row = run[0]
    label = str(row.number) if len(run) == 1 else f"{row.number}-{run[-1].number}"
    kind = [] if row.kind == "stack" else [row.kind]
    kind += [row.component] if row.component not in ("magnitude", "") else []
    kind += ["localizer"] if row.is_localizer else []
    kind += [row.part if len(run) == 1 else f"{len(run)} volumes"] if row.part else []
    kind += [row.side] if row.side else []
    kind += ["!"] if row.warnings else []
    return (
        label,
        row.key,
        row.description[:40],
        row.sequence[:24],
        "" if row.echo is None else str(row.echo),
        "" if row.echo_time_ms is None else f"{row.echo_time_ms:g}",
        "" if row.repetition_time_ms is None else f"{row.repetition_time_ms:g}",
        _by(row.size),
        " × ".join("?" if v is None else f"{v:.3g}" for v in row.spacing),
        row.orientation,
        row.marrow,
        ", ".join(kind),
    )


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in size)


def _ranges(numbers: list[int]) -> str:
    """ "1-3, 7" for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def series_key(uid: str, digits: int = 8) -> str:
    """Give the first digits of the SHA-256 hash of a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:digits]


def inventory(path: str | os.PathLike) -> Inventory:
    """List every volume in a folder, a file or a zip archive, without reading pixels.

    Series are split by patient, size, orientation, spacing, echo, kind of image and time, so that no row
    holds two things. Nothing is written, and no link is followed.

    Parameters
    ----------
    path
        Folder with DICOM files (searched to the bottom), one file, or a zip archive.

    Returns
    -------
    Inventory
        Prints as a table; `to_dict` gives it for JSON.

    Raises
    ------
    InputError
        Where the place does not exist, or the archive is not safe to unpack.
    """
    with scanned(path) as scan:
        rows = rows_of(scan)
        return Inventory(str(path), rows, list(scan.skipped), list(scan.damaged), scan.total)


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
    return (s.patient, s.study, number, s.series, group.echo or 0, f.component != "magnitude", f.component, -len(group.frames))


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
        return {"size": size, "spacing": (None, *f.spacing), "orientation": "radial" if group.kind == "radial" else "many"}
    stack = geometry.measure(group.frames)
    between = None if group.kind == "one place" else stack.spacing
    spacing = tuple(None if v is None else round(v, 6) for v in (between, *f.spacing))
    return {"size": size, "spacing": spacing, "orientation": geometry.orientation_name(stack.axes)}


def _file_rows(entry: Entry, scan: Scan) -> list[Row]:
    """Rows of a NIfTI, NRRD or MetaImage file: one for each of its volumes."""
    from ..errors import InputError

    try:
        found = formats.describe(entry)
    except InputError as error:
        scan.damaged.append((entry.name, str(error)))
        return []
    times = found.shape[0] if len(found.shape) == 4 else 1
    return [
        Row(
            number=0,
            key=series_key(entry.name),
            series="",
            kind="stack" if found.shape[-3] > 1 else "single slice",
            description=clean(entry.name.rpartition("/")[2]),
            size=found.shape[-3:],
            part=f"volume {t + 1} of {times}" if times > 1 else "",
            files=1,
            marrow_why="this file format does not tell how the image was made",
            issues=tuple(found.issues),
            source=(found, t),
        )
        for t in range(times)
    ]
