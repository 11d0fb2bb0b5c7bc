"""Run a cohort on Dask, and keep one table of what came of each scan."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__, memory
from ..errors import InputError
from ..files import check_writable, make_folder, write_text
from ..intake.issues import check_accept
from ..recipe import Recipe
from .table import CohortTable, read_cohort
from .work import clear_aside, work

HEAD = ("id", "status", "error", "label", "name", "side", "volume_mm3", "area_mm2", "dice", "assd_mm", "hd95_mm")
TAIL = ("recipe", "seconds", "peak_mb", "tries", "notes")
QUIET = {  # a worker that dies is tried once more; workers start processes, so they are no daemons
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.daemon": False,
    "logging.distributed": "error",
}
LOCAL = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0, "protocol": "tcp", "silence_logs": 50}
TYPICAL_GB = 2.0  # of a process for a usual scan, where nothing better is known


@dataclass(frozen=True)
class CohortResult:
    """Hold what came of a cohort; ``answers`` has a dict for each scan, in the table's order."""

    folder: Path
    answers: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> dict[str, str]:
        """What is wrong with the scans that gave no result, by their ids."""
        return {a["id"]: a["error"] for a in self.answers if a["status"] != "done"}

    def rows(self) -> list[dict[str, Any]]:
        """A row a scan and bone; a scan without a result has one row."""
        return [row for answer in self.answers for row in _rows(answer)]

    def __str__(self) -> str:
        done = [a for a in self.answers if a["status"] == "done"]
        kept = sum(bool(a.get("resumed")) for a in done)
        lines = [f"{len(done)} of {len(self.answers)} scans done" + (f", {kept} of them before" if kept else "")]
        return "\n".join(lines + [f"{name}: {why}" for name, why in self.failed.items()])


def batch(
    table: Path | str,
    recipe: Recipe | str = "auto",
    output: Path | str = "cohort",
    *,
    workers: int | None = None,
    memory_gb: float | None = None,
    scheduler: str | None = None,
    dry_run: bool = False,
    formats: tuple[str, ...] = (),
    picture: bool = True,
    accept: tuple[str, ...] = (),
    progress: Callable[..., Iterable[Any]] = lambda items, total: items,
) -> CohortResult | CohortTable:
    """Run a recipe over many scans, each in a fresh process, and resume what was interrupted.

    A scan that fails costs only itself: it is named in the table, and the rest goes on. What is finished is kept by the
    hash of its files, recipe and version, so that running again does only what is missing or has changed. The results
    are those of running each scan alone, bit for bit.

    Parameters
    ----------
    table
        CSV with ``id, scan`` and any of ``seeds, series, echo, recipe, truth`` and ``step.parameter``.
    recipe
        A recipe, a preset's name or a file; "auto" goes by each scan's tags.
    output
        Folder of the results: one folder a scan, ``cohort.csv`` and ``cohort.json``.
    workers
        Scans at a time; by default one for each processor, as far as memory goes.
    memory_gb
        What a scan's process may need, in GB, to choose how many go at a time.
    scheduler
        Address of a Dask scheduler that runs already (``tcp://…``), such as one that ``dask_jobqueue.SLURMCluster``
        gave; its workers must see the same files.
    dry_run
        Only look at the table and say what is wrong.
    formats
        Models to write, any of "stl", "ply", "obj", "glb".
    picture
        Whether each scan gets a picture of all slices.
    accept
        Doubts about scans that are accepted by name, as for `read`.
    progress
        Wraps the answers as they come, as tqdm does.

    Returns
    -------
    CohortResult, or CohortTable for a dry run
        What came of each scan; ``failed`` names those without a result.

    Raises
    ------
    InputError
        The table cannot be used, or the folder cannot be written to.

    Notes
    -----
    A process that is killed is tried once more. Each process has one thread, so that results do not depend on the
    machine's load.
    """
    cohort = read_cohort(table, recipe)
    if dry_run:
        return cohort
    output = Path(output)
    check_writable(output, ["cohort.csv", "cohort.json"], overwrite=True)
    make_folder(output)
    clear_aside(output, (row.id for row in cohort.rows))
    words = {"accept": list(check_accept(accept)), "formats": list(formats), "picture": picture}
    jobs = [{**_absolute(row.job()), **words} for row in cohort.rows]
    answers = [{"id": name, "status": "failed", "error": why, "rows": []} for name, why in cohort.wrong.items()]
    began = time.time()
    try:
        for answer in progress(_answers(jobs, output, workers, memory_gb, scheduler), total=len(jobs)):
            answers.append(answer)
            if answer["status"] != "done" or len(answers) % 20 == 0:
                _write_table(output, answers)
    finally:
        _write_table(output, answers)
    order = {name: n for n, name in enumerate([*cohort.wrong, *(row.id for row in cohort.rows)])}
    result = CohortResult(output, tuple(sorted(answers, key=lambda a: order[a["id"]])))
    _write_table(output, result.answers)
    _write_record(output, table, recipe, result, time.time() - began)
    return result


