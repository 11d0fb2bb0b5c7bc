"""Steps: plain functions whose signature is the only description of their parameters.

Sliders, the command line, the recipe check, tooltips, docs/steps.md and the contract tests all read
the signature and the docstring of a step; there is no second table.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np

from .errors import InputError

EVERYTHING_ELSE = 255  # the seed value of "everything that is not one of the bones"
SPACING_LIMITS_MM = (0.01, 100.0)  # beyond is a wrong unit or a broken header, and a kernel of any length in mm explodes


@dataclass(frozen=True)
class Slot:
    """Name a kind of array that flows from step to step, with its dtype and number of axes."""

    name: str
    dtype: type
    ndim: int = 3


Image = Annotated[np.ndarray, Slot("image", np.float32)]
Channels = Annotated[np.ndarray, Slot("channels", np.float32, 4)]
Mask = Annotated[np.ndarray, Slot("mask", np.bool_)]
Labels = Annotated[np.ndarray, Slot("labels", np.uint8)]
Seeds = Annotated[np.ndarray, Slot("seeds", np.uint8)]
Probability = Annotated[np.ndarray, Slot("probability", np.float32, 4)]
Spacing = tuple[float, float, float]

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (kind.__metadata__[0] for kind in (Image, Channels, Mask, Labels, Seeds, Probability))
}
Preview = Literal["volume", "roi", "slice", "none"]


@dataclass(frozen=True)
class Range:
    """Bound a number: smallest and largest value (both allowed), slider step and unit."""

    lower: float
    upper: float
    step: float = 1
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.lower:g} to {self.upper:g}" + f" {self.unit}".rstrip()


@dataclass(frozen=True)
class Param:
    """Describe one tunable parameter of a step, as read from its signature and docstring."""

    name: str
    kind: type
    default: Any
    range: Range | None = None
    choices: tuple[Any, ...] = ()
    doc: str = ""

    @property
    def unit(self) -> str:
        """The unit of the value, or an empty text."""
        return self.range.unit if self.range else ""

    def check(self, value: Any) -> Any:
        """Give the value in the parameter's own type, or raise an error that quotes it."""
        if isinstance(value, np.generic):
            value = value.item()
        if self.choices:
            for choice in self.choices:  # 6.0 from a table means 6; True does not mean 1
                if isinstance(value, (str, int, float)) and value == choice and not isinstance(value, bool):
                    return choice
            raise InputError(f"{self.name}={value!r:.80}: expected one of {', '.join(map(repr, self.choices))}")
        if self.kind is bool:
            if not isinstance(value, bool):
                raise InputError(f"{self.name}={value!r:.80}: expected true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            raise InputError(f"{self.name}={value!r:.80}: expected a number from {self.range}")
        if self.kind is int and value != int(value):
            raise InputError(f"{self.name}={value!r:.80}: expected a whole number from {self.range}")
        if not self.range.lower <= value <= self.range.upper:
            raise InputError(f"{self.name}={value!r:.80}{f' {self.unit}'.rstrip()}: expected {self.range}")
        return self.kind(value)

    def parse(self, text: str) -> Any:
        """Read a value from text, as it stands on a command line or in a table."""
        if self.kind is bool:
            value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
            return self.check(text if value is None else value)
        if self.choices:
            return self.check(next((c for c in self.choices if str(c) == text), text))
        try:
            return self.check(float(text))
        except ValueError as error:
            raise error if isinstance(error, InputError) else InputError(
                f"{self.name}={text!r:.80}: expected a number from {self.range}"
            ) from None


@dataclass(frozen=True)
class Call:
    """Hold one step's name with the full values of all its parameters; its repr is the Python call."""

    step: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", find_step(self.step).values(self.params))

    def __repr__(self) -> str:
        return f"{self.step}({', '.join(f'{k}={v!r}' for k, v in self.params.items())})"

    def code(self, volume: str = "volume") -> str:
        """Give the line of Python that does the same on arrays named after their slots."""
        return find_step(self.step).code(self.params, volume)


class Step:
    """Wrap a function so that its arguments are checked against its own signature.

    Calling a step is calling the function: arrays by the names of their slots, ``spacing`` in mm
    (plane, row, column), parameters by keyword.
    """

    def __init__(
        self, function: Callable, preview: Preview, bytes_per_voxel: float, reach: tuple[str, ...] | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.preview = preview
        self.bytes_per_voxel = bytes_per_voxel
        self.reach = reach
        hints = typing.get_type_hints(function, include_extras=True)
        self.output = hints["return"].__metadata__[0].name
        signature = inspect.signature(function)
        self.inputs = tuple(n for n in signature.parameters if n in SLOTS)
        self.required = tuple(n for n in self.inputs if signature.parameters[n].default is inspect.Parameter.empty)
        self.uses_spacing = "spacing" in signature.parameters
        self.params = parameters_of(function)
        self.__signature__ = signature

    def __repr__(self) -> str:
        return f"<step {self.name}: {', '.join(self.inputs)} -> {self.output}>"

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.__doc__ or "").strip().split("\n")[0]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Give all parameters, checked, with defaults where nothing is given."""
        for name in given:
            if name not in self.params:
                known = ", ".join(self.params) or "none"
                raise InputError(f"{self.name}: unknown parameter {name!r}; it has {known}")
        try:
            return {name: p.check(given.get(name, p.default)) for name, p in self.params.items()}
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    def margin(self, values: Mapping[str, Any]) -> float:
        """How far around a mask, in mm, the step looks and changes voxels; infinite where it does not say."""
        return math.inf if self.reach is None else 2 * sum(values[name] for name in self.reach)

    def code(self, params: Mapping[str, Any] = {}, volume: str = "volume") -> str:
        """Give the line of Python that runs this step."""
        words = [name if name in self.required else f"{name}={name}" for name in self.inputs]
        words += [f"spacing={volume}.spacing"] if self.uses_spacing else []
        words += [f"{k}={v!r}" for k, v in self.values(params).items()]
        return f"{self.output} = mb.{self.name}({', '.join(words)})"

    def __call__(self, *arrays: np.ndarray, **given: Any) -> np.ndarray:
        if len(arrays) > len(self.inputs):
            raise InputError(f"{self.name}: {len(arrays)} arrays given; it takes {', '.join(self.inputs)}")
        named = dict(zip(self.inputs, arrays, strict=False))
        for name in self.inputs:
            if name in given and name in named:
                raise InputError(f"{self.name}: {name} given twice")
            if name in given:
                named[name] = given.pop(name)
        missing = [n for n in self.required if named.get(n) is None]
        if missing:
            raise InputError(f"{self.name}: needs {' and '.join(missing)}")
        shape = np.shape(next(iter(named.values())))[-3:]
        arguments = {n: _check_array(self.name, n, a, shape) for n, a in named.items() if a is not None}
        if self.uses_spacing:
            arguments["spacing"] = _check_spacing(self.name, given.pop("spacing", None))
        else:
            given.pop("spacing", None)
        result = self.function(**arguments, **self.values(given))
        result = np.ascontiguousarray(result, SLOTS[self.output].dtype)
        shared = any(np.may_share_memory(result, array) for array in arguments.values() if isinstance(array, np.ndarray))
        return result.copy() if shared else result  # a step never hands its own input back


STEPS: dict[str, Step] = {}


def step(
    function: Callable | None = None,
    *,
    preview: Preview = "volume",
    bytes_per_voxel: float = 12,
    reach: tuple[str, ...] | None = None,
) -> Any:
    """Register a function as a step.

    Parameters
    ----------
    preview
        The largest piece on which it answers a slider at once: the whole ``"volume"``, a region
        of interest (``"roi"``), the current ``"slice"``, or ``"none"``.
    bytes_per_voxel
        Peak of extra memory, measured, for the estimate that is said before a run.
    reach
        For a step on a mask: its parameters in mm that say how far from the mask it looks; empty
        where it never looks beyond, None where that is unknown.
    """

    def register(function: Callable) -> Step:
        new = Step(function, preview, bytes_per_voxel, reach)
        if new.name in STEPS:
            raise TypeError(f"two steps are called {new.name}")
        STEPS[new.name] = new
        return new

    return register(function) if function else register


def find_step(name: str) -> Step:
    """Give the step of this name, or an error that names the nearest one."""
    if not isinstance(name, str) or name not in STEPS:
        import difflib

        near = difflib.get_close_matches(str(name), STEPS, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown step {str(name)[:80]!r}{hint} (`mrbone steps` lists them all)")
    return STEPS[name]


def parameters_of(function: Callable, skip: tuple[str, ...] = ()) -> dict[str, Param]:
    """Describe the tunable parameters of a function as its signature and docstring state them.

    Slots and ``spacing`` are data and are left out, and so is what ``skip`` names.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    docs = _parameter_docs(inspect.getdoc(function) or "")
    return {
        name: _describe(name, hints[name], parameter.default, docs.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in SLOTS and name != "spacing" and name not in skip
    }


def _describe(name: str, hint: Any, default: Any, doc: str) -> Param:
    """Read one parameter from its annotation: Literal, bool, or a number with a Range."""
    if default is inspect.Parameter.empty:
        raise TypeError(f"parameter {name} of a step needs a default")
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        return Param(name, type(choices[0]), default, None, choices, doc)
    if hint is bool:
        return Param(name, bool, default, None, (), doc)
    kind, bounds = typing.get_args(hint)[:2]
    return Param(name, kind, default, bounds, (), doc)


def _parameter_docs(docstring: str) -> dict[str, str]:
    """Read the meaning of each parameter from the numpydoc section Parameters."""
    match = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}$|\Z)", docstring, re.S | re.M)
    docs: dict[str, list[str]] = {}
    names: list[str] = []
    for line in match.group(1).split("\n") if match else []:
        if line and not line.startswith(" "):
            names = [n.strip() for n in line.split(":")[0].split(",")]
        elif line.strip():
            for name in names:
                docs.setdefault(name, []).append(line.strip())
    return {name: " ".join(lines) for name, lines in docs.items()}


