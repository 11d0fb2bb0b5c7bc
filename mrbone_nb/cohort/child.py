"""One scan in a process of its own: read, run, save, measure; work.py starts ``python -m mrbone_nb.cohort.child``.

It reads the job as JSON from standard input, and writes all into a folder aside, the answer ``done.json`` last.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from .. import intake
from ..bones import LabelTable
from ..errors import InputError
from ..export import read_labels
from ..measure import compare
from ..outputs import failures, save
from ..record import load_record
from ..recipe import Recipe, choose_preset, preset
from ..volume import Volume

DONE = "done.json"


def run_job(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Do what a job says, into a folder; gives what goes into the cohort's table."""
    began = time.perf_counter()
    scan = intake.read(job["scan"], series=job["series"], echo=job["echo"], accept=tuple(job["accept"]))
    if not isinstance(scan, Volume):
        raise InputError(f"{Path(job['scan']).name}: its slices make no stack; fit a template to them, one by one")
    seeds, table = (None, LabelTable()) if job["seeds"] is None else read_labels(job["seeds"], like=scan)
    recipe = _recipe(job, scan)
    result = recipe.run(scan, seeds=seeds)
    files = save(result, folder, table=table, formats=tuple(job["formats"]), picture=job["picture"])
    record = load_record(files["record"])
    rows = [_row(row) for row in record["outputs"]["measures"]]
    if job["truth"] is not None:
        _judge(rows, result.labels, table.filled(result.present), job["truth"], scan)
    failed = failures(files)
    return {
        "rows": rows,
        "recipe": recipe.name,
        "seconds": round(time.perf_counter() - began, 2),
        "peak_mb": peak_mb(),
        "notes": [*map(str, result.notes), *(f"no model of {bone}: {why}" for bone, why in failed.items())],
    }


def _recipe(job: dict[str, Any], scan: Volume) -> Recipe:
    """The row's recipe, or the preset for the scan's tags with the row's own values."""
    if job["recipe"] is not None:
        return Recipe.from_dict(job["recipe"], "cohort")
    recipe = preset(choose_preset(scan)[0])
    for step, values in job["overrides"].items():
        recipe = recipe.with_params(step, **values)
    return recipe


def _row(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: measured.get(name) for name in ("label", "name", "side", "volume_mm3", "area_mm2")}


def _judge(rows: list[dict[str, Any]], labels: Volume, table: LabelTable, truth: str, scan: Volume) -> None:
    """Add Dice and distances to a known label map."""
    known, names = read_labels(truth, like=scan)
    found = {c.label_a: c for c in compare(labels, known, names_a=table, names_b=names or None)}
    for row in rows:
        c = found.get(row["label"])
        if c is not None:
            values = {"dice": c.dice, "assd_mm": c.assd_mm, "hd95_mm": c.hd95_mm}
            row |= {name: round(v, 4) if math.isfinite(v) else None for name, v in values.items()}


def peak_mb() -> float | None:
    """The largest memory that this process had, in MB (10^6 bytes); None where it is not told."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, so that no scan is worked on twice."""
    if sys.platform != "linux":
        return
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> int:
    """Do one job; what is wrong with it is one line in the answer."""
    end_with_parent()
    job = json.load(sys.stdin)
    folder = Path(job["folder"])
    try:
        answer = {"status": "done", "error": "", **run_job(job, folder)}
    except InputError as error:
        answer = {"status": "failed", "error": " ".join(str(error).split()), "rows": []}
    except MemoryError:
        return 3
    text = json.dumps({"key": job["key"], **answer}, indent=1, allow_nan=False)
    (folder / DONE).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
