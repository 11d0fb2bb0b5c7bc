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
        self._due = False
        self._settle: asyncio.TimerHandle | None = None
        self._slab: Slab | None = None  # what the picture was computed on
        self._shown: dict[str, tuple[object, int]] = {}  # by map: the array that is shown, and its slice or -1 for all
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
        """A preview of one slice follows to the next."""
        if any(index >= 0 and index != self.index for _, index in self._shown.values()):
            self.refresh(moved=True)

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
        self._show_state(calls, state, slab, moved or not whole)
        if moved and whole:
            self._settle_later()

    def _slab_for(self, missing: Sequence[Call]) -> tuple[Slab | None, bool]:
        """On which slices the missing calls answer at once (None: the whole scan), and whether they do."""
        runner, volume = self.bench.runner, self.bench.volume
        if not missing or sum(runner.seconds.get(call.step, np.inf) for call in missing) <= LIVE_SECONDS:
            return None, True
        steps = [find_step(call.step) for call in missing]
        if any(step.preview == "none" for step in steps):
            self.note = f"{next(s.name for s in steps if s.preview == 'none')} does not answer at once: press Run"
            return None, False
        kind = max((step.preview for step in steps), key=ORDER.index)
        if kind == "volume":
            if len(missing) == 1 or not self.bench.prepare(self.calls):
                return None, True
            self.note = "computing the steps before …"
            return None, False
        reach = 1 if any("seeds" in step.inputs for step in steps) else 0  # the strokes of one slice may be too few
        if kind == "roi":
            reach = round(REGION_MM / volume.spacing[self.axis])
        index, last = self.index, volume.shape[self.axis] - 1
        return (self.axis, max(0, index - reach), min(last, index + reach)), True

    def _show_state(self, calls: Sequence[Call], state: State, slab: Slab | None, one: bool) -> None:
        """Show the arrays after some calls; ``one`` sends the current slice alone."""
        first = 0 if slab is None else slab[1]
        output = find_step(calls[-1].step).output
        if output in ("image", "probability"):
            gray = state["image"] if output == "image" else 1 - state["probability"][0]
            ends = (0.0, 1.0) if output == "probability" else self._ends_of(gray, slab)
            self._put("labels", None)
            self._put("after", gray, first if one else None, ends)
        else:
            self._put("after", None)
            self._put("labels", state[shown_slot(state)], first if one else None)

    def _put(self, name: str, array: np.ndarray | None, first: int | None = None, ends: Any = None) -> None:
        """Show a map, or take it away; ``first`` is the slice with which it begins, if only the current one is sent."""
        index = -1 if first is None else self.index
        old = self._shown.get(name)
        if array is None:
            if self._shown.pop(name, None) is not None:
                self.view.clear(name)
        elif old is None or old[0] is not array or old[1] != index:
            self._shown[name] = (array, index)
            if first is None:
                self.view.show(**{name: array}, **({"ends": ends} if ends else {}))
            else:
                cut = (slice(None),) * self.axis + (slice(index - first, index - first + 1),)
                self.view.show_slab(name, array[cut], self.axis, index, ends)

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
