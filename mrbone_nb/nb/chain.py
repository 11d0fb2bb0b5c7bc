"""What a panel computes: a few calls after others, on the whole scan or on some of its slices, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..recipe import on_grid, run_call
from ..step import SLOTS, Call, find_step
from ..volume import Volume

State = Mapping[str, np.ndarray]
Slab = tuple[int, int, int]  # axis, first and last slice


class Source(Protocol):
    """Anything that a panel can start from."""

    volume: Volume

    def calls_so_far(self) -> tuple[Call, ...]:
        """All calls from the scan to here, with their present values."""

    def state(self) -> State:
        """The arrays here, by the names of their slots, on the whole scan."""

    def slots(self) -> set[str]:
        """The names of these arrays, without computing them."""

    def given(self) -> dict[str, np.ndarray]:
        """The strokes, labels or mask that were given from the scan to here."""


@dataclass(frozen=True, eq=False)
class Start:
    """Begin a chain: a scan, and what was drawn on it."""

    volume: Volume
    arrays: State

    def calls_so_far(self) -> tuple[Call, ...]:
        """None: this is where the chain begins."""
        return ()

    def state(self) -> State:
        """The scan as image, and what was given with it."""
        return {"image": self.volume.array, **self.arrays}

    def slots(self) -> set[str]:
        """The names of these arrays."""
        return {"image", *self.arrays}

    def given(self) -> dict[str, np.ndarray]:
        """What was given with the scan."""
        return dict(self.arrays)


def given_arrays(volume: Volume, before: Sequence[Call], **given: Any) -> dict[str, np.ndarray]:
    """Check strokes, labels and the like, given with a panel that follows some calls.

    A recipe gets them before its first step, so they must not come after a step that would have used or
    replaced them: the recipe would then make another mask than the panels did.
    """
    arrays = {name: _checked(name, value, volume) for name, value in given.items() if value is not None}
    if "mask" in arrays and "labels" in arrays:
        raise InputError("give either labels or mask: they are two forms of one thing")
    for name in arrays:
        same = {"mask", "labels"} if name in ("mask", "labels") else {name}
        for call in before:
            step = find_step(call.step)
            if same & {*step.inputs, step.output}:
                raise InputError(f"{name}: give it before {call.step}, which would have used it; tune that step with it")
    return arrays


def _checked(name: str, given: Any, volume: Volume) -> np.ndarray:
    """The array of a slot on the scan's grid."""
    if SLOTS[name].ndim == 3:
        return on_grid(name, given, volume)
    array = np.asarray(given)
    if array.ndim != 4 or array.shape[1:] != volume.shape:
        raise InputError(
            f"{name} of shape {array.shape}: expected (layers, planes, rows, columns) on the scan's {volume.shape}"
        )
    return array.astype(SLOTS[name].dtype)


def check_flow(calls: Sequence[Call], there: set[str]) -> None:
    """See that each call will find its arrays."""
    for call in calls:
        step = find_step(call.step)
        missing = [n for n in step.required if n not in there and not (n == "mask" and "labels" in there)]
        if missing:
            hint = f"; give {missing[0]}=… or tune a step before that makes it"
            raise InputError(f"{call.step} needs {' and '.join(missing)}{hint}")
        there = slots_after(call, there)


def slots_after(call: Call, there: set[str]) -> set[str]:
    """The names of the arrays that are there after a call: mask and labels replace each other."""
    step = find_step(call.step)
    if lifted(call, there):
        return set(there)
    gone = {"mask", "labels"} if step.output in ("mask", "labels") else set()
    return {*(there - gone), step.output}


def lifted(call: Call, there: Collection[str]) -> bool:
    """Tell whether a step on masks meets a label map, and so works on each label in turn."""
    step = find_step(call.step)
    return step.output == "mask" and "mask" in step.required and "mask" not in there and "labels" in there


def code_of(calls: Sequence[Call], there: set[str]) -> str:
    """The Python that does the same on arrays named after their slots."""
    lines = []
    for call in calls:
        lines.append(call.code() + ("  # on each label in turn" if lifted(call, there) else ""))
        there = slots_after(call, there)
    return "\n".join(lines)


def slabbed(state: State, slab: Slab) -> State:
    """The same arrays, cut to some slices."""
    axis, first, last = slab
    cut = (..., *(slice(first, last + 1) if a == axis else slice(None) for a in range(3)))
    return {name: array[cut] for name, array in state.items()}


