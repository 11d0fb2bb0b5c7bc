"""The widget of a tuned step: controls, slice, what is wrong, and the code."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from PIL import Image

from ..errors import InputError
from ..step import find_step
from .controls import NAME_WIDTH, WIDE, controls_of, value_of
from .drawing import png

if TYPE_CHECKING:
    from .tuner import Tuned

SOON = 0.01  # seconds in which further moves of a slider join the first


class Panel:
    """Show a `Tuned` with controls; its ``widget`` can stand in any box.

    Moves of sliders that come while a picture is being computed are not computed one by one: when it is
    done, the newest values are.
    """

    def __init__(self, tuned: Tuned) -> None:
        self.tuned, self.preview = tuned, tuned.preview
        self.controls = [controls_of(call) for call in tuned.calls]
        for number, row in enumerate(self.controls):
            for name, control in row.items():
                control.observe(self._moved(number, name), "value")
        self.slice = widgets.IntSlider(
            value=self.preview.index, min=0, max=self.preview.count - 1, description="slice",
            tooltip="Number of the slice that is shown", style={"description_width": "initial"},
        )  # fmt: skip
        self.slice.observe(self._scrolled, "value")
        self.whole = widgets.Button(
            description="Whole scan", tooltip="Compute on the whole scan with these values and show the slice of that"
        )
        self.whole.on_click(lambda _: self._show(None))
        self.image = widgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.note, self.error, self.code = (widgets.HTML(layout={"margin": "0"}) for _ in range(3))
        self._quiet = self._due = False
        self.drawn = 0  # counts pictures
        self._show(None)
        self.widget = widgets.VBox(
            [self._steps(), widgets.HBox([self.slice, self.whole, self.note]), self.error, self.image, self.code]
        )

    def _steps(self) -> widgets.Widget:
        """The controls of one step; of several, those of the one that is chosen."""
        boxes = []
        for call, row in zip(self.tuned.calls, self.controls, strict=True):
            about = widgets.HTML(f"<b>{html.escape(call.step)}</b>: {html.escape(find_step(call.step).summary)}")
            boxes.append(widgets.VBox([about, *row.values()]))
        if len(boxes) == 1:
            return boxes[0]
        titles = [f"{number}. {call.step}" for number, call in enumerate(self.tuned.calls, 1)]
        choice = widgets.Dropdown(options=titles, description="step", style={"description_width": NAME_WIDTH}, layout=WIDE)
        stack = widgets.Stack(boxes, selected_index=0)
        widgets.jslink((choice, "index"), (stack, "selected_index"))  # in the browser: needs no kernel
        return widgets.VBox([choice, stack])

    # --- what happens when something moves -----------------------------------------------------------

    def _moved(self, number: int, name: str) -> Callable[[Any], None]:
        """What a control does when it moves."""
        param = find_step(self.tuned.calls[number].step).params[name]

        def moved(change: Any) -> None:
            if self._quiet:
                return
            try:
                self.tuned._put(number, {name: value_of(param, change["new"])})
            except InputError as error:
                self._say(error)
                return
            self._show_code()
            self._refresh()

        return moved

    def _scrolled(self, change: Any) -> None:
        self.preview.index = change["new"]
        self._refresh()

    def show_values(self) -> None:
        """Take over values that were set from Python."""
        self._quiet = True
        for call, row in zip(self.tuned.calls, self.controls, strict=True):
            for name, control in row.items():
                control.value = call.params[name]
        self._quiet = False
        self._show_code()
        self._refresh()

    def show_outdated(self) -> None:
        """Say that a step before has changed."""
        self.note.value = _line("a panel before this one has changed: move anything here to renew the picture")

    def _refresh(self) -> None:
        """Draw anew soon, once for all moves until then; at once where no event loop runs."""
        if self._due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._draw_live()
            return
        self._due = True
        loop.call_later(SOON, self._draw_live)

    def _draw_live(self) -> None:
        self._due = False
        calls = self.tuned.calls
        if self.preview.live(calls):
            self._show(self.preview.slab(calls))
        else:
            self.note.value = _line("not quick enough to follow a slider: press “Whole scan”")

    # --- what is shown -------------------------------------------------------------------------------

    def _show(self, slab: Any) -> None:
        """Compute and show; whatever goes wrong is one line, and the last picture stays."""
        calls = self.tuned.calls
        try:
            picture = self.preview.draw(calls, slab)
        except Exception as error:  # a callback's traceback would be lost in the server's log
            self._say(error)
            if not self.image.value:
                self.image.value = png(self.preview.draw_before())
        else:
            self.image.value = png(picture, quick=True)
            self.error.value = ""
            self.note.value = _line(self.preview.note(calls, slab))
        self.drawn += 1
        self._show_code()

    def still(self) -> Image.Image:
        """The picture for where no widget can be shown: the result on the whole scan, with the calls."""
        try:
            return self.preview.draw(self.tuned.calls, None, described=True)
        except InputError:
            return self.preview.draw_before()

    def _show_code(self) -> None:
        style = "margin:0;white-space:pre-wrap;line-height:1.4;user-select:text"
        self.code.value = f"<pre style='{style}'>{html.escape(self.tuned.code)}</pre>"

    def _say(self, error: Exception) -> None:
        """Show an error as one line."""
        text = str(error).strip().split("\n")[0] or type(error).__name__
        text = text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
        self.error.value = f"<span role='alert' style='color:#c00'>{html.escape(text[:500])}</span>"


def _line(text: str) -> str:
    return f"<span style='opacity:.7'>{html.escape(text)}</span>"
