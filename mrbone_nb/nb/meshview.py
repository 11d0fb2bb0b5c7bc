"""Bone models that turn in a notebook or a page: plain WebGL 2, no 3D library, no network."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from ..mesh import Mesh
from .drawing import png
from .scene import Named, Scene

STEPS = 65535  # vertices are sent as 16-bit steps in their bounding box: 0.003 mm for a bone of 200 mm


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


def pack(meshes: list[Named], bounds: list[list[float]] | None = None) -> dict[str, Any]:
    """Give surfaces as the front end takes them: quantized, in a common box, packed. ``bounds`` are for none."""
    if not meshes:
        return {"meshes": [], "bounds": bounds, "data": gzip.compress(b"", mtime=0)}
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
