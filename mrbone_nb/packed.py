"""Surfaces packed small for a browser, as the front end `nb/static/mesh.js` takes them."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np

from .mesh import Mesh

STEPS = 65535  # vertices are sent as 16-bit steps in their bounding box: 0.003 mm for a bone of 200 mm
Named = tuple[str, Mesh, tuple[float, float, float]]


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
