"""Sort frames into volumes: one patient, one series, one echo, one kind of value, one grid, one time point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from . import geometry
from .issues import Issue, named, note
from .records import Frame

ECHO_STEP = 5e-3  # echo times that differ by less than this part are the same
FAR_MM, FAR_STEPS = 25.0, 5.0  # a gap beyond both parts a series into stacks
FEW = 0.1  # share of frames up to which odd ones are called faulty rather than a volume of their own


@dataclass(slots=True)
class Group:
    """Frames that belong in one volume, and what is wrong with them."""

    frames: list[Frame]
    bad: list[tuple[Frame, str, str]] = field(default_factory=list)  # frame, name of the fault, what is wrong
    issues: list[Issue] = field(default_factory=list)
    kind: str = "stack"  # "stack", "single", "radial", "slices", "one place", "unreadable"
    echo: int | None = None
    part: str = ""  # "volume 2 of 5 (by trigger time)"
    clash: list[Frame] = field(default_factory=list)  # further images at places that are taken
    siblings: int = 1  # volumes in the same series
    orientations: int = 1  # directions in which the volumes of the same series lie
    stacks: int = 1  # parts of one series that lie far apart along the normal
    apart: float = 0.0  # mm between them

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
        Each with the frames of one volume, and those that had to stay out.
    """
    series: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        s = frame.source
        name = s.series or (s.study, s.number, s.description)
        series[(s.patient, name, s.modality)].append(frame)
    groups = []
    for members in series.values():
        found = _split_series(members)
        for group in found:
            group.siblings = sum(1 for g in found if g.frames)
            group.orientations = _orientations(found)
        groups += found
    _tell_strays(groups)
    return groups


def _tell_strays(groups: list[Group]) -> None:
    """Tell a stack of files that state another series, and yet look like its missing slices."""
    few = [g for g in groups if g.kind in ("single", "unreadable") and len(g.frames) + len(g.bad) <= 2]
    for main in groups:
        if main.kind != "stack" or len(main.frames) < 3:
            continue
        odd = [g for g in few if _same_hand(g.first, main.first) and (not g.frames or _fills_holes(g, main))]
        names = sorted({f.label for g in odd for f in [*g.frames, *(b[0] for b in g.bad)]})
        if names:
            text = (
                f"{named(names, len(names) + len(main.frames))}: damaged, or under another Series Instance UID "
                '(0020,000E); left out, though it seems to belong to this series. Copy it again, or accept "damaged"'
            )
            main.issues.append(Issue("damaged", text, blocks=True))


def _same_hand(odd: Frame, usual: Frame) -> bool:
    """Whether two files of different series look like the same one: most of what can be read of them agrees."""
    a, b = odd.source, usual.source
    if a.series == b.series and a.patient == b.patient:
        return False
    pairs = [(getattr(a, key), getattr(b, key)) for key in ("study", "patient", "number", "description", "modality")]
    known = [(v, w) for v, w in pairs if v not in (None, "", ("", ""))]
    agree = sum(v == w for v, w in known)
    return agree >= 3 or (not odd.position and agree == len(known))


def _orientations(groups: list[Group]) -> int:
    """In how many directions, more than a degree apart, the stacks of a series lie."""
    known: list[Frame] = []
    for group in groups:
        if group.kind in ("stack", "single") and all(
            geometry.angle_between(group.first.axes, f.axes) > 1 for f in known
        ):
            known.append(group.first)
    return max(1, len(known))


def _split_series(frames: list[Frame]) -> list[Group]:
    from .times import split_times

    frames, issues = _drop_copies(frames)
    placed = [f for f in frames if f.position and f.axes and f.spacing and f.rows > 0]
    lost = [f for f in frames if not (f.position and f.axes and f.spacing and f.rows > 0)]
    buckets: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame, echo in zip(placed, _echo_clusters(placed), strict=True):
        buckets[(frame.component, echo, frame.splitters.get("stack"))].append(frame)
    numbers = _echo_numbers(buckets)
    groups: list[Group] = []
    for (_, echo, _), members in buckets.items():
        for group in _split_grids(members):
            group.echo = numbers[echo]
            groups += split_times(group)
    groups = _absorb_strays(groups)
    _attach(lost, groups)
    for group in groups:
        group.issues += issues
        _sort_out_faults(group)
    return groups


# ---------------------------------------------------------------------------------------------------- copies


