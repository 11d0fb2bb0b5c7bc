"""One scan in a process of its own: read, run, save, measure; work.py starts ``python -m mrbone_nb.cohort.child``.

It reads the job as one line of JSON from standard input, and writes all into a folder aside, the answer last.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import intake
from ..bones import LabelTable
from ..errors import InputError
from ..export import read_labels
from ..files import write_text
from ..measure import compare
from ..outputs import failures, planned, save
from ..record import load_record
from ..recipe import Recipe, Result
from ..volume import Volume
from .keys import DONE, hashes, tidy
from .part import PART, part_of
from .work import SHORT

Values = dict[int, dict[str, Any]]  # by label: columns and their values


def run_job(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Do what a job says, into a folder; gives what goes into the cohort's table."""
    began = time.perf_counter()
    scan = intake.read(job["scan"], series=job["series"], echo=job["echo"], accept=tuple(job["accept"]))
    if not isinstance(scan, Volume):
        raise InputError(f"{Path(job['scan']).name}: its slices make no stack")
    seeds, table = (None, LabelTable()) if job["seeds"] is None else read_labels(job["seeds"], like=scan)
    recipe = Recipe.from_dict(job["recipe"], "cohort")
    words = {"formats": tuple(job["formats"]), "picture": job["picture"]}
    planned(scan, folder, seeds=seeds is not None, **words)
    result, start, table = _found(job, scan, seeds, table, recipe)
    files = save(result, folder, table=table, start=start, **words)
    record = load_record(files["record"])
    rows = [_row(row) for row in record["outputs"]["measures"]]
    named = table.filled(result.present)
    for judge in JUDGES:
        values = judge(job, result, named)
        for row in rows:
            row |= values.get(row["label"], {})
    write_text(folder / PART, json.dumps(part_of(result, named)))
    failed = [f"no model of {bone}: {why}" for bone, why in failures(files).items()]
    return {
        "rows": rows,
        "recipe": recipe.name,
        "recipe_sha256": record["recipe_sha256"],
        "seconds": round(time.perf_counter() - began, 2),
        "peak_mb": peak_mb(),
        "flags": [*_missing(result, table), *failed],
        "notes": [*map(str, result.notes), *(str(issue) for issue in scan.issues)],
    }


def _found(
    job: dict[str, Any], scan: Volume, seeds: Volume | None, table: LabelTable, recipe: Recipe
) -> tuple[Result, Volume | None, LabelTable]:
    """The result of the recipe, or of a model and the recipe after it; what it began with; the names of labels."""
    if job["model"] is None:
        return recipe.run(scan, seeds=seeds), None, table
    from ..learn import load_model, segment

    model = load_model(job["model"])
    result, start = segment(model, scan, seeds=seeds, recipe=recipe)
    return result, start, model.table


def _missing(result: Result, table: LabelTable) -> list[str]:
    """What was marked by strokes and has no voxel left."""
    if result.seeds is None:
        return []
    marked = {int(n) for n in set(result.seeds.array.ravel().tolist()) if 0 < n < 255}
    return [f"no voxel is left of {label.title}" for label in table.filled(marked - set(result.present)).values()]


def _row(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: measured.get(name) for name in ("label", "name", "side", "volume_mm3", "area_mm2")}


def _agreement(job: dict[str, Any], result: Result, table: LabelTable) -> Values:
    """Dice and distances to a known label map."""
    if job["truth"] is None:
        return {}
    known, names = read_labels(job["truth"], like=result.volume)
    found = {c.label_a: c for c in compare(result.labels, known, names_a=table, names_b=names or None)}
    return {
        number: {
            name: round(value, 4) if math.isfinite(value) else None
            for name, value in (("dice", c.dice), ("assd_mm", c.assd_mm), ("hd95_mm", c.hd95_mm))
        }
        for number, c in found.items()
    }


# Each looks at a result and gives columns for the table, label by label; more of them may join here.
JUDGES: tuple[Callable[[dict[str, Any], Result, LabelTable], Values], ...] = (_agreement,)


def peak_mb() -> float | None:
    """The largest memory that this process had, in MB (10^6 bytes); None where it is not told."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def end_with_parent() -> None:
    """Let this process end when the one that started it does: then the pipe from it is closed."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    """Do one job; what is wrong with it is one line in the answer."""
    job = json.loads(sys.stdin.readline())
    end_with_parent()
    folder = Path(job["folder"])
    try:
        answer = {"status": "done", "error": "", **run_job(job, folder)}
    except InputError as error:
        answer = {"status": "failed", "error": tidy(str(error), job).replace(f"{folder}/", ""), "rows": []}
    except MemoryError:
        return SHORT
    answer = {"key": job["key"], **answer, "files": hashes(folder)}
    write_text(folder / DONE, json.dumps(answer, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # without waiting for the thread that listens
