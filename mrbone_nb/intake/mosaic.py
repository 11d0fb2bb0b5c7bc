"""Many slices tiled into one image: Siemens mosaics and UIH grids, taken apart or refused by that name."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .geometry import unit_axes
from .records import Frame
from .tags import get, items, number, numbers, private, text, texts

if TYPE_CHECKING:
    from pydicom import Dataset

    from .files import Opened

MAX_TILES = 4096


def unpack(opened: Opened, frame: Frame) -> list[Frame]:
    """Give the slices of a tiled image as frames of their own; any other image as it is.

    A tiled image whose header does not say how to take it apart comes back with a fault.
    """
    ds = opened.header
    if "VFRAME" in frame.image_type or private(ds, 0x0065, "Image Private Header", 0x51):
        grid = private(ds, 0x0065, "Image Private Header", 0x51)
        places = items(ds, grid) if grid else []
        if places or "VFRAME" in frame.image_type:
            return _uih(ds, frame, places)
    csa = _csa(ds)
    tiles = _tile_count(ds, csa)
    if "MOSAIC" in frame.image_type or tiles > 1:
        return _siemens(frame, tiles, csa)
    if _looks_tiled(ds, frame):
        return _refuse(frame, "a tiled image (mosaic) by its size, but nothing in the header says how it is made up")
    return [frame]


def _refuse(frame: Frame, why: str) -> list[Frame]:
    frame.faults.insert(0, ("mosaic", why))
    return [frame]


def _tiled(frame: Frame, tiles: int) -> tuple[int, int, int] | None:
    """Tiles in a row, and the rows and columns of one; None where the image does not divide so."""
    across = math.ceil(math.sqrt(tiles))
    down = math.ceil(tiles / across)
    for rows_of_tiles in (across, down):
        if frame.columns % across == 0 and frame.rows % rows_of_tiles == 0:
            rows, columns = frame.rows // rows_of_tiles, frame.columns // across
            if max(rows, columns) <= 4 * min(rows, columns):
                return across, rows, columns
    return None


# ---------------------------------------------------------------------------------------------------- Siemens


def _tile_count(ds: Dataset, csa: dict[str, list[str]]) -> int:
    tag = private(ds, 0x0019, "SIEMENS MR HEADER", 0x0A)
    count = number(ds, tag, "US") if tag else None
    if not count and csa.get("NumberOfImagesInMosaic"):
        count = _float(csa["NumberOfImagesInMosaic"][0])
    return int(count) if count and 0 < count <= MAX_TILES else 0


def _siemens(frame: Frame, tiles: int, csa: dict[str, list[str]]) -> list[Frame]:
    """Each tile a slice; the header places the whole tiled image, so its center is the center of the first slice."""
    if tiles < 1:
        return _refuse(frame, "a mosaic whose header does not count its slices (NumberOfImagesInMosaic)")
    layout = _tiled(frame, tiles)
    normal = [_float(v) for v in csa.get("SliceNormalVector", [])[:3]]
    between = frame.between or _float((csa.get("SpacingBetweenSlices") or [""])[0])
    if layout is None:
        return _refuse(
            frame, f"a mosaic of {tiles} slices, which do not fit into {frame.rows} × {frame.columns} pixels"
        )
    if len(normal) != 3 or None in normal or abs(math.hypot(*normal) - 1) > 0.01:
        return _refuse(
            frame, "a mosaic whose header does not say in which direction its slices run (SliceNormalVector)"
        )
    if not between or not 0.01 <= abs(between) <= 500:
        return _refuse(frame, "a mosaic without Spacing Between Slices (0018,0088)")
    if frame.position is None or frame.axes is None or frame.spacing is None:
        return [frame]
    across, rows, columns = layout
    axes = unit_axes(frame.axes)
    if abs(abs(axes[:, 2] @ normal) - 1) > 1e-3:
        return _refuse(frame, "a mosaic whose slices do not run across its plane")
    shift = np.array([(frame.columns - columns) * frame.spacing[1], (frame.rows - rows) * frame.spacing[0]]) / 2
    first = np.array(frame.position) + axes[:, :2] @ shift
    step = np.sign(axes[:, 2] @ normal) * axes[:, 2] * abs(between)
    places = [tuple((first + k * step).tolist()) for k in range(tiles)]
    return _slices(frame, places, across, rows, columns)


def _slices(frame: Frame, places: list[tuple[float, ...]], across: int, rows: int, columns: int) -> list[Frame]:
    return [
        replace(
            frame,
            tile=(k // across * rows, k % across * columns),
            rows=rows,
            columns=columns,
            position=place,
            step=(),
            splitters=dict(frame.splitters),
            faults=list(frame.faults),
        )
        for k, place in enumerate(places)
    ]


def _looks_tiled(ds: Dataset, frame: Frame) -> bool:
    """Whether an echo planar image is several times as large as its acquisition matrix, both ways alike."""
    if "EP" not in texts(ds, 0x00180020) or frame.source.modality != "MR":
        return False
    try:
        matrix = [int(v) for v in numbers(ds, 0x00181310, "US") if v > 0]
    except ValueError:
        return False
    if len(matrix) != 2:
        return False
    times = frame.rows / max(matrix), frame.columns / max(matrix)
    return times[0] == times[1] and times[0] >= 4 and times[0] == int(times[0])


def _float(value: str) -> float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _csa(ds: Dataset) -> dict[str, list[str]]:
    """The texts of a Siemens CSA image header, {} where there is none or it is broken."""
    tag = private(ds, 0x0029, "SIEMENS CSA HEADER", 0x10)
    element = get(ds, tag) if tag else None
    if element is None or not isinstance(element.value, bytes):
        return {}
    try:
        return _parse_csa(element.value)
    except (struct.error, ValueError):
        return {}


def _parse_csa(data: bytes) -> dict[str, list[str]]:
    """Always little endian, whatever the file is."""
    at = 8 if data[:4] == b"SV10" else 0
    (tags,) = struct.unpack_from("<I", data, at)
    at += 8
    first_count, found = None, {}
    for _ in range(min(tags, 2000)):
        name = data[at : at + 64].split(b"\0")[0].decode("latin-1")
        (count,) = struct.unpack_from("<i", data, at + 76)
        at += 84
        first_count = count if first_count is None else first_count
        values = []
        for _ in range(min(max(count, 0), 10_000)):
            lengths = struct.unpack_from("<4i", data, at)
            length = lengths[1] if data[:4] == b"SV10" else lengths[0] - first_count  # the older form has an offset
            at += 16
            if length < 0 or at + length > len(data):
                raise ValueError("cut short")
            value = data[at : at + length].split(b"\0")[0].decode("latin-1").strip()
            values += [value] if value else []
            at += (length + 3) // 4 * 4
        if name in ("NumberOfImagesInMosaic", "SliceNormalVector", "SpacingBetweenSlices"):
            found[name] = values
    return found


# ---------------------------------------------------------------------------------------------------- UIH


def _uih(ds: Dataset, frame: Frame, places: list[Dataset]) -> list[Frame]:
    """Each slice of a UIH grid states its own position."""
    if not places or len(places) > MAX_TILES:
        return _refuse(frame, "a UIH grid (VFRAME) whose header does not list its slices (0065,1051)")
    layout = _tiled(frame, len(places))
    positions = []
    for place in places:
        try:
            positions.append(numbers(place, 0x00200032))
        except ValueError:
            positions.append(())
    if layout is None or any(len(p) != 3 for p in positions):
        return _refuse(frame, f"a UIH grid (VFRAME) of {len(places)} slices, whose places or sizes do not add up")
    frame.faults = [f for f in frame.faults if f[0] != "position"]
    across, rows, columns = layout
    slices = _slices(frame, [tuple(p) for p in positions], across, rows, columns)
    for tile, place in zip(slices, places, strict=True):
        tile.splitters["acquisition time"] = None  # differs from slice to slice within one volume
        if text(place, 0x00200037):
            try:
                axes = numbers(place, 0x00200037)
            except ValueError:
                axes = ()
            tile.axes = axes if len(axes) == 6 else tile.axes
    return slices
