"""What a scan gives to the cohort's report: small pictures with outlines, and models of few triangles."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from ..bones import LabelTable
from ..errors import InputError
from ..mesh import Mesh
from ..packed import pack
from ..picture import FONT_SIZE, slice_picture
from ..recipe import Result
from ..surface import surface
from ..views import view_of

PART = "report-part.json"
TRIANGLES = 6000  # of all bones of a scan together
CELLS_ACROSS = 26  # of the grid on which the model of a bone is traced
LONGEST_EDGE = 5.0  # mm, of that grid
THUMB, PICTURE = 112, 300  # pixels of the longer side
QUALITY = 80


def part_of(result: Result, table: LabelTable) -> dict[str, Any]:
    """Give pictures and models of a result as plain data, about 100 kB."""
    volume, labels = result.volume, result.labels
    native = slice_picture(volume, labels, table=table)
    pictures = [_jpeg(native, PICTURE)]
    for plane in ("axial", "coronal", "sagittal"):
        try:
            if plane != view_of(volume).name:
                pictures.append(_jpeg(slice_picture(volume, labels, plane=plane, table=table), PICTURE))
        except InputError:
            continue  # proportions that make no picture
    colors = {str(number): label.color for number, label in table.items()}
    return {"thumb": _jpeg(_bare(native), THUMB), "colors": colors, "pictures": pictures, **_models(result, table)}


def _models(result: Result, table: LabelTable) -> dict[str, Any]:
    """Models of all bones, packed; a bone that gives none is left out."""
    meshes = []
    for number, label in table.items():
        try:
            meshes.append((label.title, _coarse(result, number, TRIANGLES // len(table)), label.rgb))
        except InputError:
            continue  # the table says so
    if not meshes:
        return {"meshes": [], "bounds": [], "data": ""}
    packed = pack(meshes)
    return packed | {"data": base64.b64encode(packed["data"]).decode()}


def _coarse(result: Result, number: int, triangles: int) -> Mesh:
    """The surface of a bone on a coarse grid, with few triangles: to look at, not to measure."""
    import fast_simplification

    settings = dict(result.recipe.surface)
    size = np.count_nonzero(result.labels.array == number) * float(np.prod(result.labels.spacing))
    edge = min(LONGEST_EDGE, max(settings["edge"], min(result.labels.spacing), size ** (1 / 3) / CELLS_ACROSS))
    mesh = surface(result.labels, number, **{**settings, "edge": round(edge, 2), "reduction": 0.0})
    share = 1 - triangles / max(1, len(mesh.faces))
    if share <= 0:
        return mesh
    return Mesh(*fast_simplification.simplify(mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32), share))


def _bare(picture: Image.Image) -> Image.Image:
    """The picture without the line above and the names below, which no thumbnail can show."""
    line = FONT_SIZE + 7
    return picture.crop((0, line, picture.width, max(line + 1, picture.height - line)))


def _jpeg(picture: Image.Image, longest: int) -> str:
    """A picture as base64 text, not larger than wanted."""
    small = picture.copy()
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
