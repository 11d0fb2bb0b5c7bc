"""The table of a cohort: a row a scan, and all that is wrong with it, said before anything runs."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..recipe import Recipe
from ..step import find_step

COLUMNS = ("id", "scan", "seeds", "series", "echo", "recipe", "truth")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
RESERVED = {"con", "prn", "aux", "nul", "cohort.csv", "cohort.json", "report.html"}


@dataclass(frozen=True)
class Row:
    """Hold one scan of a cohort: its files, and the recipe with this scan's own values."""

    id: str
    scan: Path
    recipe: Recipe | None  # None: by the scan's tags
    seeds: Path | None = None
    truth: Path | None = None
    series: str | None = None
    echo: int | None = None
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def job(self) -> dict[str, Any]:
        """The row as plain data, for another process."""
        texts = {name: None if value is None else str(value) for name, value in vars(self).items()}
        kept = {name: texts[name] for name in ("id", "scan", "seeds", "truth", "series")}
        recipe = None if self.recipe is None else self.recipe.to_dict()
        return {**kept, "echo": self.echo, "recipe": recipe, "overrides": self.overrides}


@dataclass(frozen=True)
class CohortTable:
    """Hold the rows that can be tried, and what is wrong with the others, by their ids."""

    rows: tuple[Row, ...]
    wrong: dict[str, str]

    def __str__(self) -> str:
        return "\n".join([f"{len(self.rows)} scans to run", *(f"{name}: {why}" for name, why in self.wrong.items())])


def read_cohort(path: Path | str, recipe: Recipe | str = "auto") -> CohortTable:
    """Read a cohort's table and look at every row, without reading the scans themselves.

    Parameters
    ----------
    path
        CSV with a header: ``id, scan`` and any of ``seeds, series, echo, recipe, truth``; a column ``step.parameter``
        holds values for single scans. Paths are relative to the table.
    recipe
        A recipe, the name of a preset or file, or "auto": by each scan's tags.

    Returns
    -------
    CohortTable
        Rows that can be tried, and what is wrong with the others.

    Raises
    ------
    InputError
        It is no such table, a column is unknown, or an id occurs twice: then no row can be trusted.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.DictReader(stream, strict=True))
            header = list(lines[0]) if lines else []
    except OSError:
        raise InputError(f"{path}: no such file, or it cannot be read") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not a table of comma-separated values ({error})") from None
    _check_header(path.name, header, lines)
    whole = None if recipe == "auto" else recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    rows, wrong, seen = [], {}, set()
    for number, line in enumerate(lines, 2):
        name = (line["id"] or "").strip()
        if name.casefold() in seen:
            raise InputError(f"{path.name}, line {number}: id {name!r} occurs twice; each scan needs its own")
        seen.add(name.casefold())
        try:
            rows.append(_row(line, path.parent, whole))
        except InputError as error:
            wrong[name or f"line {number}"] = str(error)
    return CohortTable(tuple(rows), wrong)


def _check_header(name: str, header: list[str], lines: list[dict[str, str]]) -> None:
    if not lines:
        raise InputError(f"{name}: no scans; expected a header with id, scan and a row for each")
    if "id" not in header or "scan" not in header:
        raise InputError(f"{name}: has columns {', '.join(map(str, header))}; expected id and scan at least")
    for column in header:
        if column is None:
            raise InputError(f"{name}: a row has more cells than the header")
        if column not in COLUMNS:
            step, dot, param = column.partition(".")
            if not dot:
                raise InputError(f"{name}: column {column!r}; expected {', '.join(COLUMNS)}, or step.parameter")
            if param not in find_step(step).params:
                known = ", ".join(find_step(step).params) or "none"
                raise InputError(f"{name}: column {column!r}: {step} has no {param!r}; its parameters are {known}")


def _row(line: dict[str, str], folder: Path, whole: Recipe | None) -> Row:
    """One row, checked as far as its files' names and values go."""
    cells = {name: (value or "").strip() for name, value in line.items()}
    if not ID.fullmatch(cells["id"]) or cells["id"].lower() in RESERVED or cells["id"].endswith("."):
        raise InputError(f"id {cells['id']!r}: expected letters, digits, - _ and . (it names a folder)")
    paths = {name: _there(folder, cells.get(name, ""), name) for name in ("scan", "seeds", "truth")}
    if paths["scan"] is None:
        raise InputError("scan: is missing")
    echo = cells.get("echo", "")
    if echo and not echo.isdigit():
        raise InputError(f"echo={echo!r}: expected a number from 1")
    own = cells.get("recipe", "")
    recipe = whole if not own else None if own == "auto" else _own_recipe(own, folder)
    overrides: dict[str, dict[str, Any]] = {}
    for column, text in cells.items():
        step, dot, param = column.partition(".")
        if dot and text:
            overrides.setdefault(step, {})[param] = find_step(step).params[param].parse(text)
    for step, values in overrides.items():
        recipe = recipe if recipe is None else recipe.with_params(step, **values)
    facts = {"series": cells.get("series") or None, "echo": int(echo) if echo else None, "overrides": overrides}
    row = Row(cells["id"], paths["scan"], recipe, paths["seeds"], paths["truth"], **facts)
    needs = recipe is not None and any("seeds" in find_step(c.step).required for c in recipe.calls)
    if needs and row.seeds is None:
        raise InputError(f"seeds: {recipe.name} needs strokes; give their file")
    return row


def _own_recipe(text: str, folder: Path) -> Recipe:
    beside = folder / text
    return Recipe.load(beside if beside.is_file() else text)


def _there(folder: Path, text: str, name: str) -> Path | None:
    """A file or folder of a row, which must be there."""
    if not text:
        return None
    path = Path(text) if Path(text).is_absolute() else folder / text
    if not path.exists():
        raise InputError(f"{name} {text}: no such file or folder")
    if not os.access(path, os.R_OK):
        raise InputError(f"{name} {text}: cannot be read (permission)")
    return path


def with_choice(row: Row, recipe: Recipe) -> Row:
    """The row with the recipe that was chosen by the scan's tags, and this row's own values in it."""
    for step, values in row.overrides.items():
        recipe = recipe.with_params(step, **values)
    return replace(row, recipe=recipe)
