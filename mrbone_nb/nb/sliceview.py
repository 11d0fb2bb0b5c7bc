"""Slices to scroll, in three linked planes, with outlines and strokes; also in a page without a kernel."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from ..bones import LabelTable
from ..errors import InputError
from ..picture import ELSE_COLOR, contact_sheet
from ..recipe import on_grid
from ..step import EVERYTHING_ELSE
from ..views import Plane, view_of
from ..volume import Volume
from .drawing import png
from .live import someone_watches
from .turned import Turned, gray, jpeg, packed, window

ROOM = 960  # pixels that the planes side by side may take, unless a scale is given
TILE = 160  # pixels of each slice in the still picture
MANY = 10_000_000  # voxels; larger scans are sent as JPEG slices, to be looked at, not measured
PLANES = ("axial", "coronal", "sagittal")
STATIC = Path(__file__).parent / "static" / "slices"
PARTS = ("base", "scan", "history", "layers", "pane", "tools", "bars", "view")


def look(
    volume: Volume,
    labels: Volume | np.ndarray | None = None,
    *,
    seeds: Volume | np.ndarray | None = None,
    other: Volume | np.ndarray | None = None,
    after: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    planes: tuple[Plane, ...] | None = None,
    scale: float | None = None,
    fill: bool = False,
) -> SliceView:
    """Scroll through a scan: the wheel or the arrow keys change the slice, a click moves all three planes there.

    Labels are drawn as outlines, strokes as a veil; ``?`` lists the keys. A still picture of all slices is stored
    beside the view for where it cannot run.

    Parameters
    ----------
    volume
        The scan.
    labels
        A label map or mask on its grid.
    seeds
        Strokes on its grid; 255 is everything else.
    other
        A second label map, to compare with the first: behind a curtain, or by what only one of them has.
    after
        Other gray values on the same grid, such as a filter's result, behind the same curtain.
    table
        Names and colors of the labels.
    planes
        Any of "axial", "coronal", "sagittal", or "native"; by default all three, the one in which the scan
        was taken first.
    scale
        Pixels for a mm; by default what makes the planes fit beside each other.
    fill
        Whether labels are filled as well.

    Returns
    -------
    SliceView
        A widget that shows itself.

    Raises
    ------
    InputError
        The labels or strokes do not lie on the scan's grid, or a plane is unknown.
    """
    check(volume, scale)
    maps = maps_on(volume, labels=labels, seeds=seeds, other=other)
    return SliceView(volume, maps, table or LabelTable(), names_of(volume, planes), scale, fill, after=after)


def check(volume: Volume, scale: float | None) -> None:
    """Refuse what cannot be shown."""
    if not isinstance(volume, Volume):
        raise InputError(f"{type(volume).__name__}: expected a Volume, as read gives it")
    if scale is not None and not 0.1 <= scale <= 20:
        raise InputError(f"scale={scale}: expected 0.1 to 20 pixels for a mm")


def maps_on(volume: Volume, **given: Volume | np.ndarray | None) -> dict[str, np.ndarray]:
    """The maps that are given, checked to lie on the scan's grid; the one to compare with is a label map too."""
    kinds = {"seeds": "seeds"}
    return {n: on_grid(kinds.get(n, "labels"), value, volume) for n, value in given.items() if value is not None}


def names_of(volume: Volume, planes: tuple[Plane, ...] | None) -> tuple[str, ...]:
    """The planes that are shown, in their order."""
    native = view_of(volume).name
    planes = (native, *(p for p in PLANES if p != native)) if planes is None else planes
    names = tuple(dict.fromkeys(view_of(volume, plane).name for plane in planes))
    if not names:
        raise InputError("planes: give at least one of axial, coronal, sagittal")
    return names


