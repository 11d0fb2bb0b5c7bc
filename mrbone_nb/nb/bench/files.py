"""What leaves a workbench and comes into it: results in a folder, recipes as files."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ...background import one_line
from ...files import safe_name, write_text
from ...outputs import FORMATS

if TYPE_CHECKING:
    from .panel import BenchPanel

WIDE = {"width": "98%"}
SHORT = {"description_width": "52px"}
MASKS = (".nrrd", ".seg.nrrd")  # beside .nii.gz, which is always written


def said(text: str, wrong: bool = False) -> str:
    """A line under a button: what was done, or what is wrong."""
    role, color = ("alert", "color:var(--jp-error-color1,#c00)") if wrong else ("status", "opacity:.85")
    return f"<div role='{role}' style='line-height:1.35;overflow-wrap:anywhere;{color}'>{html.escape(text)}</div>"


class Part:
    """A few widgets with a line below them that says what was done.

    Parameters
    ----------
    panel
        The panel that it is a part of.
    """

    def __init__(self, panel: BenchPanel) -> None:
        self.panel, self.bench = panel, panel.bench
        self.line = widgets.HTML(layout=WIDE)

    def button(self, text: str, tooltip: str, act: Callable[[], str], width: str = "auto") -> widgets.Button:
        """A button whose deed gives the line that is shown; an error is one line too."""
        made = widgets.Button(description=text, tooltip=tooltip, layout={"width": width})

        def clicked(_: Any) -> None:
            try:
                self.line.value = said(act())
            except Exception as error:  # a callback's traceback would be lost in the server's log
                self.line.value = said(one_line(error), wrong=True)

        made.on_click(clicked)
        return made


class Export(Part):
    """Save the result in a folder."""

    def __init__(self, panel: BenchPanel) -> None:
        super().__init__(panel)
        folder = f"out/{safe_name(self.bench.volume.name)}"
        self.folder = widgets.Text(value=folder, description="folder", layout=WIDE, style=SHORT, tooltip="Where files go")
        self.ticks = {name: _tick(name, name == "stl") for name in (*FORMATS, *MASKS)}
        self.overwrite = widgets.Checkbox(description="replace files that are there", indent=False, layout=WIDE)
        self.go = self.button("Save", "Save the result, its record, models and strokes in this folder", self.save)
        models, masks = ([self.ticks[n] for n in names] for names in (FORMATS, MASKS))
        self.box = widgets.VBox(
            [
                self.folder,
                widgets.HBox([widgets.Label("models", layout={"width": "52px"}), *models]),
                widgets.HBox([widgets.Label("masks", layout={"width": "52px"}), _tick(".nii.gz", True, True), *masks]),
                self.overwrite,
                self.go,
                self.line,
            ]
        )

    def save(self) -> str:
        """Save; gives what was written, in words."""
        formats, masks = ([n for n in names if self.ticks[n].value] for names in (FORMATS, MASKS))
        files = self.bench.save(self.folder.value, formats=formats, masks=masks, overwrite=self.overwrite.value)
        return f"{len(files)} files in {self.folder.value}: " + ", ".join(path.name for path in files.values())


def _tick(text: str, on: bool, always: bool = False) -> widgets.Checkbox:
    return widgets.Checkbox(
        value=on, description=text, indent=False, disabled=always, layout={"width": "auto", "margin": "0 8px 0 0"}
    )


class RecipeFile(Part):
    """Save the recipe to a file, or load one."""

    def __init__(self, panel: BenchPanel) -> None:
        super().__init__(panel)
        beside = self.bench.view._file
        name = f"{safe_name(self.bench.volume.name)}_recipe.json" if beside is None else f"{beside.stem}_recipe.json"
        path = Path(name) if beside is None else beside.with_name(name)
        self.path = widgets.Text(value=str(path), description="file", layout=WIDE, style=SHORT, tooltip="A .json file")
        self.overwrite = widgets.Checkbox(description="replace a file that is there", indent=False, layout=WIDE)
        go = self.button("Save", "Save the steps with their values in this file", self.save)
        come = self.button("Load", "Begin anew with the steps of this file", self.load)
        self.box = widgets.VBox([self.path, self.overwrite, widgets.HBox([go, come]), self.line])

    def save(self) -> str:
        """Write the file; gives what was done, in words."""
        path = Path(self.path.value)
        path = path if path.suffix.lower() == ".json" else path.with_name(f"{path.name}.json")
        recipe = self.bench.recipe()
        write_text(path, recipe.to_json(), self.overwrite.value)
        return f"{path.name}: {len(recipe.calls)} steps saved"

    def load(self) -> str:
        """Read the file; gives what was done, in words."""
        self.bench.load(Path(self.path.value))
        return f"{len(self.bench.rack.entries)} steps loaded from {Path(self.path.value).name}; Undo takes that back"
