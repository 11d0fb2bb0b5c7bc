"""Run a cohort on Dask: what is looked at first, what runs at a time, what is tried again, what is written when."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import memory
from ..errors import InputError
from ..files import make_folder
from ..intake.issues import check_accept
from ..outputs import FORMATS
from ..progress import progress as bar
from ..recipe import Recipe
from .dispatch import answers
from .lock import locked
from .look import Look, look
from .report import write_report
from .result import CohortResult, Writer
from .table import HEADER, read_cohort
from .work import clear_aside

SHOWN = 3  # faults in the text of an error
SAVE_EVERY = 5.0  # seconds between two versions of the table while scans run
Progress = Callable[..., Iterable[Any]]


class CohortFaults(InputError):
    """Refuse to start, since the table has faults; ``look`` holds them all."""

    def __init__(self, found: Look, text: str) -> None:
        super().__init__(text)
        self.look = found


def batch(
    table: Path | str,
    recipe: Recipe | Path | str = "auto",
    output: Path | str | None = "cohort",
    *,
    workers: int | None = None,
    memory_gb: float | None = None,
    scheduler: str | None = None,
    dry_run: bool = False,
    skip_bad: bool = False,
    formats: tuple[str, ...] = (),
    picture: bool = True,
    report: bool = True,
    accept: tuple[str, ...] = (),
    progress: Progress = bar,
) -> CohortResult | Look:
    """Run a recipe over many scans, each in a fresh process, and resume what was interrupted.

    First every scan is read once, and all that would go wrong is named at once. A fault that shows itself later costs
    only that scan: it is named in the table, and the rest goes on. What is finished is kept by the hash of its files,
    recipe and version, so that running again does only what is missing or has changed.

    Parameters
    ----------
    table
        CSV with ``id, scan`` and any of ``seeds, series, echo, recipe, truth`` and ``step.parameter``.
    recipe
        A recipe, a preset's name, a recipe file, or a model that `train` wrote (``.npz``); "auto" goes by each scan's
        tags.
    output
        Folder of the results: one folder a scan, ``cohort.csv``, ``cohort.json`` and ``report.html``.
    workers
        Scans at a time; by default one for each processor, as far as memory goes.
    memory_gb
        What a scan's process may take, in GB; one that takes more is ended. By default each may take an equal part of
        what is free.
    scheduler
        Address of a Dask scheduler that runs already (``tcp://…``); its workers must see the same files and have the
        same packages.
    dry_run
        Only look, and say what is wrong.
    skip_bad
        Whether the other scans run where rows are wrong; else nothing starts.
    formats
        Models to write, any of "stl", "ply", "obj", "glb".
    picture
        Whether each scan gets a picture of all slices.
    report
        Whether a page that shows all results is written.
    accept
        Doubts about scans that are accepted by name, as for `read`.
    progress
        Wraps what is waited for, as tqdm does; by default a bar on a terminal, a line in a notebook.

    Returns
    -------
    CohortResult, or Look for a dry run
        What came of each scan, as a table; ``failed`` names those without a result.

    Raises
    ------
    InputError
        The table cannot be used, rows of it are wrong, or the folder cannot be written to.

    Notes
    -----
    A process that is killed or runs out of memory is tried once more, then named. Each has one thread: the results are
    those of ``mrbone run`` on each scan alone with ``OMP_NUM_THREADS=1``, bit for bit.

    On a SLURM cluster, with the package dask-jobqueue::

        from dask_jobqueue import SLURMCluster
        cluster = SLURMCluster(cores=1, processes=1, memory="8GB", walltime="08:00:00")
        cluster.scale(20)
        mb.batch("cohort.csv", "bright-marrow", "out", scheduler=cluster.scheduler_address, workers=20, memory_gb=7)
    """
    formats = _formats(formats)
    if workers is not None and (workers != int(workers) or workers < 1):
        raise InputError(f"workers={workers}: expected a whole number from 1")
    if memory_gb is not None and not 0.1 <= memory_gb < 1e5:
        raise InputError(f"memory_gb={memory_gb:g}: expected the GB that a scan may take, such as 4")
    settings = {"accept": list(check_accept(accept)), "formats": formats, "picture": picture}
    output = None if output is None else Path(output)
    elsewhere = {"memory_gb": memory_gb or (1e4 if scheduler else None)}
    found = look(read_cohort(table, recipe), output, settings, **elsewhere, progress=progress)
    if dry_run:
        return found
    if output is None:
        raise InputError("output: say where the results go")
    _refuse(found, skip_bad)
    make_folder(output)
    with locked(output):
        clear_aside(output)
        result = _run(found, Writer(output, found, recipe), workers, memory_gb, scheduler, progress)
    if report:
        write_report(output)
    return result


def _run(
    found: Look, writer: Writer, workers: int | None, memory_gb: float | None, scheduler: str | None, progress: Progress
) -> CohortResult:
    """Do the jobs; whatever happens, the table says what was reached."""
    measured = max((job["answer"].get("peak_mb") or 0 for job in found.done), default=0) * 1e6
    count = workers or fitting(memory_gb * 1e9 if memory_gb else max(found.bytes_needed, measured))
    free = memory.available()
    limit = memory_gb * 1e9 if memory_gb else None
    if limit is None and scheduler is None and free is not None:
        limit = 0.9 * free / min(count, max(1, len(found.jobs)))
    jobs = [{**job, "limit": limit} for job in found.jobs]
    saved = time.monotonic()
    try:
        given = answers(jobs, writer.folder, None if scheduler and workers is None else count, scheduler)
        for answer in progress(_named(given), total=len(jobs)):
            writer.add(answer)
            if time.monotonic() - saved > SAVE_EVERY:
                writer.write_table()
                saved = time.monotonic()
    finally:
        writer.write()
    return writer.result()


def _named(given: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for answer in given:
        yield _Answer(answer)


class _Answer(dict):
    """An answer whose id a progress bar can show."""

    @property
    def name(self) -> str:
        """The scan's id."""
        return self["id"]


def _refuse(found: Look, skip_bad: bool) -> None:
    """Refuse a table with faults; those of its header concern every scan and cannot be skipped."""
    header = [fault for fault in found.faults if fault.line == HEADER]
    if header:
        raise CohortFaults(found, f"{found.table.path.name}, {_some(header)}")
    if found.faults and not skip_bad:
        wrong, rows = found.counts
        raise CohortFaults(
            found,
            f"{found.table.path.name}: {wrong} of {rows} rows {'is' if wrong == 1 else 'are'} wrong: "
            f"{_some(found.faults)}; mend them, or run the others with skip_bad=True",
        )
    if not found.jobs and not found.done:
        raise CohortFaults(found, f"{found.table.path.name}: no scan can be run: {_some(found.faults)}")


def _some(faults: Iterable[Any]) -> str:
    texts = list(map(str, faults))
    more = len(texts) - SHOWN
    return "; ".join(texts[:SHOWN]) + (f"; and {more} more, which a dry run lists" if more > 0 else "")


def _formats(formats: Iterable[str]) -> list[str]:
    formats = [formats] if isinstance(formats, str) else list(formats)
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"format {name!r}: expected some of {', '.join(FORMATS)}")
    return formats


def fitting(need: float) -> int:
    """Give how many processes of a need in bytes fit on this machine's processors and into its free memory."""
    free = memory.available()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(memory.LIMIT * free / need) if free and need else cores))
