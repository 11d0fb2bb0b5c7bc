"""Quality without a truth: what is odd about each bone of a label map on its scan, and which to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..leaks import check_leaks
from ..measure import dice, refuse_other_grid
from ..morphology import bounding_box
from ..recipe import Recipe, on_grid
from ..step import EVERYTHING_ELSE, Call
from ..volume import Volume
from . import rim, shape
from .score import MEASURES, Measure, Quality, scored

__all__ = ["MEASURES", "Measure", "Quality", "quality", "rescored", "second_opinion"]

PARTNER = {"left": "right", "right": "left"}
SECOND = Recipe(
    (
        Call("normalize"),
        Call("lowpass_bias_correction"),
        Call("gaussian", {"sigma": 0.4}),
        Call("random_walker", {"resolution": 2.0}),
        Call("most_likely"),
    ),
    name="second opinion",
)


def quality(
    volume: Volume,
    labels: Volume,
    *,
    table: LabelTable | None = None,
    seeds: Volume | np.ndarray | None = None,
    others: Sequence[Volume] | None = None,
    against: Sequence[Quality] = (),
    marrow: Literal["auto", "bright", "dark"] = "auto",
) -> list[Quality]:
    """Measure each bone of a label map on its scan, and rank the bones by what is odd about them.

    It looks along the border for the dark cortex and for edges, at the shape by itself, at the partner on the other
    side, and at what another method finds from the same strokes. A low score is a reason to look there first, a high
    one no proof: what is smooth, whole, and ends at the wrong rim is not found.

    Parameters
    ----------
    volume
        The scan.
    labels
        Label map on its grid, 0 = background.
    table
        Names and sides of the labels; partners on both sides are found by them.
    seeds
        Strokes on its grid. With them a random walker gives a second opinion, and a marked bone without any voxel is
        found.
    others
        Label maps of other methods or settings, with the same numbers, instead of that second opinion; empty for none.
    against
        Rows of other scans to hold the bones against, instead of the fixed scale; `rescored` does the same later.
    marrow
        Whether marrow is bright; by default what the scan's tags say, else what the strokes or the bones' middles show.

    Returns
    -------
    list of Quality
        The bone to look at first comes first.

    Raises
    ------
    InputError
        Other grids, or values that are no labels.

    Notes
    -----
    The score is 100 · (1 − Σ w f / Σ w) over the measures in ``MEASURES`` that could be taken, with a fault f from 0
    (good) to 1 (bad) on a fixed scale. Nothing in it is learned. In scans with dark marrow nothing is said about the
    rim, and even exact masks score lower (45 to 95 in simulated knees): hold them `against` others of a kind. About a
    second a bone on 40 slices of 384 × 384.

    References
    ----------
    Cootes TF et al. (1995), doi:10.1006/cviu.1995.1004 (profiles along normals); Raya SP, Udupa JK (1990),
    doi:10.1109/42.52980 (what lies between slices); Dice LR (1945), doi:10.2307/1932409

    Examples
    --------
    >>> scan = np.zeros((8, 40, 40), np.float32)
    >>> scan[2:6, 10:30, 10:30] = 1
    >>> rows = quality(Volume(scan), Volume((scan > 0).astype(np.uint8)), marrow="bright")
    >>> rows[0].parts, rows[0].cavities, rows[0].volume_mm3
    (1, 0, 1600.0)
    """
    refuse_other_grid(volume, labels)
    if labels.array.dtype.kind not in "biu" or labels.array.min() < 0 or labels.array.max() > EVERYTHING_ELSE:
        raise InputError(f"{labels.name}: values of type {labels.array.dtype}; expected labels, 0 to 254")
    if marrow not in ("auto", "bright", "dark"):
        raise InputError(f"marrow={marrow!r}: expected 'auto', 'bright' or 'dark'")
    labels = labels.with_array(labels.array.astype(np.uint8))
    strokes = None if seeds is None else on_grid("seeds", seeds, volume)
    marked = set() if strokes is None else {int(n) for n in np.unique(strokes)}
    there = {int(n) for n in np.unique(labels.array)}
    numbers = sorted((there | marked) - {0, EVERYTHING_ELSE})
    asked = others is None and strokes is not None
    others = [second_opinion(volume, strokes)] if asked else list(others or ())
    for other in others:
        refuse_other_grid(labels, other)
    look = _Look(volume, labels, (table or LabelTable()).filled(numbers), strokes, others, marrow)
    look.judged = marked if asked else set(numbers)
    rows = [scored(look.at(n) if n in there else Quality(n, look.table[n].title), against) for n in numbers]
    return ranked(rows)


def ranked(rows: Sequence[Quality]) -> list[Quality]:
    """Put the bone to look at first in front."""
    return sorted(rows, key=lambda row: (np.nan_to_num(row.score, nan=-1), row.label))


def rescored(rows: Sequence[Quality], against: Sequence[Quality]) -> list[Quality]:
    """Score rows anew by what is odd among the rows of other scans, where there are five of the same bone or more.

    Parameters
    ----------
    rows
        Rows of one scan.
    against
        Rows of all scans, these among them or not.

    Returns
    -------
    list of Quality
        Ranked anew.
    """
    return ranked([scored(row, against) for row in rows])


def second_opinion(volume: Volume, seeds: Volume | np.ndarray) -> Volume:
    """Segment by a random walker at 2 mm from the same strokes: quick, and not sharp.

    Parameters
    ----------
    volume
        The scan.
    seeds
        Strokes on its grid.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the strokes lack was said when the labels were made
        return SECOND.run(volume, seeds=seeds).labels


