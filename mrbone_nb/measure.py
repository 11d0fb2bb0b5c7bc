"""Measures: how big a bone is, and how far two masks differ, in millimeters.

Boundary voxels are those voxels of a mask that have one of their six neighbors outside it; what lies
beyond the scan counts as outside, so a voxel at the scan's edge is a boundary voxel. Distances run
between the centers of boundary voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from .bones import LabelTable
from .errors import InputError
from .step import Spacing
from .surface import surface
from .volume import Volume


def volume_mm3(mask: np.ndarray, spacing: Spacing) -> float:
    """Volume of a mask: its voxels times the volume of one."""
    return float(np.count_nonzero(mask) * np.prod(spacing))


def area_mm2(volume: Volume, label: int | None = None) -> float:
    """Area of the smooth closed surface (as `surface` traces it by default) of a mask or of one label."""
    return surface(volume, label).area


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Give the Dice coefficient, 2 |A ∩ B| / (|A| + |B|): 1 equal, 0 disjoint or one side empty, NaN both empty.

    References
    ----------
    Dice LR (1945). Measures of the amount of ecologic association between species. doi:10.2307/1932409
    """
    a, b = _same_shape(a, b)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero(a & b) / total) if total else float("nan")


def assd(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> float:
    """Average symmetric surface distance in mm: (Σ d(A→B) + Σ d(B→A)) / (nA + nB) over boundary voxels.

    NaN if either side is empty.
    """
    return _assd_and_hd95(a, b, spacing)[0]


def hd95(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> float:
    """95 % Hausdorff distance in mm: the larger of the two directed 95th percentiles over boundary voxels.

    NaN if either side is empty.
    """
    return _assd_and_hd95(a, b, spacing)[1]


@dataclass(frozen=True)
class Comparison:
    """Hold one row of `compare`: a structure, its two labels, and how far they differ."""

    name: str
    label_a: int | None
    label_b: int | None
    dice: float
    assd_mm: float
    hd95_mm: float
    volume_a_mm3: float
    volume_b_mm3: float
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Give the row as a dictionary, for a table or JSON."""
        return asdict(self)


def compare(
    labels_a: Volume,
    labels_b: Volume,
    map: Mapping[int, int] | None = None,
    names_a: LabelTable | None = None,
    names_b: LabelTable | None = None,
) -> list[Comparison]:
    """Compare two label maps label by label.

    Labels are paired as ``map`` says; without it by name (and side) where both have one, else by number.

    Parameters
    ----------
    labels_a, labels_b
        Label maps (or masks) on the same grid.
    map
        Which label of ``labels_b`` belongs to which of ``labels_a``, as ``{1: 5, 2: 6}``; other labels
        are left out.
    names_a, names_b
        What the numbers mean.

    Returns
    -------
    list of Comparison
        One row a pair; a label without partner has Dice 0 and distances NaN, and ``note`` says so.

    Raises
    ------
    InputError
        If the grids differ, naming both, or ``map`` names a label that is nowhere.
    """
    refuse_other_grid(labels_a, labels_b)
    a, b = _Side(labels_a, names_a), _Side(labels_b, names_b)
    return [_row(a, b, *pair, labels_a.spacing) for pair in _pairs(a, b, map)]


class _Side:
    """One label map with its names, and the box around each label, so that little is looked at twice."""

    def __init__(self, labels: Volume, names: LabelTable | None) -> None:
        from scipy.ndimage import find_objects

        if labels.array.dtype.kind not in "biu":
            raise InputError(
                f"{labels.name}: values of type {labels.array.dtype}; expected the whole numbers of labels"
            )
        self.array = labels.array.astype(np.uint8) if labels.array.dtype == bool else labels.array
        self.names = names or LabelTable()
        self.boxes = {value: box for value, box in enumerate(find_objects(self.array), 1) if box}

    def key(self, value: int) -> tuple[str, str]:
        """Name and side by which labels are paired."""
        return self.names[value].name.casefold(), self.names[value].side

    def mask(self, value: int | None, box: tuple[slice, ...]) -> np.ndarray:
        """The voxels of a label inside a box; none without a label."""
        part = self.array[box]
        return part == value if value is not None else np.zeros(part.shape, bool)


def _row(a: _Side, b: _Side, value_a: int | None, value_b: int | None, spacing: Spacing) -> Comparison:
    boxes = [side.boxes[v] for side, v in ((a, value_a), (b, value_b)) if v in side.boxes]
    around = tuple(slice(min(s.start for s in line), max(s.stop for s in line)) for line in zip(*boxes, strict=True))
    mask_a, mask_b = a.mask(value_a, around), b.mask(value_b, around)
    average, largest = _assd_and_hd95(mask_a, mask_b, spacing)
    empty = [side for side, mask in (("first", mask_a), ("second", mask_b)) if not mask.any()]
    named = a.names.get(value_a) or b.names.get(value_b)
    return Comparison(
        name=named.title if named else f"label {value_a if value_a is not None else value_b}",
        label_a=value_a,
        label_b=value_b,
        dice=dice(mask_a, mask_b),
        assd_mm=average,
        hd95_mm=largest,
        volume_a_mm3=volume_mm3(mask_a, spacing),
        volume_b_mm3=volume_mm3(mask_b, spacing),
        note=f"empty in the {' and the '.join(empty)}" if empty else "",
    )


def _pairs(a: _Side, b: _Side, map: Mapping[int, int] | None) -> list[tuple[int | None, int | None]]:
    """Decide which label is compared with which; None stands for "has no partner"."""
    if map is not None:
        for one, other in map.items():
            if one not in a.boxes and other not in b.boxes:
                there = f"the first has {list(a.boxes)}, the second {list(b.boxes)}"
                raise InputError(f"map {one}:{other}: neither label is there; {there}")
        return [(int(one), int(other)) for one, other in map.items()]
    by_name = {b.key(v): v for v in b.boxes if v in b.names}
    partner = {v: by_name[a.key(v)] for v in a.boxes if v in a.names and a.key(v) in by_name}
    free = set(b.boxes) - set(partner.values())
    for value in a.boxes:
        if value not in partner and value in free and not (value in a.names and value in b.names):
            partner[value] = value
    rest = [value for value in b.boxes if value not in partner.values()]
    return [(value, partner.get(value)) for value in a.boxes] + [(None, value) for value in rest]


def _assd_and_hd95(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> tuple[float, float]:
    """Both distances in mm, from the distance of each boundary voxel to the nearest one of the other side.

    The box around both masks is enough: no boundary voxel lies outside it.
    """
    import edt

    a, b = _same_shape(a, b)
    if not (a.any() and b.any()):
        return float("nan"), float("nan")
    box, both = [], a | b
    for axis in range(3):
        used = np.flatnonzero(both.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(used[0], used[-1] + 1))
    a, b = boundary(a[tuple(box)]), boundary(b[tuple(box)])
    to_a, to_b = (edt.edt((~side).astype(np.uint8), anisotropy=spacing, black_border=False) for side in (a, b))
    ab, ba = to_b[a].astype(float), to_a[b].astype(float)
    return (
        float((ab.sum() + ba.sum()) / (len(ab) + len(ba))),
        float(max(np.percentile(ab, 95), np.percentile(ba, 95))),
    )


def boundary(mask: np.ndarray) -> np.ndarray:
    """Give the voxels of a mask with one of their six neighbors outside it; beyond the array is outside."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        line = np.moveaxis(inner, axis, 0)
        whole = np.moveaxis(mask, axis, 0)
        line[1:] &= whole[:-1]
        line[:-1] &= whole[1:]
        line[0] = line[-1] = False
    return mask & ~inner


def _same_shape(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if a.shape != b.shape or a.ndim != 3:
        raise InputError(f"masks of shape {a.shape} and {b.shape}: expected the same grid, (planes, rows, columns)")
    return a, b


def refuse_other_grid(a: Volume, b: Volume) -> None:
    """Refuse two volumes that do not lie on the same grid, naming and describing both."""
    if not a.same_grid(b):
        raise InputError(
            f"{a.name} and {b.name} lie on different grids: {describe_grid(a)} and {describe_grid(b)}; "
            "put one onto the other first (resample with labels=True)"
        )


def describe_grid(volume: Volume) -> str:
    """Describe a grid in a few words for a message."""
    size = "×".join(map(str, volume.shape))
    spacing = "×".join(f"{s:.4g}" for s in volume.spacing)
    origin = ", ".join(f"{v:.4g}" for v in volume.origin)
    return f"{size} voxels of {spacing} mm from ({origin})"
