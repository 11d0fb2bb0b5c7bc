"""Label maps out and in again: one call for every format, by the extension of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from .bones import LAST, LabelTable, sidecar
from .errors import InputError
from .files import check_writable, refuse_blocked
from .intake.issues import check_accept
from .labelfile import SUFFIXES, has_sidecar, read_image, suffix_of, write_image
from .measure import describe_grid, refuse_other_grid
from .strokes import read_strokes
from .volume import Volume

OFF_GRID = 0.01  # share of a voxel by which grids may be apart and still coincide


def write_labels(
    labels: Volume,
    path: Path | str,
    table: LabelTable | None = None,
    *,
    scan: Volume | None = None,
    dicom_type: Literal["BINARY", "LABELMAP"] = "BINARY",
    overwrite: bool = False,
) -> Path:
    """Write a label map (or mask) in the format that the extension names, read it back and compare.

    ``.nii``, ``.nii.gz``, ``.nrrd`` and ``.mha`` get a sidecar ``.json`` with names, sides and colors;
    ``.seg.nrrd`` (3D Slicer) and ``.dcm`` (DICOM-SEG) hold them inside. Only DICOM-SEG carries the
    patient's identity, as its standard demands, and warns of it.

    Parameters
    ----------
    labels
        Whole numbers, (P, M, N), 0 = background, with their geometry.
    path
        Where it goes.
    table
        What the numbers mean; unnamed ones become ``label N``.
    scan
        The scan that was segmented: its grid must be the same. DICOM-SEG needs it, read from DICOM.
    dicom_type
        ``"BINARY"`` is read by 3D Slicer and most other programs; ``"LABELMAP"`` (in the standard since
        2024) is much smaller, and few programs read it yet.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        Empty mask, other grid than the scan's, a fault of the scan that was not accepted, unknown
        extension, or a file that cannot be written.
    """
    path, suffix = Path(path), suffix_of(path)
    if not suffix:
        raise InputError(f"{path.name}: unknown kind of label map; known are {', '.join(SUFFIXES)}, .dcm, and .json of strokes")
    values = _labels_of(labels, scan)
    beside = has_sidecar(path)
    if values[-1] > LAST and not beside:
        raise InputError(
            f"{labels.name}: {values[-1]} means 'everything else' in strokes; {suffix} holds finished labels only"
        )
    named = (table or LabelTable()).filled(v for v in values if v <= LAST)
    check_writable(path.parent, [path.name, *([sidecar(path).name] if beside else [])], overwrite)
    if suffix == ".dcm":
        from .dicomseg import write_dicom_seg

        return write_dicom_seg(labels, path, named, scan, dicom_type, overwrite)
    return write_image(labels, path, named, overwrite)


def read_labels(
    path: Path | str, like: Volume | None = None, accept: tuple[str, ...] = ()
) -> tuple[Volume, LabelTable]:
    """Read a label map and what its numbers mean.

    Parameters
    ----------
    path
        A ``.nii``, ``.nii.gz``, ``.nrrd``, ``.seg.nrrd``, ``.mha`` or DICOM-SEG (``.dcm``) file, or strokes that
        were painted in a notebook (``.json``).
    like
        A scan onto whose grid the labels are put: 3D Slicer saves only the box around the segments.
    accept
        Doubts that are accepted by name: ``("geometry",)`` for a file that does not say where it lies.

    Returns
    -------
    tuple of Volume and LabelTable
        Labels as uint8, and the names found in the file or beside it (an empty table if none).

    Raises
    ------
    InputError
        If it is no label map, segments overlap, or the grid does not fit ``like``.
    """
    path, suffix, accept = Path(path), suffix_of(path), check_accept(accept)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a label map file")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if suffix == ".dcm":
        from .dicomseg import read_dicom_seg

        labels, table = read_dicom_seg(path)
    elif path.suffix.lower() == ".json":
        strokes = read_strokes(path, like)
        labels, table = strokes.volume(), strokes.table
    elif suffix:
        labels, table = read_image(path, accept)
    else:
        raise InputError(f"{path.name}: unknown kind of label map; known are {', '.join(SUFFIXES)}, .dcm, and .json of strokes")
    return (labels if like is None else onto_grid(labels, like)), table


def onto_grid(labels: Volume, scan: Volume) -> Volume:
    """Put labels whose voxels coincide with a scan's onto its whole grid: turned, flipped, cropped; never interpolated.

    3D Slicer saves the box around the segments alone, and many programs store the axes in an order
    of their own.
    """
    if labels.same_grid(scan):  # also where one plane alone leaves the spacing across it open
        return scan.with_array(labels.array, name=labels.name, files=labels.files)
    turn = np.linalg.solve(scan.affine[:3, :3], labels.affine[:3, :3])  # from index steps to index steps
    turned = np.rint(turn)
    coincide = np.abs(turn - turned).max() * max(labels.shape) < OFF_GRID and _is_turn(turned)
    ends = scan.index(labels.points([[0, 0, 0], np.subtract(labels.shape, 1)]))
    if not coincide or np.abs(ends - np.rint(ends)).max() > OFF_GRID:
        raise InputError(
            f"{labels.name} does not lie on the grid of {scan.name}: {describe_grid(labels)} and {describe_grid(scan)}"
        )
    array = labels.array.transpose(np.abs(turned).argmax(axis=1))
    array = np.flip(array, [axis for axis in range(3) if turned[axis].sum() < 0])
    start = np.rint(ends.min(axis=0)).astype(int)
    low, high = np.maximum(start, 0), np.minimum(start + array.shape, scan.shape)
    full = np.zeros(scan.shape, array.dtype)
    if (low < high).all():
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        full[inside] = array[tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))]
    lost = np.count_nonzero(array) - np.count_nonzero(full)
    if lost:
        raise InputError(f"{labels.name}: {lost} of its voxels lie outside {scan.name}")
    return scan.with_array(full, name=labels.name, files=labels.files)


def _is_turn(matrix: np.ndarray) -> bool:
    """Whether a matrix of whole numbers only swaps and flips axes."""
    return bool((np.abs(matrix).sum(axis=0) == 1).all() and (np.abs(matrix).sum(axis=1) == 1).all())


def _labels_of(labels: Volume, scan: Volume | None) -> list[int]:
    """The labels that occur; refuses what must not be written."""
    refuse_blocked(labels)
    if scan is not None:
        refuse_blocked(scan)
        refuse_other_grid(labels, scan)
    array = labels.array
    if array.dtype.kind not in "biu" or array.min() < 0 or array.max() > LAST + 1:
        raise InputError(
            f"{labels.name}: values from {array.min()} to {array.max()}; expected whole numbers from 0 to {LAST}"
        )
    values = [int(v) for v in np.unique(array) if v != 0]
    if not values:
        raise InputError(f"{labels.name}: the mask is empty; nothing to export")
    return values
