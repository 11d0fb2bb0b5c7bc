"""Put into sentences what is wrong with a group: which file, what, what was done, what to do."""

from __future__ import annotations

import re
from collections import defaultdict

from . import geometry
from .build import crooked
from .groups import Group
from .issues import Issue, count, named, note
from .records import Frame
from .scan import Scan

LOCALIZER = re.compile(
    r"(?<![a-z])(loc|locali[sz]er?s?|scouts?|survey|topogram|3[ -]?plane|plan scan|smart ?brain)(?![a-z])"
)
UNFIT = {"phase", "field map", "velocity", "imaginary", "real", "projection"}
CURE = {
    "truncated": "Copy the file again from its source",
    "undecodable": "Copy the file again, or export it uncompressed",
    "bits": "Export the series again",
    "position": "Export the series again with this tag",
    "orientation": "Export the series again with this tag",
    "spacing": "Export the series again with this tag",
    "size": "Look whether the file belongs to this series",
    "frame-of-reference": "Look whether the file belongs to this series",
    "echo": "Look whether the file belongs to this series",
    "type": "Look whether the file belongs to this series",
    "slope": "Export the series again with this tag",
    "mosaic": "Export the series with its private tags, or as single slices",
    "pixels": "Export the series as uncompressed gray images",
}


def assess(group: Group, scan: Scan) -> list[Issue]:
    """Give everything that the headers tell against a group, worst first."""
    found = list(group.issues)
    found += _bad_files(group)
    if group.kind == "one place":
        found.append(_one_place(group))
    if group.kind in ("radial", "slices"):
        found.append(_slice_set(group))
    if group.kind in ("stack", "single") and group.frames:
        found += _geometry(group) + _promised(group)
    if group.frames:
        found += _values(group)
        if is_localizer(group):
            found.append(_localizer(group))
        elif group.orientations > 1:
            found.append(_orientations(group))
        if group.stacks > 1:
            found.append(_stacks(group))
    found += _beside(group, scan)
    return sorted(found, key=lambda i: (i.is_note, not i.build, not i.blocks))


def is_localizer(group: Group) -> bool:
    """Whether the header calls it a localizer, scout or survey, or its series runs in three or more directions."""
    first = group.first
    if "LOCALIZER" in first.image_type or "SCOUT" in first.image_type:
        return True
    facts = first.source.facts
    words = f"{first.source.description} {facts.get('protocol', '')}".lower().replace("_", " ")
    return bool(LOCALIZER.search(words)) or (group.orientations >= 3 and group.kind in ("stack", "single"))


def all_frames(group: Group) -> list[Frame]:
    """Every frame, the faulty ones too."""
    return group.frames + [b[0] for b in group.bad] + group.clash


def file_count(group: Group) -> int:
    """How many files the group comes from."""
    return len({id(f.source) for f in all_frames(group)})


def _what(group: Group) -> str:
    """ "files", or "frames" where one file holds them all."""
    return "frames" if any(f.source.pixels.frames > 1 and f.index >= 0 for f in all_frames(group)) else "files"


def _bad_files(group: Group) -> list[Issue]:
    by_name: dict[str, list[tuple[Frame, str]]] = defaultdict(list)
    for frame, name, text in group.bad:
        by_name[name].append((frame, text))
    total, out = len(all_frames(group)), []
    for name, members in by_name.items():
        labels, texts = [f.label for f, _ in members], list(dict.fromkeys(t for _, t in members))
        more = f" (and {count(len(texts) - 1, 'other reason')})" if texts[1:] else ""
        start = f"{named(labels, total, _what(group))}: {texts[0]}{more}"
        rest = len(group.frames)
        if rest:
            way = f'{CURE.get(name, "Look at the file")}, or accept "{name}" to use the other {rest}{_hole(group)}'
        else:
            way = CURE.get(name, "Look at the file")
        out.append(Issue(name, f"{start}; not built. {way}", build=True))
    return out


def _hole(group: Group) -> str:
    """What leaving the bad files out does to the stack."""
    if group.kind != "stack" or len(group.frames) < 3:
        return ""
    stack = geometry.measure(group.frames)
    if not stack.gaps:
        return ""
    place = ", ".join(f"{stack.heights[k] - stack.heights[0]:.1f} mm" for k, _ in stack.gaps[:3])
    return f' (which leaves a gap at {place}: accept "gap" as well)'


