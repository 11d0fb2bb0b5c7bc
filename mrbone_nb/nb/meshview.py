"""Bone models that turn in a notebook or a page: plain WebGL 2, no 3D library, no network."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from ..bones import Label, LabelTable, default_color
from ..errors import InputError
from ..mesh import Mesh
from ..surface import surface
from ..volume import Volume
from .drawing import png
from .render import picture_of

STEPS = 65535  # vertices are sent as 16-bit steps in their bounding box: 0.003 mm for a bone of 200 mm
SIZES = (100, 4000)  # pixels that a view may be wide or high
Named = tuple[str, Mesh, tuple[float, float, float]]


def view3d(
    what: Volume | Mesh | Mapping[str, Mesh] | Iterable[Mesh],
    *,
    table: LabelTable | None = None,
    settings: Mapping[str, Any] | None = None,
    width: int = 720,
    height: int = 540,
) -> MeshView:
    """Show bones in 3D: drag turns, right drag or Shift moves, the wheel zooms, a double click goes back.

    With the keyboard: arrows turn, + and - zoom, Home goes back. A still picture is stored beside the view
    for where it cannot run.

    Parameters
    ----------
    what
        A label map or mask, whose surfaces are traced; or surfaces, by name or not.
    table
        Names and colors of the labels.
    settings
        How surfaces are traced, as a recipe holds it.
    width, height
        Size of the view in pixels.

    Returns
    -------
    MeshView
        A widget that shows itself.

    Raises
    ------
    InputError
        There is nothing to show.
    """
    for name, value in (("width", width), ("height", height)):
        if not SIZES[0] <= value <= SIZES[1]:
            raise InputError(f"{name}={value}: expected {SIZES[0]} to {SIZES[1]} pixels")
    return MeshView(_named(what, table or LabelTable(), settings or {}), width=int(width), height=int(height))


def _named(what: Any, table: LabelTable, settings: Mapping[str, Any]) -> list[Named]:
    """Surfaces with names and colors."""
    if isinstance(what, Volume):
        numbers = [int(n) for n in np.unique(what.array) if 0 < n < 255]
        found = table.filled(numbers)
        meshes = [(found[n], surface(what, n, **settings)) for n in numbers]
    elif isinstance(what, Mapping):
        known = {label.title: label for label in table.values()}
        labels = (known.get(name, Label(name, color=default_color(k))) for k, name in enumerate(what, 1))
        meshes = list(zip(labels, what.values(), strict=True))
    else:
        several = [what] if isinstance(what, Mesh) else list(what)
        found = table.filled(range(1, len(several) + 1))
        meshes = [(found[k], m) for k, m in enumerate(several, 1)]
    for label, mesh in meshes:
        if not isinstance(mesh, Mesh):
            raise InputError(f"{label.title}: {type(mesh).__name__}; expected a Mesh, as extract_surface makes it")
    meshes = [(label.title, mesh, label.rgb) for label, mesh in meshes if len(mesh.faces)]
    if not meshes:
        raise InputError("nothing to show: there is no bone in it")
    return meshes


class MeshView(anywidget.AnyWidget):
    """Show named surfaces; made by `view3d`."""

    _esm = Path(__file__).parent / "static" / "mesh.js"
    meshes = traitlets.List().tag(sync=True)
    bounds = traitlets.List().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(720).tag(sync=True)
    height = traitlets.Int(540).tag(sync=True)

    def __init__(self, meshes: list[Named], **words: Any) -> None:
        self._named = meshes
        super().__init__(**pack(meshes), **words)

    def show(self, what: Any, *, table: LabelTable | None = None, settings: Mapping[str, Any] | None = None) -> None:
        """Show other surfaces in the same view, turned as it is now; the arguments are those of `view3d`."""
        self._named = _named(what, table or LabelTable(), settings or {})
        with self.hold_sync():  # one message, so that the browser never sees half of it
            for name, value in pack(self._named).items():
                setattr(self, name, value)

    def picture(self) -> Any:
        """The still picture, from in front."""
        return picture_of(self._named, (self.width, self.height))

    def _repr_mimebundle_(self, **words: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**words)
        if bundle:
            bundle[0]["image/png"] = base64.b64encode(png(self.picture())).decode()
            bundle[0]["text/plain"] = "3D view: " + ", ".join(name for name, _, _ in self._named)
        return bundle


def pack(meshes: list[Named]) -> dict[str, Any]:
    """Give surfaces as the front end takes them: quantized, in a common box, packed."""
    ends = np.array([mesh.bounds for _, mesh, _ in meshes])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    high = np.where(high > low, high, low + 1)
    data, about = b"", []
    for name, mesh, rgb in meshes:
        vertices, faces = _in_order_of_use(mesh)
        places = np.round((vertices - low) / (high - low) * STEPS).astype("<u2").tobytes()
        data += places + bytes(-len(places) % 4) + faces.astype("<u4").tobytes()
        color = [round(255 * c) for c in rgb]
        about.append({"name": name, "color": color, "vertices": len(vertices), "triangles": len(faces)})
    return {"meshes": about, "bounds": [low.tolist(), high.tolist()], "data": gzip.compress(data, 9, mtime=0)}


def _in_order_of_use(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Number vertices as the faces come to them: neighbors then lie close together, and gzip gains."""
    used, first = np.unique(mesh.faces.ravel(), return_index=True)
    order = used[np.argsort(first)]
    number = np.empty(len(mesh.vertices), np.int64)
    number[order] = np.arange(len(order))
    return mesh.vertices[order], number[mesh.faces]
