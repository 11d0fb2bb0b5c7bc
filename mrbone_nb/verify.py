"""Check that a result is what its record says: scan, recipe, strokes, label map and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bones import FIRST, LAST, LabelTable
from .errors import InputError
from .export import read_labels
from .files import safe_path
from .record import array_sha256, file_sha256, files_sha256, load_record, recipe_sha256, threads, versions
from .volume import Volume


@dataclass(frozen=True)
class Check:
    """Say of one thing whether it is the recorded one: "same", "differs" or "missing"."""

    what: str
    state: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.state:8}{self.what}" + (f": {self.detail}" if self.detail else "")


def verify(path: Path | str, scan: Volume | None = None) -> list[Check]:
    """Recompute the hashes of everything that a record names.

    Parameters
    ----------
    path
        The record; the label map, the strokes and the models are looked for beside it.
    scan
        The scan, as read; without it the scan is not checked.

    Returns
    -------
    list of Check
        One for each thing, in the order scan, recipe, strokes, label map, files.

    Raises
    ------
    InputError
        The record cannot be read.
    """
    path = Path(path)
    record = load_record(path)
    checks: list[Check] = []
    if scan is not None:
        checks += _check_scan(scan, record["inputs"]["scan"])
    if "recipe_sha256" in record:
        same = recipe_sha256(record["recipe"]) == record["recipe_sha256"]
        checks.append(Check("recipe", "same" if same else "differs", "" if same else "changed since it was run"))
    if scan is not None:  # a label map has its exact place only on the grid of its scan: files round it
        maps = {what: record["inputs"][what] for what in ("seeds", "start") if what in record["inputs"]}
        maps["labels"] = record["outputs"]["labels"]
        checks += [_check_map(what, path.parent, entry, scan) for what, entry in maps.items()]
    files = record["outputs"].get("files", {})
    checks += [_check_file(path.parent, name, sha256) for name, sha256 in files.items()]
    return checks


def changed_versions(record: Mapping[str, Any]) -> list[str]:
    """Tell which versions and how many threads are not those of the record."""
    then, now = record.get("versions"), versions() | {"threads": str(threads())}
    then = {**(then if isinstance(then, Mapping) else {}), "threads": str(record.get("threads"))}
    return [f"{name} was {then.get(name)}, is {value}" for name, value in now.items() if str(then.get(name)) != value]


def _check_scan(scan: Volume, entry: Mapping[str, Any]) -> list[Check]:
    voxels = array_sha256(scan) == entry["voxels_sha256"]
    checks = [Check("scan voxels", "same" if voxels else "differs", "" if voxels else "other values or another place")]
    if entry.get("sha256") and scan.files:
        files = files_sha256(scan) == entry["sha256"]
        why = "" if files else f"{len(scan.files)} files read, {entry.get('files')} recorded" + (
            "; the voxels are the same, so it was converted or re-sent" if voxels else ""
        )
        checks.append(Check("scan files", "same" if files else "differs", why))
    return checks


def _check_map(what: str, folder: Path, entry: Mapping[str, Any], scan: Volume) -> Check:
    """Compare the voxels of a label map beside the record; its file may have been packed anew."""
    name = entry.get("name")
    if not name:
        return Check(what, "missing", "the record names no file")
    try:
        found = safe_path(folder, name)
        if not found.is_file():
            return Check(what, "missing", f"{name} does not lie beside the record")
        labels = recorded_labels(found, entry, scan)[0]
    except InputError as error:
        return Check(what, "differs", str(error))
    same = array_sha256(labels) == entry["voxels_sha256"]
    return Check(what, "same" if same else "differs", name)


def recorded_labels(path: Path, entry: Mapping[str, Any], scan: Volume) -> tuple[Volume, LabelTable]:
    """Read a label map beside a record, with the numbers that the record gives.

    DICOM-SEG counts its segments from 1 without gaps, so labels 1, 3 and 4 come back as 1, 2 and 3.
    """
    labels, table = read_labels(path, like=scan)
    there, wanted = [int(n) for n in np.unique(labels.array) if n], entry.get("present")
    if path.suffix.lower() != ".dcm" or there == wanted or not isinstance(wanted, list):
        return labels, table
    if there != list(range(1, len(wanted) + 1)) or not all(type(n) is int and FIRST <= n <= LAST for n in wanted):
        return labels, table
    numbers = np.array([0, *wanted], np.uint8)
    titles = {int(numbers[n]): label for n, label in table.items() if n in there}
    return labels.with_array(numbers[labels.array]), LabelTable(titles)


def _check_file(folder: Path, name: str, sha256: str) -> Check:
    try:
        found = safe_path(folder, name)
    except InputError as error:
        return Check("file", "differs", str(error))
    if not found.is_file():
        return Check(f"file {name}", "missing")
    return Check(f"file {name}", "same" if file_sha256(found) == sha256 else "differs")