def _one_place(group: Group) -> Issue:
    n = len(group.frames)
    return Issue(
        "one-place",
        f"{count(n, 'image')} ({named([f.label for f in group.frames])}) at one and the same position: a time series "
        "of a single slice, or a header that lost its positions; not built, no 3D model can come of it. Choose another "
        "series",
        build=True,
    )


def _slice_set(group: Group) -> Issue:
    n = len(group.frames)
    axis = geometry.radial_axis(group.frames)
    if group.kind == "radial":
        how = f"radial slices round a common axis (within {axis[2]:.2f} mm)"
    else:
        how = "slices in many orientations without a common axis"
    return Issue(
        "slice-set",
        f"{n} slices in {count(n, 'file')}: {how}, no stack; read as a set of slices, each with its own place. "
        "Segment slice by slice, or choose another series",
    )


def _geometry(group: Group) -> list[Issue]:
    stack = geometry.measure(group.frames)
    frames = [group.frames[k] for k in stack.order]
    if len(frames) == 1:
        return [_single(frames[0], stack.spacing)]
    out = []
    if stack.gaps:
        out.append(_gap(group, frames, stack))
    if crooked(stack):
        out.append(_shear(group, frames, stack))
    if len(frames) == 2:
        text = f"2 slices in {count(file_count(group), 'file')}: their distance of {stack.spacing:.2f} mm cannot be checked"
        out.append(Issue("few", f"{text}; it was taken as it is. Look whether slices are missing"))
    return out + _skipping(frames, stack)


def _single(frame: Frame, spacing: float | None) -> Issue:
    start = f"{frame.label} (1 of 1 files): a single slice"
    if spacing is None:
        text = (
            "its extent across the plane is unknown (no Slice Thickness (0018,0050)); not built. Choose another series"
        )
        return Issue("extent", f"{start}; {text}", build=True)
    tag = "Spacing Between Slices" if frame.between else "Slice Thickness"
    return Issue(
        "single",
        f"{start}; its extent across the plane is the {tag} of {spacing:g} mm. No 3D model can come of one slice: give "
        'the folder of its series, choose another one, or accept "single" to export a mask of it',
        blocks=True,
    )


def _gap(group: Group, frames: list[Frame], stack: geometry.Stack) -> Issue:
    shown = []
    for k, distance in stack.gaps[:3]:
        a, b = frames[k].label, frames[k + 1].label
        shown.append(f"{a} and {b} are {distance:.2f} mm apart (at {stack.heights[k] - stack.heights[0]:.1f} mm)")
    more = f" and {len(stack.gaps) - 3} more" if stack.gaps[3:] else ""
    return Issue(
        "gap",
        f"{'; '.join(shown)}{more}, the others {stack.spacing:.2f} mm ({len(stack.gaps)} of {len(frames) - 1} distances "
        f"between {len(frames)} {_what(group)}): slices are missing or the spacing is not uniform; the planes between "
        'are interpolated, and exports wait. Find the missing slices, or accept "gap"',
        blocks=True,
    )


def _shear(group: Group, frames: list[Frame], stack: geometry.Stack) -> Issue:
    ends = f"{frames[0].label} to {frames[-1].label} ({len(frames)} of {len(frames)} {_what(group)})"
    if stack.shear > geometry.SHEAR_DEG:
        what = f"a sheared stack: positions run {stack.shear:.2f}° off the slices' normal (as with gantry tilt)"
    else:
        what = f"sheared: slices lie up to {stack.wander:.2f} mm beside the line of the others"
    return Issue(
        "shear",
        f"{ends}: {what}; each slice was shifted into place by interpolation, and exports wait. Use a series without "
        'tilt, or accept "shear"',
        blocks=True,
    )


