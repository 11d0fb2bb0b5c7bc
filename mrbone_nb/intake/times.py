"""Tell images apart that lie at the same place: time points, magnitude and phase, b-values and the like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from . import geometry
from .groups import Group, same_bytes
from .issues import Issue, count, note
from .records import Frame

SAME_PLACE_MM = 5e-3
Splitter = tuple[str, Callable[[Frame], Hashable]]


def split_times(group: Group) -> list[Group]:
    """Give one group for each time point (or type, b-value, …) where several images lie at each place.

    Where no value of the header tells them apart, the first image at each place is kept, and the group says so.
    """
    if group.kind != "stack":
        return [group]
    places = geometry.places(group.frames, SAME_PLACE_MM)
    if max(Counter(places).values()) == 1:
        return [group]
    place_of = dict(zip(map(id, group.frames), places, strict=True))
    parts = _parts(group.frames, place_of)
    if len(set(places)) == 1 and (parts is None or not _side_by_side(parts)):
        group.kind = "one place"
        return [group]
    if parts is None:
        return _with_clash(group, place_of)
    return _as_groups(group, parts, len(set(places)))


def _side_by_side(parts: list[tuple[list[Frame], str]]) -> bool:
    return all(by == "in-plane position" for _, by in parts)


def _as_groups(group: Group, parts: list[tuple[list[Frame], str]], places: int) -> list[Group]:
    out = []
    for k, (members, by) in enumerate(parts):
        part = f"volume {k + 1} of {len(parts)} (by {by})"
        out.append(replace(group, frames=members, bad=list(group.bad), issues=list(group.issues), part=part, clash=[]))
    if parts[0][1] == "order":
        text = (
            f"{len(group.frames)} images at {places} places, told apart by the order of Instance Number (0020,0013) alone; "
            f"split into {len(parts)} volumes. Look whether they are what you expect"
        )
        for new in out:
            new.issues.append(note("split", text))
    _mark_phase(out)
    return out


def _parts(frames: list[Frame], place_of: dict[int, int]) -> list[tuple[list[Frame], str]] | None:
    """Split until no two images share a place; None where no header value does it."""
    for name, key in _splitters(frames):
        classes: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            classes[key(frame)].append(frame)
        if len(classes) < 2 or not _complete(list(classes.values()), place_of):
            continue
        found = _deeper([classes[v] for v in sorted(classes, key=_sortable)], name, place_of)
        if found is not None:
            return found
    return _by_instance(frames, place_of)


def _deeper(classes: list[list[Frame]], name: str, place_of: dict[int, int]) -> list[tuple[list[Frame], str]] | None:
    out: list[tuple[list[Frame], str]] = []
    for members in classes:
        if len({place_of[id(f)] for f in members}) == len(members):
            out.append((members, name))
            continue
        more = _parts(members, place_of)
        if more is None:
            return None
        out += more
    return out


def _sortable(value: object) -> tuple:
    """Order values of mixed kinds, numbers by size."""
    return (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))


def _splitters(frames: list[Frame]) -> list[Splitter]:
    """What may tell two images at one place apart: kind of value, scale, place in the plane, then times and counters."""
    beside = _places_in_plane(frames)
    found: list[Splitter] = [
        ("image type", lambda f: f.image_type),
        ("scale", lambda f: (f.slope, f.intercept)),
        ("in-plane position", lambda f: beside[id(f)]),
    ]
    for name in dict.fromkeys(name for f in frames for name in f.splitters):
        if any(f.splitters.get(name) is not None for f in frames):
            found.append((name, lambda f, name=name: f.splitters.get(name)))
    found.append(("file", lambda f: f.source.name))
    return found


def _places_in_plane(frames: list[Frame]) -> dict[int, tuple[int, ...]]:
    """Number the places side by side, so that two stacks in parallel planes come apart."""
    axes = geometry.mean_axes(frames)
    local = np.array([f.position for f in frames]) @ axes[:, :2]
    columns = []
    for values in local.T:
        order = np.argsort(values, kind="stable")
        number = np.empty(len(values), int)
        number[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > 1.0)])
        columns.append(number.tolist())
    return {id(f): key for f, key in zip(frames, zip(*columns, strict=True), strict=True)}


def _complete(classes: list[list[Frame]], place_of: dict[int, int]) -> bool:
    """Whether all parts cover the same places, except that one may lack some, as when a scan was broken off."""
    covered = [frozenset(place_of[id(f)] for f in members) for members in classes]
    whole, times = Counter(covered).most_common(1)[0]
    whole = max(covered, key=len) if times == 1 else whole
    rest = [c for c in covered if c != whole]
    return not rest or (len(rest) == 1 and rest[0] < whole and len(rest[0]) >= max(3, len(whole) // 2))


def _by_instance(frames: list[Frame], place_of: dict[int, int]) -> list[tuple[list[Frame], str]] | None:
    """The k-th image at each place, by Instance Number, where every place has equally many."""
    at: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        at[place_of[id(frame)]].append(frame)
    times = {len(v) for v in at.values()}
    if len(times) != 1 or times == {1} or any(f.instance is None for f in frames):
        return None
    for members in at.values():
        members.sort(key=lambda f: f.instance)
        if len({f.instance for f in members}) < len(members):
            return None
    return [([members[k] for members in at.values()], "order") for k in range(times.pop())]


def _with_clash(group: Group, place_of: dict[int, int]) -> list[Group]:
    """Keep the first image at each place, and say which others there are."""
    order = sorted(group.frames, key=lambda f: (f.instance if f.instance is not None else np.inf, f.label))
    taken: dict[int, Frame] = {}
    copies, pairs = [], []
    for frame in order:
        first = taken.setdefault(place_of[id(frame)], frame)
        if first is frame:
            continue
        if frame.source.pixels.length == first.source.pixels.length and _same_pixels(first, frame):
            copies.append(frame.label)
        else:
            pairs.append((frame.label, first.label))
            group.clash.append(frame)
    group.frames = list(taken.values())
    if copies:
        shown = f"{copies[0]} and {count(len(copies) - 1, 'other')}" if copies[1:] else copies[0]
        group.issues.append(note("copies", f"{shown}: the same place and the same pixels once more; left out"))
    if pairs:
        group.issues.append(_clash_issue(pairs, len(order)))
    return [group]


def _same_pixels(a: Frame, b: Frame) -> bool:
    p, q = a.source.pixels, b.source.pixels
    plain = not (p.encapsulated or q.encapsulated or p.deflated or q.deflated)
    return plain and not a.faults and not b.faults and p.little == q.little and same_bytes(a, b)


def _clash_issue(pairs: list[tuple[str, str]], total: int) -> Issue:
    shown = ", ".join(f"{a} and {b}" for a, b in pairs[:2]) + (
        f" and {count(len(pairs) - 2, 'more pair')}" if pairs[2:] else ""
    )
    return Issue(
        "duplicates",
        f"{shown}: two different images at one position ({len(pairs)} of {total} files), which no header value tells "
        'apart; not built. Remove the wrong one, or accept "duplicates" to use the one with the lower Instance Number',
        build=True,
    )


def _mark_phase(groups: list[Group]) -> None:
    """Find the phase images among volumes that only their scale tells apart."""
    for group in groups:
        f, p = group.first, group.first.source.pixels
        if "(by scale)" not in group.part or f.component != "magnitude" or f.slope is None or not f.intercept:
            continue
        top = f.intercept + f.slope * (2**p.stored - 1)
        if f.intercept < 0 and abs(top + f.intercept) <= 0.02 * abs(f.intercept):
            for frame in group.frames:
                frame.component = "phase"
