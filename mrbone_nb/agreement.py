"""Two sets of results of the same scans: two recipes, two raters, two time points; how far they agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bones import LabelTable
from .errors import InputError
from .export import read_labels
from .labelfile import suffix_of
from .measure import compare, volume_mm3
from .mesh import Mesh
from .shape.distance import distance_to_mesh
from .surface import surface as extract_surface
from .volume import Volume

FEW = 3  # pairs, below which limits of agreement mean nothing


@dataclass(frozen=True)
class BlandAltman:
    """Hold how far two measurements of the same things differ, in their own unit."""

    n: int
    bias: float
    sd: float
    lower: float
    upper: float
    bias_low: float
    bias_high: float


def bland_altman(a: Iterable[float], b: Iterable[float]) -> BlandAltman:
    """Give the mean difference b - a and the limits between which 95 % of differences lie.

    Parameters
    ----------
    a, b
        Two measurements of the same things, in the same order.

    Returns
    -------
    BlandAltman
        Bias with its 95 % confidence interval, standard deviation and limits of agreement of the differences.

    Raises
    ------
    InputError
        Fewer than three pairs, or lists of different length.

    References
    ----------
    Bland JM, Altman DG (1986). Statistical methods for assessing agreement between two methods of clinical
    measurement. doi:10.1016/S0140-6736(86)90837-8

    Examples
    --------
    >>> bland_altman([1, 2, 3, 4], [2, 3, 4, 5]).bias
    1.0
    """
    from scipy.stats import t

    pairs = _pairs_of(a, b)
    difference = pairs[:, 1] - pairs[:, 0]
    n, bias, sd = len(pairs), float(difference.mean()), float(difference.std(ddof=1))
    half = float(t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return BlandAltman(n, bias, sd, bias - 1.96 * sd, bias + 1.96 * sd, bias - half, bias + half)


@dataclass(frozen=True)
class Icc:
    """Hold an intraclass correlation coefficient with its 95 % confidence interval."""

    n: int
    value: float
    low: float
    high: float


def icc(a: Iterable[float], b: Iterable[float]) -> Icc:
    """Give ICC(2,1), or ICC(A,1): absolute agreement of single measurements, raters taken as drawn from many.

    1 is full agreement; a constant difference between the two lowers it, as it should. It depends on how far the
    things measured differ among themselves.

    Parameters
    ----------
    a, b
        Two measurements of the same things, in the same order.

    Returns
    -------
    Icc
        NaN where nothing varies.

    References
    ----------
    Shrout PE, Fleiss JL (1979). Intraclass correlations. doi:10.1037/0033-2909.86.2.420
    McGraw KO, Wong SP (1996). Forming inferences about some intraclass correlation coefficients.
    doi:10.1037/1082-989X.1.1.30

    Examples
    --------
    >>> icc([1, 2, 3, 4], [1, 2, 3, 4]).value
    1.0
    """
    from scipy.stats import f

    pairs = _pairs_of(a, b)
    n, k = pairs.shape
    rows, columns, mean = pairs.mean(axis=1), pairs.mean(axis=0), pairs.mean()
    between = k * ((rows - mean) ** 2).sum() / (n - 1)
    raters = n * ((columns - mean) ** 2).sum() / (k - 1)
    error = ((pairs - rows[:, None] - columns + mean) ** 2).sum() / ((n - 1) * (k - 1))
    whole = between + (k - 1) * error + k * (raters - error) / n
    if not whole > 0:
        return Icc(n, math.nan, math.nan, math.nan)
    value = (between - error) / whole
    if error <= 1e-12 * between and raters <= 1e-12 * between:
        return Icc(n, 1.0, 1.0, 1.0)
    one, two = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (one * raters + two * error) ** 2 / (
        (one * raters) ** 2 / (k - 1) + (two * error) ** 2 / ((n - 1) * (k - 1))
    )
    up, down = f.ppf(0.975, n - 1, freedom), f.ppf(0.975, freedom, n - 1)
    rest = k * raters + (k * n - k - n) * error
    low = n * (between - up * error) / (up * rest + n * between)
    high = n * (down * between - error) / (rest + n * down * between)
    return Icc(n, float(value), float(low), float(high))


def _pairs_of(a: Iterable[float], b: Iterable[float]) -> np.ndarray:
    a, b = np.asarray(list(a), float), np.asarray(list(b), float)
    if a.shape != b.shape:
        raise InputError(f"{len(a)} and {len(b)} values: expected the same things in the same order")
    pairs = np.stack([a, b], 1)[np.isfinite(a) & np.isfinite(b)]
    if len(pairs) < FEW:
        raise InputError(f"{len(pairs)} pairs of values: at least {FEW} are needed")
    return pairs


# --- a cohort --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Hold one bone of one scan in two results; volumes in mm³, distances in mm, b minus a."""

    scan: str
    bone: str
    volume_a: float
    volume_b: float
    dice: float
    assd: float
    hd95: float
    signed: float
    note: str = ""


@dataclass(frozen=True)
class Agreement:
    """Hold how far two sets of results agree; made by `agree`."""

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...] = ()

    def bones(self) -> list[str]:
        """The bones that occur, in the order in which they were found."""
        return list(dict.fromkeys(pair.bone for pair in self.pairs))

    def summary(self) -> list[dict[str, Any]]:
        """A row a bone: Dice, ASSD, HD95 (mean and SD), and how volumes agree where there are three scans or more."""
        return [_summary(bone, [p for p in self.pairs if p.bone == bone]) for bone in self.bones()]

    def rows(self) -> list[dict[str, Any]]:
        """A row a scan and bone, for a table."""
        return [asdict(pair) for pair in self.pairs]