def _skipping(frames: list[Frame], stack: geometry.Stack) -> list[Issue]:
    """Every second slice missing leaves even distances: compare with what the header says."""
    between, thick = frames[0].between, frames[0].thickness or 0.0
    if not between or stack.gaps or len(frames) < 3:
        return []
    times = stack.spacing / abs(between)
    gap_only = abs(between) < thick and abs(abs(between) + thick - stack.spacing) <= 0.02  # some write the gap alone
    if round(times) in (2, 3, 4) and abs(times - round(times)) < 0.02 and not gap_only:
        return [
            Issue(
                "gap",
                f"{count(len(frames), 'slice')} lie {stack.spacing:.2f} mm apart, but Spacing Between Slices (0018,0088) "
                f"is {abs(between):g} mm: only 1 of {round(times)} slices seems to be there; exports wait. Find the "
                'missing slices, or accept "gap"',
                blocks=True,
            )
        ]
    return []


def _promised(group: Group) -> list[Issue]:
    """Compare the number of slices with the number that the header counts."""
    promised, have = group.first.source.promised, len(group.frames) + len(group.bad)
    if not promised or group.first.source.pixels.frames > 1 or group.first.tile is not None:
        return []
    if "DERIVED" in group.first.image_type:
        return []  # reformatted series keep the count of the one they were made from
    total = have * group.siblings
    if promised <= have or promised == total:
        return []
    if promised % have == 0 and have > 1 and (group.siblings > 1 or (group.echo or 1) > 1):
        return []  # whole echoes or time points may have been left out on purpose
    return [
        Issue(
            "incomplete",
            f"{have} of {promised} slices that the header counts (Images in Acquisition (0020,1002) or the vendor's tag) "
            f"were found in {count(file_count(group), 'file')}; the volume was built of these. Look whether the first or the "
            "last slices are missing",
        )
    ]


def _values(group: Group) -> list[Issue]:
    first, n = group.first, file_count(group)
    pixels, out = first.source.pixels, []
    if any(f.source.pixels.lossy for f in group.frames):
        lossy = sum(f.source.pixels.lossy for f in group.frames)
        out.append(
            Issue(
                "lossy",
                f"{lossy} of {len(group.frames)} images: lossy compression changed the values; they were read as they "
                "are. Ask for a lossless export where fine edges matter",
            )
        )
    if pixels.photometric == "MONOCHROME1":
        out.append(
            Issue(
                "monochrome1",
                f"{count(n, 'file')}: Photometric Interpretation (0028,0004) is MONOCHROME1 (low values are shown "
                "bright); values were kept as stored, not inverted. Mind it when choosing thresholds",
            )
        )
    if first.component in UNFIT:
        out.append(
            Issue(
                "phase",
                f"{count(n, 'file')}: this is a {first.component} image (by Image Type (0008,0008) or its scale), not a "
                "magnitude image; listed apart, unfit for bone segmentation. Choose the magnitude image",
            )
        )
    return out


def _localizer(group: Group) -> Issue:
    why = "a localizer (scout) by its header"
    if group.orientations > 1:
        why = f"a localizer (scout): one of {group.orientations} orientations in its series"
    return Issue("localizer", f"{count(file_count(group), 'file')}: {why}; never chosen by itself. Choose the scan")


def _stacks(group: Group) -> Issue:
    return Issue(
        "stacks",
        f"{count(file_count(group), 'file')}: one of {group.stacks} stacks in one series, {group.apart:.0f} mm or more apart "
        "(both sides of the body, or many slices missing between); they were kept apart. Look whether slices are missing",
    )


def _orientations(group: Group) -> Issue:
    return Issue(
        "orientations",
        f"{count(file_count(group), 'file')}: one of {group.orientations} orientations in one series; they were kept apart. "
        "Choose the one that you mean",
    )


def _beside(group: Group, scan: Scan) -> list[Issue]:
    """What the other files at the same place mean for this group."""
    out = []
    if scan.patients > 1:
        out.append(
            Issue(
                "patients",
                f"the {scan.total} files are of {scan.patients} patients (Patient ID (0010,0020) or name differ); they "
                "were kept apart. Look whether this is the right one",
            )
        )
    if scan.damaged:
        names = [name for name, _ in scan.damaged]
        out.append(
            Issue(
                "damaged",
                f"{named(names, scan.total)}: {scan.damaged[0][1]}; left out, though it may "
                'belong to this series. Copy it again, or accept "damaged"',
                blocks=True,
            )
        )
    if scan.skipped:
        names = [name for name, _ in scan.skipped]
        out.append(note("skipped", f"{named(names, scan.total)}: {scan.skipped[0][1]}; skipped"))
    return out
