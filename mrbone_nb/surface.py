"""From a mask to a closed surface in scanner millimeters, without the stairs of thick slices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .bones import Label, LabelTable
from .errors import InputError
from .files import check_writable, refuse_blocked, safe_name, safe_path
from .mesh import Mesh, decimate
from .meshfile import write_mesh
from .slices import resample, slice_distances, smooth, straighten
from .step import Param, Range, Spacing, parameters_of
from .volume import Volume

CELLS_ACROSS = 60  # of the automatic grid: the cube root of the bone's volume has as many cells


def surface(
    volume: Volume,
    label: int | None = None,
    *,
    smoothing: Annotated[float, Range(0, 5, 0.1, "mm")] = 0.7,
    edge: Annotated[float, Range(0, 5, 0.1, "mm")] = 0.0,
    reduction: Annotated[float, Range(0, 0.99, 0.01)] = 0.0,
) -> Mesh:
    """Trace the closed surface of a mask, or of one label, in scanner millimeters.

    Between thick slices the outline is interpolated by its shape (the signed distance in each slice),
    so that no stairs appear; smoothing does not shrink, and the volume is that of the mask. What is
    thinner than a slice and runs slantwise through them may break into parts.

    Parameters
    ----------
    volume
        A mask or a label map, (P, M, N), with its geometry.
    label
        The label to trace; may be left out where there is only one.
    smoothing
        Bumps narrower than about twice this are evened out.
    edge
        Size of the cells on which the surface is traced, about the length of a triangle's edge; 0
        chooses it by the size of the bone, no finer than the pixels.
    reduction
        Share of the triangles taken away afterwards, where the surface is flattest.

    Returns
    -------
    Mesh
        Vertices in mm (LPS), faces counterclockwise seen from outside.

    Raises
    ------
    InputError
        For an empty mask ("nothing to export").

    Notes
    -----
    Works on the box around the label. Where the mask touches the border of the scan, the surface is
    closed by a flat cut along the outer face of the last voxels.

    References
    ----------
    Raya SP, Udupa JK (1990). Shape-based interpolation of multidimensional objects. doi:10.1109/42.52980
    Herman GT, Zheng J, Bucholtz CA (1992). Shape-based interpolation. doi:10.1109/38.135915
    Lewiner T, Lopes H, Vieira AW, Tavares G (2003). Efficient implementation of marching cubes' cases
    with topological guarantees. doi:10.1080/10867651.2003.10487582
    """
    given = {"smoothing": smoothing, "edge": edge, "reduction": reduction}
    smoothing, edge, reduction = (SURFACE_PARAMS[name].check(value) for name, value in given.items())
    mask = _mask_of(volume, label)
    axis = int(np.argmax(volume.spacing))  # across the slices, whatever way the file stores them
    mask = np.moveaxis(mask, axis, 0)
    spacing = tuple(np.roll(volume.spacing, 0)[[axis, *(a for a in range(3) if a != axis)]])
    target = float(mask.sum() * np.prod(spacing))
    cell = edge or _automatic_cell(target, spacing)
    places, faces = _trace_box(mask, spacing, cell, smoothing, target)
    index = np.moveaxis(places / spacing, 1, 0)
    index = np.insert(index[1:], axis, index[0], axis=0).T
    vertices = volume.points(index)
    mesh = Mesh(vertices, faces)
    if mesh.volume < 0:  # the axes of the array are left-handed in space
        mesh = Mesh(vertices, faces[:, ::-1])
    return decimate(_match_volume(mesh, target, cell / 2), reduction)


SURFACE_PARAMS: dict[str, Param] = parameters_of(surface, skip=("volume", "label"))


def write_meshes(
    labels: Volume,
    folder: Path | str,
    table: LabelTable | None = None,
    *,
    stem: str | None = None,
    formats: tuple[str, ...] = ("stl",),
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Trace every label of a label map and write one file a label and format.

    Names follow BIDS: ``SCAN_hemi-R_label-femur_mesh.stl``.

    Parameters
    ----------
    labels
        Label map or mask, (P, M, N), with its geometry.
    folder
        Where the files go; it must exist.
    table
        What the numbers mean; unnamed ones become ``label N``.
    stem
        Beginning of the file names; the name of ``labels`` if left out.
    formats
        Any of ``"stl"``, ``"ply"``, ``"obj"``, ``"glb"``.
    settings
        Parameters of `surface`, as a recipe holds them.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    refuse_blocked(labels)
    values = [int(v) for v in np.unique(labels.array) if v != 0]
    if not values:
        raise InputError(f"{labels.name}: the mask is empty; nothing to export")
    named = (table or LabelTable()).filled(values)
    names = mesh_names(named, stem or labels.name)
    files = {(v, f): f"{names[v]}.{f.lstrip('.')}" for v in values for f in formats}
    check_writable(folder, files.values(), overwrite)
    note = f"accepted: {', '.join(labels.accepted)}" if labels.accepted else ""
    written = []
    for value in values:
        mesh = surface(labels, value, **(settings or {}))
        for suffix in formats:
            label, path = named[value], safe_path(folder, files[value, suffix])
            write_mesh(mesh, path, name=label.title, color=label.rgb, note=note, overwrite=overwrite)
            written.append(path)
    return written


def mesh_names(table: LabelTable, stem: str) -> dict[int, str]:
    """Give each label a file name without extension: ``SCAN_hemi-R_label-femur_mesh``, no two alike."""
    stem = safe_name(re.sub(r"_(dseg|mask)$", "", stem), 32)
    wanted = {value: _bids_words(label) for value, label in table.items()}
    names = {}
    for value, words in wanted.items():
        twice = [w.lower() for w in wanted.values()].count(words.lower()) > 1  # some disks ignore case
        names[value] = f"{stem}_{words}{value if twice else ''}_mesh"
    return names


def _bids_words(label: Label) -> str:
    """Name a label as BIDS does: the side as hemi-L or hemi-R, the name in camel case, letters and digits alone."""
    words = re.findall(r"[A-Za-z0-9]+", safe_name(label.name, 30)) or ["unnamed"]
    camel = words[0] + "".join(w[:1].upper() + w[1:] for w in words[1:])
    return (f"hemi-{label.side[0].upper()}_" if label.side else "") + f"label-{camel}"


def _mask_of(volume: Volume, label: int | None) -> np.ndarray:
    """The voxels of the label; without one, all that is not 0, if that is a single label."""
    array = volume.array
    if label is None:
        values = [int(v) for v in np.unique(array) if v != 0]
        if len(values) > 1:
            raise InputError(f"labels {', '.join(map(str, values[:12]))}: say which one, as in label={values[0]}")
        mask, what = array != 0, "the mask is empty"
    else:
        mask, what = array == label, f"label {label} has no voxel"
    if not mask.any():
        raise InputError(f"{volume.name}: {what}; nothing to export")
    return mask


def _automatic_cell(volume: float, spacing: Spacing) -> float:
    """Choose cells by the size of the bone, so that a wrist bone gets finer ones than a pelvis."""
    return max(volume ** (1 / 3) / CELLS_ACROSS, min(spacing))


def _trace_box(
    mask: np.ndarray, spacing: Spacing, cell: float, smoothing: float, target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Trace the surface in the box around the mask: places in mm along the axes of the array, faces."""
    margin = 3 * smoothing + 3 * cell
    part, start, cut = _padded_box(mask, spacing, margin)
    field = resample(slice_distances(part, spacing), spacing, cell)
    field = smooth(straighten(field, cell, margin), smoothing, cell)
    faces_of_scan = [
        (spacing[a] * (-0.5 - start[a]), spacing[a] * (mask.shape[a] - 0.5 - start[a])) if cut[a].any() else None
        for a in range(3)
    ]
    outside = _outside_scan(field.shape, cell, faces_of_scan)
    field = _level_for(field, outside, target, cell)
    places, faces = _trace(field, cell)
    return places * cell + np.array(start) * spacing, faces


