"""Extremal regions: bone as parts of the gray levels that hardly change from one level to the next.

Trabecular bone is bright on dark; the cortex, dark on bright, is in cortex.py. On the levels of the whole volume, bones
are parted best; on those of single slices, regions come closer to the cortex.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from ..grids import pool, unpool
from ..morphology import SLACK_MM, bounding_box, connected_parts, dilate, distance_inside
from ..step import EVERYTHING_ELSE, Image, Labels, Mask, Range, Seeds, Spacing, step
from .leveltree import level_tree
from .walker import coarsening, pool_seeds

LOWEST, HIGHEST = 0.3, 1.2  # gray values between which marrow is looked for
LEAST_SHARE = 0.5  # of what is marked in a bone, below which nothing is its marrow
APART_MM = 1e4  # between slices that must not see each other
FLAT = 2.5  # planes whose voxels are longer than this to their width show no border
MOST_LABELS = EVERYTHING_ELSE - 1

Delta = Annotated[float, Range(0.005, 0.1, 0.0025)]
Change = Annotated[float, Range(0.05, 10, 0.05)]


def _levels(delta: float, lowest: float = LOWEST) -> np.ndarray:
    return np.arange(lowest, max(HIGHEST, lowest + 2 * delta), delta, np.float32)


def _ball(radius: float, spacing: Spacing) -> np.ndarray:
    """The voxels within a radius in mm of the middle one."""
    index = np.ogrid[tuple(slice(-int(radius / s + SLACK_MM), int(radius / s + SLACK_MM) + 1) for s in spacing)]
    return sum((i * s) ** 2 for i, s in zip(index, spacing, strict=True)) <= radius**2 + SLACK_MM


def _thin_off(image: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Gray erosion: bright bridges no wider than twice the radius are gone."""
    from scipy.ndimage import minimum_filter

    ball = _ball(radius, spacing)
    return minimum_filter(image, footprint=ball, mode="nearest") if ball.size > 1 else image


