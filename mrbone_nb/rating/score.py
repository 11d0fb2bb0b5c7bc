"""One score for a bone, from what was measured without a truth: a weighted mean of faults, each on a fixed scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

FEWEST_OTHERS = 5  # rows of a bone below which others are no measure
LEAST_SPREAD = 0.05  # of the fixed scale, so that others which are all alike do not make a trifle a fault
USUAL_Z, ODD_Z = 1.0, 4.0  # robust z that is no fault yet, and that is a full one


@dataclass(frozen=True)
class Measure:
    """Describe a measure that the score is made of: what is no fault, what is a full one, and how much it counts.

    Parameters
    ----------
    name
        The field of `Quality`.
    good, bad
        Values from which it is no fault, and from which it is a full one.
    weight
        How much it counts.
    finding
        What a fault means, in words.
    """

    name: str
    good: float
    bad: float
    weight: float
    finding: str

    def fault(self, value: float) -> float:
        """Give 0 for good, 1 for bad, straight between them; NaN for NaN."""
        return float(np.clip((value - self.good) / (self.bad - self.good), 0, 1))


# The ends were set by what exact masks of simulated joints and hand-drawn ones of hips have, and by what leaks and
# fragments have; the weights by reasoning: most for what looks at the border itself.
MEASURES = (
    Measure("gap_share", 0.2, 0.65, 3, "no end of the bone at the border"),
    Measure("edge_share", 0.86, 0.74, 2, "the border lies beside the edges"),
    Measure("symmetry", 0.7, 0.25, 2, "unlike its partner on the other side"),
    Measure("agreement", 0.85, 0.3, 2, "another method finds another bone"),
    Measure("rim_mm", 1.0, 2.5, 1, "the dark rim lies outside: too small"),
    Measure("rim_spread_mm", 2.0, 5.0, 1, "the border does not follow the dark rim"),
    Measure("foreign_share", 0.05, 0.4, 1, "much inside does not look like marrow"),
    Measure("roughness_mm", 0.15, 0.45, 1, "rough"),
    Measure("stray_share", 0.0, 0.1, 1, "in parts"),
    Measure("jump_share", 0.3, 0.6, 1, "slices do not fit their neighbors"),
    Measure("volume_ratio", 1.05, 1.65, 1, "not as large as its partner"),
    Measure("leaks", 0, 2, 1, "the leak check found something"),
)


@dataclass(frozen=True)
class Quality:
    """Hold one row of `quality`: how much a bone deserves a look, and what was measured on it.

    Parameters
    ----------
    label
        Number of the bone in the label map.
    bone
        Its name and side, or "label N".
    score
        0 (look here first) to 100 (nothing odd): 100 · (1 − Σ weight · fault / Σ weight) over what could be measured.
    findings
        What lowers the score, the worst first, in words.
    look_slice
        The slice to begin with, from 0; -1 where none stands out.
    volume_mm3, extent_mm
        Volume, and length along the longest axis.
    parts, stray_share
        Connected parts, and the share of the volume outside the largest.
    cavities, cavity_mm3, tunnels, euler
        Holes closed all round, their volume, holes that go through, and the Euler number: parts − tunnels + cavities.
    roughness_mm
        Mean distance of the border from its smoothed self.
    jump_mm, jump_share, jump_slice
        How far slices' outlines lie from the middle of their neighbors', as a share of their area, and where most.
    edge_share, gap_share, foreign_share, rim_depth, rim_mm, rim_spread_mm
        What the scan shows along the border; `along_border` tells.
    border_share
        Share of the border that lies on the border of the scan.
    leaks
        Findings of the leak check, which knows how large adults' bones are.
    symmetry
        Dice with the mirror image of the partner on the other side, moved to one middle.
    volume_ratio
        The larger of both over the smaller.
    agreement
        Mean Dice with the other label maps.
    stroke_mm
        Mean distance of the bone's voxels from its own strokes.
    faults
        By measure, 0 to 1.
    """

    label: int
    bone: str
    score: float = float("nan")
    findings: tuple[str, ...] = ()
    look_slice: int = -1
    volume_mm3: float = 0.0
    extent_mm: float = float("nan")
    parts: int = 0
    stray_share: float = float("nan")
    cavities: int = 0
    cavity_mm3: float = 0.0
    tunnels: int = 0
    euler: int = 0
    roughness_mm: float = float("nan")
    jump_mm: float = float("nan")
    jump_share: float = float("nan")
    jump_slice: int = -1
    edge_share: float = float("nan")
    gap_share: float = float("nan")
    foreign_share: float = float("nan")
    rim_depth: float = float("nan")
    rim_mm: float = float("nan")
    rim_spread_mm: float = float("nan")
    border_share: float = float("nan")
    leaks: int = 0
    symmetry: float = float("nan")
    volume_ratio: float = float("nan")
    agreement: float = float("nan")
    stroke_mm: float = float("nan")
    faults: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Give the row as a dictionary, for a table or JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"; begin at slice {self.look_slice}" if self.look_slice >= 0 and self.findings else ""
        return f"{self.bone}: {self.score:.0f} of 100; {'; '.join(self.findings) or 'nothing odd'}{where}"


def scored(row: Quality, against: Sequence[Quality] = ()) -> Quality:
    """Give a row with its score, faults and findings.

    Parameters
    ----------
    row
        What was measured.
    against
        Rows of other scans. Where five or more of the same bone (either side) have a measure, a fault is then what is
        odd among them: from 1 to 4 robust standard deviations (1.48 times the median deviation) on the bad side of
        their median.
    """
    if not row.volume_mm3:
        return replace(row, score=0.0, findings=("no voxel has this label",), faults={})
    same = [other for other in against if _plain(other.bone) == _plain(row.bone)]
    faults = {m.name: _fault(m, row, same) for m in MEASURES}
    faults = {name: fault for name, fault in faults.items() if not math.isnan(fault)}
    weights = {m.name: m.weight for m in MEASURES}
    total = sum(weights[name] for name in faults)
    lost = {name: weights[name] * fault for name, fault in faults.items()}
    words = {m.name: f"{m.finding} ({m.name} {getattr(row, m.name):.2g})" for m in MEASURES}
    worst = sorted((name for name in lost if faults[name] >= 0.25), key=lambda name: -lost[name])
    rounded = {name: round(fault, 3) for name, fault in faults.items()}
    score = round(100 * (1 - sum(lost.values()) / total), 2) if total else float("nan")
    return replace(row, score=score, findings=tuple(words[name] for name in worst), faults=rounded)


def _fault(measure: Measure, row: Quality, same: Sequence[Quality]) -> float:
    """The fault on the fixed scale, or among other rows of the same bone."""
    value = float(getattr(row, measure.name))
    others = np.array([getattr(other, measure.name) for other in same if other.volume_mm3], float)
    others = others[np.isfinite(others)]
    if len(others) < FEWEST_OTHERS:
        return measure.fault(value)
    middle = float(np.median(others))
    least = LEAST_SPREAD * abs(measure.bad - measure.good)
    spread = max(1.4826 * float(np.median(np.abs(others - middle))), least)
    z = (value - middle) / spread * math.copysign(1, measure.bad - measure.good)
    return float(np.clip((z - USUAL_Z) / (ODD_Z - USUAL_Z), 0, 1))


def _plain(bone: str) -> str:
    """A bone's title without its side."""
    return " ".join(word for word in bone.lower().split() if word not in ("left", "right"))
