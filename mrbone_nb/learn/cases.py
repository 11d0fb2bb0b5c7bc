"""Reading cases: a table, or folders, each with a scan and its mask."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from .. import intake
from ..bones import LabelTable
from ..errors import InputError
from ..export import read_labels
from ..files import refuse_blocked
from ..volume import Volume
from .training import Case

EXPECTED = (
    "expected a CSV table with the columns id, scan, truth and, if you like, seeds (paths from its folder), "
    "or folders, each with image.nii.gz or the folder dicom, truth.nii.gz and, if you like, seeds.nii.gz"
)
MOST_ROWS = 1000


def read_cases(sources: Sequence[Path | str], *, accept: tuple[str, ...] = ()) -> tuple[list[Case], LabelTable]:
    """Read scans with their masks.

    Parameters
    ----------
    sources
        A CSV table with the columns id, scan, truth and, if you like, seeds, or folders, each with ``image.nii.gz``
        (or the folder ``dicom``), ``truth.nii.gz`` and, if you like, strokes in ``seeds.nii.gz``.
    accept
        Names of doubts about scans that are accepted.

    Returns
    -------
    tuple
        The cases, and the names of their labels as the masks give them.

    Raises
    ------
    InputError
        A file is missing, a scan has a fault that nobody accepted, or two masks give the same number different names.
    """
    found = []
    for source in map(Path, sources):
        found += _rows(source) if source.is_file() else [_folder(source)]
    cases, table = [], LabelTable()
    for name, scan, truth, strokes in found:
        volume = intake.read(scan, accept=accept)
        if not isinstance(volume, Volume):
            raise InputError(f"case {name}: the slices of {scan.name} make no stack; a model needs volumes")
        refuse_blocked(volume)
        labels, names = read_labels(truth, like=volume, accept=accept)
        for number in set(table) & set(names):
            if table[number].title != names[number].title:
                its, theirs = names[number].title, table[number].title
                raise InputError(f"case {name}: label {number} is {its}, in the cases before it was {theirs}")
        table = LabelTable({**names, **table})
        seeds = None if strokes is None else read_labels(strokes, like=volume, accept=accept)[0]
        cases.append(Case(name, volume, labels, seeds))
    return cases, table


Files = tuple[str, Path, Path, Path | None]


def _rows(table: Path) -> list[Files]:
    """Name, scan, mask and strokes of every row of a table; paths are relative to it."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [row for row, _ in zip(reader, range(MOST_ROWS), strict=False)]
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{table.name}: not a table; {EXPECTED}") from None
    missing = {"id", "scan", "truth"} - set(reader.fieldnames or ())
    if missing:
        raise InputError(f"{table.name}: no column {' and '.join(sorted(missing))}; {EXPECTED}")
    found = []
    for line, row in enumerate(rows, 2):
        if not all((row[key] or "").strip() for key in ("id", "scan", "truth")):
            raise InputError(f"{table.name}, line {line}: id, scan or truth is empty")
        scan, truth = (table.parent / row[key].strip() for key in ("scan", "truth"))
        drawn = (row.get("seeds") or "").strip()
        strokes = table.parent / drawn if drawn else None
        for path in (scan, truth, strokes):
            if path is not None and not path.exists():
                raise InputError(f"{table.name}, line {line}: {path}: no such file or folder")
        found.append((row["id"].strip(), scan, truth, strokes))
    return found


def _folder(folder: Path) -> Files:
    """Name, scan, mask and strokes in a folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such file or folder; {EXPECTED}")
    scan = next((folder / name for name in ("dicom", "image.nii.gz") if (folder / name).exists()), None)
    if scan is None or not (folder / "truth.nii.gz").is_file():
        missing = "no truth.nii.gz" if scan else "neither image.nii.gz nor dicom"
        raise InputError(f"{folder}: {missing} in it; {EXPECTED}")
    strokes = folder / "seeds.nii.gz"
    return folder.resolve().name, scan, folder / "truth.nii.gz", strokes if strokes.is_file() else None
