"""Bone models that turn in a notebook or a page: plain WebGL 2, no 3D library, no network."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..packed import pack
from .drawing import png
from .scene import Scene


class MeshView(anywidget.AnyWidget):
    """Show named surfaces; made by `view3d`."""

    _esm = Path(__file__).parent / "static" / "mesh.js"
    meshes = traitlets.List().tag(sync=True)
    bounds = traitlets.List().tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(720).tag(sync=True)
    height = traitlets.Int(540).tag(sync=True)

    def __init__(self, scene: Scene, **words: Any) -> None:
        self.scene = scene
        super().__init__(**pack(scene.surfaces()), **words)

    def show(self, what: Any = None, **words: Any) -> None:
        """Show other surfaces or labels in the same view, turned as it is now; the arguments are those of `view3d`."""
        scene = self.scene.changed(what, **words)
        packed = pack(scene.surfaces(), self.bounds)
        self.scene = scene
        with self.hold_sync():  # one message, so that the browser never sees half of it
            for name, value in packed.items():
                setattr(self, name, value)

    def picture(self) -> Any:
        """The still picture, from in front."""
        return self.scene.picture((self.width, self.height))

    def _repr_mimebundle_(self, **words: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**words)
        if bundle:
            bundle[0]["image/png"] = base64.b64encode(png(self.picture())).decode()
            bundle[0]["text/plain"] = self.scene.about()
        return bundle
