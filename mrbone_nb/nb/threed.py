"""Show bones in 3D: surfaces that turn, a scan as a volume, or a still picture where neither works."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal

import ipywidgets as widgets
import numpy as np
from PIL import Image

from ..bones import LabelTable
from ..errors import InputError
from ..volume import Volume
from . import offline
from .drawing import png
from .meshview import MeshView
from .scene import Meshes, Scene, scene_of
from .volumeview import VolumeView, in_jupyterlab

BACKENDS = ("auto", "itkwidgets", "mesh", "picture")
SIZES = (100, 4000)  # pixels that a view may be wide or high


def view3d(
    what: Volume | Meshes | None = None,
    *,
    labels: Volume | np.ndarray | None = None,
    mesh: Meshes | None = None,
    backend: Literal["auto", "itkwidgets", "mesh", "picture"] = "auto",
    table: LabelTable | None = None,
    settings: Mapping[str, Any] | None = None,
    width: int = 720,
    height: int = 540,
) -> MeshView | VolumeView | StillView:
    """Show bones in 3D: drag turns, right drag or Shift moves, the wheel zooms, a double click goes back.

    With the keyboard: arrows turn, + and - zoom, Home goes back. A still picture is stored beside the view
    for where it cannot run. ``.show(labels=…)`` of what it gives shows others in the same view, as a slider wants.

    Parameters
    ----------
    what
        A scan, to be seen as a volume; or a label map or mask (whole numbers from 0 to 255), whose surfaces
        are traced; or surfaces, by name or not.
    labels
        A label map or mask on the scan's grid.
    mesh
        Surfaces, by name or not; without them, those of the labels.
    backend
        "mesh" shows surfaces that turn; "itkwidgets" the scan as a volume with its labels, in JupyterLab only and
        along the axes of its grid; "picture" a still picture. "auto" shows a scan with itkwidgets where that works
        without a network, and surfaces everywhere else.
    table
        Names and colors of the labels.
    settings
        How surfaces are traced, as a recipe holds it.
    width, height
        Size of the view in pixels.

    Returns
    -------
    MeshView, VolumeView or StillView
        A widget that shows itself. Where itkwidgets does not start, surfaces or a picture stand for it, and a
        line says why.

    Raises
    ------
    InputError
        There is nothing to show, or the labels do not lie on the scan's grid.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend={backend!r}: expected one of {', '.join(BACKENDS)}")
    size = {"width": width, "height": height}
    for name, value in size.items():
        if not SIZES[0] <= value <= SIZES[1]:
            raise InputError(f"{name}={value}: expected {SIZES[0]} to {SIZES[1]} pixels")
    scene = scene_of(what, labels=labels, mesh=mesh, table=table, settings=settings)
    if not scene.surfaces() and (scene.image is None or backend == "mesh"):
        raise InputError("nothing to show: there is no bone in it")
    return _view(scene, backend, {name: int(value) for name, value in size.items()})


def _view(scene: Scene, backend: str, size: dict[str, int]) -> MeshView | VolumeView | StillView:
    """The view for a backend that may not be able to show it."""
    light = MeshView(scene, **size) if scene.surfaces() and backend != "picture" else StillView(scene, **size)
    if backend == "auto":
        backend = "itkwidgets" if scene.image is not None and offline.installed() and in_jupyterlab() else "mesh"
    return VolumeView(scene, light) if backend == "itkwidgets" else light


class StillView(widgets.Image):
    """Show a still picture; made by `view3d`."""

    def __init__(self, scene: Scene, width: int, height: int) -> None:
        self.scene, self._size = scene, (width, height)
        super().__init__(
            value=png(self.picture()), format="png", layout={"max_width": "100%", "align_self": "flex-start"}
        )

    def show(self, what: Any = None, **words: Any) -> None:
        """Show something else in the same place; the arguments are those of `view3d`."""
        self.scene = self.scene.changed(what, **words)
        self.value = png(self.picture(), quick=True)

    def picture(self) -> Image.Image:
        """The picture."""
        return self.scene.picture(self._size)

    def _repr_mimebundle_(self, **words: Any) -> dict[str, Any]:
        bundle = dict(super()._repr_mimebundle_(**words) or {})
        return {**bundle, "image/png": base64.b64encode(self.value).decode(), "text/plain": self.scene.about()}
