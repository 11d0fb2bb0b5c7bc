"""From a row of the inventory to a `Volume` or `SliceSet`, with its facts, its doubts and what they hold up."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import without_accents
from ..volume import Volume
from . import formats, geometry
from .assess import assess
from .build import Built, Undecodable, build, load, value_issues
from .geometry import unit_axes
from .groups import Group
from .issues import Issue, count
from .records import Frame
from .rows import KINDS, Row, series_key
from .scan import Scan
from .slices import Slice, SliceSet

PLANE = {"sagittal": "sag", "coronal": "cor", "axial": "ax", "oblique": "obl"}


def load_row(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume | SliceSet:
    """Give the volume of a row.

    Raises
    ------
    InputError
        Where a fault has to be accepted first, or the volume does not fit into memory.
    """
    try:
        if isinstance(row.source, tuple):
            return _load_file(row, scan, accepted)
        return _load_group(row, scan, accepted)
    except MemoryError:
        raise InputError(f"{row.line()}: does not fit into memory; not read. Close other programs") from None


def _load_group(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume | SliceSet:
    group: Group = row.source
    while True:  # ends, since every further round has fewer frames
        _refuse(row, accepted)
        try:
            if group.kind in ("radial", "slices"):
                return _slice_set(row, scan, accepted)
            return _volume(row, build(group), scan, accepted)
        except Undecodable as error:
            _leave_out(row, error.frames, scan)


def _refuse(row: Row, accepted: tuple[str, ...]) -> None:
    """Raise what has to be accepted before a volume is built."""
    waiting = row.waiting(accepted)
    if waiting:
        others = ", ".join(i.name for i in waiting[1:])
        more = f" ({count(len(waiting) - 1, 'further fault')}: {others})" if others else ""
        raise InputError(waiting[0] + more)


def _leave_out(row: Row, frames: list[tuple[Frame, str]], scan: Scan) -> None:
    """Make files that could not be decoded faults of their group."""
    group: Group = row.source
    gone = {id(frame) for frame, _ in frames}
    group.bad += [(frame, "undecodable", f"unreadable: {reason}") for frame, reason in frames]
    group.frames = [f for f in group.frames if id(f) not in gone]
    if not group.frames:
        group.kind = "unreadable"
    elif group.kind == "stack" and len(group.frames) == 1:
        group.kind = "single"
    row.kind, row.issues = KINDS[group.kind], tuple(assess(group, scan))


def _volume(row: Row, built: Built, scan: Scan, accepted: tuple[str, ...]) -> Volume:
    facts = _facts(row, [*row.issues, *built.issues], scan, accepted)
    if built.made_up:
        facts["meta"]["interpolated_planes"] = built.made_up
    stack = built.stack
    origin, direction = tuple(stack.origin.tolist()), tuple(stack.axes.ravel().tolist())
    return Volume(built.array, built.spacing, origin, direction, **facts)


def _facts(row: Row, issues: list[Issue], scan: Scan, accepted: tuple[str, ...]) -> dict[str, Any]:
    """What volumes and slice sets have in common."""
    group: Group = row.source
    issues = list(dict.fromkeys(issues))
    waiting = tuple(dict.fromkeys(i.name for i in issues if i.blocks and i.name not in accepted))
    return {
        "name": scan_name(row, group),
        "meta": _meta(row, group) | {"blocking": waiting},
        "issues": tuple(issues),
        "files": (scan.archive,) if scan.archive else tuple(dict.fromkeys(f.source.path for f in group.frames)),
        "accepted": accepted,
    }


def scan_name(row: Row, group: Group) -> str:
    """Give a short name made of how the image was taken, never of who is in it: "sag-se-s8-echo1"."""
    source = group.first.source
    sequence = "-".join(source.facts["sequence"]) or source.facts["pulse"] or source.modality
    bits = [PLANE.get(row.orientation, row.orientation), sequence]
    bits += [f"s{source.number}"] if source.number is not None else []
    bits += [f"echo{row.echo}"] if row.echo and group.siblings > 1 else []
    bits += [
        "" if row.component == "magnitude" else row.component,
        row.part.partition(" of ")[0].replace("volume ", "v"),
    ]
    return safe_name("-".join(b for b in bits if b)).lower() or "scan"


def safe_name(text: str) -> str:
    """Give a name of letters, digits and single dashes, at most 70; "" where nothing is left."""
    return re.sub(r"[^A-Za-z0-9]+", "-", without_accents(text)).strip("-")[:70].strip("-")


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


def _slice_set(row: Row, scan: Scan, accepted: tuple[str, ...]) -> SliceSet:
    group: Group = row.source
    radial = group.kind == "radial" and geometry.radial_axis(group.frames)
    frames = _by_angle(group.frames, radial[1]) if radial else group.frames
    arrays, issues = _arrays(frames)
    slices = [
        Slice(
            arrays[id(f)],
            f.spacing,
            tuple(float(v) for v in f.position),
            tuple(unit_axes(f.axes).ravel().tolist()),
            f.thickness or f.between,
        )
        for f in frames
    ]
    point, direction, residual = radial or (None, None, None)
    return SliceSet(
        tuple(slices),
        None if point is None else tuple(point.tolist()),
        None if direction is None else tuple(direction.tolist()),
        residual,
        **_facts(row, [*row.issues, *issues], scan, accepted),
    )


def _arrays(frames: list[Frame]) -> tuple[dict[int, np.ndarray], list[Issue]]:
    """The values of each frame, by its identity; frames of one size are read together."""
    arrays, issues = {}, []
    for size in dict.fromkeys((f.rows, f.columns) for f in frames):
        alike = [f for f in frames if (f.rows, f.columns) == size]
        values, failed, odd = load(alike)
        if failed:
            raise Undecodable([(alike[k], failed[k]) for k in sorted(failed)])
        arrays |= {id(f): one for f, one in zip(alike, values, strict=True)}
        issues += value_issues(values, odd, len(alike))
    return arrays, issues


def _by_angle(frames: list[Frame], axis: np.ndarray) -> list[Frame]:
    """Radial planes in the order of their angle, from the first by Instance Number."""
    frames = sorted(frames, key=lambda f: (f.instance if f.instance is not None else np.inf, f.label))
    normals = np.array([unit_axes(f.axes)[:, 2] for f in frames])
    turn = np.degrees(np.arctan2(np.cross(normals[0], normals) @ axis, normals @ normals[0])) % 180.0
    turn[turn > 180.0 - 1e-6] = 0.0
    return [frames[k] for k in np.argsort(turn, kind="stable")]


def _load_file(row: Row, scan: Scan, accepted: tuple[str, ...]) -> Volume:
    described, time = row.source
    entry = described.entry
    base = re.sub(r"(\.nii\.gz|\.nii|\.nrrd|\.mha|\.mhd)$", "", entry.name.rpartition("/")[2], flags=re.I)
    name = (safe_name(base) or "scan") + (f"-time{time + 1}" if row.part else "")
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
