"""Leak check: where a label has run out of its bone, found by size, necks, parts and sudden changes.

Nothing here knows the scan: only shapes are looked at, so a leak with a broad base and a plausible size
passes unseen, and a finding is a place to look at, not a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage as ndi

from .bones import LabelTable, find_bone
from .errors import InputError
from .measure import refuse_other_grid
from .morphology import bounding_box, dilate, distance_inside
from .priors import PRIORS
from .step import EVERYTHING_ELSE, Spacing
from .volume import Volume

Kind = Literal["volume", "extent", "neck", "parts", "border", "jump", "small", "gap"]
LACKING = ("small", "gap")  # too little bone, which tighter settings make worse
FLARE = 1.5  # a cut face this many times larger than the bone behind it is no shaft
LOOK_BACK_MM = 5.0  # how far behind the face that is looked
SPIKE_MM = 10.0  # a change of area that ends within this length is sudden
WAIST = 0.3  # a neck is this much narrower than what hangs on it; plates such as the iliac wing are not


@dataclass(frozen=True)
class Leak:
    """Hold one finding: which bone, what is odd, where, how much, and what to do.

    Parameters
    ----------
    label
        Number of the bone in the label map.
    bone
        Its name and side, or "label N".
    kind
        "volume", "extent", "neck", "parts", "border" or "jump" for too much, "small" or "gap" for too little.
    slices
        Numbers of the slices in the array, from 0, that show it.
    position
        Where to look, (x, y, z) LPS mm.
    size
        How much: volume beyond a neck, extent, area …
    unit
        "mm", "mm²" or "mm³".
    finding
        What is odd, in words.
    advice
        What to do, one sentence.
    neck_mm
        Thickness of the neck, for that kind.
    """

    label: int
    bone: str
    kind: Kind
    slices: tuple[int, ...]
    position: tuple[float, float, float]
    size: float
    unit: str
    finding: str
    advice: str
    neck_mm: float | None = None

    def __str__(self) -> str:
        return f"{self.bone}: {self.finding}; {self.advice}"


@dataclass(frozen=True)
class _Bone:
    """One bone in its box: what every check looks at."""

    number: int
    title: str
    name: str
    mask: np.ndarray
    marked: np.ndarray  # strokes of this very bone
    start: np.ndarray  # of the box in the scan
    labels: Volume

    @property
    def spacing(self) -> Spacing:
        return self.labels.spacing

    @property
    def voxel(self) -> float:
        return float(np.prod(self.spacing))

    @property
    def end(self) -> np.ndarray:
        return self.start + self.mask.shape

    def at(self, part: np.ndarray) -> tuple[tuple[int, ...], tuple[float, float, float]]:
        """The slices of a part of the box and the middle of it, moved to the nearest voxel of the part."""
        index = np.argwhere(part)
        away = np.linalg.norm((index - index.mean(axis=0)) * self.spacing, axis=1)
        place = self.labels.points(self.start + index[[away.argmin()]])[0]
        slices = tuple((np.unique(index[:, 0]) + self.start[0]).tolist())
        return slices, tuple(np.round(place, 2).tolist())

    def leak(self, part: np.ndarray, kind: Kind, size: float, unit: str, finding: str, advice: str, **more) -> Leak:
        """A finding at a part of the box; {slice} and {at} in the advice stand for the place."""
        slices, place = self.at(part)
        middle = int(np.rint(self.labels.index([place])[0][0]))
        words = advice.format(slice=f"slice {middle}", at="({:.0f}, {:.0f}, {:.0f}) mm".format(*place))
        return Leak(self.number, self.title, kind, slices, place, round(size, 2), unit, finding, words, **more)


def check_leaks(
    labels: Volume,
    table: LabelTable | None = None,
    *,
    seeds: Volume | None = None,
    neck: float = 3.0,
    blob: float = 500.0,
    contact: float = 100.0,
    jump: float = 1.8,
) -> list[Leak]:
    """Look at every bone of a label map for signs of a leak.

    Parameters
    ----------
    labels
        Label map, 0 = background.
    table
        Names of the labels; without a name a bone is not compared with the size of its kind.
    seeds
        Strokes: what carries a stroke of its own bone is no leak.
    neck
        Thickest neck in mm that is taken for a leak's.
    blob
        Smallest volume in mm³ beyond a neck, and of a part of its own, that is reported.
    contact
        Area in mm² by which a face on the scan's border must exceed the bone behind it.
    jump
        How many times larger or smaller than its surroundings along the slices a slice's area must be, for
        10 mm at most.

    Returns
    -------
    list of Leak
        By bone; empty where nothing is odd.

    Raises
    ------
    InputError
        Values that are no labels, strokes on another grid, or a parameter that is not positive.

    Notes
    -----
    A bone that the field of view cuts is held against upper limits alone. A shaft that leaves the scan is no
    leak: its cut is as large as the bone behind it. In slices thicker than ``neck`` a neck is one within the
    slice.

    References
    ----------
    Crisco JJ et al. (2005). Carpal bone size and scaling in men versus in women.
    doi:10.1016/j.jhsa.2004.08.012; the source of each other range stands in ``PRIORS``.

    Examples
    --------
    >>> array = np.zeros((9, 20, 40), np.uint8)
    >>> array[2:8, 2:18, 2:18] = array[2:8, 4:16, 24:38] = 1
    >>> array[5, 10, 18:24] = 1
    >>> [leak.kind for leak in check_leaks(Volume(array))]
    ['neck']
    """
    for name, value in (("neck", neck), ("blob", blob), ("contact", contact), ("jump", jump)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name}={value}: expected a positive number")
    if labels.array.dtype.kind not in "biu" or labels.array.min() < 0:
        raise InputError(f"{labels.name}: values of type {labels.array.dtype}; expected the whole numbers of labels")
    if seeds is not None:
        refuse_other_grid(labels, seeds)
    found: list[Leak] = []
    for bone in _bones(labels, table or LabelTable(), seeds):
        found += _size(bone)
        found += _parts(bone, blob)
        found += _necks(bone, neck, blob)
        found += _border(bone, contact)
        found += _jumps(bone, jump, contact)
    return found


def _bones(labels: Volume, table: LabelTable, seeds: Volume | None) -> Iterator[_Bone]:
    """Every label in its box, with one voxel of background around where there is room."""
    array = labels.array.astype(np.uint8) if labels.array.dtype == bool else labels.array
    for number in (int(n) for n in np.unique(array) if n and n != EVERYTHING_ELSE):
        mask = array == number
        box = bounding_box(mask, 0.0, labels.spacing)
        marked = np.zeros(mask[box].shape, bool) if seeds is None else seeds.array[box] == number
        named = table.get(number)
        title, name = (named.title, named.name) if named else (f"label {number}", "")
        yield _Bone(number, title, name, mask[box], marked, np.array([b.start for b in box]), labels)


def _faces(bone: _Bone) -> Iterator[tuple[int, int]]:
    """The sides of the scan that a bone touches: axis, and index of the plane in the box."""
    for axis in range(3):
        n = bone.mask.shape[axis]
        if bone.start[axis] == 0 and bone.mask.take(0, axis).any():
            yield axis, 0
        if bone.start[axis] + n == bone.labels.shape[axis] and bone.mask.take(n - 1, axis).any():
            yield axis, n - 1


def _size(bone: _Bone) -> Iterator[Leak]:
    """Volume and extent against what adults have."""
    known = find_bone(bone.name) if bone.name else None
    prior = PRIORS.get(known.name) if known else None
    if prior is None:
        return
    gaps = [
        min(a, n - b) * s for a, b, n, s in zip(bone.start, bone.end, bone.labels.shape, bone.spacing, strict=True)
    ]
    whole = min(gaps) >= LOOK_BACK_MM  # a bone that ends just before the border is cut by it, too
    points = np.argwhere(bone.mask) * bone.spacing
    points = points - points.mean(axis=0)
    along = points @ np.linalg.eigh(points.T @ points)[1][:, -1]
    measured = (
        ("extent", float(np.ptp(along)) + min(bone.spacing), prior.length_mm, "mm"),
        ("volume", len(points) * bone.voxel, prior.volume_mm3, "mm³"),
    )
    for kind, value, limits, unit in measured:
        if limits and (value > limits[1] or (whole and value < limits[0])):
            wrong, what = (
                ("more", "look for a leak and add strokes of everything else there")
                if value > limits[1]
                else ("less", "add strokes of the bone where it is missing")
            )
            words = f"{kind} {value:.0f} {unit}, {wrong} than the {limits[0]:.0f} to {limits[1]:.0f} {unit} of adults"
            finding = f"{words} (doi:{prior.source})"
            sign = kind if wrong == "more" else "small"
            yield bone.leak(bone.mask, sign, value, unit, finding, f"{what}; begin at {{slice}}, {{at}}")


def _parts(bone: _Bone, blob: float) -> Iterator[Leak]:
    """Parts beside the largest one that are large themselves and carry no stroke."""
    parts, count = ndi.label(bone.mask, np.ones((3, 3, 3)))
    if count < 2:
        return
    volumes = np.bincount(parts.ravel())[1:] * bone.voxel
    main = volumes.argmax() + 1
    for number in range(1, count + 1):
        part = parts == number
        if number == main or volumes[number - 1] < blob or (bone.marked & part).any():
            continue
        size = volumes[number - 1]
        finding = f"a part of {size:.0f} mm³ lies apart from the rest"
        yield bone.leak(part, "parts", size, "mm³", finding, "add a stroke of everything else on {slice} at {at}")


def _necks(bone: _Bone, neck: float, blob: float) -> Iterator[Leak]:
    """What hangs on the bone by a thin neck."""
    from skimage.segmentation import watershed

    # Distances run to centers of voxels outside; the true half thickness is up to half a voxel less.
    depth = distance_inside(bone.mask, bone.spacing) - 0.25 * min(bone.spacing)
    cores, count = ndi.label(depth > neck / 2)
    if count < 2:
        return
    least = blob / bone.voxel
    regions = watershed(-depth, cores, mask=bone.mask)
    large = np.flatnonzero(np.bincount(regions.ravel(), minlength=count + 1)[1:] >= least) + 1
    if len(large) < 2:
        return
    regions = watershed(-depth, np.where(np.isin(cores, large), cores, 0), mask=bone.mask)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    main = max(large, key=lambda n: (np.count_nonzero(bone.marked & (regions == n)), sizes[n]))
    for number in (n for n in large if n != main):
        yield from _neck(bone, regions, number, depth, neck)


def _neck(bone: _Bone, regions: np.ndarray, number: int, depth: np.ndarray, neck: float) -> Iterator[Leak]:
    """The finding for one region beyond a neck, unless it is marked, apart, or joined broadly."""
    mine = regions == number
    touching, area = np.zeros(mine.shape, bool), 0.0
    for axis, s in enumerate(bone.spacing):
        before, after = ([slice(None)] * 3 for _ in range(2))
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        for here, there in ((tuple(before), tuple(after)), (tuple(after), tuple(before))):
            meets = mine[here] & (regions[there] > 0) & ~mine[there]
            touching[here] |= meets
            area += np.count_nonzero(meets) * bone.voxel / s
    volume = np.count_nonzero(mine) * bone.voxel
    thick = 2 * float(depth[touching].max()) if touching.any() else 0.0
    if not touching.any() or (bone.marked & mine).any() or area > WAIST * volume ** (2 / 3) or thick > neck:
        return
    finding = f"{volume:.0f} mm³ hang on a neck {max(thick, min(bone.spacing)):.1f} mm thick"
    advice = "add a stroke of everything else beyond the neck, on {slice} at {at}"
    yield bone.leak(touching, "neck", volume, "mm³", finding, advice, neck_mm=round(thick, 2))


def _border(bone: _Bone, contact: float) -> Iterator[Leak]:
    """Faces on the scan's border that are much larger than the bone behind them."""
    for axis, end in _faces(bone):
        spacing = tuple(s for a, s in enumerate(bone.spacing) if a != axis)
        pixel = float(np.prod(spacing))
        back = min(max(1, round(LOOK_BACK_MM / bone.spacing[axis])), bone.mask.shape[axis] - 1)
        behind = bone.mask.take(back if end == 0 else end - back, axis)
        pieces, count = ndi.label(bone.mask.take(end, axis))
        for number in range(1, count + 1):
            piece = pieces == number
            near = dilate(piece[None], LOOK_BACK_MM, (1.0, *spacing))[0]
            area, inside = np.count_nonzero(piece) * pixel, np.count_nonzero(near & behind) * pixel
            if area - inside < contact or area < FLARE * inside or not back:
                continue
            part = np.zeros_like(bone.mask)
            part[tuple(end if a == axis else slice(None) for a in range(3))] = piece
            finding = f"{area:.0f} mm² lie on the border of the scan, {inside:.0f} mm² behind it"
            advice = "add a stroke of everything else on {slice} at {at}"
            yield bone.leak(part, "border", area - inside, "mm²", finding, advice)


