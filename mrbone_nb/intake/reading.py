"""Read one volume, chosen by name, or everything there is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..volume import Volume
from . import formats, geometry, marrow
from .build import Built, build, load, value_issues
from .geometry import unit_axes
from .groups import Group
from .issues import Issue, check_accept, clean, count, named
from .listing import Row, rows_of, sequence_text, series_key
from .records import Frame
from .scan import Scan, scanned
from .slices import Slice, SliceSet

if TYPE_CHECKING:
    import SimpleITK as sitk

SHOWN = 8  # choices in an error text
PLANE = {"sagittal": "sag", "coronal": "cor", "axial": "ax", "oblique": "obl"}


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
        row = _choose(rows, scan, series, echo)
        return _load(row, scan, accepted)


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
            raise InputError(_nothing(scan))
        for row in rows:
            out += _images(row, scan)
    return out


def _images(row: Row, scan: Scan) -> list[tuple[Any, list[Issue]]]:
    if not row.readable:
        return [(None, list(row.issues))]
    try:
        found = _load(row, scan, ())
    except InputError as error:
        return [(None, [*row.issues, Issue("unreadable", str(error), build=True)])]
    if isinstance(found, SliceSet):
        return [_slice_image(s, list(found.issues)) for s in found]
    return [(found.to_sitk(), list(found.issues))]


def _slice_image(one: Slice, issues: list[Issue]) -> tuple[Any, list[Issue]]:
    try:
        return one.volume().to_sitk(), issues
    except InputError as error:
        return None, [*issues, Issue("single", str(error), build=True)]


# ---------------------------------------------------------------------------------------------------- choosing


def _nothing(scan: Scan) -> str:
    """Why there is no volume here."""
    place = clean(str(scan.archive or scan.place), 300)
    if scan.damaged:
        names = [n for n, _ in scan.damaged]
        reason = scan.damaged[0][1]
        return reason if reason.startswith(names[0]) else f"{named(names, scan.total)}: {reason}; not read. Copy it again"
    if scan.skipped:
        names = [n for n, _ in scan.skipped]
        return (
            f"{place}: no image in {count(scan.total, 'file')}; {named(names, scan.total)}: {scan.skipped[0][1]}; skipped. "
            "Choose a folder with DICOM images, or a NIfTI, NRRD or MHA file"
        )
    return (
        f"{place}: the folder is empty: no DICOM file found in it or in the folders below. Choose the folder that holds "
        "the images"
    )


def _choose(rows: list[Row], scan: Scan, series: str | int | None, echo: int | None) -> Row:
    if not rows:
        raise InputError(_nothing(scan))
    if series is not None and (isinstance(series, int) or (series.isdigit() and len(series) < 8)):
        return _by_number(rows, int(series), echo)
    found = rows
    if series is not None:
        found = [r for r in rows if series in (r.key, r.series, series_key(r.series, 16))]
        if not found:
            raise InputError(f"series={series!r}: not here. {_choices(rows)}")
    if echo is not None:
        found = [r for r in found if r.echo == echo]
        if not found:
            there = sorted({r.echo for r in rows if r.echo is not None})
            raise InputError(f"echo={echo}: expected one of {', '.join(map(str, there)) or 'none (no echo numbers here)'}")
    best = _sensible(found)
    if series is None and all(r.is_localizer for r in best):
        raise InputError(f"only a localizer (scout) is here, which is never taken by itself. {_choices(best)}")
    if len(best) == 1:
        return best[0]
    raise InputError(f"{count(len(best), 'volume')} to choose from. {_choices(best)}")


def _by_number(rows: list[Row], number: int, echo: int | None) -> Row:
    if not 1 <= number <= len(rows):
        raise InputError(f"series={number}: expected a row number from 1 to {len(rows)}. {_choices(rows)}")
    row = rows[number - 1]
    if echo is not None and row.echo != echo:
        raise InputError(f"series={number}, echo={echo}: that row is echo {row.echo}; leave one of the two out")
    return row


def _sensible(rows: list[Row]) -> list[Row]:
    """Leave out, step by step and never everything, what nobody wants by default."""
    for unwanted in (
        lambda r: r.kind in ("unreadable", "one slice over time"),
        lambda r: r.is_localizer,
        lambda r: r.component in ("phase", "field map", "velocity", "real", "imaginary"),
        lambda r: r.kind == "single slice",
    ):
        rest = [r for r in rows if not unwanted(r)]
        rows = rest or rows
    return rows


def _choices(rows: list[Row]) -> str:
    lines = [r.line() for r in rows[:SHOWN]]
    more = f"\n  … and {len(rows) - SHOWN} more: print the inventory" if len(rows) > SHOWN else ""
    echoes = {r.echo for r in rows}
    way = "Give series=ROW"
    if len({r.key for r in rows}) == 1 and len(echoes) == len(rows) and None not in echoes:
        way = "Give echo=NUMBER (or series=ROW)"
    return f"{way}; there are\n  " + "\n  ".join(lines) + more


# ---------------------------------------------------------------------------------------------------- loading


def _load(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume | SliceSet:
    if isinstance(row.source, tuple):
        return _load_file(row, scan, accepted)
    try:
        return _load_group(row, scan, accepted)
    except MemoryError:
        shown = " × ".join(map(str, row.size))
        raise InputError(f"{row.line()}: {shown} voxels do not fit into memory; not read. Close other programs") from None


def _load_group(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume | SliceSet:
    group: Group = row.source
    _refuse(row, row.issues, accepted)
    facts = _facts(row, group, scan, accepted)
    if group.kind in ("radial", "slices"):
        return _slice_set(group, facts)
    built = build(group)
    if built.array is None and "undecodable" in accepted and len(group.frames) > 1:
        built.issues += build_issues_after(group, scan, row)
        again = build(group)
        again.issues = built.issues + again.issues
        built = again
    if built.array is None:
        _refuse(row, built.issues, accepted if group.frames and built.issues[0].name != "undecodable" else ())
        raise InputError(str(built.issues[0]))
    return _volume(row, built, facts)


def build_issues_after(group: Group, scan: Scan, row: Row) -> list[Issue]:
    """The issues that leaving undecodable files out brings with it, as a gap."""
    from .assess import assess

    known = set(row.issues)
    return [i for i in assess(group, scan) if i not in known]


def _refuse(row: Row, issues: Iterable[Issue], accepted: tuple[str, ...]) -> None:
    """Raise what has to be accepted before a volume is built."""
    open_ = [i for i in issues if i.build and (i.name not in accepted or row.kind == "unreadable")]
    if open_:
        more = f" ({count(len(open_) - 1, 'further fault')}: {', '.join(i.name for i in open_[1:])})" if open_[1:] else ""
        raise InputError(str(open_[0]) + more)


def _volume(row: Row, built: Built, facts: dict[str, Any]) -> Volume:
    stack = built.stack
    issues = list(dict.fromkeys([*facts.pop("issues"), *built.issues]))
    meta = facts.pop("meta")
    meta["blocking"] = tuple(dict.fromkeys(i.name for i in issues if i.blocks and i.name not in facts["accepted"]))
    if built.made_up:
        meta["interpolated_planes"] = built.made_up
    direction = tuple(stack.axes.ravel().tolist())
    return Volume(
        built.array,
        built.spacing,
        tuple(float(v) for v in stack.origin),
        direction,
        issues=tuple(issues),
        meta=meta,
        **facts,
    )


def _facts(row: Row, group: Group, scan: Scan, accepted: tuple[str, ...]) -> dict[str, Any]:
    files = (scan.archive,) if scan.archive else tuple(dict.fromkeys(f.source.path for f in group.frames))
    return {
        "name": scan_name(row, group),
        "meta": _meta(row, group),
        "issues": row.issues,
        "files": files,
        "accepted": accepted,
    }


def scan_name(row: Row, group: Group) -> str:
    """Give a short name made of how the image was taken, never of who is in it: "sag-se-s8-echo1"."""
    source = group.first.source
    sequence = "-".join(source.facts["sequence"]) or source.facts["pulse"] or source.modality
    bits = [PLANE.get(row.orientation, row.orientation), sequence]
    bits += [f"s{source.number}"] if source.number is not None else []
    bits += [f"echo{row.echo}"] if row.echo and group.siblings > 1 else []
    bits += ["" if row.component == "magnitude" else row.component, row.part.partition(" of ")[0].replace("volume ", "v")]
    return safe_name("-".join(b for b in bits if b))


def safe_name(text: str) -> str:
    """Give a name of letters, digits and single dashes, at most 80."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:80].strip("-") or "scan"


