"""Read one volume, chosen by name, or everything there is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..volume import Volume
from .choice import choose, nothing
from .issues import Issue, check_accept
from .loading import load_row
from .rows import Row, rows_of
from .scan import Scan, scanned
from .slices import Slice, SliceSet

if TYPE_CHECKING:
    import SimpleITK as sitk


def read(
    path: str | os.PathLike,
    series: str | int | None = None,
    echo: int | None = None,
    accept: Iterable[str] = (),
) -> Volume | SliceSet:
    """Read one volume with its true geometry.

    Where there is one sensible choice it is taken (never a localizer); else the error lists what there is.
    What is doubtful stands in ``issues``; doubts that block an export are in ``meta["blocking"]`` until they
    are accepted by name.

    Parameters
    ----------
    path
        Folder with DICOM files, one DICOM, NIfTI, NRRD or MetaImage file, or a zip archive.
    series
        Row number of the inventory, its key, or the Series Instance UID.
    echo
        Echo number as in the header, from 1.
    accept
        Names of doubts that are accepted, as in ``("gap",)``; bad files so named are left out.

    Returns
    -------
    Volume or SliceSet
        A `Volume` of shape (P, M, N), float32; a `SliceSet` where the slices make no stack, as in a radial scan.

    Raises
    ------
    InputError
        Where there is nothing to read, several things to choose from, or a fault that has to be accepted first.
    """
    accepted = check_accept(accept)
    with scanned(path) as scan:
        rows = rows_of(scan)
        row = choose(rows, scan, series, echo)
        return load_row(row, scan, accepted)


def read_all(folder: str | os.PathLike) -> list[tuple[sitk.Image | None, list[Issue]]]:
    """Read everything in a folder as SimpleITK images, each with its issues.

    Parameters
    ----------
    folder
        Folder with DICOM files, one file, or a zip archive.

    Returns
    -------
    list of tuple
        (image, issues); the image is None where nothing was built and the issues say why. Issues that begin with
        "note" only inform. Slices that make no stack come one by one.

    Raises
    ------
    InputError
        Where there is no image at all.
    """
    out: list[tuple[Any, list[Issue]]] = []
    with scanned(folder) as scan:
        rows = rows_of(scan)
        if not rows:
            raise InputError(nothing(scan))
        for row in rows:
            out += _images(row, scan)
    return out


def _images(row: Row, scan: Scan) -> list[tuple[Any, list[Issue]]]:
    if not row.readable:
        return [(None, list(row.issues))]
    try:
        found = load_row(row, scan, ())
    except InputError as error:
        told = any(str(error).startswith(i) for i in row.issues)
        return [(None, [*row.issues, *([] if told else [Issue("unreadable", str(error), build=True)])])]
    if isinstance(found, SliceSet):
        return [_slice_image(s, list(found.issues)) for s in found]
    return [(found.to_sitk(), list(found.issues))]


def _slice_image(one: Slice, issues: list[Issue]) -> tuple[Any, list[Issue]]:
    try:
        return one.volume().to_sitk(), issues
    except InputError as error:
        return None, [*issues, Issue("single", str(error), build=True)]
