"""Which of the volumes at a place is meant: by number, key, UID or echo; else the only sensible one, or a question."""

from __future__ import annotations

from ..errors import InputError
from .issues import clean, count, named
from .rows import Row, series_key
from .scan import Scan

SHOWN = 8  # choices in an error text
UNFIT = ("phase", "field map", "velocity", "real", "imaginary", "projection")


def nothing(scan: Scan) -> str:
    """Why there is no volume here."""
    place = clean(str(scan.archive or scan.place), 300)
    if scan.damaged:
        names = [n for n, _ in scan.damaged]
        reason = scan.damaged[0][1]
        return (
            reason if reason.startswith(names[0]) else f"{named(names, scan.total)}: {reason}; not read. Copy it again"
        )
    if scan.skipped:
        names = [n for n, _ in scan.skipped]
        return (
            f"{place}: no image in {count(scan.total, 'file')}; {named(names, scan.total)}: {scan.skipped[0][1]}; skipped. "
            "Choose a folder with DICOM images, or a NIfTI, NRRD or MHA file"
        )
    return (
        f"{place}: the folder is empty: no DICOM file found in it or in the folders below. Choose the folder that holds "
        "the images"
    )


def choose(rows: list[Row], scan: Scan, series: str | int | None, echo: int | None) -> Row:
    """Give the row that is meant.

    Raises
    ------
    InputError
        Where there is none, or several: it lists them.
    """
    best = candidates(rows, scan, series, echo)
    if series is None and all(r.is_localizer for r in best):
        raise InputError(f"only a localizer (scout) is here, which is never taken by itself. {_choices(best)}")
    if len(best) == 1:
        return best[0]
    raise InputError(f"{count(len(best), 'volume')} to choose from. {_choices(best)}")


def candidates(rows: list[Row], scan: Scan, series: str | int | None, echo: int | None) -> list[Row]:
    """Give the rows that may be meant, after those are left out that nobody wants by default.

    Raises
    ------
    InputError
        Where there is none.
    """
    if not rows:
        raise InputError(nothing(scan))
    if series is not None and (isinstance(series, int) or (series.isdigit() and len(series) < 8)):
        return [_by_number(rows, int(series), echo)]
    found = rows
    if series is not None:
        found = [r for r in rows if series in (r.key, r.series, series_key(r.series, 16))]
        if not found:
            raise InputError(f"series={series!r}: not here. {_choices(rows)}")
    if echo is not None:
        found = [r for r in found if r.echo == echo]
        if not found:
            there = sorted({r.echo for r in rows if r.echo is not None})
            if not there:
                raise InputError(f"echo={echo}: this scan has no echo numbers; leave out echo=")
            raise InputError(f"echo={echo}: expected one of {', '.join(map(str, there))}")
    return _sensible(found)


def words_for(row: Row, rows: list[Row], scan: Scan) -> tuple[str | int, int | None]:
    """Give the ``series`` and ``echo`` with which `choose` takes a row: its key if that does, else its number."""
    for words in ((row.key, None), (row.key, row.echo)):
        try:
            if choose(rows, scan, *words) is row:
                return words
        except InputError:
            continue
    return row.number, None


def _by_number(rows: list[Row], number: int, echo: int | None) -> Row:
    if not 1 <= number <= len(rows):
        raise InputError(f"series={number}: expected a row number from 1 to {len(rows)}. {_choices(rows)}")
    row = rows[number - 1]
    if echo is not None and row.echo != echo:
        of_row = "has no echo number" if row.echo is None else f"is echo {row.echo}"
        raise InputError(f"series={number}, echo={echo}: that row {of_row}; leave one of the two out")
    return row


def _sensible(rows: list[Row]) -> list[Row]:
    """Leave out, step by step and never everything, what nobody wants by default."""
    for unwanted in (
        lambda r: r.kind in ("unreadable", "one slice over time"),
        lambda r: isinstance(r.source, tuple),  # NIfTI and the like beside DICOM: masks, as a rule
        lambda r: r.is_localizer,
        lambda r: r.component in UNFIT,
        lambda r: r.kind == "single slice",
    ):
        rest = [r for r in rows if not unwanted(r)]
        rows = rest or rows
    return rows


def _choices(rows: list[Row]) -> str:
    lines = [r.line() for r in rows[:SHOWN]]
    more = f";\n  … and {len(rows) - SHOWN} more: print the inventory" if len(rows) > SHOWN else ""
    echoes = {r.echo for r in rows}
    way = "Give series=ROW"
    if len({r.key for r in rows}) == 1 and len(echoes) == len(rows) and None not in echoes:
        way = "Give echo=NUMBER (or series=ROW)"
    return f"{way}; there are\n  " + ";\n  ".join(lines) + more
