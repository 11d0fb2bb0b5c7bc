"""The inventory: a table of everything that could be read, with what is wrong with it."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .issues import clean, count
from .rows import Row, by, rows_of
from .scan import Scan, scanned

COLLAPSE = 6  # volumes of one series in a row that are shown as one line
HEADER = (
    "row",
    "key",
    "description",
    "sequence",
    "echo",
    "TE ms",
    "TR ms",
    "size",
    "spacing mm",
    "plane",
    "marrow",
    "",
)


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
        return listed(path, scan)


def listed(path: str | os.PathLike, scan: Scan) -> Inventory:
    """Give the inventory of a place that was looked through."""
    rows = rows_of(scan)
    return Inventory(str(path), rows, list(scan.skipped), list(scan.damaged), scan.total)


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
            table = [HEADER, *(_cells(run) for run in self.runs())]
            widths = [max(len(row[k]) for row in table) for k in range(len(HEADER))]
            lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table]
        lines += self.remarks()
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        esc = html.escape
        head = f"{clean(self.place, 200)}: {count(len(self.rows), 'volume')} in {count(self.total, 'file')}"
        cells = "".join(f"<th>{esc(c)}</th>" for c in HEADER)
        body = "".join("<tr>" + "".join(f"<td>{esc(c)}</td>" for c in _cells(run)) + "</tr>" for run in self.runs())
        remarks = "".join(f"<li>{esc(r)}</li>" for r in self.remarks())
        table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>" if self.rows else ""
        return f"<p>{esc(head)}</p>{table}" + (f"<ul>{remarks}</ul>" if remarks else "")

    def runs(self) -> list[list[Row]]:
        """Give the rows as they are shown: a long run of time points of one series counts as one."""
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

    def remarks(self) -> list[str]:
        """Give each issue once, with the rows that it concerns."""
        concerns: dict[str, list[int]] = {}
        for row in self.rows:
            for issue in (i for i in row.issues if not row.is_localizer or i.name == "localizer"):
                concerns.setdefault(str(issue), []).append(row.number)
        out = []
        for text, numbers in concerns.items():
            where = "" if len(numbers) == len(self.rows) else f"row {_ranges(numbers)}: "
            out.append(f"note: {where}{text[6:]}" if text.startswith("note: ") else f"{where}{text}")
        own = [reason for name, reason in self.damaged if reason.startswith(name)]  # no row tells of these
        others = [f"{clean(a)}: {reason}" for a, reason in self.damaged + self.skipped if reason not in own]
        return out + [clean(text, 400) for text in own[:20]] + ([] if self.rows else others[:20])


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
        by(row.size),
        " × ".join("?" if v is None else f"{v:.3g}" for v in row.spacing),
        row.orientation,
        row.marrow,
        ", ".join(kind),
    )


def _ranges(numbers: list[int]) -> str:
    """ "1-3, 7" for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
