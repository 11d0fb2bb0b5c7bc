"""Tune steps by hand: sliders made from their signatures over a slice, and the Python that does the same."""

from __future__ import annotations

import base64
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..progress import progress
from ..recipe import Recipe, Result
from ..step import Call, Step, find_step
from ..views import Plane, view_of
from ..volume import Volume
from .chain import Runner, Source, Start, State, check_flow, code_of, given_arrays, slots_after
from .drawing import Frame, png
from .preview import Preview

Steps = str | Step | Call | Sequence[str | Step | Call]


def tune(
    step: Steps,
    volume: Volume | Tuned | np.ndarray,
    *,
    seeds: Volume | np.ndarray | None = None,
    labels: Volume | np.ndarray | None = None,
    mask: Volume | np.ndarray | None = None,
    probability: np.ndarray | None = None,
    channels: np.ndarray | None = None,
    spacing: tuple[float, float, float] | None = None,
    plane: Plane | None = None,
    index: int | None = None,
    table: LabelTable | None = None,
    **preset: Any,
) -> Tuned:
    """Tune a step, or several in a row, with sliders over the current slice.

    As the last line of a cell it shows the controls, the slice before and after, and the Python that does
    the same. Where nobody moves a slider, the preset holds. Panels follow each other: give the one before
    as the scan, and the last one holds the recipe of the whole chain.

    Parameters
    ----------
    step
        Name of a step, a step, a call with its values, or a list of these.
    volume
        The scan, the panel that this one follows, or a bare array (then give ``spacing``).
    seeds, labels, mask
        Strokes (255 is everything else), a label map or a mask to work on, on the scan's grid.
    probability, channels
        Layers on the scan's grid, (L, P, M, N), for a step that works on those.
    spacing
        (plane, row, column) in mm, for a bare array only.
    plane, index
        Plane and number of the slice that is shown first; by default the one with most strokes or labels.
    table
        Names and colors of the labels.
    **preset
        Values of the step's parameters; the others have their defaults. For a list, give calls instead.

    Returns
    -------
    Tuned
        Shows itself; ``.result()`` computes on the whole scan.

    Raises
    ------
    InputError
        An unknown step or parameter, a value out of its range, or an array that the step needs is missing.

    Examples
    --------
    >>> import numpy as np
    >>> tuned = tune("threshold", np.eye(4)[None], spacing=(3, 1, 1), lower=0.8)
    >>> tuned.call
    threshold(lower=0.8, upper=2.0)
    >>> int(tuned.result().array.sum())
    4
    """
    source = _source(volume, spacing)
    given = {"seeds": seeds, "labels": labels, "mask": mask, "probability": probability, "channels": channels}
    added = given_arrays(source.volume, source.calls_so_far(), **given)
    if isinstance(source, Start):
        source, added = Start(source.volume, added), {}
    look = {"plane": plane, "index": index, "table": table}
    if isinstance(source, Tuned):
        look = {name: source.look[name] if value is None else value for name, value in look.items()}
    tuned = Tuned(_calls(step, preset), source, added, look)
    tuned.preview  # noqa: B018  (a wrong plane or index is said now, not when it is shown)
    return tuned


def _source(volume: Volume | Tuned | np.ndarray, spacing: tuple[float, float, float] | None) -> Source:
    """What a panel starts from."""
    if isinstance(volume, np.ndarray):
        if spacing is None:
            raise InputError("spacing: give (plane, row, column) in mm with a bare array, or give a Volume")
        return Start(Volume(volume, spacing), {})
    if spacing is not None:
        raise InputError("spacing: leave it out; the scan has its own")
    if not isinstance(volume, (Volume, Tuned)):
        kind = type(volume).__name__
        hint = "; read slices that make no stack one by one" if kind == "SliceSet" else ""
        raise InputError(f"{kind}: expected a Volume, what tune gave before, or an array with its spacing{hint}")
    return volume if isinstance(volume, Tuned) else Start(volume, {})


def _calls(step: Steps, preset: dict[str, Any]) -> tuple[Call, ...]:
    """The calls that are meant, with their full values."""
    several = not isinstance(step, (str, Step, Call))
    steps = list(step) if several else [step]
    if not steps:
        raise InputError("no step: give a name, or a list with at least one")
    if several and preset:
        raise InputError(
            f"{', '.join(preset)}: for a list, give values with the calls: mb.Call('gaussian', {{'sigma': 1.0}})"
        )
    return tuple(
        Call(s.step, {**s.params, **preset}) if isinstance(s, Call) else Call(s.name if isinstance(s, Step) else s, preset)
        for s in steps
    )