def _check_array(step_name: str, slot_name: str, array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Bring an array to its slot's dtype, or say what is wrong with it."""
    slot, array = SLOTS[slot_name], np.asarray(array)
    where = f"{step_name}: {slot_name} of shape {array.shape}"
    if array.ndim != slot.ndim or 0 in array.shape:
        axes = "(planes, rows, columns)" if slot.ndim == 3 else "(layers, planes, rows, columns)"
        raise InputError(f"{where}: expected {axes}, none of them 0")
    if array.shape[-3:] != shape:
        raise InputError(f"{where}: expected the same grid as the other arrays, {shape}")
    if slot.dtype is np.float32:
        if array.dtype.kind not in "fiub":
            raise InputError(f"{where}: values of type {array.dtype}; expected real numbers")
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is refused below
            array = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(array).all():
            count = int(np.size(array) - np.isfinite(array).sum())
            raise InputError(f"{where}: {count} values are NaN or infinite; replace them before this step")
        return array
    if array.dtype == slot.dtype:
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "iubf" or not np.isfinite(array).all():
        raise InputError(f"{where}: values of type {array.dtype}; expected whole numbers")
    top = 1 if slot.dtype is np.bool_ else 255
    if (array != np.rint(array)).any() or array.min() < 0 or array.max() > top:
        raise InputError(f"{where}: values from {array.min()} to {array.max()}; expected whole numbers from 0 to {top}")
    return np.ascontiguousarray(array, slot.dtype)


def _check_spacing(step_name: str, spacing: Any) -> Spacing:
    """Three positive numbers in mm; there is no default, since a wrong one would change every size."""
    try:
        values = tuple(float(v) for v in spacing)
    except (TypeError, ValueError):
        values = ()
    low, high = SPACING_LIMITS_MM
    if len(values) != 3 or not all(low <= v <= high for v in values):
        raise InputError(
            f"{step_name}: spacing={spacing}: expected three numbers (plane, row, column), {low:g} to {high:g} mm"
        )
    return values
