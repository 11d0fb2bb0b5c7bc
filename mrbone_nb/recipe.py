"""Recipes: a flat list of calls that can be saved, checked, run and run again."""

from __future__ import annotations

import json
import math
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from . import memory
from .errors import InputError
from .lift import each_label
from .step import EVERYTHING_ELSE, SLOTS, Call, Step, find_step
from .strokes import Strokes
from .surface import SURFACE_PARAMS
from .volume import Volume

SCHEMA = 1
MAX_BYTES = 1_000_000  # a recipe is a page of text; anything larger is not one
MAX_DEPTH = 50
MAX_CALLS = 200
MAX_DIGITS = 300  # longer whole numbers do not fit a float
TEXT_IN_JSON = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)  # brackets in it open and close nothing
MEASURES = ("volume", "area")


@dataclass(frozen=True)
class Recipe:
    """Hold the calls that turn a scan into bones, what to do with the surface, and what to measure.

    Parameters
    ----------
    calls
        Steps with their full values, run in this order.
    surface
        Parameters of `surface`, full values.
    measures
        What is measured on each label: any of "volume", "area".
    name
        Short name, as of a preset.
    """

    calls: tuple[Call, ...]
    surface: Mapping[str, Any] = field(default_factory=dict)
    measures: tuple[str, ...] = MEASURES
    name: str = "recipe"

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", tuple(self.calls))
        for key in self.surface:
            if key not in SURFACE_PARAMS:
                raise InputError(f"surface: unknown parameter {key!r}; it has {', '.join(SURFACE_PARAMS)}")
        try:
            values = {k: p.check(self.surface.get(k, p.default)) for k, p in SURFACE_PARAMS.items()}
        except InputError as error:
            raise InputError(f"surface: {error}") from None
        object.__setattr__(self, "surface", values)
        for measure in self.measures:
            if measure not in MEASURES:
                raise InputError(f"measures: unknown measure {measure!r}; there are {', '.join(MEASURES)}")
        object.__setattr__(self, "measures", tuple(self.measures))

    def __str__(self) -> str:
        return "\n".join([f"{self.name}:"] + [f"  {number}. {call}" for number, call in enumerate(self.calls, 1)])

    def code(self, volume: str = "volume") -> str:
        """Give the lines of Python that do the same, step by step, on arrays."""
        return "\n".join([f"image = {volume}.array"] + [call.code(volume) for call in self.calls])

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as plain data, full values and not only the changed ones."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "calls": [{"step": call.step, "params": dict(call.params)} for call in self.calls],
            "surface": dict(self.surface),
            "measures": list(self.measures),
        }

    def to_json(self) -> str:
        """Give the recipe as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, data: Any, where: str = "recipe") -> Recipe:
        """Check plain data and take it over; the error names the step, the parameter and the value."""
        _expect(isinstance(data, dict), f"{where}: expected an object with schema and calls")
        if data.get("schema") != SCHEMA:
            raise InputError(f"{where}: schema {data.get('schema')!r}; this version reads schema {SCHEMA}")
        unknown = set(data) - {"schema", "name", "calls", "surface", "measures"}
        _expect(not unknown, f"{where}: unknown entry {sorted(map(str, unknown))}")
        calls = data.get("calls")
        _expect(isinstance(calls, list) and 0 < len(calls) <= MAX_CALLS, f"{where}: calls: expected 1 to {MAX_CALLS}")
        for number, call in enumerate(calls, 1):
            good = isinstance(call, dict) and set(call) <= {"step", "params"} and "step" in call
            good = good and isinstance(call.get("params", {}), dict)
            _expect(good, f"{where}: call {number}: expected an object with step and params")
        surface, measures = data.get("surface", {}), data.get("measures", list(MEASURES))
        _expect(isinstance(surface, dict), f"{where}: surface: expected an object")
        _expect(isinstance(measures, list), f"{where}: measures: expected a list")
        name = data.get("name", "recipe")
        _expect(isinstance(name, str) and len(name) <= 80 and name.isprintable(), f"{where}: name: expected short text")
        try:
            steps = tuple(Call(call["step"], call.get("params", {})) for call in calls)
            return cls(steps, surface, tuple(measures), name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    @classmethod
    def load(cls, source: str | Path) -> Recipe:
        """Read a preset by its name, or a recipe file (JSON)."""
        if str(source) in preset_names():
            text = (resources.files(__package__) / "recipes" / f"{source}.json").read_text(encoding="utf-8")
            return cls.from_dict(parse_json(text, str(source)), str(source))
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{source}: no such recipe file or preset; presets are {', '.join(preset_names())}")
        return cls.from_dict(load_json(path), path.name)

    def with_params(self, step: str, **params: Any) -> Recipe:
        """Give a copy in which every call of one step has other values."""
        if step not in {call.step for call in self.calls}:
            raise InputError(f"{self.name}: has no step {step!r}")
        calls = [replace(c, params={**c.params, **params}) if c.step == step else c for c in self.calls]
        return replace(self, calls=tuple(calls))

    def run(
        self,
        volume: Volume,
        *,
        seeds: Volume | np.ndarray | None = None,
        labels: Volume | np.ndarray | None = None,
        progress: Callable[[Iterable[Call]], Iterable[Call]] = iter,
    ) -> Result:
        """Run all calls on a scan.

        Parameters
        ----------
        volume
            The scan.
        seeds
            Strokes on the scan's grid: a label each, 255 for everything else.
        labels
            A label map to start from, on the scan's grid.
        progress
            Wraps the calls, as tqdm does.

        Returns
        -------
        Result
            The label map on the scan's grid with all that is needed to record it.

        Raises
        ------
        InputError
            A step needs what is not there, or memory does not suffice.
        """
        state, notes = self.begin(volume, seeds=seeds, labels=labels)
        seconds = {}
        for number, call in enumerate(progress(self.calls), 1):
            started = time.perf_counter()
            run_call(call, state, volume.spacing)
            seconds[f"{number} {call.step}"] = round(time.perf_counter() - started, 3)
        return self.finish(volume, state, seconds, notes)

    def begin(
        self, volume: Volume, *, seeds: Volume | np.ndarray | None = None, labels: Volume | np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Check all that can be checked before the first call; gives the arrays it finds, and what to know."""
        state: dict[str, np.ndarray] = {"image": volume.array}
        for name, given in (("seeds", seeds), ("labels", labels)):
            if given is not None:
                state[name] = on_grid(name, given, volume)
        self.check_flow(state)
        return state, self._notes(volume, state.get("seeds"))

    def finish(
        self, volume: Volume, state: Mapping[str, np.ndarray], seconds: Mapping[str, float], notes: tuple[str, ...] = ()
    ) -> Result:
        """Make the result of the arrays after the last call; seeds among them are those that were given."""
        result = state.get("labels", state.get("mask"))
        if result is None:
            raise InputError(f"{self.name}: no step makes a mask or labels; the last gives {self.calls[-1].step}")
        strokes = volume.with_array(state["seeds"]) if "seeds" in state else None
        return Result(volume, volume.with_array(result.astype(np.uint8)), self, strokes, seconds, notes=notes)

    def memory_note(self, volume: Volume) -> str:
        """Say how much memory the costliest step needs, or nothing for little; refuse where there is not enough."""
        need = max((find_step(call.step).bytes_per_voxel for call in self.calls), default=0)
        return memory.check((need + 8) * volume.array.size, self.name)

    def _notes(self, volume: Volume, seeds: np.ndarray | None) -> tuple[str, ...]:
        """Say what to know before the run; refuse a scan in which there is nothing to see."""
        steps = [find_step(call.step) for call in self.calls]
        if any("image" in step.inputs for step in steps) and volume.array.min() == volume.array.max():
            value = volume.array.flat[0]
            raise InputError(f"{volume.name}: all voxels hold the same value ({value:g}); there is nothing to segment")
        notes = [self.memory_note(volume)]
        if seeds is not None and EVERYTHING_ELSE not in seeds and any("seeds" in step.inputs for step in steps):
            notes.append(
                f"no stroke marks everything else ({EVERYTHING_ELSE}), so bones grow until something else stops them, "
                "mostly the scan's border; draw some strokes beside the bones"
            )
            warnings.warn(notes[-1], stacklevel=4)
        return tuple(note for note in notes if note)

    def check_flow(self, state: Mapping[str, Any]) -> None:
        """See before the first step that every step will find its arrays."""
        there = set(state)
        for call in self.calls:
            step = find_step(call.step)
            missing = [n for n in step.required if n not in there and not (n == "mask" and "labels" in there)]
            if missing:
                hint = "; give strokes with --seeds" if missing == ["seeds"] else ""
                raise InputError(f"{self.name}: {call.step} needs {' and '.join(missing)}{hint}")
            _put(there, step.output if not _lifts(step, there) else "labels")


