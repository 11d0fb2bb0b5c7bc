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
    return 2.0 * np.count_nonzero(a & b) / total if total else float("nan")


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
    a, b = (v.array.astype(np.uint8) if v.array.dtype == bool else v.array for v in (labels_a, labels_b))
    names_a, names_b = names_a or LabelTable(), names_b or LabelTable()
    pairs = _pairs(_values(a), _values(b), map, names_a, names_b)
    return [_row(a, b, pair, labels_a.spacing, names_a, names_b) for pair in pairs]


def _row(
    a: np.ndarray,
    b: np.ndarray,
    pair: tuple[int | None, int | None],
    spacing: Spacing,
    names_a: LabelTable,
    names_b: LabelTable,
) -> Comparison:
    value_a, value_b = pair
    mask_a = a == value_a if value_a is not None else np.zeros(a.shape, bool)
    mask_b = b == value_b if value_b is not None else np.zeros(b.shape, bool)
    average, largest = _assd_and_hd95(mask_a, mask_b, spacing)
    empty = [side for side, mask in (("first", mask_a), ("second", mask_b)) if not mask.any()]
    named = names_a.get(value_a) or names_b.get(value_b)
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


def _pairs(
    values_a: list[int], values_b: list[int], map: Mapping[int, int] | None, names_a: LabelTable, names_b: LabelTable
) -> list[tuple[int | None, int | None]]:
    """Decide which label is compared with which; None stands for "has no partner"."""
    if map is not None:
        for a, b in map.items():
            if a not in values_a and b not in values_b:
                raise InputError(
                    f"map {a}:{b}: neither label is there; the first has {values_a}, the second {values_b}"
                )
        return [(int(a), int(b)) for a, b in map.items()]
    by_name = {_key(names_b, v): v for v in values_b if v in names_b}
    partner: dict[int, int] = {}
    for a in values_a:
        if a in names_a and _key(names_a, a) in by_name:
            partner[a] = by_name[_key(names_a, a)]
        elif a in values_b and not (a in names_a and a in names_b):
            partner[a] = a
    rest = [b for b in values_b if b not in partner.values()]
    return [(a, partner.get(a)) for a in values_a] + [(None, b) for b in rest]


def _key(names: LabelTable, value: int) -> tuple[str, str]:
    return names[value].name.casefold(), names[value].side


def _values(labels: np.ndarray) -> list[int]:
    return [int(v) for v in np.unique(labels) if v != 0]


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
