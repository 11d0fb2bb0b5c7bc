"""Slices to scroll, in three linked planes, with outlines and strokes; also in a page without a kernel."""

from __future__ import annotations

import base64
import gzip
import io
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from ..bones import LabelTable
from ..errors import InputError
from ..picture import ELSE_COLOR, contact_sheet, window_of
from ..recipe import on_grid
from ..step import EVERYTHING_ELSE
from ..views import Plane, view_of
from ..volume import Volume
from .drawing import png

ROOM = 960  # pixels that the planes side by side may take, unless a scale is given
TILE = 160  # pixels of each slice in the still picture
MANY = 10_000_000  # voxels; larger scans are sent as JPEG slices, to be looked at, not measured
QUALITY = 85
PLANES = ("axial", "coronal", "sagittal")


def look(
    volume: Volume,
    labels: Volume | np.ndarray | None = None,
    *,
    seeds: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    planes: tuple[Plane, ...] | None = None,
    scale: float | None = None,
    fill: bool = False,
) -> SliceView:
    """Scroll through a scan: the wheel or the arrow keys change the slice, a click moves all three planes there.

    Labels are drawn as outlines, strokes as a veil. A still picture of all slices is stored beside the view
    for where it cannot run.

    Parameters
    ----------
    volume
        The scan.
    labels
        A label map or mask on its grid.
    seeds
        Strokes on its grid; 255 is everything else.
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
    if not isinstance(volume, Volume):
        raise InputError(f"{type(volume).__name__}: expected a Volume, as read gives it")
    native = view_of(volume).name
    planes = (native, *(p for p in PLANES if p != native)) if planes is None else planes
    names = tuple(dict.fromkeys(view_of(volume, plane).name for plane in planes))
    if not names:
        raise InputError("planes: give at least one of axial, coronal, sagittal")
    if scale is not None and not 0.1 <= scale <= 20:
        raise InputError(f"scale={scale}: expected 0.1 to 20 pixels for a mm")
    given = {"labels": labels, "seeds": seeds}
    maps = {name: on_grid(name, value, volume) for name, value in given.items() if value is not None}
    return SliceView(volume, maps, table or LabelTable(), names, scale, fill)


class SliceView(anywidget.AnyWidget):
    """Show slices of a scan with labels and strokes; made by `look`.

    The front end has the whole scan, so that scrolling asks no kernel.
    """

    _esm = Path(__file__).parent / "static" / "slices.js"
    image = traitlets.Bytes().tag(sync=True)
    codec = traitlets.Unicode().tag(sync=True)
    ends = traitlets.List().tag(sync=True)  # of JPEG slices in `image`
    across = traitlets.Int(0).tag(sync=True)  # the axis across them
    values = traitlets.List().tag(sync=True)  # gray values that 0 and 255 stand for
    shape = traitlets.List().tag(sync=True)
    spacing = traitlets.List().tag(sync=True)
    affine = traitlets.List().tag(sync=True)
    flipped = traitlets.List().tag(sync=True)  # whether the scan's own array runs the other way along an axis
    labels = traitlets.Bytes().tag(sync=True)
    seeds = traitlets.Bytes().tag(sync=True)
    names = traitlets.Dict().tag(sync=True)
    planes = traitlets.List().tag(sync=True)
    position = traitlets.List().tag(sync=True)
    scale = traitlets.Float(1.5).tag(sync=True)
    fill = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        volume: Volume,
        maps: dict[str, np.ndarray],
        table: LabelTable,
        planes: tuple[str, ...],
        scale: float | None,
        fill: bool,
    ) -> None:
        self._volume, self._table, self._maps = volume, table, {}
        self._native = view_of(volume).name
        turned = volume.reorient("LPS")  # the front end knows this order alone
        widths = {"axial": 2, "coronal": 2, "sagittal": 1}
        room = sum(turned.shape[widths[p]] * turned.spacing[widths[p]] for p in planes)
        super().__init__(
            **_encode(turned),
            shape=list(turned.shape),
            spacing=list(turned.spacing),
            affine=turned.affine.round(5).tolist(),
            flipped=[bool(d) for d in _flipped(volume, turned)],
            planes=list(planes),
            scale=ROOM / room if scale is None else float(scale),
            fill=fill,
        )
        self.show(**maps)
        self.position = _middle(turned.shape, [self._turned(m) for m in self._maps.values()])

    def show(self, labels: Volume | np.ndarray | None = None, *, seeds: Volume | np.ndarray | None = None) -> None:
        """Show other labels or strokes on the same slices, where the view is now."""
        for name, given in (("labels", labels), ("seeds", seeds)):
            if given is not None:
                self._maps[name] = on_grid(name, given, self._volume)
        packed = {name: gzip.compress(self._turned(m).tobytes(), 6, mtime=0) for name, m in self._maps.items()}
        with self.hold_sync():
            self.names = _names(self._maps.values(), self._table)
            for name, value in packed.items():
                setattr(self, name, value)

    def _turned(self, array: np.ndarray) -> np.ndarray:
        return self._volume.with_array(array).reorient("LPS").array

    def picture(self) -> Image.Image:
        """The still picture: all slices as they were taken, with outlines and strokes."""
        look = {"plane": self._native, "table": self._table, "tile": TILE, "outline": not self.fill}
        return contact_sheet(self._volume, **look, **self._maps)

    def _repr_mimebundle_(self, **words: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**words)
        if bundle:
            bundle[0]["image/png"] = base64.b64encode(png(self.picture())).decode()
            bundle[0]["text/plain"] = f"slices of {self._volume.name}"
        return bundle


def _flipped(volume: Volume, turned: Volume) -> np.ndarray:
    """For each axis of the turned scan, whether the scan's own array runs the other way."""
    steps = np.linalg.solve(volume.affine[:3, :3], turned.affine[:3, :3])  # from turned index to own index
    return steps.sum(axis=0) < 0


def _names(maps: Any, table: LabelTable) -> dict[str, dict[str, Any]]:
    """Name and color of each label that occurs."""
    numbers = sorted({int(n) for m in maps for n in np.unique(m)} - {0})
    found = table.filled(n for n in numbers if n != EVERYTHING_ELSE)
    names = {str(n): {"name": label.title, "color": [round(255 * c) for c in label.rgb]} for n, label in found.items()}
    other = {str(EVERYTHING_ELSE): {"name": "everything else", "color": list(ELSE_COLOR)}}
    return names | (other if EVERYTHING_ELSE in numbers else {})


def _middle(shape: tuple[int, int, int], maps: list[np.ndarray]) -> list[int]:
    """The slices with most bone, or those in the middle."""
    position = [n // 2 for n in shape]
    for bones in ((m > 0) & (m < EVERYTHING_ELSE) for m in maps):
        if bones.any():
            return [int(bones.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)]
    return position


def _encode(volume: Volume) -> dict[str, Any]:
    """The scan in 8 bits, as the front end takes it: packed without loss, or JPEG slices where it is large."""
    low, high = window_of(volume)
    gray = np.clip((volume.array.astype(np.float32) - low) * (255 / (high - low)), 0, 255).round().astype(np.uint8)
    values = {"values": [low, high]}
    if gray.size <= MANY:
        return {"codec": "gzip", "image": gzip.compress(gray.tobytes(), 6, mtime=0), **values}
    axis = int(np.argmax(volume.spacing))
    parts = []
    for plane in np.moveaxis(gray, axis, 0):
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(plane)).save(stream, "JPEG", quality=QUALITY)
        parts.append(stream.getvalue())
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return {"codec": "jpeg", "image": b"".join(parts), "ends": ends, "across": axis, **values}
