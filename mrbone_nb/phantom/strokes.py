"""Strokes as a user would draw them, made from a truth."""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage as ndi
from skimage.morphology import skeletonize

from ..consensus import Place
from ..errors import InputError
from ..volume import Volume

ELSE = 255  # the seed label of everything that is no bone
CLEAR_MM = 1.5  # a user stays this far from the rim of a bone where there is room
SMALLEST_MM2 = 20.0  # and passes over smaller cuts of a bone


def simulated_strokes(truth: Volume, every_mm: float = 15.0, *, seed: int = 0) -> Volume:
    """Draw what a user would draw: thin curves in each bone and dashes round it, in slices some way apart.

    Parameters
    ----------
    truth
        Label map of the bones, 1 to 254.
    every_mm
        Distance between the slices of one bone that carry strokes, in mm.
    seed
        Seed of the hand: in which slice each bone begins, and where the dashes lie.

    Returns
    -------
    Volume
        Seeds, uint8: the bone's label, 255 = everything else, 0 = unmarked.

    Raises
    ------
    InputError
        ``every_mm`` is not positive, or a label is 255.

    Notes
    -----
    Within a bone the stroke is the skeleton of its cut; outside, dashes lie 4 to 6 mm from it and 12 to
    14 mm from all bones. The rim itself is never touched, since nobody hits it.
    """
    if not (np.isfinite(every_mm) and every_mm > 0):
        raise InputError(f"every_mm={every_mm}: expected a positive number of mm")
    if truth.array.max() >= ELSE:
        raise InputError("truth with label 255: that number stands for everything else in seeds")
    rng = np.random.default_rng([seed, 3])
    step = max(1, round(every_mm / truth.spacing[0]))
    seeds = np.zeros(truth.shape, np.uint8)
    for number in np.flatnonzero(np.bincount(truth.array.ravel()))[1:]:
        planes = np.flatnonzero((truth.array == number).any(axis=(1, 2)))
        room = (planes[-1] - planes[0]) % step
        first = planes[0] + (rng.integers(room + 1) if len(planes) > step else len(planes) // 2)
        for plane in range(first, planes[-1] + 1, step):
            _draw(seeds[plane], truth.array[plane], number, truth.spacing[1:], rng)
    return truth.with_array(seeds, name="seeds", meta={})


def _draw(
    seeds: np.ndarray, labels: np.ndarray, number: int, pixel: tuple[float, float], rng: np.random.Generator
) -> None:
    """Draw the strokes of one bone into one slice."""
    pieces, count = ndi.label(labels == number)
    drawn = False
    for piece in range(1, count + 1):
        inside = pieces == piece
        if inside.sum() * np.prod(pixel) < SMALLEST_MM2:
            continue
        depth = edt.edt(inside, anisotropy=pixel)
        seeds[skeletonize(depth >= min(CLEAR_MM, 0.7 * depth.max()))] = number
        drawn = True
    if not drawn:
        return
    thick = 1.5 * max(pixel)
    own, any_bone = edt.edt(labels != number, anisotropy=pixel), edt.edt(labels == 0, anisotropy=pixel)
    for low, clear, waves in ((4.0, 2.5, 7), (12.0, 11.0, 4)):
        ring = skeletonize((own >= low) & (own < low + thick + 0.5) & (any_bone >= clear))
        row, column = np.nonzero(ring)
        middle = np.argwhere(labels == number).mean(axis=0) * pixel
        angle = np.arctan2(row * pixel[0] - middle[0], column * pixel[1] - middle[1])
        dash = np.cos(waves * angle + rng.uniform(0, 2 * np.pi)) > 0.3
        seeds[row[dash], column[dash]] = ELSE


def corrective_stroke(
    truth: Volume, labels: Volume, place: Place, seeds: Volume, *, within_mm: float = 25.0, longest_mm: float = 40.0
) -> Volume:
    """Add the stroke of a user who was sent to a place: along the worst fault of that slice near it.

    Parameters
    ----------
    truth, labels
        What is right, and what the result says; on one grid.
    place
        Where to look, as `where_to_look` ranks them.
    seeds
        The strokes so far.
    within_mm
        How far around the place the user sees.
    longest_mm
        Longest stroke.

    Returns
    -------
    Volume
        Seeds with one stroke more, with the right label (255 where there is no bone); where nothing is wrong,
        the user confirms what is there with a dab of 3 mm.
    """
    pixel = truth.spacing[1:]
    middle = np.rint(truth.index([place.position])[0][1:]).astype(int)
    right, now = truth.array[place.slice], labels.array[place.slice]
    row, column = np.ogrid[: right.shape[0], : right.shape[1]]
    away = np.hypot((row - middle[0]) * pixel[0], (column - middle[1]) * pixel[1])
    number, stroke, worst = right[tuple(middle)], (right == right[tuple(middle)]) & (away <= 3.0), 0.0
    for value in np.unique(right[(away <= within_mm) & (right != now)]):
        pieces, count = ndi.label((right == value) & (now != value) & (away <= within_mm))
        for piece in (pieces == k for k in range(1, count + 1)):
            depth = edt.edt(piece, anisotropy=pixel)
            if depth.sum() > worst and depth.max() > 1.5 * max(pixel):  # a rim of one pixel is nobody's fault
                worst, number = float(depth.sum()), value
                stroke = skeletonize(depth >= min(CLEAR_MM, 0.7 * depth.max()))
                deepest = np.argwhere(depth == depth.max())[0]
                far = np.hypot((row - deepest[0]) * pixel[0], (column - deepest[1]) * pixel[1])
                stroke &= far <= longest_mm / 2
    array = seeds.array.copy()
    array[place.slice][stroke] = number or ELSE
    return seeds.with_array(array)