def _grow_back(labels: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Give labels back what the gray erosion took; where two meet, the nearer has it."""
    from scipy.ndimage import distance_transform_edt

    if not radius or not labels.any():
        return labels
    away, nearest = distance_transform_edt(labels == 0, spacing, return_indices=True)
    return np.where(away <= radius + SLACK_MM, labels[tuple(nearest)], 0).astype(np.uint8)


def _marked_regions(
    image: np.ndarray, marks: np.ndarray, spacing: Spacing, radius: float, smallest: int, delta: float, q_max: float
) -> np.ndarray:
    """The largest stable regions that hold marks of one bone and none of anything else, with its label."""
    bone = (marks > 0) & (marks < EVERYTHING_ELSE)
    if not bone.any():
        return np.zeros_like(marks)
    levels = _levels(delta, LEAST_SHARE * float(np.median(image[bone])))
    tree = level_tree(_thin_off(image, radius, spacing), levels, marks, smallest)
    one = (tree.least == tree.most) & (tree.most > 0) & (tree.most < EVERYTHING_ELSE)
    chosen = tree.largest(one & (tree.change(1) <= q_max))
    return _grow_back(tree.paint(chosen, tree.most[chosen]).astype(np.uint8), radius, spacing)


def _free_regions(
    image: np.ndarray,
    outside: np.ndarray,
    spacing: Spacing,
    radius: float,
    smallest: int,
    delta: float,
    q_max: float,
    width: float,
) -> np.ndarray:
    """The largest stable regions that keep off the skin and are wide enough for bone, numbered from the largest."""
    import edt

    tree = level_tree(_thin_off(image, radius, spacing), _levels(delta), outside, smallest)
    chosen = tree.largest((tree.most == 0) & (tree.change(1) <= q_max))
    regions = tree.paint(chosen, np.arange(1, len(chosen) + 1))
    depth = edt.edt(regions.astype(np.uint32), anisotropy=spacing, black_border=False)
    deepest = np.zeros(len(chosen) + 1, np.float32)
    np.maximum.at(deepest, regions.ravel(), depth.ravel())
    wide = 2 * (deepest + radius) >= width
    wide[0] = False
    return _numbered(wide[regions], radius, spacing)


def _numbered(mask: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Connected components of what the eroded regions are when grown back, from the largest on."""
    parts, count = connected_parts(dilate(mask, radius, spacing), 6)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    rank = np.zeros(count + 1, np.int64)
    rank[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, count + 1)
    return np.where(rank <= MOST_LABELS, rank, 0).astype(np.uint8)[parts]


def _markers(labels: np.ndarray, seeds: np.ndarray, spacing: Spacing, deep: float, reach: float) -> np.ndarray:
    """Marks for the next pass: the strokes, what lies deep in a label, and 255 for what lies beyond reach of all."""
    import edt

    inside = edt.edt(np.ascontiguousarray(labels), anisotropy=spacing, black_border=False)
    far = distance_inside(labels == 0, spacing) > reach
    return np.where(seeds > 0, seeds, np.where(far, EVERYTHING_ELSE, np.where(inside > deep, labels, 0))).astype(np.uint8)


def _with_strokes(labels: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Strokes are the last word."""
    return np.where(seeds > 0, np.where(seeds == EVERYTHING_ELSE, 0, seeds), labels).astype(np.uint8)


def _finer(labels: np.ndarray, factors: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Labels on the full grid: each where its interpolated share is half or more."""
    out = np.zeros(shape, np.uint8)
    for number in (int(n) for n in np.unique(labels) if n):
        out[unpool((labels == number)[None].astype(np.float32), factors, shape)[0] >= 0.5] = number
    return out


@step(preview="none", bytes_per_voxel=60)
def trabecular_regions(
    image: Image,
    seeds: Seeds | None = None,
    mask: Mask | None = None,
    *,
    spacing: Spacing,
    delta: Delta = 0.0125,
    q_max: Change = 1.0,
    smallest: Annotated[float, Range(0, 10_000, 10, "mm³")] = 100.0,
    passes: Annotated[int, Range(1, 4)] = 3,
    neck: Annotated[float, Range(0, 10, 0.1, "mm")] = 4.0,
    reach: Annotated[float, Range(1, 20, 0.5, "mm")] = 8.0,
    skin: Annotated[float, Range(0, 30, 0.5, "mm")] = 5.0,
    width: Annotated[float, Range(0, 60, 0.5, "mm")] = 14.0,
    resolution: Annotated[float, Range(0.5, 5, 0.1, "mm")] = 1.4,
) -> Labels:
    """Find the cores of bones as maximally stable bright regions of the volume's gray levels.

    Of the parts above all gray levels it takes the largest whose volume is stable and which hold strokes of one bone
    alone; without strokes, all that are wide and keep off the skin. A core ends where marrow is no wider than `neck`,
    and wide fat is taken for bone where no strokes choose.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1, bright marrow.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else; where no bone is marked, regions are numbered.
    mask
        The limb, (P, M, N); what lies beyond is dark. Without it the whole scan is the limb.
    spacing
        (plane, row, column) in mm.
    delta
        Step from one gray level to the next.
    q_max
        Largest change of volume, one level up to one level down, relative to the region's.
    smallest
        Smallest volume of a region.
    passes
        How often, with half the `neck` each time; each looks near strokes and the regions of the one before.
    neck
        Bridges narrower than this do not connect in the second pass, and twice as wide ones in the first, which needs
        strokes. Raise it where fat is taken for bone, lower it for thin bones.
    reach
        How far from a region the next pass may look.
    skin
        Without strokes: regions that come nearer to the limb's border than this are fat.
    width
        Without strokes: diameter of a ball that a bone must hold.
    resolution
        Voxels smaller than this are pooled.

    Returns
    -------
    Labels
        (P, M, N): numbers of the strokes, or 1, 2 … from the largest.

    Notes
    -----
    The change is |A(level - delta) - A(level + delta)| / A(level), on the tree of all connected parts. Seconds a scan.

    References
    ----------
    Matas et al. (2004), doi:10.1016/j.imavis.2004.02.006 (stable regions);
    Passat et al. (2011), doi:10.1016/j.patcog.2011.03.025 (strokes choose nodes of a component tree)

    Examples
    --------
    >>> image = np.pad(np.full((6, 6, 6), 0.9), 4, constant_values=0.2)
    >>> found = trabecular_regions(image, spacing=(3, 3, 3), neck=0)
    >>> int(found.sum())
    216
    """
    strokes = np.zeros(image.shape, np.uint8) if seeds is None else seeds
    limb = np.ones(image.shape, bool) if mask is None else mask
    factors = coarsening(image.shape, spacing, resolution)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    limb = pool(limb.astype(np.float32), factors, "mean") >= 0.5
    gray, marks = np.where(limb, pool(image, factors, "mean"), 0), pool_seeds(strokes, factors)
    least = max(1, round(smallest / float(np.prod(size))))
    found = np.zeros(gray.shape, np.uint8)
    bones = marks * (marks < EVERYTHING_ELSE)
    near = marks
    for number in range(passes) if strokes.any() else range(1, max(2, passes)):
        radius = neck / 2**number
        if number == 1 and not strokes.any():
            outside = (distance_inside(limb, size) <= skin + radius if not limb.all() else ~limb).astype(np.uint8)
            new = _free_regions(gray, outside, size, radius, least, delta, q_max, width)
        else:
            new = _marked_regions(gray, near, size, radius, least, delta, q_max)
        found = np.where(new > 0, new, found)
        if not (found.any() or bones.any()):
            break
        near = _markers(np.where(found > 0, found, bones), marks, size, radius / 2, reach)
    return _with_strokes(_finer(found, factors, image.shape), strokes)


def _flat(spacing: Spacing, axis: int) -> Spacing:
    """The spacing of slices across an axis, each by itself."""
    return tuple(APART_MM if a == axis else s for a, s in enumerate(spacing))


def _axes(spacing: Spacing, shape: tuple[int, ...], axes: str) -> list[int]:
    """The axes whose slices show a border well enough."""
    if axes == "acquired":
        return [0]
    plane = [[s for a, s in enumerate(spacing) if a != axis] for axis in range(3)]
    return [a for a, p in enumerate(plane) if a == 0 or (max(p) <= FLAT * min(p) and shape[a] > 1)]


def _slice_by_slice(
    image: np.ndarray,
    marks: np.ndarray,
    spacing: Spacing,
    axis: int,
    radius: float,
    smallest: float,
    delta: float,
    q_max: float,
) -> np.ndarray:
    """The marked regions of every slice across an axis."""
    size = _flat(spacing, axis)
    pixels = max(1, round(smallest / float(np.prod([s for a, s in enumerate(spacing) if a != axis]))))
    out = np.zeros(image.shape, np.uint8)
    bone = (marks > 0) & (marks < EVERYTHING_ELSE)
    for k in np.flatnonzero(bone.any(axis=tuple(a for a in range(3) if a != axis))):
        here = tuple(slice(k, k + 1) if a == axis else slice(None) for a in range(3))
        out[here] = _marked_regions(
            np.ascontiguousarray(image[here]), np.ascontiguousarray(marks[here]), size, radius, pixels, delta, q_max
        )
    return out


@step(preview="none", bytes_per_voxel=30)
def regions_on_slices(
    image: Image,
    labels: Labels,
    seeds: Seeds | None = None,
    *,
    spacing: Spacing,
    delta: Delta = 0.0125,
    q_max: Change = 1.0,
    smallest: Annotated[float, Range(0, 1000, 1, "mm²")] = 4.0,
    neck: Annotated[float, Range(0, 10, 0.1, "mm")] = 1.6,
    reach: Annotated[float, Range(1, 20, 0.5, "mm")] = 6.0,
    passes: Annotated[int, Range(1, 4)] = 2,
    axes: Literal["acquired", "three"] = "acquired",
) -> Labels:
    """Grow the cores of bones to the stable bright regions of every slice that hold them.

    Within a slice the thin cortex near a joint is whole more often than in the volume, so regions come closer to it
    before they leak. Where a slice runs along the surface of a bone, the core alone stays.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1, bright marrow.
    labels
        Cores, (P, M, N).
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    delta
        Step from one gray level to the next.
    q_max
        Largest change of area, one level up to one level down, relative to the region's.
    smallest
        Smallest area of a region.
    neck
        Bridges narrower than this do not connect.
    reach
        No region may come farther from the cores than this.
    passes
        How often; each pass after the first also begins from the regions of the neighboring slices.
    axes
        Slices as acquired, or along all three axes whose slices are sharp enough, where two must agree.

    Returns
    -------
    Labels
        (P, M, N), never smaller than the cores.

    References
    ----------
    Matas et al. (2004), doi:10.1016/j.imavis.2004.02.006

    Examples
    --------
    >>> image = np.array([[[0.2, 0.9, 0.9, 0.9, 0.9, 0.2, 0.2]]])
    >>> core = np.array([[[0, 0, 1, 0, 0, 0, 0]]])
    >>> regions_on_slices(image, core, spacing=(4, 1, 1), neck=0, smallest=0)[0, 0].tolist()
    [0, 1, 1, 1, 1, 0, 0]
    """
    cores = np.where(labels == EVERYTHING_ELSE, 0, labels)
    strokes = np.zeros_like(cores) if seeds is None else seeds
    if not cores.any():
        return _with_strokes(cores, strokes)
    box = bounding_box(cores > 0, reach + neck, spacing)
    gray, part = image[box], cores[box]
    used = _axes(spacing, gray.shape, axes)
    for number in range(passes):
        found = []
        for axis in used:
            begun = part if number == 0 else np.where(part > 0, part, _from_neighbors(part, spacing, axis))
            marks = _markers(begun, strokes[box], spacing, 0.0, reach)
            found.append(_slice_by_slice(gray, marks, spacing, axis, neck / 2, smallest, delta, q_max))
        part = _agreed(part, found)
    out = cores.copy()
    out[box] = part
    return _with_strokes(out, strokes)


def _from_neighbors(labels: np.ndarray, spacing: Spacing, axis: int) -> np.ndarray:
    """Labels of the slices on both sides, as far as a surface at 45° would let them reach over."""
    import edt

    deep = np.where(edt.edt(labels, anisotropy=_flat(spacing, axis), black_border=False) > spacing[axis], labels, 0)
    deep = np.moveaxis(np.pad(deep, [(1, 1) if a == axis else (0, 0) for a in range(3)]), axis, 0)
    both = np.where(deep[:-2] > 0, deep[:-2], deep[2:])
    return np.moveaxis(both, 0, axis)


def _agreed(labels: np.ndarray, found: list[np.ndarray]) -> np.ndarray:
    """Labels with what two of the axes, or the only one, have found beside them."""
    out = labels.copy()
    for number in (int(n) for n in np.unique(labels) if n):
        votes = sum((f == number).astype(np.uint8) for f in found)
        out[(votes >= min(2, len(found))) & (out == 0)] = number
    return out