def _absolute(job: dict[str, Any]) -> dict[str, Any]:
    paths = {name: str(Path(job[name]).resolve()) for name in ("scan", "seeds", "truth") if job[name] is not None}
    return {**job, **paths}


def _answers(
    jobs: list[dict[str, Any]], output: Path, workers: int | None, memory_gb: float | None, scheduler: str | None
) -> Iterator[dict[str, Any]]:
    """Give the answers as they come."""
    import dask
    from distributed import Client, LocalCluster, as_completed

    if not jobs:
        return
    with dask.config.set(QUIET):
        cluster = None
        if scheduler is None:
            count = min(len(jobs), fitting(memory_gb) if workers is None else workers)
            cluster = LocalCluster(n_workers=count, **LOCAL)
        try:
            with Client(scheduler if cluster is None else cluster, timeout=30) as client:
                futures = {client.submit(work, job, str(output.resolve()), pure=False): job["id"] for job in jobs}
                for future in as_completed(futures):
                    yield _answer(future, futures[future])
        except OSError as error:
            raise InputError(f"{scheduler}: no Dask scheduler answers there ({error})") from None
        finally:
            if cluster is not None:
                cluster.close()


def _answer(future: Any, name: str) -> dict[str, Any]:
    """The answer of a task; that of a lost one names it."""
    try:
        return future.result()
    except Exception as error:  # a worker that died twice, or a fault of the program
        said = " ".join(str(error).split())[:300]
        why = f"its worker was lost: {type(error).__name__}: {said}"
        return {"id": name, "status": "failed", "error": why, "rows": []}


def fitting(memory_gb: float | None) -> int:
    """How many processes fit on this machine's processors and into its free memory."""
    free, need = memory.available(), (memory_gb or TYPICAL_GB) * 1e9
    return max(1, min(os.cpu_count() or 1, int(0.8 * free / need) if free else 1))


def _rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    whole = {"id": answer["id"], "status": answer["status"], "error": answer["error"]}
    whole |= {name: answer.get(name) for name in TAIL} | {"notes": "; ".join(answer.get("notes", []))}
    return [whole | row for row in answer["rows"]] or [whole]


def _write_table(output: Path, answers: Iterable[dict[str, Any]]) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*HEAD, *TAIL], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(row for answer in answers for row in _rows(answer))
    write_text(output / "cohort.csv", stream.getvalue(), overwrite=True)


def _write_record(output: Path, table: Any, recipe: Any, result: CohortResult, seconds: float) -> None:
    """How the cohort was made: table, recipe, version, and the key of each result."""
    from ..record import circumstances, file_sha256

    data = {
        "schema": 1,
        "kind": "mrbone_nb cohort",
        "table": {"name": Path(table).name, "sha256": file_sha256(Path(table))},
        "recipe": recipe.to_dict() if isinstance(recipe, Recipe) else Path(str(recipe)).name,
        "version": __version__,
        "seconds": round(seconds, 1),
        "scans": {a["id"]: {"status": a["status"], "key": a.get("key"), "error": a["error"]} for a in result.answers},
        **circumstances(),
    }
    write_text(output / "cohort.json", json.dumps(data, indent=1) + "\n", overwrite=True)