def _padded_box(mask: np.ndarray, spacing: Spacing, margin: float) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Cut out the mask with a margin; where it touches the scan's border it goes on unchanged in the margin.

    Gives the box, the index of its first voxel in the scan, and which of the six sides touch, (3, 2).
    """
    start, cut, widths, box = [], [], [], []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        pad = int(np.ceil(margin / spacing[axis])) + 1
        box.append(slice(used[0], used[-1] + 1))
        widths.append((pad, pad))
        start.append(int(used[0]) - pad)
        cut.append((used[0] == 0, used[-1] == mask.shape[axis] - 1))
    part = mask[tuple(box)]
    for axis, sides in enumerate(cut):
        for side, touches in enumerate(sides):
            width = [(0, 0)] * 3
            width[axis] = (widths[axis][0], 0) if side == 0 else (0, widths[axis][1])
            part = np.pad(part, width, mode="edge" if touches else "constant")
    return part, start, np.array(cut)


def _outside_scan(shape: tuple[int, ...], cell: float, sides: list[tuple[float, float] | None]) -> np.ndarray | None:
    """Distance in mm to the outer faces of the scan where the mask is cut by them, positive outside."""
    field = None
    for axis, ends in enumerate(sides):
        if ends is None:
            continue
        along = np.arange(shape[axis], dtype=np.float32) * np.float32(cell)
        distance = np.maximum(ends[0] - along, along - ends[1]).astype(np.float32)
        distance = distance.reshape([-1 if a == axis else 1 for a in range(3)])
        field = distance if field is None else np.maximum(field, distance)
    return field


def _level_for(field: np.ndarray, outside: np.ndarray | None, target: float, cell: float) -> np.ndarray:
    """Shift distances by up to two cells so that they enclose the target volume, then cut at the scan's border."""
    level, low, high = 0.0, -2 * cell, 2 * cell
    for _ in range(12):
        moved = field - np.float32(level)
        if outside is not None:
            moved = np.maximum(moved, outside)
        volume = float(np.clip(0.5 - moved / cell, 0, 1).sum(dtype=np.float64)) * cell**3
        if abs(volume - target) < 1e-3 * target:
            break
        low, high = (level, high) if volume < target else (low, level)
        level = (low + high) / 2
    return moved


def _trace(field: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (in cells) and faces where the field crosses 0, falling inward."""
    from skimage.measure import marching_cubes

    # A value of exactly 0 would put several vertices on one grid point: triangles without area.
    flat = np.float32(1e-3 * cell)
    field = np.where(np.abs(field) < flat, np.copysign(flat, field), field)
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent", allow_degenerate=False)
    return vertices.astype(np.float64), faces


def _match_volume(mesh: Mesh, target: float, limit: float) -> Mesh:
    """Move every vertex a little along its normal so that the enclosed volume is the target."""
    for _ in range(2):
        shift = np.clip((target - mesh.volume) / mesh.area, -limit, limit)
        mesh = Mesh(mesh.vertices + shift * mesh.normals(), mesh.faces)
    return mesh
