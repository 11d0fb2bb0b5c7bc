"""The pull of a scan: along lines that leave a mesh, where its surface would lie best, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..segment.border import EDGE_MM, STEP_MM, Lines, edge_costs
from ..volume import Volume
from .sites import Sites, sample

SHARPNESS = 0.15  # difference of cost that tells two places apart
LEAST_TRUST = 0.02  # of a line that shows nothing
CONTRAST = 0.15  # rise of gray value that makes a full edge
REGION = 0.5  # cost of 1 mm that the probability gives to the wrong side
SLOPE = 1.0  # reward of a full edge of the probability


@dataclass(frozen=True, eq=False)
class Evidence:
    """Hold what one part of a scan says: gray values, a probability of bone, or both, on one grid.

    Parameters
    ----------
    image
        Gray values, 0 to about 1; or None.
    probability
        Of bone, 0 to 1; or None.
    marrow
        Gray value of the marrow.
    shell
        Thickness in mm of the cortex that the probability leaves out, as one does that was learned from the inside and
        the outside of a template; 0 where it covers the whole bone.
    """

    image: Volume | None
    probability: Volume | None = None
    marrow: float = 0.5
    shell: float = 0.0

    @property
    def grid(self) -> Volume:
        """The grid of what there is."""
        return self.image if self.image is not None else self.probability


def pulls(evidence: Evidence, at: Sites, reach: float, stay: float) -> tuple[np.ndarray, np.ndarray]:
    """Find how far the surface shall move at each site, and how far to trust it.

    Parameters
    ----------
    evidence
        What the scan says.
    at
        Where it is asked.
    reach
        How far in mm the surface is sought on both sides.
    stay
        Cost of a move by 1 mm squared.

    Returns
    -------
    tuple
        Moves in mm along the ways, and trust, 0 to 1, each (K,).

    Notes
    -----
    The cost of a place is that of the cortex' outer edge in the gray values (see `cortical_border`), and of what the
    probability gives to the wrong side: that is the region force, solved exactly along each line, plus an edge term
    where the probability falls. The move is the mean over places, weighted by exp(-cost).
    """
    places = np.arange(-reach - EDGE_MM, reach + EDGE_MM + STEP_MM / 2, STEP_MM)
    points = at.points[:, None] + at.ways[:, None] * places[None, :, None]
    inner, cost = places, 0.0
    if evidence.image is not None:
        gray = _blurred(sample(evidence.image, points))
        cost, inner = edge_costs(Lines(np.empty(0), gray, places), CONTRAST, evidence.marrow)
    if evidence.probability is not None:
        probability = thickened(_blurred(sample(evidence.probability, points)), evidence.shell)
        found, inner = probability_costs(probability, places, 0.0 if evidence.shell else SLOPE)
        cost = cost + found
    energy = cost + stay * inner[None] ** 2
    belief = np.exp((energy.min(axis=1, keepdims=True) - energy) / SHARPNESS)
    belief /= belief.sum(axis=1, keepdims=True)
    gained = np.median(cost, axis=1) - (belief * cost).sum(axis=1)  # against a place at random
    return belief @ inner, np.clip(gained, LEAST_TRUST, 1)


def probability_costs(probability: np.ndarray, places: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Cost of every place of every line by the probability of bone, (K, S) and (S,): little where it falls to 0."""
    edge = round(EDGE_MM / STEP_MM)
    wrong = np.cumsum(1 - 2 * probability, axis=1)[:, edge:-edge] * (REGION * STEP_MM)
    fall = np.maximum(probability[:, : -2 * edge] - probability[:, 2 * edge :], 0)
    return wrong - wrong.min(axis=1, keepdims=True) - slope * fall, places[edge:-edge]


def thickened(probability: np.ndarray, shell: float) -> np.ndarray:
    """Let bone last ``shell`` mm longer on the way out."""
    from scipy.ndimage import maximum_filter1d

    half = round(shell / STEP_MM / 2)
    return maximum_filter1d(probability, 2 * half + 1, axis=1, origin=half, mode="nearest")


def _blurred(lines: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(lines, 3, axis=1)
