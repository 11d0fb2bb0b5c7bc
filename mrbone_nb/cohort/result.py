"""What came of a cohort: a table for people and programs, and a record of how it was made."""

from __future__ import annotations

import csv
import html
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..files import write_text
from ..record import circumstances, file_sha256
from ..recipe import Recipe
from .look import Look
from .table import MODEL

HEAD = ("id", "status", "error", "label", "name", "side", "volume_mm3", "area_mm2", "dice", "assd_mm", "hd95_mm")
TAIL = ("recipe", "seconds", "peak_mb", "tries", "flags", "notes")
SCHEMA = 1


@dataclass(frozen=True)
class CohortResult:
    """Hold what came of a cohort; ``answers`` has a dict for each scan, in the table's order."""

    folder: Path
    answers: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> dict[str, str]:
        """What is wrong with the scans that gave no result, by their ids."""
        return {a["id"]: a["error"] for a in self.answers if a["status"] != "done"}

    @property
    def flagged(self) -> dict[str, str]:
        """What to look at in scans that gave a result, by their ids: a bone or a model that is missing."""
        return {a["id"]: "; ".join(a["flags"]) for a in self.answers if a["status"] == "done" and a.get("flags")}

    def rows(self) -> list[dict[str, Any]]:
        """A row a scan and bone, as in cohort.csv; `pandas.DataFrame` takes it. A scan without a result has one row."""
        return [row for answer in self.answers for row in _rows(answer)]

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def __str__(self) -> str:
        done = [a for a in self.answers if a["status"] == "done"]
        kept = sum(bool(a.get("resumed")) for a in done)
        lines = [f"{len(done)} of {len(self.answers)} scans done" + (f", {kept} of them before" if kept else "")]
        lines += [f"{name}: {why}" for name, why in self.failed.items()]
        return "\n".join(lines + [f"{name}: done, but {why}" for name, why in self.flagged.items()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = self.rows()
        names = [name for name in columns(rows) if any(row.get(name) not in (None, "") for row in rows)]
        cells = ["".join(f"<td>{html.escape(str(_cell(row.get(name))))}</td>" for name in names) for row in rows]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>"


class Writer:
    """Gather answers, and write table and record of what there is so far."""

    def __init__(self, folder: Path, look: Look, recipe: Recipe | Path | str) -> None:
        self.folder, self.look, self.recipe = folder, look, recipe
        self.began = time.time()
        self._answers = {name: {"id": name, "status": "waiting", "error": "not reached", "rows": []} for name in look.order}
        for name, why in look.wrong.items():
            self._answers[name] |= {"status": "skipped", "error": why}
        for job in look.done:
            self.add({"id": job["id"], **job["answer"], "resumed": True})

    def add(self, answer: dict[str, Any]) -> None:
        """Take an answer."""
        if answer["status"] != "done" and (self.folder / answer["id"]).exists():
            answer = {**answer, "error": f"{answer['error']} (its folder still holds an earlier result)"}
        self._answers[answer["id"]] = answer

    def result(self) -> CohortResult:
        """Give all answers in the table's order."""
        return CohortResult(self.folder, tuple(self._answers.values()))

    def write_table(self) -> None:
        """Write cohort.csv."""
        rows = self.result().rows()
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns(rows), lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        write_text(self.folder / "cohort.csv", stream.getvalue(), overwrite=True)

    def write(self) -> None:
        """Write cohort.csv and cohort.json."""
        self.write_table()
        write_text(self.folder / "cohort.json", json.dumps(self.record(), indent=1) + "\n", overwrite=True)

    def record(self) -> dict[str, Any]:
        """Say how the cohort was made: table, recipe, versions, and the key of each result."""
        table, recipe = self.look.table.path, self.recipe
        jobs = {job["id"]: job for job in (*self.look.jobs, *self.look.done)}
        kept = ("status", "error", "key", "recipe_sha256", "seconds", "peak_mb", "tries", "resumed")
        scans = {
            a["id"]: {name: a[name] for name in kept if a.get(name) not in (None, "")}
            | {"key": a.get("key") or jobs.get(a["id"], {}).get("key")}
            for a in self._answers.values()
        }
        counts = {s: sum(a["status"] == s for a in self._answers.values()) for s in ("done", "failed", "skipped", "waiting")}
        return {
            "schema": SCHEMA,
            "kind": "mrbone_nb cohort",
            "table": {"name": table.name, "sha256": file_sha256(table)},
            "recipe": described(recipe),
            "version": __version__,
            "seconds": round(time.time() - self.began, 1),
            "counts": counts,
            "scans": scans,
            **circumstances(),
            "threads": 1,  # of each scan's process
        }


def described(recipe: Recipe | Path | str) -> dict[str, Any] | str:
    """Say in plain data how bones were found: all steps, the model with its hash, or by each scan's tags."""
    if isinstance(recipe, Recipe):
        return recipe.to_dict()
    if str(recipe) == "auto":
        return "auto, by each scan's tags"
    if Path(recipe).suffix.lower() == MODEL:
        return f"model {Path(recipe).name}, SHA-256 {file_sha256(Path(recipe))}"
    return Recipe.load(recipe).to_dict()


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """Give the columns of rows: the known ones in their order, and further measures between."""
    further = [name for row in rows for name in row if name not in HEAD and name not in TAIL]
    return [*HEAD, *dict.fromkeys(further), *TAIL]


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    whole = {"id": answer["id"], "status": answer["status"], "error": answer["error"]}
    whole |= {name: answer.get(name) for name in TAIL}
    whole |= {name: "; ".join(answer.get(name) or []) for name in ("flags", "notes")}
    return [whole | row for row in answer["rows"]] or [whole]


def _cell(value: Any) -> Any:
    """A value for a table: nothing for None; a text that a spreadsheet would take for a formula is kept a text."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value