@dataclass(frozen=True, eq=False)
class Result:
    """Hold what a recipe made of a scan: the label map, and all that a record needs."""

    volume: Volume
    labels: Volume
    recipe: Recipe
    seeds: Volume | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    crop: tuple[tuple[int, int], ...] | None = None
    notes: tuple[str, ...] = ()
    edits: Strokes | None = None

    def mended(self, edits: Strokes) -> Result:
        """The same result with what was then changed in it by hand, which `save` keeps beside the record."""
        return replace(self, labels=self.volume.with_array(edits.array(self.labels.array)), edits=edits)

    @property
    def present(self) -> list[int]:
        """The label numbers that have at least one voxel."""
        return [int(n) for n in np.unique(self.labels.array) if n]


def run_call(call: Call, state: dict[str, np.ndarray], spacing: tuple[float, float, float]) -> None:
    """Run one call on the arrays of a chain and put its result among them.

    Mask and labels are two forms of one thing: the newer replaces the older. A step that works on a
    mask runs on every label in turn where the chain holds labels.
    """
    step = find_step(call.step)
    words = dict(call.params) | ({"spacing": spacing} if step.uses_spacing else {})
    if _lifts(step, state):
        state["labels"] = each_label(step, state, words, spacing)
        return
    result = step(**{name: state.get(name) for name in step.inputs}, **words)
    _put(state, step.output, result)