def one_slice(array: np.ndarray, axis: int, index: int, shape: tuple[int, int, int]) -> np.ndarray:
    """An array of the scan's shape that shows one slice at every index; takes no memory."""
    cut = tuple(slice(index, index + 1) if a == axis else slice(None) for a in range(3))
    return np.broadcast_to(array[cut], shape)


@dataclass
class _Done:
    """What was computed last: from which calls, and the arrays after each."""

    before: tuple[Call, ...] = ()
    calls: list[Call] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # seconds that each took


class Runner:
    """Run calls after a source, and keep the arrays after each, so that only what changed runs anew.

    Parameters
    ----------
    source
        What comes before.
    added
        Arrays that join here, such as strokes.
    """

    def __init__(self, source: Source, added: State) -> None:
        self.source = source
        self.added = dict(added)
        self.seconds: dict[str, float] = {}  # on the whole scan, by step
        self._done: dict[Slab | None, _Done] = {}

    def before(self) -> State:
        """The arrays that the first call finds."""
        return {**self.source.state(), **self.added}

    def run(self, calls: Sequence[Call], slab: Slab | None = None) -> State:
        """Give the arrays after the last call, on the whole scan or on a slab."""
        done, kept = self._kept(calls, slab)
        states, times = done.states[:kept], done.times[:kept]
        if calls and kept == len(calls):
            return states[-1]
        state = states[-1] if states else self._start(slab)
        whole, there = (done, 0) if slab is None else self._kept(calls, None)
        if there >= max(kept, 1):  # what the whole scan gave is exact: some steps look beyond a slab
            states = [slabbed(s, slab) for s in whole.states[:there]]
            state, times = states[-1], whole.times[:there]
        for call in calls[len(states) :]:
            began, state = time.perf_counter(), dict(state)
            run_call(call, state, self.source.volume.spacing)
            states.append(state)
            times.append(time.perf_counter() - began)
            if slab is None:
                self.seconds[call.step] = times[-1]
        self._keep(calls, states, times, slab)
        return state

    def kept(self, calls: Sequence[Call]) -> tuple[list[State], list[float]]:
        """The arrays after the first calls, as far as they need not run again on the whole scan, and their seconds."""
        done, count = self._kept(calls, None)
        return done.states[:count], done.times[:count]

    def take(self, calls: Sequence[Call], states: Sequence[State], times: Sequence[float]) -> None:
        """Take over what was computed elsewhere on the whole scan: arrays and seconds of each of these calls."""
        self.seconds |= {call.step: seconds for call, seconds in zip(calls, times, strict=True)}
        self._keep(calls, list(states), list(times), None)

    def give(self, name: str, array: np.ndarray | None) -> None:
        """Let other strokes join, or none; what ran without them is kept."""
        self.added.pop(name, None)
        more = {} if array is None else {name: array}
        self.added |= more
        done = self._done.get(None)
        self._done = {}
        if done is not None:
            uses = [name in find_step(call.step).inputs for call in done.calls]
            kept = uses.index(True) if True in uses else len(uses)
            states = [{n: a for n, a in s.items() if n != name} | more for s in done.states[:kept]]
            self._done[None] = _Done(done.before, done.calls[:kept], states, done.times[:kept])

    def _start(self, slab: Slab | None) -> State:
        return self.before() if slab is None else slabbed(self.before(), slab)

    def _keep(self, calls: Sequence[Call], states: list[State], times: list[float], slab: Slab | None) -> None:
        done = _Done(self.source.calls_so_far(), list(calls), states, times)
        self._done = {key: old for key, old in self._done.items() if key is None} | {slab: done}

    def up_to_date(self, calls: Sequence[Call]) -> bool:
        """Tell whether the whole scan has been computed with these very calls."""
        return self._kept(calls, None)[1] == len(calls)

    def expected_seconds(self, calls: Sequence[Call]) -> float:
        """How long the whole scan will take, by the last time; infinite where a step never ran."""
        return sum(self.seconds.get(call.step, np.inf) for call in calls[self._kept(calls, None)[1] :])

    def _kept(self, calls: Sequence[Call], slab: Slab | None) -> tuple[_Done, int]:
        """How many of the first calls need not run again."""
        done = self._done.get(slab, _Done())
        if done.before != self.source.calls_so_far():
            return done, 0
        same = [old == new for old, new in zip(done.calls, calls, strict=False)]
        return done, same.index(False) if False in same else len(same)


def shown_slot(state: State) -> str:
    """The slot of the mask or the labels in a state, if there is one."""
    return next((name for name in ("labels", "mask") if name in state), "")
