"""Draw strokes on a scan, or mend a mask by hand; what was drawn is kept stroke by stroke in a file."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from ..bones import FIRST, LAST, Label, LabelTable, split_side
from ..errors import InputError
from ..files import make_folder
from ..picture import ELSE_COLOR
from ..recipe import on_grid
from ..segment.outlines import fill_between_slices
from ..step import EVERYTHING_ELSE
from ..strokes import Stroke, Strokes, read_strokes
from ..views import Plane
from ..volume import Volume
from .sliceview import SliceView, check, middle, names_of
from .turned import packed

GIVEN = "given"  # strokes that were drawn elsewhere; they are not undone
GAP = 200.0  # mm; painted slices farther apart are not joined


def paint(
    volume: Volume,
    bones: Iterable[str] | LabelTable = ("bone",),
    *,
    file: Path | str | None = None,
    seeds: Volume | np.ndarray | None = None,
    labels: Volume | np.ndarray | None = None,
    planes: tuple[Plane, ...] | None = None,
    scale: float | None = None,
) -> PaintView:
    """Draw strokes inside the bones, and around them with "everything else".

    Brush, eraser, polygon, lasso and flood draw on any plane, with radii in mm; ``?`` lists the keys. The next
    cell has the strokes as ``.array``; with ``file`` they are kept, and a later run begins with them.

    Parameters
    ----------
    volume
        The scan.
    bones
        Names of the bones, as in ``("right femur", "right tibia")``: labels 1, 2, …; or a table.
    file
        Where the strokes are kept (``.json``). A file that is there is drawn on.
    seeds
        Strokes from elsewhere to begin with, on the scan's grid; 255 is everything else. Where there is a ``file``
        already, it holds them.
    labels
        A label map that is shown as outlines below.
    planes, scale
        As for `look`.

    Returns
    -------
    PaintView
        Shows itself. Wherever seeds are taken, it can be given itself.

    Raises
    ------
    InputError
        The file holds no strokes or those of another grid, or a bone's name is not one.
    """
    check(volume, scale)
    maps = {} if labels is None else {"labels": on_grid("labels", labels, volume)}
    base = np.zeros(volume.shape, np.uint8)
    given = () if seeds is None else _given(on_grid("seeds", seeds, volume))
    look = (names_of(volume, planes), scale, False)
    return PaintView("seeds", base, volume, maps, table_of(bones), *look, file=file, given=given)


def _given(seeds: np.ndarray) -> tuple[Stroke, ...]:
    """Strokes from elsewhere, a stroke for each label."""
    numbers = (int(n) for n in np.unique(seeds) if n)
    return tuple(Stroke.of(n, np.flatnonzero(seeds == n), {"tool": GIVEN}) for n in numbers)


def edit(
    volume: Volume,
    labels: Volume | np.ndarray,
    *,
    table: LabelTable | None = None,
    file: Path | str | None = None,
    planes: tuple[Plane, ...] | None = None,
    scale: float | None = None,
) -> PaintView:
    """Mend a label map by hand; every change is kept as a stroke, so that it can be made again.

    Parameters
    ----------
    volume
        The scan.
    labels
        The label map to mend, on its grid.
    table
        What its numbers mean.
    file
        Where the changes are kept (``.json``); a file that is there is read, and its changes are made.
    planes, scale
        As for `look`.

    Returns
    -------
    PaintView
        Shows itself; ``.array`` is the mended map.
    """
    check(volume, scale)
    base = on_grid("labels", labels, volume)
    table = (table or LabelTable()).filled(np.unique(base[base > 0]) if base.any() else [FIRST])
    return PaintView("labels", base, volume, {}, table, names_of(volume, planes), scale, True, file=file)


def table_of(bones: Iterable[str] | LabelTable) -> LabelTable:
    """Labels 1, 2, … with these names; colors as they come."""
    if isinstance(bones, LabelTable):
        return bones
    if isinstance(bones, str):
        raise InputError(f"bones={bones!r}: give a list of names, as in ('right femur', 'right tibia')")
    names = list(bones)
    if not 1 <= len(names) <= LAST:
        raise InputError(f"bones: {len(names)} names; expected 1 to {LAST}")
    colors = LabelTable().filled(range(FIRST, FIRST + len(names)))
    sides = [split_side(name) for name in names]
    return LabelTable(
        {n: Label(bone, side, label.color) for (n, label), (bone, side) in zip(colors.items(), sides, strict=True)}
    )


class PaintView(SliceView):
    """Slices that can be drawn on; made by `paint` and `edit`. ``edits`` counts changes and can be observed."""

    edits = traitlets.Int(0)

    def __init__(
        self,
        target: str,
        base: np.ndarray,
        volume: Volume,
        *words: Any,
        file: Path | str | None = None,
        given: tuple[Stroke, ...] = (),
        **more: Any,
    ) -> None:
        self._target, self._base = target, base
        self._file = None if file is None else Path(file)
        if self._file is not None and self._file.suffix.lower() != ".json":
            raise InputError(f"{self._file.name}: strokes are kept in a .json file")
        maps, table, *rest = words
        there = self._file is not None and self._file.is_file()
        self.strokes = read_strokes(self._file, volume) if there else Strokes(volume, given)
        self.strokes.table = LabelTable({**self.strokes.table, **table})
        self._undone: list[Stroke] = []
        self._stale = False
        self._array = self.strokes.array(base)
        super().__init__(volume, {**maps}, self.strokes.table, *rest, painted=target, **more)
        self._show_drawn()
        if self._array.any():
            self.position = middle(self._turn.shape, [self._turn.array(self._array)])

    # --- what Python gets ----------------------------------------------------------------------------------

    @property
    def array(self) -> np.ndarray:
        """What is drawn now, (P, M, N) uint8: seeds, or the mended labels."""
        return self._array.copy()

    @property
    def result(self) -> Volume:
        """The same with its place in space."""
        return self._volume.with_array(self.array)

    @property
    def table(self) -> LabelTable:
        """What the labels mean."""
        return self._table

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._array.astype(dtype or np.uint8)

    def undo(self) -> None:
        """Take the last stroke back."""
        self._back(here=False)

    def redo(self) -> None:
        """Draw the stroke again that was taken back last."""
        self._again(here=False)

    def add(self, stroke: Stroke) -> None:
        """Draw a stroke from Python."""
        self._array.reshape(-1)[stroke.voxels] = stroke.label
        self.strokes.done.append(stroke)
        self._undone.clear()
        self._tell(stroke, "new", here=False)

    def show(self, *maps: Any, **named: Any) -> None:
        """Show other maps or gray values below; what is drawn is changed by strokes alone (`add`, `undo`)."""
        if self._target in named or (maps and self._target == "labels"):
            raise InputError(f"{self._target}: drawn by hand here; change them with strokes, or make a new view")
        super().show(*maps, **named)

    # --- what the front end says ---------------------------------------------------------------------------

    def _heard(self, widget: Any, message: dict[str, Any], buffers: list[Any]) -> None:
        kind = message.get("kind")
        try:
            if kind == "stroke":
                turned = np.frombuffer(bytes(buffers[0]), "<u4")
                voxels = self._turn.own(turned, self._volume.shape)
                self._take(Stroke.of(message["label"], voxels, message["how"]))
            elif kind == "undo":
                self._back(message["here"])
            elif kind == "redo":
                self._again(message["here"])
            elif kind == "between":
                self._fill_between(message["label"], message["axis"])
            else:
                super()._heard(widget, message, buffers)
        except Exception as error:  # a traceback would be lost in the server's log
            logging.getLogger(__name__).warning("drawing: %s", error)
            self.send({"kind": "say", "text": str(error).split("\n")[0]})

    def _take(self, stroke: Stroke) -> None:
        self._array.reshape(-1)[stroke.voxels] = stroke.label
        self.strokes.done.append(stroke)
        self._undone.clear()
        self._changed()

    def _back(self, here: bool) -> None:
        if self.strokes.done and self.strokes.done[-1].how.get("tool") != GIVEN:
            stroke = self.strokes.done.pop()
            self._undone.append(stroke)
            self._array = self.strokes.array(self._base)
            self._tell(stroke, "undone", here)

    def _again(self, here: bool) -> None:
        if self._undone:
            stroke = self._undone.pop()
            self.strokes.done.append(stroke)
            self._array.reshape(-1)[stroke.voxels] = stroke.label
            self._tell(stroke, "done", here)

    def _tell(self, stroke: Stroke, becomes: str, here: bool) -> None:
        """Let the front end follow, where it has not gone ahead."""
        if not here:
            voxels = self._turn.numbers(stroke.voxels, self._volume.shape).astype("<u4")
            values = self._array.reshape(-1)[stroke.voxels]
            message = {"kind": "edit", "label": stroke.label, "becomes": becomes}
            self.send(message, [voxels.tobytes(), values.tobytes()])
        self._changed()

    def _fill_between(self, label: int, turned_axis: int) -> None:
        """Fill one bone between the slices of a plane on which it is painted."""
        axis = self._turn.order[turned_axis]
        order = (axis, *(a for a in range(3) if a != axis))
        spacing = tuple(self._volume.spacing[a] for a in order)
        drawn = np.where(self._array == label, 1, 0).astype(np.uint8).transpose(order)
        filled = fill_between_slices(np.ascontiguousarray(drawn), spacing=spacing, gap=GAP).transpose(np.argsort(order))
        new = np.flatnonzero((filled > 0) & (self._array == 0))
        if not len(new):
            raise InputError("nothing to fill: paint the label on two slices of this plane, with empty slices between")
        self.add(Stroke.of(label, new, {"tool": "fill between", "plane": self.planes[0] if axis == 0 else ""}))

    def _changed(self) -> None:
        self._stale = True
        self._maps[self._target] = self._array
        if self._file is not None:
            make_folder(self._file.parent)
            self.strokes.save(self._file)
        self.edits += 1

    # --- keeping the widget's state true ---------------------------------------------------------------------

    def _show_drawn(self) -> None:
        self._maps[self._target] = self._array
        with self.hold_sync():
            self.names = self._names()
            setattr(self, self._target, self._packed())

    def _packed(self) -> bytes:
        """What is drawn, as the front end takes it."""
        return packed(self._turn.array(self._array), quick=True)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """The state for a page that opens anew: with what was drawn until now."""
        state = super().get_state(key, drop_defaults)
        if getattr(self, "_stale", False) and self._target in state:
            state[self._target] = self._packed()
        return state

    def _names(self, more: Iterable[int] = ()) -> dict[str, dict[str, Any]]:
        """All labels that may be drawn, and what else occurs."""
        found = super()._names({*more, *self.strokes.table})
        other = {str(EVERYTHING_ELSE): {"name": "everything else", "color": list(ELSE_COLOR)}}
        return found | (other if self._target == "seeds" else {})

