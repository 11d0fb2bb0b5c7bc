"""Whole-scan runs of a workbench, beside everything else: started, followed, cancelled, waited for."""

from __future__ import annotations

import asyncio
import queue
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...background import Event, Worker
from ...errors import InputError
from ...recipe import Recipe, Result
from ...volume import Volume
from ..chain import Runner, State


@dataclass
class Job:
    """One run: of which recipe, how far it has come, what came of it."""

    recipe: Recipe
    whole: bool  # whether a result is wanted, or only the arrays on the way
    version: int  # of the strokes that it began with
    begin: State = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    states: list[State] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    step: str = ""
    began: float = field(default_factory=time.monotonic)
    apart: bool = True  # in a process of its own
    result: Result | None = None
    error: str = ""

    @property
    def text(self) -> str:
        """How far it is, in words."""
        count, total = len(self.states), len(self.recipe.calls)
        return f"{min(count + 1, total)} of {total}: {self.step}, {time.monotonic() - self.began:.0f} s"


class Runs:
    """Run recipes on a scan in the background; one at a time.

    Parameters
    ----------
    runner
        Keeps what was computed.
    follow
        Called after every piece of news, in the thread of the session's event loop or of `wait`.
    """

    def __init__(self, runner: Runner, follow: Callable[[], None]) -> None:
        self.runner, self.follow = runner, follow
        self.worker = Worker(self._tell)
        self.version = 0  # of the strokes
        self.job: Job | None = None
        self.last: Job | None = None  # the one that runs, or ran
        self._events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return self.job is not None

    def start(self, recipe: Recipe, whole: bool = True) -> Job:
        """Begin a run; what runs already is stopped."""
        self.cancel()
        volume = self.runner.source.volume
        with warnings.catch_warnings(record=True):  # notes hold them too
            warnings.simplefilter("always")
            state, notes = recipe.begin(volume, seeds=self.runner.added.get("seeds"))
        job = Job(recipe, whole, self.version, state, notes)
        job.states, job.times = self.runner.kept(recipe.calls)
        first = len(job.states)
        self.job, self.last = job, job
        if first == len(recipe.calls):
            self._end(job)
            return job
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        job.step = recipe.calls[first].step
        state = job.states[-1] if job.states else job.begin
        job.apart = self.worker.start(recipe.calls[first:], state, volume.spacing, first)
        self.follow()
        return job

    def cancel(self) -> None:
        """Stop what runs; what its finished steps gave is kept."""
        self.worker.stop()
        if self.job is not None:
            self.job.error, self.job = "cancelled", None

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the run has ended."""
        end = None if seconds is None else time.monotonic() + seconds
        while self.job is not None:
            left = 3600 if end is None else end - time.monotonic()
            try:
                self._hear(*self._events.get(timeout=max(0, left)))
            except queue.Empty:
                if end is not None:
                    raise InputError(f"still running after {seconds:g} s") from None

    # --- news from the other thread ------------------------------------------------------------------

    def _tell(self, number: int, event: Event) -> None:
        self._events.put((number, event))
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.drain)
        except RuntimeError:  # the loop is closed: then somebody waits, or nobody does
            pass

    def drain(self) -> None:
        """Take in all news that is there."""
        while True:
            try:
                self._hear(*self._events.get_nowait())
            except queue.Empty:
                return

    def _hear(self, number: int, event: Event) -> None:
        job = self.job
        if job is None or number != self.worker.number:
            return  # of a run that was stopped
        kind, news = event
        if kind == "step":
            job.step = news[1]
        elif kind == "state":
            self._take(job, *news)
        elif kind == "error":
            self.job, job.error = None, news
        elif kind == "done":
            self._end(job)
            return
        self.follow()

    def _take(self, job: Job, _: int, names: list[str], new: dict[str, Any], seconds: float) -> None:
        old = job.states[-1] if job.states else job.begin
        job.states.append({name: new[name] if name in new else old[name] for name in names})
        job.times.append(seconds)
        if job.version == self.version:  # with other strokes since, it is of no use for what comes
            self.runner.take(job.recipe.calls[: len(job.states)], job.states, job.times)

    def _end(self, job: Job) -> None:
        self.job = None
        if job.whole:
            try:
                job.result = result_of(self.runner.source.volume, job.recipe, job.states, job.times, job.notes)
            except InputError as error:
                job.error = str(error)
        self.follow()


def result_of(
    volume: Volume, recipe: Recipe, states: list[State], times: list[float], notes: tuple[str, ...]
) -> Result:
    """The result of a chain that has run, as the recipe itself would give it."""
    seconds = {f"{n} {call.step}": round(t, 3) for n, (call, t) in enumerate(zip(recipe.calls, times, strict=True), 1)}
    return recipe.finish(volume, states[-1], seconds, notes)
