"""Sort frames into volumes: one patient, one series, one echo, one kind of value, one grid, one time point."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from . import geometry
from .issues import Issue, named, note
from .records import Frame

SAME_PLACE_MM = 5e-3
ECHO_STEP = 5e-3  # echo times that differ by less than this part are the same
FEW = 0.1  # share of frames up to which odd ones are called faulty rather than a volume of their own


@dataclass(slots=True)
class Group:
    """Frames that belong in one volume, and what is wrong with them."""

    frames: list[Frame]
    bad: list[tuple[Frame, str, str]] = field(default_factory=list)  # frame, name of the fault, what is wrong
    issues: list[Issue] = field(default_factory=list)
    kind: str = "stack"  # "stack", "single", "radial", "slices", "one place", "unreadable"
    echo: int | None = None
    part: str = ""  # "time point 2 of 5", …
    clash: list[Frame] = field(default_factory=list)  # further images at places that are taken
    siblings: int = 1  # volumes in the same series

    @property
    def first(self) -> Frame:
        """Any frame, for what all have in common."""
        return self.frames[0] if self.frames else self.bad[0][0]


def split(frames: list[Frame]) -> list[Group]:
    """Give the volumes that can be made of frames, series by series.

    Parameters
    ----------
    frames
        Every frame of every file, in any order.

    Returns
    -------
    list of Group
        Each with the frames of one volume in the order of their files, and those that had to stay out.
    """
    series: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        s = frame.source
        series[(s.patient, s.study, s.series or s.path, s.modality, s.pixels.frames > 1 and s.sop)].append(frame)
    groups = []
    for members in _join_multiframe(series):
        found = _split_series(members)
        for group in found:
            group.siblings = len(found)
        groups += found
    return groups


def _join_multiframe(series: dict[Hashable, list[Frame]]) -> list[list[Frame]]:
    """Multi-frame files of one series stay apart: each is a volume or several of its own."""
    joined: dict[Hashable, list[list[Frame]]] = defaultdict(list)
    for key, members in series.items():
        joined[key[:4]].append(members)
    out = []
    for parts in joined.values():
        out += [sum(parts, [])] if len(parts) == 1 or _one_stack(parts) else parts
    return out


def _one_stack(parts: list[list[Frame]]) -> bool:
    """Whether several files hold the planes of one stack (as legacy converted ones may)."""
    taken = Counter(f.position for members in parts for f in members)
    return not taken or max(taken.values()) == 1


def _split_series(frames: list[Frame]) -> list[Group]:
    frames, issues = _drop_copies(frames)
    echoes = _echo_clusters(frames)
    buckets: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame, echo in zip(frames, echoes, strict=True):
        buckets[(frame.component, echo, frame.splitters.get("stack"))].append(frame)
    numbers = _echo_numbers(buckets)
    groups = []
    for key, members in buckets.items():
        for group in _split_grids(members):
            group.echo = numbers[key[1]]
            groups += _split_times(group)
    for group in groups:
        group.issues += issues
    return groups


def _drop_copies(frames: list[Frame]) -> tuple[list[Frame], list[Issue]]:
    """Leave out files that hold the same image once more; the same UID on another image is told."""
    seen: dict[Hashable, Frame] = {}
    kept, copies, doubtful = [], [], []
    for frame in frames:
        key = (frame.source.sop, frame.index, frame.tile)
        first = seen.setdefault(key, frame) if frame.source.sop else frame
        if first is frame:
            kept.append(frame)
        elif frame.source is first.source or not _same_image(first, frame):
            kept.append(frame)
            doubtful.append(frame.source.name)
        else:
            copies.append(frame.source.name)
    issues = []
    if copies:
        issues.append(
            note("copies", f"{named(sorted(set(copies)))}: the same image once more (same SOP Instance UID); left out")
        )
    if doubtful:
        issues.append(
            Issue(
                "uid",
                f"{named(sorted(set(doubtful)))}: another image under a SOP Instance UID (0008,0018) that is taken; "
                "both were kept. Export the series again if it looks wrong",
            )
        )
    return kept, issues


def _same_image(a: Frame, b: Frame) -> bool:
    """Whether two files with one UID hold the same image: same place, and same bytes where both are plain."""
    facts = ("position", "axes", "spacing", "rows", "columns", "echo_time", "component", "instance", "slope")
    if any(getattr(a, f) != getattr(b, f) for f in facts):
        return False
    p, q = a.source.pixels, b.source.pixels
    if p.encapsulated or q.encapsulated or p.deflated or q.deflated or p.little != q.little or p.length != q.length:
        return True
    try:
        with open(a.source.path, "rb") as file, open(b.source.path, "rb") as other:
            file.seek(p.offset)
            other.seek(q.offset)
            return file.read(min(p.length, a.source.size)) == other.read(min(q.length, b.source.size))
    except OSError:
        return True


# ---------------------------------------------------------------------------------------------------- echoes


def _echo_clusters(frames: list[Frame]) -> list[float | None]:
    """One echo time for each frame; times that differ by rounding only become the same."""
    times = sorted({f.echo_time for f in frames if f.echo_time is not None})
    start, name = None, {}
    for time in times:
        if start is None or time - start > ECHO_STEP * max(abs(start), 0.01):
            start = time
        name[time] = start
    return [name.get(f.echo_time) for f in frames]


def _echo_numbers(buckets: dict[Hashable, list[Frame]]) -> dict[float | None, int | None]:
    """The echo number of each echo time: as written, where the file tells them apart; else counted by time."""
    written: dict[float | None, set] = defaultdict(set)
    for (_, echo, *_rest), members in buckets.items():
        written[echo] |= {f.echo_number for f in members}
    single = {e: next(iter(n)) for e, n in written.items() if len(n) == 1 and None not in n and 0 not in n}
    if len(single) == len(written) and len(set(single.values())) == len(written):
        return single
    order = sorted((e for e in written if e is not None))
    return {e: order.index(e) + 1 if e is not None else None for e in written}


# ---------------------------------------------------------------------------------------------------- grids


def _split_grids(frames: list[Frame]) -> list[Group]:
    """Split by size, pixel spacing, orientation and frame of reference; a few odd frames become faults."""
    sound = [f for f in frames if not f.faults]
    bad = [(f, *f.faults[0]) for f in frames if f.faults]
    if not sound:
        return _unreadable(bad)
    directions = geometry.cluster_axes(sound)
    wide = geometry.slice_set(sound, directions)
    if wide:
        return [Group(sound, bad, kind=wide)]
    grids: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame, direction in zip(sound, directions, strict=True):
        key = (frame.rows, frame.columns, _rounded(frame.spacing), direction, frame.source.frame_of_reference)
        grids[key].append(frame)
    main = max(grids, key=lambda k: len(grids[k]))
    odd = sum(len(v) for k, v in grids.items() if k != main)
    if len(grids[main]) >= 3 and odd <= max(1, FEW * len(grids[main])):
        for key, members in grids.items():
            if key != main:
                bad += [(f, *_difference(f, grids[main][0], key, main)) for f in members]
        grids = {main: grids[main]}
    groups = [Group(*_odd_scale(members)) for members in grids.values()]
    max(groups, key=lambda g: len(g.frames)).bad += bad
    return groups


def _odd_scale(frames: list[Frame]) -> tuple[list[Frame], list[tuple[Frame, str, str]]]:
    """Take the few frames out that lack the slope which the others have, or have one which the others lack."""
    scaled = [f for f in frames if f.slope is not None]
    plain = [f for f in frames if f.slope is None]
    if not scaled or not plain or all(f.slope == 1 and not f.intercept for f in scaled):
        return frames, []
    odd, rest = (plain, scaled) if len(plain) <= len(scaled) else (scaled, plain)
    what = "no Rescale Slope (0028,1053), which the others have" if odd is plain else "a Rescale Slope, unlike the others"
    return rest, [(f, "slope", what) for f in odd]


def _unreadable(bad: list[tuple[Frame, str, str]]) -> list[Group]:
    return [Group([], bad, kind="unreadable")]


def _rounded(spacing: tuple[float, float]) -> tuple[float, ...]:
    return tuple(float(f"{v:.4g}") for v in spacing)


def _difference(odd: Frame, usual: Frame, key: tuple, main: tuple) -> tuple[str, str]:
    """The name of what differs, and both values."""
    if key[:2] != main[:2]:
        return "size", f"Rows × Columns is {key[0]} × {key[1]}, in the others {main[0]} × {main[1]}"
    if key[2] != main[2]:
        a, b = (" × ".join(f"{v:g}" for v in frame.spacing) for frame in (odd, usual))
        return "spacing", f"Pixel Spacing is {a} mm, in the others {b} mm"
    if key[3] != main[3]:
        angle = geometry.angle_between(odd.axes, usual.axes)
        return "orientation", f"Image Orientation (Patient) is turned by {angle:.2f}° against the others"
    return "frame-of-reference", "Frame of Reference UID (0020,0052) is another than in the other files"


# ---------------------------------------------------------------------------------------------------- times


def _split_times(group: Group) -> list[Group]:
    """Give one group per time point (or b-value, …) where several images lie at each place."""
    if group.kind != "stack":
        return [group]
    places = geometry.places(group.frames, SAME_PLACE_MM)
    most = max(Counter(places).values())
    if most == 1:
        group.kind = "stack" if len(group.frames) > 1 else "single"
        return [group]
    if len(set(places)) == 1:
        return _one_place(group)
    place_of = dict(zip(map(id, group.frames), places, strict=True))
    parts = _parts(group.frames, place_of)
    if parts is None:
        return [_with_clash(group, place_of)]
    out = []
    for k, (members, by) in enumerate(parts):
        part = f"{by} {k + 1} of {len(parts)}"
        new = Group(members, list(group.bad) if k == 0 else [], list(group.issues), echo=group.echo, part=part)
        out.append(new)
    if parts[0][1] == "volume":
        text = (
            f"{len(group.frames)} images at {len(set(places))} places, told apart by Instance Number alone; "
            f"split into {len(parts)} volumes. Look whether they are what you expect"
        )
        for new in out:
            new.issues.append(note("split", text))
    _mark_phase(out)
    return out


def _one_place(group: Group) -> list[Group]:
    """All images at one position: copies of one slice over time, or a header that lost its positions."""
    group.kind = "one place" if len(group.frames) > 1 else "single"
    return [group]


def _parts(frames: list[Frame], place_of: dict[int, int]) -> list[tuple[list[Frame], str]] | None:
    """Split until no two images share a place; None where no header value does it."""
    for name, key in _splitters(frames):
        classes: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            classes[key(frame)].append(frame)
        if len(classes) < 2 or not _complete(list(classes.values()), place_of):
            continue
        out = []
        for value in sorted(classes, key=_sortable):
            members = classes[value]
            if len({place_of[id(f)] for f in members}) == len(members):
                out.append((members, name))
                continue
            deeper = _parts(members, place_of)
            if deeper is None:
                break
            out += deeper
        else:
            return out
    return _by_instance(frames, place_of)


def _sortable(value: object) -> tuple:
    """Order values of mixed kinds, numbers by size."""
    return (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))


def _splitters(frames: list[Frame]) -> list[tuple[str, Callable[[Frame], Hashable]]]:
    """What may tell two images at one place apart: kind of value, scale, then the header's times and counters."""
    found: list[tuple[str, Callable[[Frame], Hashable]]] = [
        ("image type", lambda f: f.image_type),
        ("scale", lambda f: (f.slope, f.intercept)),
        ("in-plane position", geometry.beside),
    ]
    names = dict.fromkeys(name for f in frames for name in f.splitters)
    for name in names:
        if any(f.splitters.get(name) is not None for f in frames):
            found.append((name, lambda f, name=name: f.splitters.get(name)))
    return found


