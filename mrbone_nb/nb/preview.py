"""The pictures of a panel while sliders move: on the whole scan where that is quick, else on what can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..errors import InputError
from ..step import Call, find_step
from .chain import Runner, Slab, State
from .drawing import Frame, side_by_side, with_bone_probability

LIVE_SECONDS = 0.25  # what takes no longer runs on the whole scan at each move of a slider
REGION_MM = 10.0  # how far a region reaches to both sides of the slice
MANY = 3  # calls that are written out in a still picture
ORDER = ("volume", "roi", "slice", "none")  # of what a step can do live, the best first


class Preview:
    """Draw the slice before and after some calls.

    Parameters
    ----------
    runner
        Computes the calls.
    frame
        Draws slices of the scan.
    index
        The slice to begin with; by default the one with most strokes or labels.
    """

    def __init__(self, runner: Runner, frame: Frame, index: int | None) -> None:
        self.runner, self.frame, self.axis = runner, frame, frame.view.axis
        self.count = frame.volume.shape[self.axis]
        if index is not None and not -self.count <= index < self.count:
            raise InputError(f"index={index}: expected 0 to {self.count - 1}, the slices in this plane")
        self.index = self._fullest() if index is None else int(index) % self.count
        self._kept: tuple[object, Image.Image, State] | None = None  # holds the arrays, so that no id is used again
        self._windows: dict[str, tuple[object, tuple[float, float]]] = {}

    def slab(self, calls: Sequence[Call]) -> Slab | None:
        """The slices on which these calls answer at once; None is the whole scan."""
        if self.runner.up_to_date(calls) or self.runner.expected_seconds(calls) <= LIVE_SECONDS:
            return None
        steps = [find_step(call.step) for call in calls]
        kind = ORDER[max(ORDER.index(step.preview) for step in steps)]
        if kind == "volume":
            return None
        marked = any("seeds" in step.inputs for step in steps)  # the strokes of one slice alone may be too few
        reach = int(marked) if kind == "slice" else round(REGION_MM / self.frame.volume.spacing[self.axis])
        return self.axis, max(0, self.index - reach), min(self.count - 1, self.index + reach)

    def live(self, calls: Sequence[Call]) -> bool:
        """Tell whether all steps can answer a slider at once."""
        quick = self.runner.up_to_date(calls) or self.runner.expected_seconds(calls) <= LIVE_SECONDS
        return quick or all(find_step(call.step).preview != "none" for call in calls)

    def note(self, calls: Sequence[Call], slab: Slab | None) -> str:
        """Say on what the picture was computed."""
        if slab is None:
            return "computed on the whole scan"
        _, first, last = slab
        there = f"slice {first} alone" if first == last else f"slices {first} to {last} alone"
        return f"preview, computed on {there}"

    def draw(self, calls: Sequence[Call], slab: Slab | None, described: bool = False) -> Image.Image:
        """Compute and draw, before and after; ``described`` writes the calls above."""
        after = self.runner.run(calls, slab)
        first = 0 if slab is None else slab[1]
        before = self.runner.before()
        window = self._window("before", before)
        left = self._left(before, window, any("seeds" in find_step(call.step).inputs for call in calls))
        last = find_step(calls[-1].step).output
        if last == "image":
            window = self._window("after", after) if slab is None else self._windows.get("after", (None, window))[1]
        elif last == "probability":
            after, window = with_bone_probability(after), (0.0, 1.0)
        right = self.frame.draw(_newest(after, last), self.index, window, first)
        title = {"probability": "how likely it is bone"}.get(last, "after")
        return side_by_side(left, right, title, _described(calls) if described else [])

    def _left(self, before: State, window: tuple[float, float], seeds: bool) -> Image.Image:
        """The picture before, kept while the slice and what comes before stay the same."""
        arrays = {name: id(array) for name, array in before.items()}
        if self._kept is None or self._kept[0] != (self.index, arrays, seeds):
            self._kept = (self.index, arrays, seeds), self.frame.draw(before, self.index, window, seeds=seeds), before
        return self._kept[1]

    def draw_before(self) -> Image.Image:
        """The slice before the calls, for a panel that cannot compute."""
        before = self.runner.before()
        return self.frame.draw(before, self.index, self._window("before", before))

    def _window(self, name: str, state: State) -> tuple[float, float]:
        """The gray values of black and white, found once for each array."""
        known = self._windows.get(name)
        if known is None or known[0] is not state["image"]:
            known = state["image"], self.frame.window(state)
            self._windows[name] = known
        return known[1]

    def _fullest(self) -> int:
        """The slice with most strokes or labels; the middle one where there are none."""
        before = self.runner.source.given() | self.runner.added
        marked = next((before[name] for name in ("seeds", "labels", "mask") if name in before), None)
        if marked is None:
            return self.count // 2
        bones = (marked > 0) & (marked < 255)
        return int(np.count_nonzero(bones, axis=tuple(a for a in range(3) if a != self.axis)).argmax())


def _described(calls: Sequence[Call]) -> list[str]:
    """The calls in words; of many, their names alone."""
    return [repr(call) for call in calls] if len(calls) <= MANY else [", ".join(call.step for call in calls)]


def _newest(state: State, output: str) -> State:
    """A state without the outlines that a step has not made: a filter shows gray values alone."""
    return {n: a for n, a in state.items() if n not in ("labels", "mask")} if output in ("image", "probability") else state