def _put(state: Any, slot: str, value: np.ndarray | None = None) -> None:
    """Add a slot to a chain, given as a dict of arrays or a set of names."""
    other = {"mask": "labels", "labels": "mask"}.get(slot)
    if isinstance(state, dict):
        state.pop(other, None)
        state[slot] = value
    else:
        state.discard(other)
        state.add(slot)


def _lifts(step: Step, state: Any) -> bool:
    return step.output == "mask" and "mask" in step.required and "mask" not in state and "labels" in state


def on_grid(name: str, given: Volume | np.ndarray, volume: Volume) -> np.ndarray:
    """Give the array of seeds or labels, which must lie on the scan's grid, in the dtype of its slot."""
    if isinstance(given, Volume):
        if not volume.same_grid(given):
            raise InputError(
                f"{name} {given.name}: grid {given.shape} at {_mm(given.origin)} mm with spacing {_mm(given.spacing)} mm; "
                f"expected the grid of scan {volume.name}: {volume.shape} at {_mm(volume.origin)} mm with spacing "
                f"{_mm(volume.spacing)} mm; draw on the scan itself or resample to it"
            )
    what = f"{name} {given.name}" if isinstance(given, Volume) else name
    array = given.array if isinstance(given, Volume) else np.asarray(given)
    if array.shape != volume.shape:
        raise InputError(f"{what} of shape {array.shape}: expected the scan's shape {volume.shape}")
    broken = array.dtype.kind == "f" and (array != np.rint(array)).any()
    if array.dtype.kind not in "iubf" or array.min() < 0 or array.max() > 255 or broken:
        raise InputError(f"{what}: expected whole numbers from 0 to 255, found {array.min()} to {array.max()}")
    if name == "seeds" and not ((array > 0) & (array < EVERYTHING_ELSE)).any():
        raise InputError(f"{what}: no bone is marked; draw at least one stroke with a label from 1 to 254")
    return array.astype(SLOTS[name].dtype)


def _mm(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"


def _expect(good: bool, message: str) -> None:
    if not good:
        raise InputError(message)


def load_json(path: Path) -> Any:
    """Read JSON from a file that may come from anybody: limited in size and depth, finite numbers alone."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name}: {path.stat().st_size} bytes; expected at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: not a text file; expected JSON") from None
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from None
    return parse_json(text, path.name)


def parse_json(text: str, where: str) -> Any:
    """Read JSON text, refusing NaN, infinity and deep nesting."""

    def no_constant(name: str) -> None:
        raise InputError(f"{where}: the number {name} is not allowed")

    def finite(number: str) -> float:
        if not math.isfinite(float(number)):
            raise InputError(f"{where}: the number {number[:40]} is too large")
        return float(number)

    def whole(number: str) -> int:
        if len(number) > MAX_DIGITS:
            raise InputError(f"{where}: the number {number[:40]} is too large")
        return int(number)

    depth = 0
    for sign in TEXT_IN_JSON.sub("", text):  # before the parser, which would recurse as deep as the text says
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAX_DEPTH:
            raise InputError(f"{where}: nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text, parse_constant=no_constant, parse_float=finite, parse_int=whole)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON (line {error.lineno}: {error.msg})") from None
    except ValueError as error:
        raise error if isinstance(error, InputError) else InputError(f"{where}: {error}") from None


def preset_names() -> list[str]:
    """Give the names of the recipes that come with the package."""
    return sorted(p.name.removesuffix(".json") for p in _preset_files())


def _preset_files() -> Iterator[Any]:
    return (p for p in (resources.files(__package__) / "recipes").iterdir() if p.name.endswith(".json"))


def preset(name: str) -> Recipe:
    """Give a recipe that comes with the package, by name."""
    if name not in preset_names():
        raise InputError(f"unknown preset {name!r}; presets are {', '.join(preset_names())}")
    return Recipe.load(name)


def choose_preset(volume: Volume) -> tuple[str, str]:
    """Give the name of the preset that fits a scan's tags, and the reason in words."""
    if str(volume.meta.get("modality", "")).upper() == "CT":
        return "ct", "the scan is a CT"
    marrow, why = volume.meta.get("marrow"), volume.meta.get("marrow_why", "")
    if marrow in ("bright", "dark"):
        return f"{marrow}-marrow", f"marrow is likely {marrow}" + (f": {why}" if why else "")
    raise InputError(
        f"{volume.name}: the tags do not tell whether marrow is bright or dark: look at the scan and choose "
        "bright-marrow or dark-marrow as the recipe yourself"
    )
