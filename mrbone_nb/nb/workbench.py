"""The workbench: a scan, strokes on it, a chain of steps with sliders, live pictures, and the result."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..bones import LabelTable
from ..errors import InputError
from ..progress import progress
from ..recipe import Recipe, Result, choose_preset, preset
from ..step import EVERYTHING_ELSE, Call, Step, find_step
from ..views import Plane, view_of
from ..volume import Volume
from .bench.rack import Rack
from .bench.runs import Job, Runs, result_of
from .bench.saving import save_bench
from .chain import Runner, Start, code_of, slots_after
from .drawing import png
from .live import someone_watches
from .painting import PaintView, paint

WIDE, HIGH = 720, 540  # pixels that the plane in the middle may take
Steps = str | Path | Recipe | Sequence[str | Step | Call] | None


def workbench(
    volume: Volume,
    recipe: Steps = "auto",
    *,
    bones: Iterable[str] | LabelTable = ("bone",),
    file: Path | str | None = None,
    seeds: Volume | np.ndarray | None = None,
    planes: tuple[Plane, ...] | None = None,
    scale: float | None = None,
) -> Workbench:
    """Segment a scan by strokes and sliders: one view to paint on, a chain of steps beside it, the result in it.

    As the last line of a cell it shows everything; where nobody sits in front of it, the recipe runs with its values
    and a picture of the result is stored. Long runs happen beside the session and can be cancelled.

    Parameters
    ----------
    volume
        The scan.
    recipe
        "auto" chooses by the scan's tags; or the name of a preset, a recipe or its file, a list of steps, or None
        for none yet.
    bones
        Names of the bones that strokes mark, as for `paint`.
    file
        Where strokes are kept (``.json``), as for `paint`; recipes are proposed to be saved beside it.
    seeds
        Strokes to begin with, on the scan's grid; 255 is everything else.
    planes, scale
        As for `look`; by default the plane in which the scan was taken, as large as there is room.

    Returns
    -------
    Workbench
        Shows itself; ``.run()`` gives what `save` takes.

    Raises
    ------
    InputError
        An unknown recipe or step, or strokes of another grid.

    Examples
    --------
    >>> import numpy as np
    >>> bench = workbench(Volume(np.eye(4, dtype="float32")[None], (3, 1, 1)), ["threshold"])
    >>> bench.set("threshold", lower=0.8).calls
    (threshold(lower=0.8, upper=2.0),)
    >>> int(bench.run().labels.array.sum())
    4
    """
    if not isinstance(volume, Volume):
        raise InputError(f"{type(volume).__name__}: expected a Volume, as read gives it")
    chosen, why = _chosen(recipe, volume)
    native = view_of(volume)
    planes = (native.name,) if planes is None else planes
    if scale is None:
        size = [volume.shape[a] * volume.spacing[a] for a in (native.right, native.down)]
        scale = round(min(20.0, max(0.1, min(WIDE / size[0], HIGH / size[1]))), 3) if len(planes) == 1 else None
    view = paint(volume, bones, file=file, seeds=seeds, planes=planes, scale=scale)
    return Workbench(volume, chosen, why, view)


def _chosen(recipe: Steps, volume: Volume) -> tuple[Recipe | None, str]:
    """The recipe that is meant, and why; none where "auto" cannot tell."""
    if recipe is None:
        return None, "no steps yet: add some, or choose a recipe"
    if isinstance(recipe, Recipe):
        return recipe, ""
    if isinstance(recipe, str) and recipe == "auto":
        try:
            name, why = choose_preset(volume)
        except InputError as error:
            return None, str(error)
        return preset(name), f"{name}: {why}"
    if isinstance(recipe, (str, Path)):
        return Recipe.load(recipe), ""
    calls = [s if isinstance(s, Call) else Call(s.name if isinstance(s, Step) else s) for s in recipe]
    return (Recipe(tuple(calls), name="workbench"), "") if calls else _chosen(None, volume)


class Workbench:
    """Hold a scan, strokes, steps and what came of them; made by `workbench`.

    Where a step is asked for, its name means the first of that name; a number counts from 0.
    """

    def __init__(self, volume: Volume, recipe: Recipe | None, why: str, view: PaintView) -> None:
        self.volume, self.view, self.why = volume, view, why
        self._base = recipe
        self.rack = Rack(recipe.calls if recipe else ())
        self.runner = Runner(Start(volume, {}), {})
        self.runs = Runs(self.runner, self._followed)
        self.changed: list[Callable[[str], None]] = []  # told "steps", "strokes", "run" or "result"
        self._result: Result | None = None
        self._result_version = 0
        self._panel: Any = None
        self._take_strokes()
        view.observe(lambda _: self._painted(), "edits")

    # --- what it holds ---------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are switched on, with their present values."""
        return self.rack.calls

    @property
    def code(self) -> str:
        """The Python that does the same with a scan and its strokes."""
        recipe = self.recipe() if self.calls else None
        if recipe is None:
            return "# no step yet"
        plain = Recipe(recipe.calls)
        more = [f"{n}={getattr(recipe, n)!r}" for n in ("surface", "measures") if getattr(recipe, n) != getattr(plain, n)]
        calls = [f"    mb.Call({call.step!r}, {dict(call.params)!r})," for call in recipe.calls]
        strokes = any("seeds" in find_step(call.step).inputs for call in recipe.calls)
        return "\n".join(
            [
                "recipe = mb.Recipe((",
                *calls,
                f"), {', '.join([*more, f'name={recipe.name!r}'])})",
                f"result = recipe.run(volume{', seeds=seeds' if strokes else ''})",
            ]
        )

    def code_of(self, step: str | int) -> str:
        """The Python of one step on arrays named after their slots."""
        number = self.rack.number(step)
        there = {"image", "seeds"}
        for call in self.calls[: self.rack.upto(number - 1)]:
            there = slots_after(call, there)
        return code_of([self.rack.entries[number].call], there)

    @property
    def seeds(self) -> Volume | None:
        """The strokes, or None while no bone is marked."""
        array = self.runner.added.get("seeds")
        return None if array is None else self.volume.with_array(array)

    @property
    def table(self) -> LabelTable:
        """What the labels mean."""
        return self.view.table

    @property
    def result(self) -> Result | None:
        """What the last whole run gave; None before the first. See `stale`."""
        return self._result

    @property
    def stale(self) -> bool:
        """Whether steps or strokes have changed since the last whole run."""
        result = self._result
        return result is None or result.recipe.calls != self.calls or self._result_version != self.runs.version

    def recipe(self, name: str | None = None) -> Recipe:
        """The recipe with the present values; surface and measures are those of the recipe it began with."""
        if not self.calls:
            raise InputError(f"no step is switched on; {self.why or 'add one'}")
        base = self._base or Recipe(self.calls, name="workbench")
        untouched = base.calls == self.calls
        name = name or (base.name if untouched else f"{base.name.removesuffix(' changed')} changed")
        return replace(base, calls=self.calls, name=name)

    # --- changes -----------------------------------------------------------------------------------------

    def set(self, step: str | int, /, **values: Any) -> Workbench:
        """Set values of a step, as its sliders do."""
        self.rack.set(self.rack.number(step), values)
        return self.tell("steps")

    def add(self, step: str | Step | Call, at: int | None = None, /, **values: Any) -> Workbench:
        """Add a step at the end, or before the step of a number."""
        call = step if isinstance(step, Call) else Call(step.name if isinstance(step, Step) else step)
        self.rack.add(Call(call.step, {**call.params, **values}), len(self.rack.entries) if at is None else at)
        return self.tell("steps")

    def remove(self, step: str | int) -> Workbench:
        """Take a step away."""
        self.rack.remove(self.rack.number(step))
        return self.tell("steps")

    def move(self, step: str | int, to: int) -> Workbench:
        """Put a step at another place, counted from 0."""
        self.rack.move(self.rack.number(step), to)
        return self.tell("steps")

    def switch(self, step: str | int, on: bool) -> Workbench:
        """Switch a step on or off; off, it stays in its place and is skipped."""
        self.rack.switch(self.rack.number(step), on)
        return self.tell("steps")

    def reset(self, step: str | int) -> Workbench:
        """Set all values of a step to their defaults."""
        self.rack.reset(self.rack.number(step))
        return self.tell("steps")

    def undo(self) -> Workbench:
        """Take the last change of the steps back; strokes have an undo of their own."""
        self.rack.undo()
        return self.tell("steps")

    def redo(self) -> Workbench:
        """Make the change again that was taken back last."""
        self.rack.redo()
        return self.tell("steps")

    def load(self, recipe: Steps) -> Workbench:
        """Begin anew with other steps: a preset's name, a file, a recipe, a list of steps, or "auto"."""
        base, self.why = _chosen(recipe, self.volume)
        if base is None and recipe is not None:
            raise InputError(self.why)
        self._base = base
        self.rack.load(base.calls if base else ())
        return self.tell("steps")

    # --- running -----------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Compute on the whole scan, here and now; gives what `save` takes, the bits that the recipe makes.

        What was computed before with the same values and strokes is not computed again.
        """
        self.runs.cancel()
        recipe = self.recipe()
        _, notes = recipe.begin(self.volume, seeds=self.runner.added.get("seeds"))
        for number, _ in enumerate(progress(recipe.calls), 1):
            self.runner.run(recipe.calls[:number])
        self._take_result(result_of(self.volume, recipe, *self.runner.kept(recipe.calls), notes), self.runs.version)
        self.tell("result")
        return self._result

    def start(self) -> Job:
        """Compute on the whole scan beside the session: the button "Run". `wait` waits for it, `cancel` stops it."""
        return self.runs.start(self.recipe())

    def cancel(self) -> None:
        """Stop the run at once; a step that only this session knows ends first."""
        self.runs.cancel()
        self.tell("run")

    def wait(self, seconds: float | None = None) -> Result | None:
        """Wait for the run that was started, and give its result."""
        self.runs.wait(seconds)
        return self._result

    def prepare(self, calls: tuple[Call, ...]) -> bool:
        """Compute some first calls beside the session, unless something runs; False where no event loop would tell."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        if not self.runs.busy:
            self.runs.start(replace(self.recipe(), calls=calls), whole=False)
        return True

    def _followed(self) -> None:
        """Take in what the run says."""
        job = self.runs.last
        if job.result is not None and job.result is not self._result:
            self._take_result(job.result, job.version)
            self.tell("result")
        else:
            self.tell("run")

    def _take_result(self, result: Result, version: int) -> None:
        self._result, self._result_version = result, version

    # --- strokes -----------------------------------------------------------------------------------------

    def _painted(self) -> None:
        self._take_strokes()
        self.tell("strokes")

    def _take_strokes(self) -> None:
        array = self.view.array
        marked = ((array > 0) & (array < EVERYTHING_ELSE)).any()
        self.runner.give("seeds", array if marked else None)
        self.runs.version += 1

    # --- files -------------------------------------------------------------------------------------------

    def save(
        self,
        folder: Path | str,
        *,
        formats: Sequence[str] = ("stl",),
        masks: Sequence[str] = (),
        overwrite: bool = False,
    ) -> dict[str, Path]:
        """Save the result as `mrbone_nb.save` does, and the strokes one by one beside it.

        Parameters
        ----------
        folder
            Where the files go; it is made if need be.
        formats
            File formats of the models: any of "stl", "ply", "obj", "glb".
        masks
            Further formats of the label map, beside NIfTI: any of ".nrrd", ".seg.nrrd", ".mha".
        overwrite
            Whether files that are there already may be replaced.

        Returns
        -------
        dict
            What each file is, and its path.

        Raises
        ------
        InputError
            Nothing has run with the present steps and strokes, a file is there already, or the scan has a fault that
            nobody accepted.
        """
        return save_bench(self, folder, formats, masks, overwrite)

    # --- showing -----------------------------------------------------------------------------------------

    @property
    def panel(self) -> Any:
        """The widgets around the view. Made when first asked for."""
        if self._panel is None:
            from .bench.panel import BenchPanel

            self._panel = BenchPanel(self)
        return self._panel

    @property
    def widget(self) -> Any:
        """All in one widget that can stand in any box."""
        return self.panel.widget

    def tell(self, what: str) -> Workbench:
        """Let everybody know of a change: "steps", "strokes", "run" or "result"."""
        for listener in self.changed:
            listener(what)
        return self

    def picture(self) -> Image.Image:
        """The still picture: all slices, with the outlines of the result."""
        if self._result is not None:
            self.view.show(self._result.labels)
        return self.view.picture()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widgets where they can be shown, a picture elsewhere, and the code as text."""
        panel = self.panel
        if self.stale and not someone_watches():
            try:
                self.run()
            except InputError as error:
                panel.say(error)
        bundle = dict(panel.widget._repr_mimebundle_() or {})
        bundle["image/png"] = base64.b64encode(png(self.picture())).decode()
        bundle["text/plain"] = self.code
        return bundle, {}

    def __repr__(self) -> str:
        return self.code
