"""Sensitivity: shake each parameter of a recipe around its value, and see how far the bones move, and where."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from .bones import LabelTable
from .errors import InputError
from .measure import assd, dice, hd95, volume_mm3
from .memory import check as check_memory
from .morphology import bounding_box
from .recipe import Recipe, on_grid, run_call
from .step import Call, Param, Spacing, find_step
from .volume import Volume

AMOUNTS = {"value": 0.2, "range": 0.1, "step": 1.0}  # how far a number is shaken unless told otherwise
DIGITS = 12  # of a shaken number: 0.4 + 0.1 is 0.5
State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Effect:
    """Hold how far one bone moved when one parameter was shaken.

    Parameters
    ----------
    label, bone
        Number and title.
    dice
        With the bone of the recipe as it is.
    mean_mm, hd95_mm
        Mean and 95 % distance between both surfaces; infinite where the bone came or went altogether.
    volume_mm3
        Change of volume.
    """

    label: int
    bone: str
    dice: float
    mean_mm: float
    hd95_mm: float
    volume_mm3: float


@dataclass(frozen=True)
class Change:
    """Hold one shaken parameter: which, from what to what, and what it did to each bone.

    Parameters
    ----------
    number
        Of the call in the recipe, from 1.
    step, param, unit
        What was shaken.
    old, new
        Its value in the recipe, and the other one.
    effects
        By bone.
    error
        Why the recipe did not run with it, or nothing.
    """

    number: int
    step: str
    param: str
    unit: str
    old: Any
    new: Any
    effects: tuple[Effect, ...] = ()
    error: str = ""

    @property
    def name(self) -> str:
        """The parameter with its step: ``"6 most_likely.certainty"``."""
        return f"{self.number} {self.step}.{self.param}"

    def mean_mm(self, label: int | None = None) -> float:
        """How far one bone moved, or the mean of all."""
        return float(np.mean([e.mean_mm for e in self.effects if label in (None, e.label)] or [0.0]))


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Hold what `sensitivity` found.

    Parameters
    ----------
    recipe
        As it was given.
    labels
        What it makes of the scan, unshaken.
    changes
        By parameter, as the recipe has them.
    flips
        How many changes gave a voxel another label, (P, M, N) uint16 on the scan's grid.
    table
        Names of the labels.
    """

    recipe: Recipe
    labels: Volume
    changes: tuple[Change, ...]
    flips: Volume
    table: LabelTable

    def ranked(self, label: int | None = None) -> list[tuple[str, list[Change]]]:
        """Give the parameters, by name, with their changes: what moves a bone (or all, on average) most comes first."""
        groups: dict[str, list[Change]] = {}
        for change in self.changes:
            if not change.error:
                groups.setdefault(change.name, []).append(change)
        return sorted(groups.items(), key=lambda item: -max(c.mean_mm(label) for c in item[1]))

    def rows(self) -> list[dict[str, Any]]:
        """Give one dictionary for every change and bone, for a table."""
        facts = ("number", "step", "param", "unit", "old", "new")
        return [
            {**{name: getattr(c, name) for name in facts}, **asdict(effect), "error": c.error}
            for c in self.changes
            for effect in c.effects or (Effect(0, "", math.nan, math.nan, math.nan, math.nan),)
        ]

    def to_csv(self) -> str:
        """Give the rows as CSV text."""
        text = io.StringIO()
        rows = self.rows()
        names = ("number", "step", "param", "unit", "old", "new", *Effect.__dataclass_fields__, "error")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def sensitivity(
    recipe: Recipe,
    volume: Volume,
    *,
    seeds: Volume | np.ndarray | None = None,
    labels: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    by: Literal["value", "range", "step"] = "value",
    amount: float | None = None,
    only: Sequence[str] = (),
    progress: Callable[[Iterable[Change]], Iterable[Change]] = iter,
) -> Sensitivity:
    """Shake each parameter of a recipe, one at a time, and compare the bones with those of the recipe as it is.

    A number goes down and up, a choice to each of the others, a switch to the other side. What moves the bones much
    should be looked at with care; what does not can be left alone. Parameters that only matter together are not found.

    Parameters
    ----------
    recipe
        With steps that make labels or a mask.
    volume
        The scan.
    seeds, labels
        What the recipe begins with, on the scan's grid.
    table
        Names of the labels.
    by
        What the amount is a share of: the parameter's own value, or the range it may have; or a number of slider steps.
    amount
        How far: by default 0.2 of the value, 0.1 of the range, or one slider step; always at least one slider step,
        and never out of the range.
    only
        Steps ("gaussian") or parameters ("gaussian.sigma") to shake; by default all.
    progress
        Wraps the changes, as `mrbone_nb.progress.progress` does.

    Returns
    -------
    Sensitivity
        The changes with their effects, and how often each voxel flips.

    Raises
    ------
    InputError
        The recipe cannot run, an amount is not positive, or ``only`` names what the recipe does not have.

    Notes
    -----
    Runs anew from the changed step on, and only as long as the arrays differ from those of the recipe as it is: what
    has no effect costs one step. Two sets of arrays are held at a time. Nothing is random.

    References
    ----------
    Saltelli A et al. (2008), doi:10.1002/9780470725184 (one at a time, and what it misses)
    """
    if by not in AMOUNTS:
        raise InputError(f"by={by!r}: expected one of {', '.join(map(repr, AMOUNTS))}")
    amount = AMOUNTS[by] if amount is None else amount
    if not (isinstance(amount, (int, float)) and math.isfinite(amount) and amount > 0):
        raise InputError(f"amount={amount!r}: expected a positive number")
    planned = list(_planned(recipe, by, amount, only))
    base = recipe.run(volume, seeds=seeds, labels=labels).labels
    need = max(find_step(call.step).bytes_per_voxel for call in recipe.calls)
    check_memory((need + 24) * volume.array.size, "sensitivity")
    state: State = {"image": volume.array}
    state |= {n: on_grid(n, a, volume) for n, a in (("seeds", seeds), ("labels", labels)) if a is not None}
    shaken = _Shaken(recipe, volume.spacing, base, (table or LabelTable()).filled(_present(base.array)), state)
    changes = tuple(shaken.measured(change) for change in progress(planned))
    flips = volume.with_array(shaken.flips, name=f"{volume.name} flips")
    return Sensitivity(recipe, base, changes, flips, shaken.table)


