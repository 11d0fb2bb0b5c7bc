"""The table of a cohort: a row a scan, and all that its text shows to be wrong."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..recipe import Recipe
from ..step import find_step

COLUMNS = ("id", "scan", "seeds", "series", "echo", "recipe", "truth")
ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9_-])?")
RESERVED = {"con", "prn", "aux", "nul", "cohort.csv", "cohort.json", "report.html"}
HEADER = 1  # its line
MOST_ROWS = 10_000
MODEL = ".npz"


@dataclass(frozen=True)
class Fault:
    """Hold one thing that is wrong with a table: its line, the id there, and what to do about it."""

    line: int
    id: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.id}' if self.id else ''}: {self.text}"


@dataclass(frozen=True)
class Row:
    """Hold one scan of a cohort: its files, and the recipe with this scan's own values."""

    line: int
    id: str
    scan: Path
    recipe: Recipe | None  # None: by the scan's tags
    seeds: Path | None = None
    truth: Path | None = None
    model: Path | None = None
    series: str | None = None
    echo: int | None = None
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def with_values(self, recipe: Recipe) -> Recipe:
        """Give a recipe with this row's own values in it."""
        for step, values in self.overrides.items():
            recipe = recipe.with_params(step, **values)
        return recipe


@dataclass(frozen=True)
class CohortTable:
    """Hold the rows that can be tried, and all that is wrong with the table; faults of line 1 concern all rows."""

    path: Path
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong with rows, by their ids (or lines, where there is no id)."""
        found: dict[str, list[str]] = {}
        for fault in self.faults:
            if fault.line != HEADER:
                found.setdefault(fault.id or f"line {fault.line}", []).append(fault.text)
        return {name: "; ".join(dict.fromkeys(texts)) for name, texts in found.items()}

    def __str__(self) -> str:
        return "\n".join([f"{len(self.rows)} scans to run", *map(str, self.faults)])


def read_cohort(path: Path | str, recipe: Recipe | Path | str = "auto") -> CohortTable:
    """Read a cohort's table and look at every row, without reading the scans themselves.

    Parameters
    ----------
    path
        CSV with a header: ``id, scan`` and any of ``seeds, series, echo, recipe, truth``; a column ``step.parameter``
        holds values for single scans. Paths are relative to the table. Commas, semicolons or tabs part the cells.
    recipe
        A recipe, the name of a preset or file, a model (``.npz``), or "auto": by each scan's tags.

    Returns
    -------
    CohortTable
        Rows that can be tried, and what is wrong with the others.

    Raises
    ------
    InputError
        It is no such table, or the recipe is none.
    """
    path = Path(path)
    header, lines = _lines(path)
    faults = [Fault(HEADER, "", text) for text in _header_faults(header)]
    whole = _Way.of(recipe, None)
    names = Counter((cells.get("id") or "").strip().casefold() for _, cells in lines)
    rows = []
    for number, cells in lines:
        found = _Reading(number, cells, path.parent)
        row = found.row(whole)
        if found.id and names[found.id.casefold()] > 1:
            found.say(f"the id stands {names[found.id.casefold()]} times in the table (capitals do not count); change it")
        faults += found.faults
        if row is not None and not found.faults:
            rows.append(row)
    return CohortTable(path, tuple(rows), tuple(faults))


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header and the cells of each row with its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise InputError(f"{path}: no such file, or it cannot be read") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: not a table of text in UTF-8; save it as CSV UTF-8") from None
    first = text.partition("\n")[0]
    sign = next((s for s in ",;\t" if s in first), ",")
    try:
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True, delimiter=sign, skipinitialspace=True)
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path.name}: not a table of comma-separated values ({error})") from None
    if not {"id", "scan"} <= set(header):
        has = f"has the columns {', '.join(header)[:200]}" if header else "is empty"
        raise InputError(f"{path.name}: {has}; expected id and scan at least")
    if not 0 < len(lines) <= MOST_ROWS:
        raise InputError(f"{path.name}: {len(lines) or 'no'} scans; expected a row for each, 1 to {MOST_ROWS}")
    return header, lines


def _header_faults(header: list[str]) -> list[str]:
    faults = [f"column {name!r} stands there {n} times; keep one" for name, n in Counter(header).items() if n > 1]
    for column in dict.fromkeys(header):
        step, dot, param = column.partition(".")
        if column in COLUMNS:
            continue
        if not dot:
            faults.append(f"column {column!r}: expected {', '.join(COLUMNS)}, or step.parameter; rename or remove it")
            continue
        try:
            known = find_step(step).params
        except InputError as error:
            faults.append(f"column {column!r}: {error}")
            continue
        if param not in known:
            faults.append(f"column {column!r}: {step} has no {param!r}; it has {', '.join(known) or 'no parameter'}")
    return faults


@dataclass(frozen=True)
class _Way:
    """Hold how bones are found: by a recipe, by a scan's tags (no recipe), or by a model and a clean-up recipe."""

    recipe: Recipe | None
    model: Path | None = None

    @classmethod
    def of(cls, given: Recipe | Path | str, folder: Path | None) -> _Way:
        """Read what a person gave; names in a table are looked up beside it first."""
        if isinstance(given, Recipe):
            return cls(given)
        if str(given) == "auto":
            return cls(None)
        beside = None if folder is None else folder / given
        path = beside if beside is not None and beside.is_file() else Path(given)
        if path.suffix.lower() == MODEL:
            if not path.is_file():
                raise InputError(f"{given}: no such model")
            from ..learn import CLEAN

            return cls(CLEAN, path)
        return cls(Recipe.load(path))