def _complete(classes: list[list[Frame]], place_of: dict[int, int]) -> bool:
    """Whether all parts cover the same places, except that the last time point may have been broken off."""
    covered = [frozenset(place_of[id(f)] for f in members) for members in classes]
    whole, times = Counter(covered).most_common(1)[0]
    if times == len(covered):
        return True
    rest = [c for c in covered if c != whole]
    fits = len(rest) == 1 and rest[0] < whole and len(rest[0]) >= max(3, len(whole) // 2)
    return fits and times >= 2


def _by_instance(frames: list[Frame], place_of: dict[int, int]) -> list[tuple[list[Frame], str]] | None:
    """The k-th image at each place, by Instance Number, where every place has equally many."""
    at: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        at[place_of[id(frame)]].append(frame)
    times = {len(v) for v in at.values()}
    if len(times) != 1 or any(f.instance is None for f in frames):
        return None
    for members in at.values():
        members.sort(key=lambda f: f.instance)
        if len({f.instance for f in members}) < len(members):
            return None
    return [([members[k] for members in at.values()], "volume") for k in range(times.pop())]


def _with_clash(group: Group, place_of: dict[int, int]) -> Group:
    """Keep the first image at each place, and remember the others."""
    order = sorted(group.frames, key=lambda f: (f.instance if f.instance is not None else np.inf, f.label))
    taken: dict[int, Frame] = {}
    for frame in order:
        if taken.setdefault(place_of[id(frame)], frame) is not frame:
            group.clash.append(frame)
    partners = [taken[place_of[id(f)]].label for f in group.clash]
    pairs = list(zip([f.label for f in group.clash], partners, strict=True))
    text = ", ".join(f"{a} and {b}" for a, b in pairs[:2]) + (f" and {len(pairs) - 2} more pairs" if pairs[2:] else "")
    group.frames = list(taken.values())
    group.issues.append(
        Issue(
            "duplicates",
            f"{text}: two different images at one position ({len(pairs)} of {len(order)} files), which no header "
            'value tells apart; not built. Remove the wrong one, or accept "duplicates" to use the one with the '
            "lower Instance Number",
            build=True,
        )
    )
    return group


def _mark_phase(groups: list[Group]) -> None:
    """Find the phase images among volumes that only their scale tells apart."""
    for group in groups:
        f, p = group.first, group.first.source.pixels
        if not group.part.startswith("scale") or f.component != "magnitude" or f.slope is None or not f.intercept:
            continue
        top = f.intercept + f.slope * (2**p.stored - 1)
        if f.intercept < 0 and abs(top + f.intercept) <= 0.02 * abs(f.intercept):
            for frame in group.frames:
                frame.component = "phase"
