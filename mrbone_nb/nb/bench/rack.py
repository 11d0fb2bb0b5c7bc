"""The steps of a workbench in their order: add, take away, move, switch off, set; each change can be taken back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import InputError
from ...step import STEPS, Call, find_step
from ..chain import lifted, slots_after

TOGETHER = 1.0  # seconds in which moves of one slider are one change
MOST = 200  # changes that are remembered
OWN = "own"
GROUPS = {"bias": "filter", "filters": "filter", "segment": "segment", "cleanup": "clean up"}  # by module


@dataclass(frozen=True)
class Entry:
    """One step with its values, switched on or off."""

    call: Call
    on: bool = True


class Rack:
    """Hold steps that may change.

    Parameters
    ----------
    calls
        The steps to begin with.
    """

    def __init__(self, calls: Sequence[Call] = ()) -> None:
        self.entries: tuple[Entry, ...] = tuple(Entry(call) for call in calls)
        self._past: list[tuple[Entry, ...]] = []
        self._future: list[tuple[Entry, ...]] = []
        self._last: tuple[Any, float] = (None, 0.0)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are switched on."""
        return tuple(entry.call for entry in self.entries if entry.on)

    def upto(self, number: int) -> int:
        """How many calls that are switched on stand before a step or at it."""
        return sum(entry.on for entry in self.entries[: number + 1])

    def number(self, step: str | int) -> int:
        """The number of a step, from 0: given so, or by name, which means the first of it."""
        names = [entry.call.step for entry in self.entries]
        if isinstance(step, str):
            if step not in names:
                raise InputError(f"{step}: not among the steps here; these are {', '.join(names) or 'none yet'}")
            return names.index(step)
        if not -len(names) <= step < len(names):
            raise InputError(f"step {step}: expected 0 to {len(names) - 1}")
        return step % len(names)

    # --- changes -------------------------------------------------------------------------------------

    def set(self, number: int, values: dict[str, Any]) -> None:
        """Set values of one step."""
        call = self.entries[number].call
        self._put(number, replace(self.entries[number], call=Call(call.step, {**call.params, **values})), values)

    def switch(self, number: int, on: bool) -> None:
        """Switch a step on or off."""
        self._put(number, replace(self.entries[number], on=on))

    def reset(self, number: int) -> None:
        """Set all values of one step to their defaults."""
        self._put(number, replace(self.entries[number], call=Call(self.entries[number].call.step)))

    def add(self, call: Call, at: int) -> None:
        """Put a step in."""
        self._become((*self.entries[:at], Entry(call), *self.entries[at:]))

    def remove(self, number: int) -> None:
        """Take a step away."""
        self._become(self.entries[:number] + self.entries[number + 1 :])

    def move(self, number: int, to: int) -> None:
        """Put a step at another place."""
        rest = self.entries[:number] + self.entries[number + 1 :]
        self._become((*rest[:to], self.entries[number], *rest[to:]))

    def load(self, calls: Sequence[Call]) -> None:
        """Begin anew with other steps."""
        self._become(tuple(Entry(call) for call in calls))

    def undo(self) -> bool:
        """Take the last change back; tells whether there was one."""
        return self._step(self._past, self._future)

    def redo(self) -> bool:
        """Make the change again that was taken back last."""
        return self._step(self._future, self._past)

    @property
    def can(self) -> tuple[bool, bool]:
        """Whether there is something to take back, and something to make again."""
        return bool(self._past), bool(self._future)

    def _step(self, source: list, target: list) -> bool:
        self._last = (None, 0.0)
        if source:
            target.append(self.entries)
            self.entries = source.pop()
            return True
        return False

    def _put(self, number: int, entry: Entry, values: dict[str, Any] | None = None) -> None:
        same = (number, *values) if values else None
        self._become((*self.entries[:number], entry, *self.entries[number + 1 :]), same)

    def _become(self, entries: tuple[Entry, ...], same: Any = None) -> None:
        """Take over; changes of the same value shortly after each other are one."""
        if entries == self.entries:
            return
        now = time.monotonic()
        if same is None or same != self._last[0] or now - self._last[1] > TOGETHER:
            self._past.append(self.entries)
            del self._past[:-MOST]
        self._last = (same, now)
        self._future.clear()
        self.entries = entries

    # --- what would fit --------------------------------------------------------------------------------

    def fitting(self, number: int, there: set[str]) -> list[str]:
        """The names of all steps that find their arrays after a step; grouped, as they are mostly used."""
        for call in [entry.call for entry in self.entries[: number + 1] if entry.on]:
            there = slots_after(call, there)
        fit = [s for s in STEPS.values() if set(s.required) <= there or lifted(Call(s.name), there)]
        order = [*dict.fromkeys(GROUPS.values()), OWN]
        return [s.name for s in sorted(fit, key=lambda s: (order.index(group_of(s.name)), s.name))]


def group_of(step: str) -> str:
    """What kind of step it is, in a word or two."""
    parts = find_step(step).function.__module__.split(".")
    return GROUPS.get(parts[1] if len(parts) > 1 and parts[0] == "mrbone_nb" else "", OWN)