def _meta(row: Row, group: Group) -> dict[str, Any]:
    """What steps, presets and records may know of the scan: nothing personal."""
    source = group.first.source
    return {
        "modality": row.modality,
        "sequence": row.sequence,
        "echo": row.echo,
        "echo_time_ms": row.echo_time_ms,
        "repetition_time_ms": row.repetition_time_ms,
        "inversion_time_ms": row.inversion_time_ms,
        "flip_angle_deg": row.flip_angle_deg,
        "fat_suppressed": row.fat_suppressed,
        "marrow": row.marrow,
        "marrow_why": row.marrow_why,
        "component": row.component,
        "orientation": row.orientation,
        "side": row.side,
        "series_hash": series_key(source.series, 16) if source.series else "",
        "manufacturer": source.manufacturer,
        "field_strength_t": source.field_strength,
    }


def _slice_set(group: Group, facts: dict[str, Any]) -> SliceSet:
    frames = _by_angle(group.frames) if group.kind == "radial" else group.frames
    slices, issues = [], list(facts.pop("issues"))
    for frame in frames:
        array, failed, odd = load([frame])
        if failed:
            raise InputError(f"{frame.label}: {failed[0]}; not read. Copy the file again, or choose another series")
        issues += [i for i in value_issues(array, odd, 1) if i.name == "nan"]
        axes = unit_axes(frame.axes)
        place = tuple(float(v) for v in frame.position)
        slices.append(Slice(array[0], frame.spacing, place, tuple(axes.ravel().tolist()), frame.thickness or frame.between))
    meta = facts.pop("meta")
    meta["blocking"] = tuple(dict.fromkeys(i.name for i in issues if i.blocks and i.name not in facts["accepted"]))
    axis = geometry.radial_axis(frames) if group.kind == "radial" else None
    point, direction, residual = axis if axis else (None, None, None)
    return SliceSet(
        tuple(slices),
        None if point is None else tuple(point.tolist()),
        None if direction is None else tuple(direction.tolist()),
        residual,
        issues=tuple(dict.fromkeys(issues)),
        meta=meta,
        **facts,
    )