class _Look:
    """All that the measures of one scan share."""

    def __init__(
        self,
        volume: Volume,
        labels: Volume,
        table: LabelTable,
        strokes: np.ndarray | None,
        others: list[Volume],
        marrow: str,
    ) -> None:
        self.labels, self.table, self.strokes, self.others = labels, table, strokes, others
        self.judged: set[int] = set()  # bones on which the others have an opinion
        seeds = None if strokes is None else labels.with_array(strokes)
        self.leaks = check_leaks(labels, table, seeds=seeds)
        self.image = rim.prepared(volume.array, volume.spacing)
        bones = (labels.array > 0) & (labels.array < EVERYTHING_ELSE)
        is_ct = str(volume.meta.get("modality", "")).upper() == "CT"
        told = volume.meta.get("marrow") if marrow == "auto" else marrow
        if told not in ("bright", "dark"):
            drawn = None if strokes is None else (strokes > 0) & (strokes < EVERYTHING_ELSE)
            told = "bright" if rim.marrow_is_bright(self.image, bones, volume.spacing, drawn) else "dark"
        bright = told == "bright"
        self.rim = bright or is_ct  # CT turned around has a dark rim as well
        if is_ct or not bright:
            self.image = 1 - self.image
        across = volume.points(np.eye(3)) - volume.points(np.zeros((1, 3)))
        self.sideways = int(np.abs(across[:, 0] / np.linalg.norm(across, axis=1)).argmax())

    def at(self, number: int) -> Quality:
        """Measure one bone."""
        mask, spacing = self.labels.array == number, self.labels.spacing
        box = bounding_box(mask, 0, spacing)  # one voxel wider, where there is room
        part = mask[box]
        jump_mm, jump_share, jump_slice = shape.jumps(part, spacing)
        drawn = None if self.strokes is None else self.strokes == number
        found = rim.along_border(self.image, mask, spacing, self.rim, drawn)
        leaks = [leak for leak in self.leaks if leak.label == number]
        jump_slice += box[0].start if jump_slice >= 0 else 0
        places = [leaks[0].slices[len(leaks[0].slices) // 2] if leaks else -1, found.pop("look_slice"), jump_slice]
        return Quality(
            number,
            self.table[number].title,
            look_slice=next((place for place in places if place >= 0), -1),
            volume_mm3=float(np.count_nonzero(part) * np.prod(spacing)),
            extent_mm=shape.extent(part, spacing),
            **shape.topology(part, spacing),
            roughness_mm=shape.roughness(part, spacing),
            jump_mm=jump_mm,
            jump_share=jump_share,
            jump_slice=jump_slice,
            **found,
            border_share=shape.on_border_share(mask),
            leaks=len(leaks),
            **self._partner(number, part),
            **self._opinions(number, mask),
        )

    def _partner(self, number: int, part: np.ndarray) -> dict[str, float]:
        """How alike the bone of the other side is, where the table names one that has voxels."""
        mine = self.table[number]
        for other, label in self.table.items():
            if mine.side and label.name.lower() == mine.name.lower() and label.side == PARTNER[mine.side]:
                theirs = self.labels.array == other
                if theirs.any():
                    theirs = theirs[bounding_box(theirs, 0, self.labels.spacing)]
                    sizes = np.count_nonzero(part), np.count_nonzero(theirs)
                    alike = shape.mirrored_overlap(part, theirs, self.sideways, self.labels.spacing)
                    return {"symmetry": alike, "volume_ratio": max(sizes) / min(sizes)}
        return {}

    def _opinions(self, number: int, mask: np.ndarray) -> dict[str, float]:
        """How far other label maps agree, and how far the strokes are."""
        found = {}
        if self.others and number in self.judged:
            found["agreement"] = float(np.mean([dice(mask, other.array == number) for other in self.others]))
        if self.strokes is not None:
            found["stroke_mm"] = rim.far_from_strokes(mask, self.strokes == number, self.labels.spacing)
        return found