class _Reading:
    """Read one row, and collect all that is wrong with it."""

    def __init__(self, line: int, cells: dict[Any, Any], folder: Path) -> None:
        self.line, self.folder, self.faults = line, folder, []
        self.more = cells.get(None) or []
        self.cells = {name: (value or "").strip() for name, value in cells.items() if name is not None}
        self.id = self.cells["id"]

    def say(self, text: object) -> None:
        """Add a fault of this row."""
        self.faults.append(Fault(self.line, ascii(self.id)[1:-1][:80], " ".join(str(text).split())))

    def row(self, whole: _Way) -> Row | None:
        """The row, checked as far as its files' names and values go; not to be used where there are faults."""
        if not ID.fullmatch(self.id) or self.id.split(".")[0].lower() in RESERVED or self.id.lower() in RESERVED:
            self.say(f"id {self.id[:80]!r}: expected up to 80 letters, digits, - _ and . (it names a folder)")
        if self.more:
            self.say(f"{len(self.more)} cells more than the header has; put a text with commas in quotes")
        paths = {name: self._there(name) for name in ("scan", "seeds", "truth")}
        if not self.cells["scan"]:
            self.say("scan is missing; give the file or folder")
        echo = self.cells.get("echo", "")
        if echo and not re.fullmatch(r"[0-9]{1,6}", echo):
            self.say(f"echo={echo[:80]!r}: expected its DICOM number, such as 1")
            echo = ""
        way = self._way(whole)
        series = self.cells.get("series") or None
        row = Row(
            self.line, self.id, paths["scan"], way.recipe, paths["seeds"], paths["truth"], way.model, series,
            int(echo) if echo else None, self._overrides(),
        )  # fmt: skip
        return self._with_recipe(row)

    def _with_recipe(self, row: Row) -> Row | None:
        """Put the row's own values into its recipe, and see that the strokes it needs are there."""
        if row.recipe is None:
            return row
        try:
            recipe = row.with_values(row.recipe)
        except InputError as error:
            self.say(error)
            return None
        if row.model is None:
            self._check_strokes(recipe)
        return Row(**{**vars(row), "recipe": recipe})

    def _check_strokes(self, recipe: Recipe) -> None:
        text = missing_strokes(recipe, bool(self.cells.get("seeds")))
        if text:
            self.say(text)

    def _way(self, whole: _Way) -> _Way:
        own = self.cells.get("recipe", "")
        if not own:
            return whole
        try:
            return _Way.of(own, self.folder)
        except InputError as error:
            self.say(f"recipe: {error}")
            return whole

    def _overrides(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for column, text in self.cells.items():
            step, dot, param = column.partition(".")
            try:
                if dot and text and param in find_step(step).params:
                    found.setdefault(step, {})[param] = find_step(step).params[param].parse(text)
            except InputError as error:
                if not str(error).startswith("unknown step"):  # that is said of the header
                    self.say(f"{column}: {error}")
        return found

    def _there(self, name: str) -> Path | None:
        """A file or folder of the row, which must be there."""
        text = self.cells.get(name, "")
        if not text:
            return None
        path = Path(text) if Path(text).is_absolute() else self.folder / text
        try:
            there = path.exists()
        except (OSError, ValueError):  # too long, or no text for a path
            there = False
        if not there:
            self.say(f"{name} {text[:200]}: no such file or folder (paths are relative to the table)")
        elif not os.access(path, os.R_OK):
            self.say(f"{name} {text[:200]}: cannot be read; ask for the permission")
        return path


def missing_strokes(recipe: Recipe, given: bool) -> str:
    """Say that strokes are missing or of no use for a recipe; nothing where they fit."""
    steps = [find_step(call.step) for call in recipe.calls]
    if not given and any("seeds" in step.required for step in steps):
        return f"seeds are missing: recipe {recipe.name} needs strokes; give their file"
    if given and not any("seeds" in step.inputs for step in steps):
        return f"seeds: recipe {recipe.name} has no step that takes strokes; leave the cell empty, or choose another recipe"
    return ""
