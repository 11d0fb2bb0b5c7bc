"""Hand jobs to Dask, never more than are worked on, and count how often each was tried."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from .work import STOP, work

TRIES = 2  # of a job whose process or worker was lost
QUIET = {
    "logging.distributed": "error",
    # A computer that sleeps for a night would else take its own workers for lost when it wakes, and wait forever.
    "distributed.scheduler.worker-ttl": None,
}
# Workers of threads in this very process: each only starts a process for a scan and waits for it. So a script needs
# no `if __name__ == "__main__"`, and nothing of one scan is left for the next.
# Its status pages listen on this machine alone.
HERE = "127.0.0.1:0"
LOCAL = {
    **{"processes": False, "threads_per_worker": 1, "memory_limit": 0, "silence_logs": 50},
    **{"dashboard_address": HERE, "worker_dashboard_address": HERE},
}
WAIT = 30  # seconds for a scheduler to answer


def answers(
    jobs: list[dict[str, Any]], output: Path, count: int | None, scheduler: str | None
) -> Iterator[dict[str, Any]]:
    """Give the answers as they come.

    Parameters
    ----------
    jobs
        What to do.
    output
        Folder of the results.
    count
        How many go at a time; None takes as many as the scheduler's workers have threads.
    scheduler
        Address of a scheduler; None starts one here.
    """
    import dask
    from distributed import Client, LocalCluster

    if not jobs:
        return
    STOP.clear()
    with dask.config.set(QUIET):
        cluster = LocalCluster(n_workers=min(count or 1, len(jobs)), **LOCAL) if scheduler is None else None
        try:
            with _connected(Client, cluster, scheduler) as client:
                try:
                    width = count or (lambda: max(1, sum(client.nthreads().values())))
                    yield from _flow(client, jobs, str(output.resolve()), width)
                finally:
                    STOP.set()  # or workers that still wait for a scan would keep the cluster from closing
        finally:
            if cluster is not None:
                cluster.close()


def _connected(client: Any, cluster: Any, scheduler: str | None) -> Any:
    try:
        return client(cluster if scheduler is None else scheduler, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error}); look at its address") from None


def _flow(
    client: Any, jobs: list[dict[str, Any]], output: str, width: int | Callable[[], int]
) -> Iterator[dict[str, Any]]:
    """Keep as many jobs with Dask as can be worked on: a worker that dies then costs one attempt at one job."""
    from distributed import as_completed

    run = uuid.uuid4().hex[:8]
    waiting, busy, tries = deque(jobs), {}, Counter()
    done = as_completed(loop=client.loop)

    def fill() -> None:
        while waiting and len(busy) < (width() if callable(width) else width):
            job = waiting.popleft()
            tries[job["id"]] += 1
            attempt = f"{run}-{tries[job['id']]}"
            future = client.submit(work, {**job, "attempt": attempt}, output, pure=False)
            busy[future] = job
            done.add(future)

    fill()
    for future in done:
        job = busy.pop(future)
        answer = _answer(future, job["id"])
        if answer["status"] == "lost" and tries[job["id"]] < TRIES:
            waiting.appendleft(job)
        else:
            yield _settled(answer, tries[job["id"]])
        fill()


def _answer(future: Any, name: str) -> dict[str, Any]:
    """The answer of a task; that of a lost one names it."""
    from concurrent.futures import CancelledError

    try:
        return future.result()
    except CancelledError:
        raise InputError("the Dask scheduler is gone; what is finished is kept: start it, and run this again") from None
    except Exception as error:  # a worker that died, or could not load this package
        said = " ".join(str(error).split())[:300]
        return {"id": name, "status": "lost", "error": f"its worker was lost: {type(error).__name__}: {said}", "rows": []}


def _settled(answer: dict[str, Any], tries: int) -> dict[str, Any]:
    lost = answer["status"] == "lost"
    error = f"{answer['error']} (tried {tries} times)" if lost else answer["error"]
    return {**answer, "status": "failed" if lost else answer["status"], "error": error, "tries": tries}
