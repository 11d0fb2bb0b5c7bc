"""The passes of the classifier, from coarse to fine: where each works, what it sees, and what it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .context import context
from .frame import Frame, on_grid_of, ratio, spacing_of
from .look import look, offsets
from .shapes import Shape, distances
from .trees import Trees

NEAR_BORDER = (15.0, 6.0)  # mm round the borders from which most samples come, in the first pass and later
ELSEWHERE = (0.06, 0.25)  # weight of a voxel of background farther off
INSIDE = 0.5  # and of one deep in bone
UNLIKELY = 0.2  # probability of bone below which, with nothing likelier around, a later pass need not look
REACH = 8.0  # mm around


@dataclass(frozen=True)
class Pass:
    """Hold what makes one pass.

    Parameters
    ----------
    resolution
        Voxels smaller than this are pooled, mm.
    widths
        Of the Gaussians, mm.
    ways, nearest, farthest
        Number of random differences of gray, and how far they look, mm.
    around
        Number of places around at which the probabilities of the pass before are read.
    rounds
        Of the boosting.
    balance
        0 lets every voxel count alike, 1 every bone.
    samples
        Voxels to learn from, of each scan.
    seed
        Of the random ways.
    """

    resolution: float
    widths: tuple[float, ...]
    ways: int
    nearest: float
    farthest: float
    around: int
    rounds: int
    balance: float
    samples: int
    seed: int


PASSES = (  # of a single scan; where there are several, atlases take the place of the first
    Pass(3.6, (3.0, 6.0, 12.0, 24.0), 48, 10.0, 120.0, 0, 40, 0.3, 25_000, 0),
    Pass(1.8, (1.5, 3.0, 6.0, 12.0), 32, 4.0, 60.0, 8, 60, 0.2, 20_000, 10),
)
CHUNK = 500_000  # voxels whose rows are made together: fewer save memory, but fields are made anew for each


def pass_of(facts: Mapping[str, Any]) -> Pass:
    """Take over a pass from plain data, and refuse numbers that no pass has."""
    this = Pass(**{**facts, "widths": tuple(float(w) for w in facts["widths"])})
    lengths = (this.resolution, this.nearest, this.farthest, *this.widths)
    if not (all(0 < length < 500 for length in lengths) and len(this.widths) == 4 and this.nearest <= this.farthest):
        raise ValueError("lengths")
    if not all(type(n) is int and 0 <= n <= 1000 for n in (this.ways, this.around, this.seed)):
        raise ValueError("numbers")
    return this


def places_of(this: Pass, frame: Frame, before: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Where a pass works, as flat indices, and the probabilities of the pass before on its grid."""
    if before is None:
        return np.flatnonzero(frame.depth > 0), None
    from scipy.ndimage import maximum_filter

    factors = ratio(frame.image.shape, before.shape[1:])
    near = maximum_filter(1 - before[0], [2 * round(REACH / s) + 1 for s in spacing_of(frame, before)]) > UNLIKELY
    for axis, factor in enumerate(factors):
        near = near.repeat(factor, axis)
    return np.flatnonzero(near[tuple(slice(n) for n in frame.image.shape)]), on_grid_of(frame, before)


def away_of(frame: Frame, before: np.ndarray | None, shapes: Sequence[Shape | None]) -> np.ndarray:
    """Distance in mm to shapes fitted to the pass before, on the frame's grid, (L - 1, p, m, n); empty without any."""
    if before is None or not shapes:
        return np.empty((0, *frame.image.shape), np.float32)
    return on_grid_of(frame, distances(shapes, before, spacing_of(frame, before)))


def rows_of(
    this: Pass, frame: Frame, layers: np.ndarray | None, places: np.ndarray, away: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """What a pass sees of voxels, (n, columns) float32."""
    ways = offsets(this.ways, this.nearest, this.farthest, this.seed)
    columns = [*look(frame.image, frame.spacing, places, this.widths, ways), *frame.position(places)]
    if layers is not None:
        around = offsets(this.around, 2 * this.nearest, this.farthest, this.seed + 1)
        columns += context(layers, frame.spacing, places, around)
    columns += (field.ravel()[places] for field in away)
    return np.stack([np.asarray(c, np.float32) for c in columns], axis=1)


def _from_borders(labels: np.ndarray, frame: Frame) -> np.ndarray:
    """Distance in mm of every voxel from the nearest that has a neighbor of another label."""
    import edt

    border = np.zeros(labels.shape, bool)
    for axis in range(3):
        change = np.diff(labels.astype(np.int16), axis=axis) != 0
        for part in (slice(0, -1), slice(1, None)):
            border[(slice(None),) * axis + (part,)] |= change
    if not border.any():
        return np.full(labels.shape, np.inf, np.float32)
    return edt.edt(np.ascontiguousarray(~border), anisotropy=frame.spacing, black_border=False)


def samples_of(this: Pass, frame: Frame, truth: np.ndarray, places: np.ndarray, seed: int) -> np.ndarray:
    """Voxels to learn from: most of them in bone or near a border, some from all over."""
    away = _from_borders(truth, frame).ravel()[places]
    later = int(this.around > 0)
    weight = np.where(away < NEAR_BORDER[later], 1.0, ELSEWHERE[later])
    weight = np.where(truth.ravel()[places] > 0, np.maximum(weight, INSIDE), weight)
    random = np.random.default_rng([seed, this.seed])
    return np.sort(random.choice(places, min(this.samples, len(places)), False, weight / weight.sum()))


def asked(
    this: Pass,
    trees: Trees,
    frame: Frame,
    before: np.ndarray | None,
    shapes: Sequence[Shape | None] = (),
    part: int | None = None,
) -> np.ndarray:
    """Probabilities of a pass on its grid, (L, p, m, n), background where it does not work.

    With ``part``, only those trees speak that have not seen that part.
    """
    places, layers = places_of(this, frame, before)
    away = away_of(frame, before, shapes)
    found = np.zeros((trees.classes, *frame.image.shape), np.float32)
    found[0] = 1
    for start in range(0, len(places), CHUNK):
        chosen = places[start : start + CHUNK]
        found.reshape(len(found), -1)[:, chosen] = trees.probability(rows_of(this, frame, layers, chosen, away), part).T
    return found
