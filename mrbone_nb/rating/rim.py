"""What the scan shows along the border of a bone: a dark rim, an edge, and whether it is marrow that lies inside."""

from __future__ import annotations

import numpy as np

from ..morphology import bounding_box, distance_inside
from ..segment.border import STEP_MM, border_lines
from ..step import Spacing

REACH_MM = 6.0  # how far the lines look, in and out
NEAR_MM = 2.0  # what lies this near to the border belongs to it
DEEP_MM = 3.0  # from here on inside there is no cortex
HALF = 0.5  # of the contrast between marrow and rim: what is farther off is something else
EVEN = 0.25  # of that contrast: a line that changes less shows nothing at the border
LEAST_CONTRAST = 0.1  # of the scan's gray values, so that noise is no contrast
PLAIN_CONTRAST = 0.2  # marrow that differs less from the darkest is dark itself
MAX_LINES = 20_000  # are plenty for shares and medians
FEWEST = 20  # lines below which nothing can be said
KEYS = ("edge_share", "gap_share", "rim_depth", "rim_mm", "rim_spread_mm", "foreign_share")


def prepared(image: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Scale a scan to 0 to about 1 and flatten its slow changes of brightness, so that places can be compared."""
    from ..bias import lowpass_bias_correction
    from ..filters import normalize

    return lowpass_bias_correction(normalize(image), spacing=spacing)


def of_marrow(image: np.ndarray, mask: np.ndarray, spacing: Spacing, strokes: np.ndarray | None = None) -> float:
    """Give the median gray value of marrow: where strokes mark it, else in the middle of the mask.

    The middle is what lies at least half as deep as the deepest place, so that it stays marrow where the mask is too
    large.
    """
    if strokes is not None and np.count_nonzero(strokes) >= FEWEST:
        return float(np.median(image[strokes]))
    depth = distance_inside(np.pad(mask, 1), spacing)[1:-1, 1:-1, 1:-1]
    return float(np.median(image[depth >= depth.max() / 2]))


def marrow_is_bright(image: np.ndarray, mask: np.ndarray, spacing: Spacing, strokes: np.ndarray | None = None) -> bool:
    """Tell whether marrow is clearly brighter than the darkest around the bones."""
    if not mask.any():
        return True
    box = bounding_box(mask, REACH_MM, spacing)
    marrow = of_marrow(image[box], mask[box], spacing, None if strokes is None else strokes[box])
    return bool(marrow - np.percentile(image[box], 5) > PLAIN_CONTRAST)


def along_border(
    image: np.ndarray, mask: np.ndarray, spacing: Spacing, rim: bool = True, strokes: np.ndarray | None = None
) -> dict[str, float]:
    """Measure what lies along the border of a bone on lines across it.

    Parameters
    ----------
    image
        Gray values from 0 to about 1 with even brightness, (P, M, N), marrow brighter than what ends it: turned around
        for dark marrow and for CT.
    mask
        The bone, (P, M, N).
    spacing
        (plane, row, column) in mm; lines stay in their plane where planes lie more than twice as far apart as pixels.
    rim
        Whether it is a rim that ends marrow, between it and brighter surroundings; without one nothing is said on it.
    strokes
        What is marked as this bone: it shows how bright marrow is.

    Returns
    -------
    dict
        ``edge_share``: steepest change within 2 mm of the border over the steepest within 6 mm, mean; ``gap_share``:
        lines that show no end of the bone: all is even within 2 mm, or marrow goes on from 3 mm inside to 2 mm outside;
        ``foreign_share``: of what lies 3 mm inside, what is farther from marrow than half the contrast; ``rim_depth``:
        how much darker the rim within 2 mm is than marrow and surroundings, over the contrast, median; ``rim_mm``:
        where the darkest place within 6 mm lies, outward positive, median; ``rim_spread_mm``: how much that varies
        along the border, 1.48 times the median deviation; ``look_slice``: the plane with most lines that show no end of
        the bone. The contrast is that of marrow and the darkest 5 % of the lines.

    References
    ----------
    Cootes TF et al. (1995), doi:10.1006/cviu.1995.1004 (profiles along normals)
    """
    box = bounding_box(mask, REACH_MM, spacing)
    part, gray = mask[box], image[box]
    lines, distance = border_lines(gray, part, spacing, (-REACH_MM, REACH_MM))
    if lines is None or len(lines.starts) < FEWEST:
        return dict.fromkeys(KEYS, float("nan")) | {"look_slice": -1}
    keep = np.linspace(0, len(lines.starts) - 1, min(len(lines.starts), MAX_LINES)).astype(int)
    g, t = lines.gray[keep], lines.places
    deep = part & (distance < -DEEP_MM)
    marrow = of_marrow(gray, part, spacing, None if strokes is None else strokes[box])
    contrast = max(marrow - float(np.percentile(g[:, np.abs(t) <= REACH_MM], 5)), LEAST_CONTRAST)
    gap = np.ptp(g[:, np.abs(t) <= NEAR_MM], axis=1) < EVEN * contrast
    if rim:  # dark marrow ends without one where dark muscle or fat lies beside it
        gap |= g[:, (t >= -DEEP_MM) & (t <= NEAR_MM)].min(axis=1) > marrow - HALF * contrast
    worst = np.bincount(lines.starts[keep, 0][gap], minlength=1)
    return {
        "edge_share": _edge_share(g, t),
        "gap_share": share(gap),
        "foreign_share": share(np.abs(gray[deep] - marrow) > HALF * contrast),
        **(_rim(g, t, contrast) if rim else dict.fromkeys(KEYS[2:5], float("nan"))),
        "look_slice": int(worst.argmax()) + box[0].start if gap.any() else -1,
    }


def _edge_share(g: np.ndarray, t: np.ndarray) -> float:
    """Steepest change near the border over the steepest on the whole line, mean of the lines."""
    half = round(0.5 / STEP_MM)
    change = np.abs(g[:, 2 * half :] - g[:, : -2 * half])
    at = np.abs(t[half:-half])
    near, whole = (change[:, at <= reach].max(axis=1) for reach in (NEAR_MM, REACH_MM))
    return float((near / np.maximum(whole, 1e-6)).mean())


def _rim(g: np.ndarray, t: np.ndarray, contrast: float) -> dict[str, float]:
    """How dark the rim is, and where it lies."""
    inside = np.median(g[:, t <= -DEEP_MM], axis=1)
    outside = g[:, (t > 0) & (t <= REACH_MM)].max(axis=1)
    depth = (np.minimum(inside, outside) - g[:, np.abs(t) <= NEAR_MM].min(axis=1)) / contrast
    within = np.abs(t) <= REACH_MM
    place = t[within][g[:, within].argmin(axis=1)]
    middle = float(np.median(place))
    return {
        "rim_depth": float(np.median(np.clip(depth, -1, 1))),
        "rim_mm": middle,
        "rim_spread_mm": float(1.4826 * np.median(np.abs(place - middle))),
    }


def share(found: np.ndarray) -> float:
    """Give the share of what is true; NaN where there is nothing."""
    return float(np.count_nonzero(found) / found.size) if found.size else float("nan")


def far_from_strokes(mask: np.ndarray, strokes: np.ndarray, spacing: Spacing) -> float:
    """Give the mean distance in mm from a bone's voxels to the nearest of its own strokes; NaN without any."""
    if not strokes.any() or not mask.any():
        return float("nan")
    box = bounding_box(mask | strokes, 0, spacing)
    return float(distance_inside(~strokes[box], spacing)[mask[box]].mean())