class Tuned:
    """Hold steps with values that may still change, and show them with sliders. Made by `tune`."""

    def __init__(self, calls: tuple[Call, ...], source: Source, added: State, look: dict[str, Any]) -> None:
        self.source, self.volume, self.look = source, source.volume, look
        self._calls = calls
        self._runner = Runner(source, added)
        self._followers: weakref.WeakSet[Tuned] = weakref.WeakSet()
        self._panel: Any = None
        check_flow(calls, self._slots_before())
        if isinstance(source, Tuned):
            source._followers.add(self)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of this panel with their present values."""
        return self._calls

    @property
    def call(self) -> Call:
        """The call of this panel; the last one, where there are several."""
        return self._calls[-1]

    @property
    def params(self) -> dict[str, Any]:
        """The present values of that call."""
        return dict(self.call.params)

    @property
    def code(self) -> str:
        """The Python that does the same on arrays named after their slots."""
        return code_of(self._calls, self._slots_before())

    def set(self, step: str | int = -1, /, **values: Any) -> Tuned:
        """Set values as the sliders do; with several steps, say which, by name (the first of it) or number from 0."""
        names = [call.step for call in self._calls]
        if isinstance(step, str) and step not in names:
            raise InputError(f"{step}: not in this panel; it has {', '.join(names)}")
        number = names.index(step) if isinstance(step, str) else range(len(names))[step]
        self._put(number, values)
        if self._panel is not None:
            self._panel.show_values()
        return self

    def result(self) -> Volume | np.ndarray:
        """Compute on the whole scan: a `Volume` of the last step's output; probabilities as an array (L, P, M, N)."""
        array = self.state()[self._output()]
        return array if array.ndim == 4 else self.volume.with_array(array)

    def recipe(self, name: str | Recipe = "tuned") -> Recipe:
        """The recipe from the scan to here, with the present values of all panels.

        ``name`` may be the recipe that the panels came from: its name, surface and measures are kept.
        """
        calls = self.calls_so_far()
        return replace(name, calls=calls) if isinstance(name, Recipe) else Recipe(calls, name=name)

    def run(self, name: str | Recipe = "tuned") -> Result:
        """Run the whole recipe anew, from the scan on, so that what is saved is what the recipe makes.

        Gives what `save` takes, on the scan with the strokes or labels that the panels were given. ``name``
        means the same as for `recipe`.
        """
        given = self.given()
        for slot in ("probability", "channels"):
            if slot in given:
                raise InputError(f"{slot} was given by hand, but a recipe begins with the scan: tune what makes it too")
        if "mask" in given:
            given["labels"] = given.pop("mask").astype(np.uint8)
        words = {slot: self.volume.with_array(array) for slot, array in given.items()}
        return self.recipe(name).run(self.volume, progress=progress, **words)

    # --- what a panel that follows this one needs -------------------------------------------------

    def calls_so_far(self) -> tuple[Call, ...]:
        """All calls from the scan to here, with their present values."""
        return (*self.source.calls_so_far(), *self._calls)

    def state(self) -> State:
        """All arrays after the last call, by the names of their slots, on the whole scan."""
        return self._runner.run(self._calls)

    def slots(self) -> set[str]:
        """The names of these arrays, without computing them."""
        there = self._slots_before()
        for call in self._calls:
            there = slots_after(call, there)
        return there

    def given(self) -> dict[str, np.ndarray]:
        """The strokes, labels or mask that were given along the chain."""
        return {**self.source.given(), **self._runner.added}

    def _slots_before(self) -> set[str]:
        return {*self.source.slots(), *self._runner.added}

    def _output(self) -> str:
        return "labels" if "labels" in self.slots() and self._last().output == "mask" else self._last().output

    def _last(self) -> Step:
        return find_step(self.call.step)

    def _put(self, number: int, values: dict[str, Any]) -> None:
        """Take over new values of one call."""
        call = self._calls[number]
        new = Call(call.step, {**call.params, **values})
        self._calls = (*self._calls[:number], new, *self._calls[number + 1 :])
        self._tell_followers()

    def _tell_followers(self) -> None:
        """Say in the panels that follow that what they start from has changed."""
        for follower in self._followers:
            if follower._panel is not None:
                follower._panel.show_outdated()
            follower._tell_followers()

    # --- showing -----------------------------------------------------------------------------------

    @property
    def preview(self) -> Preview:
        """The pictures of this panel."""
        if not hasattr(self, "_preview"):
            view = view_of(self.volume, self.look["plane"] or "native")
            self._preview = Preview(self._runner, Frame(self.volume, view, self.look["table"]), self.look["index"])
        return self._preview

    @property
    def panel(self) -> Any:
        """The widget: controls, picture, code. Made when first asked for."""
        if self._panel is None:
            from .panel import Panel

            self._panel = Panel(self)
        return self._panel

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget where it can be shown, a picture elsewhere, and the code as text."""
        bundle = dict(self.panel.widget._repr_mimebundle_() or {})
        bundle["image/png"] = base64.b64encode(png(self.panel.still())).decode()
        bundle["text/plain"] = self.code
        return bundle, {}

    def __repr__(self) -> str:
        return self.code
