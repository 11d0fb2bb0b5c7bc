"""Steps that work on a mask, run on every label of a label map in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from .morphology import distance_inside, padded
from .step import Spacing, Step

Box = tuple[slice, ...]


def each_label(step: Step, state: Mapping[str, np.ndarray], words: Mapping[str, Any], spacing: Spacing) -> np.ndarray:
    """Run a mask step on every label; no label may take what belonged to another.

    Each label is worked on in its own box, as far around as the step can reach. A voxel that several
    labels claim anew goes to the label that is nearest.

    Parameters
    ----------
    step
        A step that takes a mask and gives one.
    state
        The arrays of the chain: labels, and what else the step takes, all (P, M, N).
    words
        The step's parameters, and spacing where it takes one.
    spacing
        (plane, row, column) in mm.

    Returns
    -------
    numpy.ndarray
        The new labels, (P, M, N) uint8.
    """
    before = state["labels"]
    margin = step.margin(words)
    boxes = {n: padded(box, margin, spacing, before.shape) for n, box in enumerate(find_objects(before), 1) if box}
    after = np.zeros_like(before)
    claims = np.zeros(before.shape, np.uint8)
    results = {}
    for number, box in boxes.items():
        part = before[box]
        arrays = {name: state[name][box] for name in step.inputs if name != "mask" and name in state}
        results[number] = step(mask=part == number, **arrays, **words) & ((part == number) | (part == 0))
        claims[box] += results[number]
        after[box][results[number]] = number
    if len(boxes) > 1 and claims.max() > 1:
        _give_to_nearest(after, before, claims > 1, results, boxes, margin, spacing)
    return after


def _give_to_nearest(
    after: np.ndarray,
    before: np.ndarray,
    contested: np.ndarray,
    results: Mapping[int, np.ndarray],
    boxes: Mapping[int, Box],
    margin: float,
    spacing: Spacing,
) -> None:
    """Settle contested voxels in place: of the labels that claim one, the nearest has it."""
    around = padded(find_objects(contested.astype(np.uint8))[0], margin, spacing, before.shape)
    nearest = np.full(after[around].shape, np.inf, np.float32)
    for number, box in boxes.items():
        claimed = np.zeros(before.shape, bool)
        claimed[box] = results[number]
        far = distance_inside(before[around] != number, spacing)
        wins = claimed[around] & contested[around] & (far < nearest)
        after[around][wins] = number
        nearest[wins] = far[wins]
