"""What the workbench's viewer shows: the result, or what the chosen step makes, live while sliders move."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...background import one_line
from ...errors import InputError
from ...step import Call, find_step
from ...views import view_of
from ..chain import Slab, State, check_flow, shown_slot
from ..preview import LIVE_SECONDS, ORDER, REGION_MM
from ..turned import window

if TYPE_CHECKING:
    from ..workbench import Workbench

SOON = 0.005  # seconds in which further moves join the first
SETTLED = 0.4  # seconds without a move after which the whole scan is shown, where it is known
BAND = 8  # slices to both sides that are sent along once the sliders rest, so that scrolling finds them there
MODES = ("result", "step", "before")


class Live:
    """Keep the view up to date with the chosen step.

    Moves that come while something is computed are not computed one by one: the newest values are, afterwards.

    Parameters
    ----------
    bench
        The workbench.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.view = bench, bench.view
        self.axis = view_of(bench.volume).axis
        self.mode = "result"
        self.chosen = 0
        self.note = self.error = ""
        self.drawn = 0  # counts pictures
        self.follow: Any = lambda: None  # called after each picture
        self._times: dict[str, tuple[float, float]] = {}  # by step: the last seconds on the whole scan, and their mean
        self._due = False
        self._settle: asyncio.TimerHandle | None = None
        self._slab: Slab | None = None  # what the picture was computed on
        self._shown: dict[str, tuple[object, int, int]] = {}  # by map: the array, and the first and last slice sent
        self._ends: tuple[object, tuple[float, float]] = (None, (0.0, 1.0))
        self.view.observe(self._scrolled, "position")

    # --- when ----------------------------------------------------------------------------------------

    def refresh(self, moved: bool = False) -> None:
        """Draw anew soon, once for all moves until then; at once where no event loop runs."""
        if self._due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.draw()
            return
        self._due = True
        loop.call_later(SOON, self.draw, moved)

    def _scrolled(self, _: Any) -> None:
        """A preview of some slices follows to others."""
        if any(not first <= self.index <= last for _, first, last in self._shown.values()):
            self.refresh()

    def _settled(self) -> None:
        self._settle = None
        if not self._due:
            self.draw()

    @property
    def index(self) -> int:
        """The number of the slice that is shown, along the scan's own axis."""
        turn = self.view._turn
        turned = turn.order.index(self.axis)
        here = self.view.position[turned]
        return turn.shape[turned] - 1 - here if turn.flipped[turned] else here

    # --- what ----------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls whose outcome is shown."""
        rack = self.bench.rack
        return rack.calls[: rack.upto(self.chosen - 1 if self.mode == "before" else self.chosen)]

    def draw(self, moved: bool = False) -> None:
        """Compute and show; whatever goes wrong is one line, and the last picture stays."""
        self._due = False
        self.drawn += 1
        try:
            self.error = ""
            if self.mode == "result":
                self._show_result()
            else:
                self._show_step(moved)
        except Exception as error:  # a callback's traceback would be lost in the server's log
            self.error = one_line(error)
        self.follow()

    def _show_result(self) -> None:
        result = self.bench.result
        self.note = "" if result is None else "older than the steps and strokes: run again" if self.bench.stale else "the result"
        self._put("after", None)
        self._put("labels", None if result is None else result.labels.array)

    def _show_step(self, moved: bool) -> None:
        calls = self.calls
        if not calls:
            self.note = "the scan as it is"
            self._put("after", None)
            self._put("labels", None)
            return
        runner = self.bench.runner
        check_flow(calls, {*runner.source.slots(), *runner.added})
        kept = len(runner.kept(calls)[0])
        slab, possible = self._slab_for(calls[kept:])
        if not possible:
            return
        state = runner.run(calls, slab)
        whole = slab is None
        self.note = "computed on the whole scan" if whole else _said(slab)
        self._show_state(calls, state, slab, moved)
        if moved and whole:
            self._settle_later()

    def _slab_for(self, missing: Sequence[Call]) -> tuple[Slab | None, bool]:
        """On which slices the missing calls answer at once (None: the whole scan), and whether they do."""
        runner, volume = self.bench.runner, self.bench.volume
        if not missing or self._expected(missing) <= LIVE_SECONDS:
            return None, True
        steps = [find_step(call.step) for call in missing]
        if any(step.preview == "none" for step in steps):
            self.note = f"{next(s.name for s in steps if s.preview == 'none')} does not answer at once: press Run"
            return None, False
        kind = max((step.preview for step in steps), key=ORDER.index)
        if kind == "volume":
            if not self.bench.prepare(self.calls):
                return None, True
            self.note = "computing on the whole scan …"
            return None, False
        reach = 1 if any("seeds" in step.inputs for step in steps) else 0  # the strokes of one slice may be too few
        if kind == "roi":
            reach = round(REGION_MM / volume.spacing[self.axis])
        index, last = self.index, volume.shape[self.axis] - 1
        return (self.axis, max(0, index - reach), min(last, index + reach)), True

    def _expected(self, missing: Sequence[Call]) -> float:
        """How long these calls may take on the whole scan, by the last times; infinite where unknown and not quick."""
        for call in missing:
            last, (seen, mean) = self.bench.runner.seconds.get(call.step), self._times.get(call.step, (None, None))
            if last is not None and last != seen:  # one slow time alone, on a busy machine, does not decide
                self._times[call.step] = (last, last if mean is None else (last + mean) / 2)
        unknown = {call.step: 0.0 if find_step(call.step).preview == "volume" else np.inf for call in missing}
        return sum(self._times[call.step][1] if call.step in self._times else unknown[call.step] for call in missing)

    def _show_state(self, calls: Sequence[Call], state: State, slab: Slab | None, one: bool) -> None:
        """Show the arrays after some calls; ``one`` sends the current slice alone."""
        output = find_step(calls[-1].step).output
        if output in ("image", "probability"):
            gray = state["image"] if output == "image" else 1 - state["probability"][0]
            ends = (0.0, 1.0) if output == "probability" else self._ends_of(gray, slab)
            self._put("labels", None)
            self._put("after", gray, slab, one, ends)
        else:
            self._put("after", None)
            self._put("labels", state[shown_slot(state)], slab, one)

    def _put(
        self, name: str, array: np.ndarray | None, slab: Slab | None = None, one: bool = False, ends: Any = None
    ) -> None:
        """Show a map, or take it away; of one that changes with sliders, only as much is sent as can be seen."""
        if array is None:
            if self._shown.pop(name, None) is not None:
                self.view.clear(name)
            return
        begin, index, last = slab[1] if slab else 0, self.index, self.bench.volume.shape[self.axis] - 1
        whole = self.mode == "result" or not (one or slab or len(self.view.planes) == 1)
        reach = last if whole else 0 if one or slab else BAND
        new = (array, max(0, index - reach), min(last, index + reach))
        old = self._shown.get(name)
        if old is not None and old[0] is array and old[1] <= new[1] and new[2] <= old[2]:
            return
        self._shown[name] = new
        if whole:
            self.view.show(**{name: array}, **({"ends": ends} if ends else {}))
        else:
            cut = (slice(None),) * self.axis + (slice(new[1] - begin, new[2] - begin + 1),)
            self.view.show_slab(name, array[cut], self.axis, new[1], ends)

    def _ends_of(self, gray: np.ndarray, slab: Slab | None) -> tuple[float, float]:
        """Black and white of a step's picture: of the whole scan where it is known, and held while sliders move."""
        key = (self.chosen, self.mode)
        if self._ends[0] != key:
            array = gray if slab is None else self._gray_before()
            self._ends = key, window(self.bench.volume.with_array(array))
        return self._ends[1]

    def _gray_before(self) -> np.ndarray:
        """The gray values that the chosen step finds, on the whole scan, as far as they are known."""
        states, _ = self.bench.runner.kept(self.calls)
        return states[-1]["image"] if states else self.bench.volume.array

    def _settle_later(self) -> None:
        if self._settle is not None:
            self._settle.cancel()
        try:
            self._settle = asyncio.get_running_loop().call_later(SETTLED, self._settled)
        except RuntimeError:
            self._settled()

    def choose(self, number: int) -> None:
        """Show another step."""
        self.chosen = number

    def show(self, mode: str) -> None:
        """Show the result, the chosen step's outcome, or what is there before it."""
        if mode not in MODES:
            raise InputError(f"{mode!r}: expected one of {', '.join(MODES)}")
        self.mode = mode
        self.refresh()


def _said(slab: Slab) -> str:
    _, first, last = slab
    return f"preview on slice {first}" if first == last else f"preview on slices {first} to {last}"
