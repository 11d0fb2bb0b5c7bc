"""The chain of a workbench as a list to choose from, with the controls of the chosen step below."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ...errors import InputError
from ...step import Call, find_step
from ..controls import controls_of, value_of
from .rack import group_of

if TYPE_CHECKING:
    from .panel import BenchPanel

FULL = widgets.Layout(width="auto")
NAME = "128px"
ROWS = (4, 15)  # of the list, at least and at most
MARKS = {"off": "○", "known": "✓", "open": "·"}


class Steps:
    """List the steps, change their order, and set the values of the chosen one.

    Parameters
    ----------
    panel
        The panel that they are a part of.
    """

    def __init__(self, panel: BenchPanel) -> None:
        self.panel, self.bench = panel, panel.bench
        self._quiet = False
        self._rows: dict[str, dict[str, widgets.Widget]] = {}  # controls, by step: made once each
        self.list = widgets.Select(options=[], rows=ROWS[0], layout={"width": "auto", "margin": "2px 0"})
        self.list.add_class("mb-steps")
        self.list.observe(self._chosen, "index")
        button = self._button
        self.up = button("↑", "Move the chosen step up", lambda k: self._move(k, -1))
        self.down = button("↓", "Move the chosen step down", lambda k: self._move(k, 1))
        self.on = button("off", "Switch the chosen step off or on; off, it is skipped", self._switch, "52px")
        self.away = button("remove", "Take the chosen step away", self._remove, "72px")
        self.default = button("defaults", "Set all values of the chosen step to their defaults", self._reset, "80px")
        self.choice = widgets.Dropdown(options=[], layout={"flex": "1 1 auto", "width": "auto"})
        self.choice.observe(lambda _: self._about_choice(), "value")
        self.add = button("add", "Add this step after the chosen one", self._add, "52px")
        self.about = widgets.HTML(layout={"margin": "0 2px", "width": "auto"})
        self.controls = widgets.VBox([], layout={"width": "auto", "overflow": "hidden"})
        self.box = widgets.VBox(
            [
                self.list,
                widgets.HBox([self.up, self.down, self.on, self.away, self.default]),
                widgets.HBox([self.choice, self.add]),
                self.about,
                self.controls,
            ],
            layout={"width": "auto"},
        )

    def _button(self, text: str, tooltip: str, act: Callable[[int], None], width: str = "38px") -> widgets.Button:
        """A button that does something to the chosen step."""
        made = widgets.Button(description=text, tooltip=tooltip, layout={"width": width, "margin": "2px"})

        def clicked(_: Any) -> None:
            try:
                act(self.panel.live.chosen)
            except (InputError, IndexError) as error:
                self.panel.say(error)

        made.on_click(clicked)
        return made

    # --- what the list shows -------------------------------------------------------------------------

    def show(self) -> None:
        """Show the steps as they are now."""
        rack, live = self.bench.rack, self.panel.live
        live.choose(min(max(live.chosen, 0), max(0, len(rack.entries) - 1)))
        self._quiet = True
        options = self._options()
        if self.list.options != options:
            self.list.options = options
            self.list.rows = min(max(len(options), ROWS[0]), ROWS[1])
        self.list.index = live.chosen if options else None
        fitting = [(f"{group_of(name)}: {name}", name) for name in rack.fitting(live.chosen, {"image", "seeds"})]
        if tuple(self.choice.options) != tuple(fitting):
            chosen = self.choice.value
            self.choice.options = fitting
            self.choice.value = chosen if chosen in dict(fitting).values() else next((n for _, n in fitting), None)
        self._quiet = False
        self._about_choice()
        self._show_chosen()

    def _options(self) -> tuple[str, ...]:
        """The steps in words: number, whether it is known on the whole scan, name."""
        rack = self.bench.rack
        known = len(self.bench.runner.kept(rack.calls)[0])
        texts, count = [], 0
        for number, entry in enumerate(rack.entries, 1):
            count += entry.on
            mark = "off" if not entry.on else "known" if count <= known else "open"
            texts.append(f"{MARKS[mark]} {number}. {entry.call.step}" + ("" if entry.on else " (off)"))
        return tuple(texts)

    def _show_chosen(self) -> None:
        """The controls of the chosen step, with its values."""
        entries, number = self.bench.rack.entries, self.panel.live.chosen
        for control in (self.up, self.down, self.on, self.away, self.default):
            control.disabled = not entries
        if not entries:
            self.about.value, self.controls.children = "", ()
            return
        entry = entries[number]
        self.up.disabled, self.down.disabled = number == 0, number == len(entries) - 1
        self.on.description = "off" if entry.on else "on"
        step = find_step(entry.call.step)
        text = f"<div style='line-height:1.35'><b>{step.name}</b>: {html.escape(step.summary)}</div>"
        if self.about.value != text:
            self.about.value = text
        self._quiet = True
        row = self._row(entry.call)
        for name, control in row.items():
            if control.value != entry.call.params[name]:
                control.value = entry.call.params[name]
        self._quiet = False
        if self.controls.children != tuple(row.values()):
            self.controls.children = tuple(row.values())

    def _row(self, call: Call) -> dict[str, widgets.Widget]:
        """The controls of a step, made when first needed."""
        if call.step not in self._rows:
            row = controls_of(call)
            for name, control in row.items():
                control.layout = FULL
                if not isinstance(control, widgets.Checkbox):
                    control.style.description_width = NAME
                else:
                    control.layout = {"width": "auto", "margin": f"2px 2px 2px {NAME}"}
                control.observe(self._moved(call.step, name), "value")
            self._rows[call.step] = row
        return self._rows[call.step]

    def _about_choice(self) -> None:
        name = self.choice.value
        self.choice.tooltip = find_step(name).summary if name else "No step fits here"

    # --- what it does --------------------------------------------------------------------------------

    def _chosen(self, change: Any) -> None:
        if not self._quiet and change["new"] is not None:
            self.panel.choose(change["new"])

    def _moved(self, step: str, name: str) -> Callable[[Any], None]:
        """What a control does when it moves."""
        param = find_step(step).params[name]

        def moved(change: Any) -> None:
            if self._quiet:
                return
            try:
                self.bench.set(self.panel.live.chosen, **{name: value_of(param, change["new"])})
            except InputError as error:
                self.panel.say(error)

        return moved

    def _move(self, number: int, by: int) -> None:
        to = number + by
        if 0 <= to < len(self.bench.rack.entries):
            self.panel.live.choose(to)
            self.bench.move(number, to)

    def _switch(self, number: int) -> None:
        self.bench.switch(number, not self.bench.rack.entries[number].on)

    def _remove(self, number: int) -> None:
        self.bench.remove(number)

    def _reset(self, number: int) -> None:
        self.bench.reset(number)

    def _add(self, number: int) -> None:
        if self.choice.value is None:
            raise InputError("no step fits here")
        at = min(number + 1, len(self.bench.rack.entries))
        self.panel.live.choose(at)
        self.bench.add(self.choice.value, at)