def _drop_copies(frames: list[Frame]) -> tuple[list[Frame], list[Issue]]:
    """Leave out files that hold the same image once more; the same UID on another image is told."""
    seen: dict[Hashable, Frame] = {}
    kept, copies, doubtful = [], [], []
    for frame in frames:
        key = (frame.source.sop, max(frame.index, 0), frame.tile)
        first = seen.setdefault(key, frame) if frame.source.sop else frame
        if first is frame:
            kept.append(frame)
        elif same_facts(first, frame) and same_bytes(first, frame):
            better = first if not first.faults or frame.faults else frame  # a damaged copy gives way to a sound one
            if better is frame:
                kept[kept.index(first)] = seen[key] = frame
            copies.append((frame if better is first else first).source.name)
        else:
            kept.append(frame)
            doubtful.append(frame.source.name)
    issues = []
    if copies:
        text = f"{named(sorted(set(copies)))}: the same image once more (same SOP Instance UID); left out"
        issues.append(note("copies", text))
    if doubtful:
        text = (
            f"{named(sorted(set(doubtful)))}: another image under a SOP Instance UID (0008,0018) that is taken; both "
            "were kept. Export the series again if it looks wrong"
        )
        issues.append(Issue("uid", text))
    return kept, issues


def same_facts(a: Frame, b: Frame) -> bool:
    """Tell whether two headers describe the same image."""
    facts = ("position", "axes", "spacing", "rows", "columns", "echo_time", "component", "instance", "slope")
    return all(getattr(a, f) == getattr(b, f) for f in facts)


def same_bytes(a: Frame, b: Frame) -> bool:
    """Tell whether two files hold the same pixels; True as well where they are coded differently or one is damaged."""
    p, q = a.source.pixels, b.source.pixels
    if a.faults or b.faults or p.encapsulated or q.encapsulated or p.deflated or q.deflated:
        return True
    if p.little != q.little or p.frame_bytes != q.frame_bytes:
        return True
    try:
        with open(a.source.path, "rb") as file, open(b.source.path, "rb") as other:
            file.seek(p.offset + a.index * p.frame_bytes)
            other.seek(q.offset + b.index * q.frame_bytes)
            return file.read(p.frame_bytes) == other.read(q.frame_bytes)
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
    """The echo number of each echo time: as written, where that tells them apart; else counted by time."""
    written: dict[float | None, set] = defaultdict(set)
    for (_, echo, _), members in buckets.items():
        written[echo] |= {f.echo_number for f in members}
    single = {e: next(iter(n)) for e, n in written.items() if len(n) == 1 and None not in n and 0 not in n}
    if len(single) == len(written) and len(set(single.values())) == len(written):
        return single
    order = sorted(e for e in written if e is not None)
    return {e: order.index(e) + 1 if e is not None else None for e in written}


# ---------------------------------------------------------------------------------------------------- grids


def _split_grids(frames: list[Frame]) -> list[Group]:
    """Split by size, pixel spacing, orientation and frame of reference; a few odd frames become faults."""
    directions = geometry.cluster_axes(frames)
    wide = geometry.slice_set(frames, directions)
    if wide:
        return [Group(frames, kind=wide)]
    grids: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame, direction in zip(frames, directions, strict=True):
        spacing = tuple(float(f"{v:.4g}") for v in frame.spacing)
        grids[(frame.rows, frame.columns, spacing, direction, frame.source.frame_of_reference)].append(frame)
    main = max(grids, key=lambda k: len(grids[k]))
    odd = sum(len(v) for k, v in grids.items() if k != main)
    if not odd or not is_few(odd, len(grids[main])):
        return [stack for members in grids.values() for stack in _split_far(members)]
    group = Group(grids[main])
    for key, members in grids.items():
        if key != main:
            group.bad += [(f, *_difference(f, group.frames[0], key, main)) for f in members]
    return [group]


def _split_far(frames: list[Frame]) -> list[Group]:
    """Part a series that covers two places far apart, as both knees in one run."""
    heights = geometry.heights(frames)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    between = steps[steps > 0.01]
    if not len(between):
        return [Group(frames)]
    far = steps > max(FAR_MM, FAR_STEPS * float(np.median(between)))
    parts = [part.tolist() for part in np.split(order, np.flatnonzero(far) + 1)]
    if len(parts) == 1 or min(map(len, parts)) < 3:
        return [Group(frames)]
    apart = float(steps[far].min())
    return [Group([frames[k] for k in sorted(part)], stacks=len(parts), apart=apart) for part in parts]


def is_few(odd: int, usual: int) -> bool:
    """Tell whether so few frames are odd that they are rather faulty than a volume of their own."""
    return usual >= 3 and odd <= max(1, FEW * usual)


