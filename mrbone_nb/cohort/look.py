"""The look before the night: every scan is read once, and all that would go wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import intake, memory
from ..errors import InputError
from ..export import read_labels
from ..files import check_writable, refuse_blocked
from ..outputs import BYTES_PER_VOXEL
from ..recipe import Recipe, choose_preset, on_grid, preset
from ..step import find_step
from ..volume import Volume
from .keys import finished, key_of, tidy
from .table import HEADER, CohortTable, Fault, Row, missing_strokes

BASE_BYTES = 0.35e9  # of a process with all libraries, before any voxel
READ_BYTES = 24  # for a voxel, beside what the steps take: the scan as read and as floats, strokes, labels, the picture
MODEL_BYTES = 250  # for a voxel, where a model's trees are asked: a guess on the safe side, not measured
SMALLEST = 20_000  # bytes of the files of a scan, however small it is


@dataclass(frozen=True)
class Look:
    """Hold what a look at a cohort found: the jobs to do, those that are done already, and what is wrong."""

    table: CohortTable
    jobs: tuple[dict[str, Any], ...]
    done: tuple[dict[str, Any], ...]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> list[str]:
        """All ids as the table has them; what has none is called by its line."""
        lines = {job["line"]: job["id"] for job in (*self.jobs, *self.done)}
        lines |= {fault.line: fault.id or f"line {fault.line}" for fault in self.faults if fault.line != HEADER}
        return list(dict.fromkeys(lines[line] for line in sorted(lines)))

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong with rows, by their ids."""
        return CohortTable(self.table.path, (), self.faults).wrong

    @property
    def counts(self) -> tuple[int, int]:
        """How many rows are wrong, and how many there are."""
        wrong = {fault.line for fault in self.faults if fault.line != HEADER}
        return len(wrong), len(wrong) + len(self.jobs) + len(self.done)

    @property
    def bytes_needed(self) -> float:
        """The memory that the largest scan may need."""
        return max((job["need"] for job in self.jobs), default=0)

    def __str__(self) -> str:
        count = len(self.jobs) + len(self.done)
        text = f"{count} of {self.counts[1]} scans can be run" + (f", {len(self.done)} are done" if self.done else "")
        if self.jobs:
            text += f"; a scan needs up to about {self.bytes_needed / memory.GIB:.1f} GB of memory"
        return "\n".join([text, *self.notes, *map(str, self.faults)])

    __repr__ = __str__


def look(
    table: CohortTable,
    output: Path | None,
    settings: dict[str, Any],
    *,
    memory_gb: float | None = None,
    progress: Callable[..., Iterable[Any]] = lambda items, **_: items,
) -> Look:
    """Read every scan of a table that is not done yet, with its strokes and truth, and say all that is wrong.

    Parameters
    ----------
    table
        As `read_cohort` gives it.
    output
        Folder of the results, which tells what is done; None where it does not matter.
    settings
        What all scans share: ``accept``, ``formats``, ``picture``.
    memory_gb
        What a scan may need at most; by default what this machine has free.
    """
    jobs, done, faults, sizes = [], [], list(table.faults), 0
    free = memory.available()
    most = memory_gb * 1e9 if memory_gb else None if free is None else memory.LIMIT * free
    for row in progress(table.rows):
        try:
            job = job_of(row, settings)
            there = None if output is None else finished(output / row.id, job["key"])
            if there is not None:
                done.append({**job, "answer": there})
                continue
            voxels = _try(row, job, most)
        except (InputError, OSError, MemoryError) as error:
            text = "the memory does not suffice to read it" if isinstance(error, MemoryError) else str(error)
            faults.append(Fault(row.line, row.id, tidy(text, vars(row))))
            continue
        sizes += BYTES_PER_VOXEL * voxels + SMALLEST
        jobs.append(job)
    if output is not None:
        check_writable(output, ["cohort.csv", "cohort.json", "report.html"], overwrite=True, needed=int(sizes))
    return Look(table, tuple(jobs), tuple(done), tuple(sorted(faults, key=lambda f: f.line)))


def job_of(row: Row, settings: dict[str, Any]) -> dict[str, Any]:
    """Give a row as plain data for another process, with the key that tells it from every other."""
    job = {
        "line": row.line,
        "id": row.id,
        **{name: _absolute(getattr(row, name)) for name in ("scan", "seeds", "truth", "model")},
        "series": row.series,
        "echo": row.echo,
        "recipe": None if row.recipe is None else row.recipe.to_dict(),
        "overrides": row.overrides,
        **settings,
    }
    return {**job, "key": key_of(job)}


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _try(row: Row, job: dict[str, Any], most: float | None) -> int:
    """Read all that a row names and decide on its recipe; gives the voxels, and puts into the job what was found."""
    scan = intake.read(row.scan, series=row.series, echo=row.echo, accept=tuple(job["accept"]))
    if not isinstance(scan, Volume):
        raise InputError(f"{row.scan.name}: its slices make no stack; fit a template to them, one by one")
    refuse_blocked(scan)
    recipe = row.recipe if row.recipe is not None else _by_tags(row, scan)
    job["recipe"] = recipe.to_dict()
    slots = {"image"}
    if row.model is not None:
        _check_model(row, recipe)
        slots |= {"labels"}
    if row.seeds is not None:
        on_grid("seeds", read_labels(row.seeds, like=scan)[0], scan)
        slots |= {"seeds"}
    recipe.check_flow(dict.fromkeys(slots))
    if row.truth is not None:
        read_labels(row.truth, like=scan)
    if scan.array.min() == scan.array.max():
        raise InputError(f"{scan.name}: all voxels hold the same value ({scan.array.flat[0]:g}); nothing to segment")
    job["need"] = need_of(recipe, scan.array.size, row.model is not None)
    if most is not None and job["need"] > most:
        raise InputError(
            f"{scan.name} needs about {job['need'] / memory.GIB:.1f} GB of memory and {most / memory.GIB:.1f} GB may be "
            "used; resample it to a coarser spacing, or run it where there is more"
        )
    return int(np.size(scan.array))


def _by_tags(row: Row, scan: Volume) -> Recipe:
    """The preset for the scan's tags with the row's own values."""
    recipe = row.with_values(preset(choose_preset(scan)[0]))
    text = missing_strokes(recipe, row.seeds is not None)
    if text:
        raise InputError(text)
    return recipe


def _check_model(row: Row, recipe: Recipe) -> None:
    from ..learn import load_model

    load_model(row.model)
    if any("seeds" in find_step(call.step).required for call in recipe.calls):
        raise InputError(f"recipe {recipe.name}: draws from strokes anew; with a model give clean-up steps, which take labels")


def need_of(recipe: Recipe, voxels: int, model: bool) -> float:
    """Estimate the memory in bytes that a process needs for a scan."""
    steps = max(find_step(call.step).bytes_per_voxel for call in recipe.calls)
    return BASE_BYTES + (max(steps, MODEL_BYTES if model else 0) + READ_BYTES) * voxels