def shaken_values(param: Param, value: Any, by: str = "value", amount: float | None = None) -> list[Any]:
    """Give the values that a parameter is shaken to.

    Examples
    --------
    >>> shaken_values(find_step("gaussian").params["sigma"], 0.5)
    [0.4, 0.6]
    """
    if param.choices:
        return [choice for choice in param.choices if choice != value]
    if param.kind is bool:
        return [not value]
    low, high, tick = param.range.lower, param.range.upper, param.range.step
    amount = AMOUNTS[by] if amount is None else amount
    far = {"value": amount * abs(value), "range": amount * (high - low), "step": amount * tick}[by]
    far = max(far, tick)
    if param.kind is int:
        far = max(1, round(far))
    ends = [round(min(max(value + sign * far, low), high), DIGITS) for sign in (-1, 1)]
    return [param.check(end) for end in ends if end != value]


def _planned(recipe: Recipe, by: str, amount: float, only: Sequence[str]) -> Iterator[Change]:
    """Every change, without its effects, by the order of the calls."""
    names = {call.step for call in recipe.calls} | {f"{c.step}.{p}" for c in recipe.calls for p in c.params}
    for name in only:
        if name not in names:
            raise InputError(f"only={name!r}: recipe {recipe.name} has no such step or parameter")
    for number, call in enumerate(recipe.calls, 1):
        for param in find_step(call.step).params.values():
            if not only or {call.step, f"{call.step}.{param.name}"} & set(only):
                old = call.params[param.name]
                for new in shaken_values(param, old, by, amount):
                    yield Change(number, call.step, param.name, param.unit, old, new)


class _Shaken:
    """The arrays before the step that is being shaken, and what the recipe makes unshaken."""

    def __init__(self, recipe: Recipe, spacing: Spacing, base: Volume, table: LabelTable, state: State) -> None:
        self.calls, self.spacing, self.base, self.table = recipe.calls, spacing, base.array, table
        self.flips = np.zeros(base.shape, np.uint16)
        self.before, self.at = state, 0
        self.digests: list[dict[str, bytes]] = []  # of the arrays after each call, as the recipe has it
        state, known = dict(state), _digests(state, {}, {})
        for call in self.calls:
            known = self._step(call, state, known)
            self.digests.append(known)

    def measured(self, change: Change) -> Change:
        """The change with its effects; flips are counted."""
        for call in self.calls[self.at : change.number - 1]:
            run_call(call, self.before, self.spacing)
            self.at += 1
        try:
            found = self._run(change)
        except InputError as error:
            return replace(change, error=str(error))
        if found is None:
            return replace(change, effects=tuple(self._effect(self.base, n) for n in self.table))
        self.flips += found != self.base
        known = self.table.filled({*self.table, *_present(found)})
        return replace(change, effects=tuple(self._effect(found, n, known) for n in known))

    def _step(self, call: Call, state: State, known: dict[str, bytes]) -> dict[str, bytes]:
        """Run one call and name the arrays after it; those that it left alone keep their names."""
        old = dict(state)
        run_call(call, state, self.spacing)
        return _digests(state, old, known)

    def _run(self, change: Change) -> np.ndarray | None:
        """The labels with a change, or None where they cannot differ."""
        state = dict(self.before)
        first = change.number - 1
        calls = [replace(self.calls[first], params={**self.calls[first].params, change.param: change.new})]
        known = self.digests[first - 1] if first else _digests(state, {}, {})
        for number, call in enumerate([*calls, *self.calls[first + 1 :]], first):
            known = self._step(call, state, known)
            if known == self.digests[number]:
                return None  # from here on all is as it was
        return state.get("labels", state.get("mask")).astype(np.uint8)

    def _effect(self, found: np.ndarray, number: int, table: LabelTable | None = None) -> Effect:
        """How far one bone moved."""
        title = (table or self.table)[number].title
        one, other = self.base == number, found == number
        box = bounding_box(one | other, 0, self.spacing)
        one, other = one[box], other[box]
        grown = volume_mm3(other, self.spacing) - volume_mm3(one, self.spacing)
        if np.array_equal(one, other):
            return Effect(number, title, 1.0, 0.0, 0.0, 0.0)
        if not (one.any() and other.any()):
            return Effect(number, title, 0.0, math.inf, math.inf, grown)
        far = assd(one, other, self.spacing), hd95(one, other, self.spacing)
        return Effect(number, title, round(dice(one, other), 6), *(round(mm, 4) for mm in far), round(grown, 3))


def _digests(state: State, old: State, known: dict[str, bytes]) -> dict[str, bytes]:
    """A short name for the values of each array; what is still the same array is not looked at again."""
    return {
        name: known[name]
        if name in known and array is old.get(name)
        else hashlib.blake2b(np.ascontiguousarray(array), digest_size=16).digest()
        for name, array in state.items()
    }


def _present(labels: np.ndarray) -> list[int]:
    return [int(n) for n in np.unique(labels) if 0 < n < 255]