def _difference(odd: Frame, usual: Frame, key: tuple, main: tuple) -> tuple[str, str]:
    """The name of what differs, and both values."""
    if key[:2] != main[:2]:
        return "size", f"Rows × Columns is {key[0]} × {key[1]}, in the others {main[0]} × {main[1]}"
    if key[2] != main[2]:
        a, b = (" × ".join(f"{v:g}" for v in frame.spacing) for frame in (odd, usual))
        return "spacing", f"Pixel Spacing (0028,0030) is {a} mm, in the others {b} mm"
    if key[3] != main[3]:
        angle = geometry.angle_between(odd.axes, usual.axes)
        return "orientation", f"Image Orientation (Patient) (0020,0037) is turned by {angle:.2f}° against the others"
    return "frame-of-reference", "Frame of Reference UID (0020,0052) is another than in the other files"


# ---------------------------------------------------------------------------------------------------- faults


def _absorb_strays(groups: list[Group]) -> list[Group]:
    """A few frames of another echo or type that fill holes of a stack are its faulty frames, not a volume."""
    stacks = [g for g in groups if g.kind == "stack" and len(g.frames) >= 3]
    if not stacks:
        return groups
    main = max(stacks, key=lambda g: len(g.frames))
    out = []
    for group in groups:
        if group is not main and is_few(len(group.frames), len(main.frames)) and _fills_holes(group, main):
            main.bad += [(f, *_other_contrast(f, main.first)) for f in group.frames] + group.bad
        else:
            out.append(group)
    return out


def _fills_holes(few: Group, main: Group) -> bool:
    """Whether frames lie on the grid of a stack, in it or next to its ends, at places that are free."""
    a, b = few.first, main.first
    if (a.rows, a.columns) != (b.rows, b.columns):
        return False
    if len(set(geometry.cluster_axes([a, b]))) > 1 or not np.allclose(a.spacing, b.spacing, rtol=1e-3):
        return False
    there = np.sort(geometry.heights(main.frames))
    step = float(np.median(np.diff(there)))
    axes = geometry.mean_axes(main.frames)
    places = np.array([f.position for f in few.frames]) @ axes
    usual = np.array([f.position for f in main.frames]) @ axes
    free = np.abs(places[:, 2, None] - there).min(axis=1) > 0.3 * step
    near = (places[:, 2] > there[0] - 1.5 * step) & (places[:, 2] < there[-1] + 1.5 * step)
    beside = np.abs(places[:, :2] - usual[:, :2].mean(axis=0)).max() < 1.0
    return bool(free.all() and near.all() and beside)


def _other_contrast(odd: Frame, usual: Frame) -> tuple[str, str]:
    if odd.component != usual.component:
        return "type", f"a {odd.component} image by its Image Type (0008,0008), the others are {usual.component} images"
    a, b = ("missing" if t is None else f"{t:g} ms" for t in (odd.echo_time, usual.echo_time))
    return "echo", f"Echo Time (0018,0081) is {a}, in the others {b}"


def _attach(lost: list[Frame], groups: list[Group]) -> None:
    """Put frames whose place is unknown to the volume that they most likely belong to."""
    if lost and not groups:
        groups.append(Group([], kind="unreadable"))
    for frame in lost:
        alike = [
            g
            for g in groups
            if g.frames and g.first.echo_time == frame.echo_time and g.first.component == frame.component
        ]
        fitting = max(alike or groups, key=lambda g: len(g.frames))
        name, what = frame.faults[0] if frame.faults else ("position", "no place in space")
        fitting.bad.append((frame, name, what))


def _sort_out_faults(group: Group) -> None:
    """Take the frames with faults out, now that it is clear to which volume they belong."""
    group.bad += [(f, *f.faults[0]) for f in group.frames if f.faults]
    group.frames = [f for f in group.frames if not f.faults]
    scaled = [f for f in group.frames if f.slope is not None]
    plain = [f for f in group.frames if f.slope is None]
    if scaled and plain and any(f.slope != 1 or f.intercept for f in scaled):
        few = plain if len(plain) <= len(scaled) else scaled
        what = "no Rescale Slope (0028,1053), which the others have"
        if few is scaled:
            what = f"a Rescale Slope (0028,1053) of {few[0].slope:g}, which the others lack"
        group.bad += [(f, "slope", what) for f in few]
        group.frames = [f for f in group.frames if not any(f is g for g in few)]
    if not group.frames:
        group.kind = "unreadable"
    elif group.kind == "stack" and len(group.frames) == 1:
        group.kind = "single"