def _summary(bone: str, pairs: list[Pair]) -> dict[str, Any]:
    row: dict[str, Any] = {"bone": bone, "scans": len(pairs)}
    for name in ("dice", "assd", "hd95"):
        values = np.array([getattr(p, name) for p in pairs])
        values = values[np.isfinite(values)]
        row[name] = round(float(values.mean()), 4) if len(values) else None
        row[f"{name}_sd"] = round(float(values.std(ddof=1)), 4) if len(values) > 1 else None
    volumes = [p.volume_a for p in pairs], [p.volume_b for p in pairs]
    try:
        limits, agree = bland_altman(*volumes), icc(*volumes)
    except InputError:
        return row
    row |= {f"volume_{n}_mm3": round(getattr(limits, n), 1) for n in ("bias", "sd", "lower", "upper")}
    return row | {"icc": _rounded(agree.value), "icc_low": _rounded(agree.low), "icc_high": _rounded(agree.high)}


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def agree(a: Path | str, b: Path | str) -> Agreement:
    """Compare two folders of label maps scan by scan and bone by bone.

    Label maps belong together by the names of their files, or of the folders in which they lie. On one grid they are
    compared voxel by voxel; on two, as at two time points, by their surfaces, the second moved onto the first.

    Parameters
    ----------
    a, b
        Folders, such as `batch` wrote, or of two raters' label maps.

    Returns
    -------
    Agreement
        What only one side has stands under ``missing``.

    Raises
    ------
    InputError
        A folder holds no label map, or none belongs to one of the other's.
    """
    sides = [_maps_in(Path(folder)) for folder in (a, b)]
    common = [name for name in sides[0] if name in sides[1]]
    if not common:
        raise InputError(f"{a} and {b}: no label map of one belongs to one of the other; name files or folders alike")
    only = (("A", *sides), ("B", *sides[::-1]))
    missing = [f"{name} (only in {side})" for side, one, other in only for name in one if name not in other]
    pairs = [pair for name in common for pair in compare_scan(name, sides[0][name], sides[1][name])]
    return Agreement(tuple(pairs), tuple(missing))


def _maps_in(folder: Path) -> dict[str, Path]:
    """The label maps below a folder, by name: that of their own folder, else of the file."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and suffix_of(p))
    files = [p for p in files if not p.name.removesuffix(suffix_of(p)).endswith(("_seeds", "_start"))]
    if not files:
        raise InputError(f"{folder}: holds no label map")
    alone = {p: sum(q.parent == p.parent for q in files) == 1 and p.parent != folder for p in files}
    found: dict[str, Path] = {}
    for path in files:
        name = path.parent.relative_to(folder).as_posix() if alone[path] else path.name[: -len(suffix_of(path))]
        if name in found:
            raise InputError(f"{path}: another label map is called {name}, too; give them different names")
        found[name] = path
    return found


def compare_scan(name: str, a: Path, b: Path) -> list[Pair]:
    """Compare two label map files of one scan: a row a bone."""
    (first, names_a), (second, names_b) = read_labels(a), read_labels(b)
    if first.same_grid(second):
        rows = compare(first, second, names_a=names_a, names_b=names_b)
        facts = [(r.volume_a_mm3, r.volume_b_mm3, r.dice, r.assd_mm, r.hd95_mm, math.nan, r.note) for r in rows]
        return [Pair(name, row.name, *values) for row, values in zip(rows, facts, strict=True)]
    return _compare_surfaces(name, (first, names_a), (second, names_b))


def surfaces_of(a: Path | str, b: Path | str) -> Iterator[tuple[str, str, Mesh, Mesh, bool]]:
    """Give, for each bone that two folders share: scan, bone, both surfaces, and whether they lie on one grid."""
    sides = [_maps_in(Path(folder)) for folder in (a, b)]
    for name in (name for name in sides[0] if name in sides[1]):
        both = [read_labels(side[name]) for side in sides]
        numbers = [_numbers(*one) for one in both]
        for bone in (bone for bone in numbers[0] if bone in numbers[1]):
            meshes = [extract_surface(labels, n[bone]) for (labels, _), n in zip(both, numbers, strict=True)]
            yield name, bone, *meshes, both[0][0].same_grid(both[1][0])


def _numbers(labels: Volume, names: LabelTable) -> dict[str, int]:
    """The label of each bone, by its name."""
    return {label.title: n for n, label in names.filled(n for n in np.unique(labels.array) if n).items()}


def _compare_surfaces(name: str, a: tuple[Volume, LabelTable], b: tuple[Volume, LabelTable]) -> list[Pair]:
    """Bones of one name on two grids, the second moved onto the first."""
    numbers, rows = [_numbers(*side) for side in (a, b)], []
    for title in dict.fromkeys([*numbers[0], *numbers[1]]):
        both = [(labels, found.get(title)) for (labels, _), found in zip((a, b), numbers, strict=True)]
        volumes = [0.0 if n is None else volume_mm3(labels.array == n, labels.spacing) for labels, n in both]
        measured = {"assd": math.nan, "hd95": math.nan, "signed": math.nan}
        note = "other grid: surfaces, moved together"
        if None in (both[0][1], both[1][1]):
            note = f"only in {'A' if both[1][1] is None else 'B'}"
        else:
            try:
                found = distance_to_mesh(extract_surface(*both[1]), extract_surface(*both[0]))
                far = np.abs(found.values[np.isfinite(found.values)])
                measured = {"assd": float(far.mean()), "hd95": float(np.percentile(far, 95)), "signed": found.mean}
            except InputError as error:
                note = str(error)
        rows.append(Pair(name, title, *volumes, math.nan, **measured, note=note))
    return rows