class SliceView(anywidget.AnyWidget):
    """Show slices of a scan with labels and strokes; made by `look`.

    The front end has the whole scan, so that scrolling asks no kernel. A large scan comes there slice by slice,
    those near the one that is shown first.
    """

    _esm = "\n".join((STATIC / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    image = traitlets.Bytes().tag(sync=True)
    codec = traitlets.Unicode().tag(sync=True)  # "gzip", "jpeg", or "stream": slices are asked for
    ends = traitlets.List().tag(sync=True)  # of JPEG slices in `image`
    across = traitlets.Int(0).tag(sync=True)  # the axis across them
    values = traitlets.List().tag(sync=True)  # gray values that 0 and 255 stand for
    shape = traitlets.List().tag(sync=True)
    spacing = traitlets.List().tag(sync=True)
    affine = traitlets.List().tag(sync=True)
    flipped = traitlets.List().tag(sync=True)  # whether the scan's own array runs the other way along an axis
    labels = traitlets.Bytes().tag(sync=True)
    seeds = traitlets.Bytes().tag(sync=True)
    other = traitlets.Bytes().tag(sync=True)
    after = traitlets.Bytes().tag(sync=True)
    names = traitlets.Dict().tag(sync=True)
    planes = traitlets.List().tag(sync=True)
    position = traitlets.List().tag(sync=True)
    scale = traitlets.Float(1.5).tag(sync=True)
    fill = traitlets.Bool(False).tag(sync=True)
    painted = traitlets.Unicode("").tag(sync=True)  # the map that may be drawn on

    def __init__(
        self,
        volume: Volume,
        maps: dict[str, np.ndarray],
        table: LabelTable,
        planes: tuple[str, ...],
        scale: float | None,
        fill: bool,
        after: Volume | np.ndarray | None = None,
        **more: Any,
    ) -> None:
        self._volume, self._table, self._maps = volume, table, {}
        self._numbers: dict[str, set[int]] = {}  # that occur in each map
        self._slabbed: set[str] = set()  # maps of which the front end has some slices alone
        self._native = view_of(volume).name
        self._turn = turn = Turned(volume)
        self._ends = window(volume)
        widths = {"axial": 2, "coronal": 2, "sagittal": 1}
        room = sum(turn.shape[widths[p]] * turn.scan.spacing[widths[p]] for p in planes)
        super().__init__(
            **self._encode(),
            shape=list(turn.shape),
            spacing=list(turn.scan.spacing),
            affine=turn.scan.affine.round(5).tolist(),
            flipped=list(turn.flipped),
            planes=list(planes),
            scale=ROOM / room if scale is None else float(scale),
            fill=fill,
            **more,
        )
        self.on_msg(self._heard)
        self.show(**maps, after=after)
        self.position = middle(turn.shape, [turn.array(m) for m in self._maps.values()])

    # --- what is shown ---------------------------------------------------------------------------------

    def show(
        self,
        labels: Volume | np.ndarray | None = None,
        *,
        seeds: Volume | np.ndarray | None = None,
        other: Volume | np.ndarray | None = None,
        after: Volume | np.ndarray | None = None,
        ends: tuple[float, float] | None = None,
    ) -> None:
        """Show other labels, strokes or gray values on the same slices, where the view is now.

        ``ends`` are the values of ``after`` that are shown black and white, if not its darkest and brightest.
        """
        new = maps_on(self._volume, labels=labels, seeds=seeds, other=other)
        self._maps |= new
        self._numbers |= {name: labels_in(array) for name, array in new.items()}
        quick = someone_watches()
        with self.hold_sync():
            self.names = self._names()
            for name, array in new.items():
                setattr(self, name, packed(self._turn.array(array), quick))
            if after is not None:
                self.after = packed(self._gray_after(after, ends=ends), quick)
        self._whole_again(*new, *([] if after is None else ["after"]))

    def show_slab(
        self, name: str, array: np.ndarray, axis: int, first: int, ends: tuple[float, float] | None = None
    ) -> None:
        """Show some slices of ``name`` ("labels", "seeds", "other" or "after"), computed anew, without the rest.

        For sliders: sends these slices alone. What the rest of the map was is forgotten in the front end until
        `show` gives a whole one.

        Parameters
        ----------
        name
            The map.
        array
            Its slices, as long along ``axis`` as there are slices, and the scan's size along the others.
        axis, first
            The scan's own axis across them, and the number of the first.
        ends
            As for `show`.
        """
        count = array.shape[axis]
        turned_axis, turned_first = self._turn.slab(axis, first, count)
        array = self._gray_after(array, turn=False, ends=ends) if name == "after" else array.astype(np.uint8)
        if name != "after":
            self._learn_names(array)
        data = self._turn.array(array)
        message = {"kind": "slab", "map": name, "axis": turned_axis, "first": turned_first, "count": count}
        self._slabbed.add(name)
        self.send(message, [np.ascontiguousarray(data).tobytes()])

    def clear(self, *names: str) -> None:
        """Take maps away: any of "labels", "seeds", "other", "after"."""
        for name in names:
            self._maps.pop(name, None)
            self._numbers.pop(name, None)
            setattr(self, name, b"")
        self._whole_again(*names)

    def _whole_again(self, *names: str) -> None:
        """Let the front end drop slices that came alone, even where the whole map is the one it had before them."""
        for name in self._slabbed & set(names):
            self._slabbed.remove(name)
            self.send({"kind": "whole", "map": name})

    def _learn_names(self, array: np.ndarray) -> None:
        """Names and colors of numbers that were not there before."""
        numbers = labels_in(array)
        if {str(n) for n in numbers} - set(self.names):
            self.names = self._names(numbers)

    def _names(self, more: Iterable[int] = ()) -> dict[str, dict[str, Any]]:
        return _names(set(more).union(*self._numbers.values()), self._table)

    def _gray_after(
        self, given: Volume | np.ndarray, turn: bool = True, ends: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Gray values of the picture behind the curtain; black and white stay as the first whole one had them."""
        array = given.array if isinstance(given, Volume) else np.asarray(given)
        if ends is not None:
            self._after_ends = ends
        elif turn or not hasattr(self, "_after_ends"):
            whole = self._volume.with_array(array) if array.shape == self._volume.shape else Volume(array, (1, 1, 1))
            self._after_ends = window(whole)
        bits = gray(array, self._after_ends)
        return self._turn.array(bits) if turn else bits

    def _encode(self) -> dict[str, Any]:
        """The scan in 8 bits, as the front end takes it: packed without loss, or JPEG slices where it is large."""
        values = {"values": list(self._ends)}
        turned = self._turn.array(self._volume.array)
        if turned.size <= MANY:
            return {"codec": "gzip", "image": packed(gray(turned, self._ends)), **values}
        axis = int(np.argmax(self._turn.scan.spacing))
        if someone_watches():
            return {"codec": "stream", "across": axis, **values}
        parts = [jpeg(gray(plane, self._ends)) for plane in np.moveaxis(turned, axis, 0)]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        return {"codec": "jpeg", "image": b"".join(parts), "ends": ends, "across": axis, **values}

    # --- what the front end asks for ---------------------------------------------------------------------

    def _heard(self, _: Any, message: dict[str, Any], buffers: list[Any]) -> None:
        kind = message.get("kind")
        if kind == "want":
            planes = np.moveaxis(self._turn.array(self._volume.array), self.across, 0)
            parts = [jpeg(gray(planes[k], self._ends)) for k in message["slices"]]
            self.send({"kind": "slices", "slices": message["slices"]}, parts)
        elif kind == "value":
            place = tuple(message["position"])
            value = float(self._turn.array(self._volume.array)[place])
            self.send({"kind": "value", "position": list(place), "value": value})

    # --- a picture for where no widget runs ----------------------------------------------------------------

    def picture(self) -> Image.Image:
        """The still picture: all slices as they were taken, with outlines and strokes."""
        look = {"plane": self._native, "table": self._table, "tile": TILE, "outline": not self.fill}
        maps = {name: self._maps[name] for name in ("labels", "seeds") if name in self._maps}
        return contact_sheet(self._volume, **look, **maps)

    def _repr_mimebundle_(self, **words: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**words)
        if bundle:
            bundle[0]["image/png"] = base64.b64encode(png(self.picture())).decode()
            bundle[0]["text/plain"] = f"slices of {self._volume.name}"
        return bundle


def labels_in(array: np.ndarray) -> set[int]:
    """The labels that occur in a map."""
    return {int(n) for n in np.unique(array)} - {0}


def _names(found_numbers: Iterable[int], table: LabelTable) -> dict[str, dict[str, Any]]:
    """Name and color of each label that occurs."""
    numbers = sorted(found_numbers)
    found = table.filled(n for n in numbers if n != EVERYTHING_ELSE)
    names = {str(n): {"name": label.title, "color": [round(255 * c) for c in label.rgb]} for n, label in found.items()}
    other = {str(EVERYTHING_ELSE): {"name": "everything else", "color": list(ELSE_COLOR)}}
    return names | (other if EVERYTHING_ELSE in numbers else {})


def middle(shape: tuple[int, int, int], maps: list[np.ndarray]) -> list[int]:
    """The slices with most bone, or those in the middle."""
    position = [n // 2 for n in shape]
    for bones in ((m > 0) & (m < EVERYTHING_ELSE) for m in maps):
        if bones.any():
            return [int(bones.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)]
    return position