def _jumps(bone: _Bone, jump: float, contact: float) -> Iterator[Leak]:
    """Slices whose area stands out from that of the slices around, or falls short of it."""
    areas = bone.mask.sum(axis=(1, 2)) * bone.spacing[1] * bone.spacing[2]
    width = 2 * max(1, round(SPIKE_MM / 2 / bone.spacing[0])) + 1
    if np.count_nonzero(areas) < 3 * width:
        return  # so few slices that every bone changes within them
    low = ndi.grey_opening(areas, width, mode="nearest")
    # Nothing is expected beyond the bone's ends, so a gap must have bone on both sides.
    high = ndi.grey_closing(np.pad(areas, width), width)[width:-width]
    peaks = (areas > jump * low) & (areas - low > contact) & (low > 0)
    gaps = (high > jump * areas) & (high - areas > contact)
    for odd, usual in ((gaps, high), (peaks, low)):
        runs, count = ndi.label(odd)
        for number in range(1, count + 1):
            run = np.flatnonzero(runs == number)
            place = run + bone.start[0]
            outside = place[0] == 0 or place[-1] == bone.labels.shape[0] - 1  # the border has a check of its own
            beside_gap = (
                odd is peaks and gaps[max(0, run[0] - 1) : run[-1] + 2].any()
            )  # where bone lacks, the rest stands out
            if not outside and not beside_gap:
                yield _jump(bone, run, areas, usual)


def _jump(bone: _Bone, run: np.ndarray, areas: np.ndarray, usual: np.ndarray) -> Leak:
    """The finding for neighboring slices that stand out or fall short."""
    peak = run[np.abs(areas[run] - usual[run]).argmax()]
    beside = bone.mask[[k for k in (run[0] - 1, run[-1] + 1) if 0 <= k < len(areas)]].any(axis=0)
    part = np.zeros_like(bone.mask)
    larger = areas[peak] > usual[peak]
    part[run] = bone.mask[run] & ~beside if larger else beside & ~bone.mask[run]
    finding = f"{areas[peak]:.0f} mm² on slice {peak + bone.start[0]}, {usual[peak]:.0f} mm² around it"
    advice = (
        "if it leaks there, add a stroke of everything else on {slice} at {at}"
        if larger
        else "if bone is missing there, add a stroke of it on {slice} at {at}"
    )
    kind = "jump" if larger else "gap"
    return bone.leak(part, kind, abs(areas[peak] - usual[peak]), "mm²", finding, advice)
