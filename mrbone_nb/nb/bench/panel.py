"""The widgets of a workbench: steps and sliders on the left, the scan with the result on the right, code below."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from ...background import one_line
from ...errors import InputError
from ...recipe import preset_names
from .codebox import CodeBox
from .files import Export, RecipeFile
from .live import Live
from .look import Bones, Doubts
from .steps import Steps

if TYPE_CHECKING:
    from ..workbench import Workbench

SIDE = "352px"
AGAIN = 3.0  # seconds; what took no longer runs again by itself when strokes change
WORDS = 0.15  # seconds after a move until list and code follow the picture
TICK = 0.5  # seconds between two looks at how far a run is
SHOWN = (("result", "result"), ("step", "step"), ("before", "before"))
CHOOSE = "choose …"


class BenchPanel:
    """Show a `Workbench`; its ``widget`` can stand in any box.

    Parameters
    ----------
    bench
        The workbench.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.live = bench, Live(bench)
        self.live.follow = self._drawn
        self._quiet = False
        self._wrong = ""
        self._ticking = self._due = False
        self.steps = Steps(self)
        self.export, self.file, self.doubts, self.bones = Export(self), RecipeFile(self), Doubts(self), Bones(self)
        self._make_bar()
        self.error = widgets.HTML(layout={"width": "auto", "margin": "0"})
        self.note = widgets.HTML(layout={"margin": "0", "flex": "1 1 auto", "width": "auto"})
        self.mode = widgets.ToggleButtons(
            options=SHOWN, value="result", style={"button_width": "68px"}, layout={"margin": "0", "flex": "0 0 224px"},
            tooltips=["The result of the last run", "What the chosen step makes, live", "What is there before the chosen step"],
        )  # fmt: skip
        self.mode.observe(self._mode_chosen, "value")
        self.call, self.code, self.json = CodeBox(), CodeBox(title="All steps in Python"), CodeBox(title="Recipe (JSON)")
        self.code.unfolded = self.json.unfolded = False
        self.widget = self._laid_out()
        bench.changed.append(self._changed)
        self._say_steps()
        self.live.refresh()
        if bench.result is not None:
            self._changed("result")

    def _make_bar(self) -> None:
        """The row above everything."""
        names = [CHOOSE, "auto", *preset_names()]
        chosen = self.bench._base.name if self.bench._base and self.bench._base.name in names else CHOOSE
        self.recipe = widgets.Dropdown(
            options=names, value=chosen, description="recipe", layout={"width": "230px"},
            style={"description_width": "46px"}, tooltip="Begin anew with the steps of a recipe",
        )  # fmt: skip
        self.recipe.observe(self._recipe_chosen, "value")
        self.undo = self._button("undo", "Take the last change of the steps back", self.bench.undo)
        self.redo = self._button("redo", "Make the change again that was taken back", self.bench.redo)
        self.run = self._button("Run", "Compute on the whole scan, beside the session", self.bench.start, "76px", "primary")
        self.stop = self._button("Cancel", "Stop at once; what finished steps gave is kept", self.bench.cancel, "76px")
        self.bar = widgets.IntProgress(min=0, max=1, layout={"width": "130px", "display": "none"})
        self.progress = widgets.HTML(layout={"margin": "0 4px", "width": "auto"})

    def _button(self, text: str, tip: str, act: Callable[[], Any], width: str = "58px", style: str = "") -> widgets.Button:
        made = widgets.Button(description=text, tooltip=tip, button_style=style, layout={"width": width, "margin": "2px"})

        def clicked(_: Any) -> None:
            try:
                self.say("")
                act()
            except Exception as error:  # a callback's traceback would be lost in the server's log
                self.say(error)

        made.on_click(clicked)
        return made

    def _laid_out(self) -> widgets.Widget:
        """All parts in their places."""
        bar = widgets.HBox(
            [self.recipe, self.undo, self.redo, self.run, self.stop, self.bar, self.progress],
            layout={"align_items": "center", "flex_flow": "row wrap"},
        )
        parts = {"Where to look": self.doubts.box, "Save": self.export.box, "Recipe file": self.file.box}
        choice = widgets.ToggleButtons(options=list(parts), style={"button_width": "auto"}, layout={"margin": "8px 0 0 0"})
        more = widgets.Stack(list(parts.values()), selected_index=0, layout={"width": "auto"})
        widgets.jslink((choice, "index"), (more, "selected_index"))  # in the browser: needs no kernel
        side = {"width": SIDE, "flex": f"0 0 {SIDE}", "overflow": "hidden", "margin": "0 10px 0 0"}
        left = widgets.VBox([self.steps.box, choice, more, self.bones.box], layout=side)
        shown = widgets.HBox(
            [widgets.Label("show", layout={"flex": "0 0 40px"}), self.mode, self.note], layout={"align_items": "center"}
        )
        right = widgets.VBox(
            [shown, self.error, self.bench.view, self.call, self.code, self.json],
            layout={"flex": "1 1 0", "min_width": "380px", "overflow": "hidden"},
        )
        made = widgets.VBox([bar, widgets.HBox([left, right], layout={"flex_flow": "row wrap"})])  # below each other in a narrow page
        made.add_class("mb-workbench")
        return made

    # --- what happens --------------------------------------------------------------------------------

    def _changed(self, what: str) -> None:
        """Follow a change of the workbench."""
        if what == "steps":
            self._wrong = ""
            self._say_soon()
            if self.live.mode == "result" and self.bench.result is not None and self.bench.rack.can[0] and self.bench.stale:
                self._set_mode("step")
            self.live.refresh(moved=True)
        elif what == "strokes":
            self._strokes_changed()
        elif what == "result":
            self._set_mode("result")
            self.live.refresh()
            self.bones.show()
            self.steps.show()
        elif what == "run":
            self._run_changed()
        if what != "steps":
            self._show_progress()

    def _say_soon(self) -> None:
        """Renew list and code a little later, once for all moves until then: the picture goes first."""
        if self._due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._say_steps()
            return
        self._due = True
        loop.call_later(WORDS, self._say_steps)

    def _say_steps(self) -> None:
        self._due = False
        self.steps.show()
        self._show_code()
        self.undo.disabled, self.redo.disabled = (not can for can in self.bench.rack.can)
        self._show_progress()

    def _strokes_changed(self) -> None:
        """Renew what hangs on the strokes, where that is quick; else say that it is older."""
        self._wrong = ""
        runs, bench = self.bench.runs, self.bench
        self.steps.show()
        self.live.refresh(moved=True)
        if bench.result is not None and not runs.busy and sum(bench.result.seconds.values()) <= AGAIN:
            try:
                asyncio.get_running_loop()
                bench.start()
            except RuntimeError:  # nobody would hear of it
                pass
            except InputError as error:
                self.say(error)

    def _run_changed(self) -> None:
        runs = self.bench.runs
        if runs.last is not None and not runs.busy:
            if runs.last.error and runs.last.error != "cancelled":
                self.say(InputError(runs.last.error))
            elif not runs.last.error:
                self.live.refresh()
            self.steps.show()

    def choose(self, number: int) -> None:
        """Choose a step: show its controls and what it makes."""
        self.live.choose(number)
        self._wrong = ""
        if self.live.mode == "result":
            self._set_mode("step")
        self.steps.show()
        self._show_code()
        self.live.refresh()

    def go(self, position: tuple[float, float, float]) -> None:
        """Show a place, given in LPS mm."""
        view = self.bench.view
        index = np.rint(view._turn.scan.index([position])[0]).astype(int)
        view.position = [int(min(max(k, 0), n - 1)) for k, n in zip(index, view._turn.shape, strict=True)]

    def _set_mode(self, mode: str) -> None:
        self._quiet = True
        self.live.mode = self.mode.value = mode
        self._quiet = False

    def _mode_chosen(self, change: Any) -> None:
        if not self._quiet:
            self._wrong = ""
            self.live.show(change["new"])

    def _recipe_chosen(self, change: Any) -> None:
        if change["new"] != CHOOSE and not self._quiet:
            try:
                self.live.choose(0)
                self.bench.load(change["new"])
                self.say("")
            except InputError as error:
                self.say(error)

    # --- what is said --------------------------------------------------------------------------------

    def say(self, error: Exception | str) -> None:
        """Show an error as one line, or nothing."""
        self._wrong = error if isinstance(error, str) else one_line(error)
        self._drawn()

    def _drawn(self) -> None:
        """After each picture: what is wrong, or what is shown."""
        text = self._wrong or self.live.error
        color = "color:var(--jp-error-color1,#c00);line-height:1.35;overflow-wrap:anywhere"
        self.error.value = f"<div role='alert' style='{color}'>{html.escape(text)}</div>" if text else ""
        note = self.live.note or (self.bench.why if self.bench.result is None else "")
        self.note.value = f"<div style='opacity:.8;line-height:1.3;padding-left:8px'>{html.escape(note)}</div>"

    def _show_code(self) -> None:
        """The Python of the chosen step, of all steps, and the recipe."""
        entries = self.bench.rack.entries
        chosen = entries[self.live.chosen] if entries else None
        self.call.title = f"This step in Python: {chosen.call.step}" if chosen else "This step in Python"
        self.call.text = self.bench.code_of(self.live.chosen) if chosen else "# no step yet"
        self.code.text = self.bench.code
        self.json.text = self.bench.recipe().to_json().strip() if self.bench.calls else "{}"

    def _show_progress(self) -> None:
        """How far a run is; looks again by itself while it runs."""
        job = self.bench.runs.job
        self.run.disabled, self.stop.disabled = job is not None, job is None
        self.bar.layout.display = None if job else "none"
        if job is None:
            result, last = self.bench.result, self.bench.runs.last
            text = "cancelled" if last is not None and last.error == "cancelled" else ""
            if not text and result is not None:
                text = "strokes or steps have changed: run again" if self.bench.stale else f"done in {_seconds(result)}"
        else:
            self.bar.max, self.bar.value = len(job.recipe.calls), len(job.states)
            apart = "" if job.apart else " (a step of this session: Cancel waits for its end)"
            text = job.text + apart
            self._tick()
        self.progress.value = f"<span role='status'>{html.escape(text)}</span>"

    def _tick(self) -> None:
        if self._ticking:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._ticking = True

        def again() -> None:
            self._ticking = False
            if self.bench.runs.busy:
                self._show_progress()

        loop.call_later(TICK, again)


def _seconds(result: Any) -> str:
    return f"{sum(result.seconds.values()):.1f} s"
