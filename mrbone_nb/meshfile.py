"""Mesh files: STL, PLY, OBJ in mm (LPS), GLB in meters; written whole, read back and compared; and read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .errors import InputError
from .files import write_atomic
from .mesh import Mesh

SPACE = "SPACE=LPS UNIT=mm"  # 3D Slicer reads SPACE from the header of STL, the comments of PLY and OBJ
TOLERANCE_MM = 1e-3
SIZES_MM = (3, 2000)
# glTF: meters, Y up, the front faces +Z, so left is +X. From LPS: x stays, z becomes y, -y becomes z.
TO_GLTF = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) / 1000


def write_mesh(
    mesh: Mesh,
    path: Path | str,
    *,
    name: str = "bone",
    color: tuple[float, float, float] = (0.9, 0.85, 0.75),
    note: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a mesh to a file whose extension says the format: .stl (binary), .ply (binary), .obj or .glb.

    STL, PLY and OBJ are in mm and say ``SPACE=LPS UNIT=mm``; GLB is in meters with Y up, as its
    standard asks. The file is read back by another program's reader and compared before it takes its
    place.

    Parameters
    ----------
    mesh
        The surface.
    path
        Where it goes.
    name
        What it shows: the name of the object in OBJ and GLB.
    color
        Three numbers from 0 to 1, for PLY and GLB.
    note
        Said in the file besides, for instance ``"accepted: gap"``; STL has room for 48 characters.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The path.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"{path.name}: unknown kind of mesh file; known are {', '.join(WRITERS)}")
    if not len(mesh.faces):
        raise InputError(f"{path.name}: the mesh has no triangles; nothing to export")
    if not np.isfinite(mesh.vertices).all():
        raise InputError(f"{path.name}: some vertices are NaN or infinite")
    data = WRITERS[suffix](mesh, _one_line(name), color, _one_line(note))
    return write_atomic(path, lambda part: _write(part, data), lambda part: _compare(part, mesh), overwrite)


def write_values(
    mesh: Mesh,
    path: Path | str,
    values: np.ndarray,
    *,
    limit: float = 2.0,
    name: str = "distance_mm",
    overwrite: bool = False,
) -> Path:
    """Write a mesh with a number at each vertex to a .ply file, as a property and as colors.

    Parameters
    ----------
    mesh
        The surface.
    path
        Where it goes.
    values
        (V,), a number for each vertex; NaN is drawn in gray.
    limit
        Where the colors end: blue at -limit, white at 0, red at +limit.
    name
        What the numbers are called in the file.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The path.
    """
    path = Path(path)
    if path.suffix.lower() != ".ply":
        raise InputError(f"{path.name}: values at the vertices are written to .ply; give such a name")
    values = np.asarray(values, np.float32)
    if values.shape != (len(mesh.vertices),):
        raise InputError(f"values of shape {values.shape}: expected one for each of {len(mesh.vertices)} vertices")
    colors, note = _blue_to_red(values, limit), f"{name} blue -{limit:g} white 0 red {limit:g}"
    data = _ply(mesh, name, colors, note, {name: values})
    return write_atomic(path, lambda part: _write(part, data), lambda part: _compare(part, mesh), overwrite)


def _blue_to_red(values: np.ndarray, limit: float) -> np.ndarray:
    """Colors, (V, 3) from 0 to 1: blue below zero, white at zero, red above, gray where there is no number."""
    part = np.clip(values / limit, -1, 1)[:, None]
    colors = np.where(part < 0, 1 + part * [1.0, 0.7, 0.1], 1 - part * [0.1, 0.8, 1.0])
    return np.where(np.isfinite(part), colors, 0.5)


def read_mesh(path: Path | str) -> Mesh:
    """Read a surface from an .stl, .ply, .obj or .glb file, in mm, LPS.

    What 3D Slicer and this package write says in which space it is; other files are taken as LPS. Corners at the
    same place, as STL holds them, become one vertex.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Mesh
        In mm, LPS.

    Raises
    ------
    InputError
        No such file, no mesh in it, or a size that no bone has (a file in meters, for instance).
    """
    import trimesh

    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"{path.name}: unknown kind of mesh file; known are {', '.join(WRITERS)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        read = trimesh.load(path, force="mesh", process=False)
        read.merge_vertices(merge_norm=True, merge_tex=True)
        vertices, faces = np.asarray(read.vertices, float), np.asarray(read.faces)
    except Exception as error:  # trimesh has no error of its own
        raise InputError(f"{path.name}: cannot be read as a mesh ({type(error).__name__})") from None
    faces = faces[np.all(faces != np.roll(faces, 1, axis=1), axis=1)] if faces.ndim == 2 else faces
    if not len(faces) or not np.isfinite(vertices).all():
        raise InputError(f"{path.name}: there is no triangle in it, or a place that is no number")
    if path.suffix.lower() == ".glb":
        vertices = vertices @ np.linalg.inv(TO_GLTF).T
    elif b"SPACE=RAS" in path.read_bytes()[:2000]:
        vertices = vertices * [-1, -1, 1]
    size = float(np.ptp(vertices, axis=0).max())
    if not SIZES_MM[0] <= size <= SIZES_MM[1]:
        raise InputError(f"{path.name}: {size:g} across; expected {SIZES_MM[0]} to {SIZES_MM[1]} mm: save it in mm")
    return Mesh(vertices, faces)


def _stl(mesh: Mesh, name: str, color: tuple[float, float, float], note: str) -> bytes:
    header = f"mrbone_nb {SPACE} {note}".encode("ascii", "replace")[:80].ljust(80)
    corners = mesh.vertices.astype(np.float32)[mesh.faces]
    record = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = corners
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    record["normal"] = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return header + struct.pack("<I", len(record)) + record.tobytes()


def _ply(
    mesh: Mesh,
    name: str,
    color: tuple[float, float, float] | np.ndarray,
    note: str,
    values: Mapping[str, np.ndarray] = {},
) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"comment mrbone_nb {SPACE}"]
    lines += [f"comment {_ascii(note)}"] if note else []
    lines += [f"element vertex {len(mesh.vertices)}", *(f"property float {axis}" for axis in "xyz")]
    lines += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    lines += [f"property float {_ascii(title)}" for title in values]
    lines += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices", "end_header", ""]
    columns = [("xyz", "<f4", 3), ("rgb", "u1", 3), *((title, "<f4") for title in values)]
    vertices = np.zeros(len(mesh.vertices), columns)
    vertices["xyz"] = mesh.vertices
    vertices["rgb"] = np.rint(np.clip(color, 0, 1) * np.array(255))
    for title, numbers in values.items():
        vertices[title] = numbers
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    return "\n".join(lines).encode("ascii") + vertices.tobytes() + faces.tobytes()


def _obj(mesh: Mesh, name: str, color: tuple[float, float, float], note: str) -> bytes:
    lines = [f"# mrbone_nb {SPACE}", *([f"# {_ascii(note)}"] if note else []), f"o {_ascii(name).replace(' ', '_')}"]
    lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode("ascii")


def _glb(mesh: Mesh, name: str, color: tuple[float, float, float], note: str) -> bytes:
    vertices = (mesh.vertices @ TO_GLTF.T).astype("<f4")
    normals = (mesh.normals() @ (1000 * TO_GLTF.T)).astype("<f4")
    blobs = [mesh.faces.astype("<u4").ravel(), vertices, normals]
    starts = np.cumsum([0, *(b.nbytes for b in blobs)]).tolist()
    light = [float(c) for c in np.clip(color, 0, 1) ** 2.2]  # glTF takes colors as light, not as on screen
    surface = {"baseColorFactor": [*light, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.7}
    extras = {"axes": "x left, y up (head), z front", "note": note}
    bounds = {"min": vertices.min(axis=0).tolist(), "max": vertices.max(axis=0).tolist()}
    points = {"componentType": 5126, "count": len(vertices), "type": "VEC3"}
    primitive = {"indices": 0, "attributes": {"POSITION": 1, "NORMAL": 2}, "material": 0}
    scene = {
        "asset": {"version": "2.0", "generator": "mrbone_nb", "extras": extras},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [primitive]}],
        "materials": [{"name": name, "pbrMetallicRoughness": surface}],
        "buffers": [{"byteLength": starts[-1]}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": blob.nbytes, "target": target}
            for start, blob, target in zip(starts, blobs, (34963, 34962, 34962), strict=False)
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5125, "count": blobs[0].size, "type": "SCALAR"},
            {"bufferView": 1, **points, **bounds},
            {"bufferView": 2, **points},
        ],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(b.tobytes() for b in blobs)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


WRITERS: dict[str, Callable[..., bytes]] = {".stl": _stl, ".ply": _ply, ".obj": _obj, ".glb": _glb}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _compare(path: Path, mesh: Mesh) -> None:
    """Read a mesh file with trimesh and compare every corner of every triangle."""
    import trimesh

    try:
        read = trimesh.load(path, force="mesh", process=False)
        corners = np.asarray(read.vertices, float)[np.asarray(read.faces)]
    except Exception as error:  # trimesh has no error of its own
        raise InputError(f"read back, it is not a mesh ({type(error).__name__})") from None
    if path.suffix.lower() == ".glb":
        corners = corners @ np.linalg.inv(TO_GLTF).T
    wanted = mesh.vertices[mesh.faces]
    if corners.shape != wanted.shape or np.abs(corners - wanted).max() > TOLERANCE_MM:
        raise InputError("read back, it is not the mesh that was written")


def _one_line(text: str) -> str:
    return " ".join(str(text).split())[:200]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
