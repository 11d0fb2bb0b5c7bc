"""From a mask to a closed surface in scanner millimeters, without the stairs of thick slices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .bones import Label, LabelTable
from .errors import InputError
from .files import MAX_NAME, check_writable, refuse_blocked, safe_name, safe_path
from .mesh import Mesh, decimate
from .meshfile import write_mesh
from .step import Param, Range, Spacing, parameters_of
from .trace import trace
from .volume import Volume

CELLS_ACROSS = 60  # of the automatic grid: the cube root of the bone's volume has as many cells
FEWEST_CELLS = 6


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
    across = int(np.argmax(volume.spacing))  # the axis across the slices, whatever way the file stores them
    order = [across, *(axis for axis in range(3) if axis != across)]
    spacing = tuple(volume.spacing[axis] for axis in order)
    cell = _cell(edge, np.count_nonzero(mask) * float(np.prod(spacing)), spacing)
    traced = trace(mask.transpose(order), spacing, cell, smoothing)
    index = np.empty(traced.vertices.shape)
    index[:, order] = traced.vertices / spacing
    mesh = Mesh(volume.points(index), traced.faces)
    if mesh.volume < 0:  # the array's axes are left-handed in space
        mesh = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    return decimate(mesh, reduction)


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
    wanted = {value: _bids_words(label) for value, label in table.items()}
    endings: dict[int, str] = {}
    taken: set[str] = set()
    for value, words in wanted.items():
        twice = [w.lower() for w in wanted.values()].count(words.lower()) > 1  # some disks ignore case
        name = f"{words}{value}" if twice else words
        while name.lower() in taken:
            name += "x"
        taken.add(name.lower())
        endings[value] = f"_{name}_mesh"
    room = MAX_NAME - len(".stl") - max(map(len, endings.values()), default=0)
    stem = safe_name(re.sub(r"_(dseg|mask)$", "", stem), room)
    return {value: stem + ending for value, ending in endings.items()}


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


def _cell(edge: float, volume: float, spacing: Spacing) -> float:
    """Size of the cells: as asked, or by the size of the bone, so that a wrist bone gets finer ones than a pelvis.

    Never so coarse that a part of a few voxels would slip through.
    """
    size = volume ** (1 / 3)
    return min(edge or max(size / CELLS_ACROSS, min(spacing)), size / FEWEST_CELLS)