def _by_angle(frames: list[Frame]) -> list[Frame]:
    """Radial planes in the order of their angle, from the first by Instance Number."""
    frames = sorted(frames, key=lambda f: (f.instance if f.instance is not None else np.inf, f.label))
    _, axis, _ = geometry.radial_axis(frames)
    normals = np.array([unit_axes(f.axes)[:, 2] for f in frames])
    turn = np.degrees(np.arctan2(np.cross(normals[0], normals) @ axis, normals @ normals[0])) % 180.0
    turn[turn > 180.0 - 1e-6] = 0.0
    return [frames[k] for k in np.argsort(turn, kind="stable")]


def _load_file(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume:
    described, time = row.source
    entry = described.entry
    base = re.sub(r"(\.nii\.gz|\.nii|\.nrrd|\.mha|\.mhd)$", "", entry.name.rpartition("/")[2], flags=re.I)
    name = safe_name_keep(base) + (f"-time{time + 1}" if row.part else "")
    volume = formats.load(described, name, time)
    odd = int(np.count_nonzero(~np.isfinite(volume.array)))
    issues = [*row.issues, *value_issues(volume.array, odd, volume.shape[0])]
    blocking = tuple(i.name for i in issues if i.blocks and i.name not in accepted)
    meta = {"modality": "", "marrow": "unknown", "marrow_why": row.marrow_why, "echo": None, "blocking": blocking}
    files = (scan.archive or entry.path,)
    return Volume(
        volume.array,
        volume.spacing,
        volume.origin,
        volume.direction,
        name=name,
        meta=meta,
        issues=tuple(issues),
        files=files,
        accepted=accepted,
    )


def safe_name_keep(text: str) -> str:
    """Give the user's own file name as a safe name, letters as they are."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:70].strip("-") or "scan"
