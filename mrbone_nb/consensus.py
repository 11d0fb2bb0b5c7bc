"""Doubt and agreement: how sure a result is, what several results agree on, and where to look next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage as ndi

from .bones import LabelTable
from .errors import InputError
from .measure import refuse_other_grid
from .morphology import bounding_box
from .recipe import Recipe, on_grid, run_call
from .step import EVERYTHING_ELSE, find_step
from .volume import Volume

UNDECIDED = 255
ROUND_MM = 10.0  # STAPLE sees this much background around the bones; more would only make background look certain
BLUR_MM = 4.0  # width over which doubt is gathered: a thin rim of it counts little, a patch much
EXTENT_MM = 12.0  # a place reaches this far within its slice


def uncertainty(probability: np.ndarray, measure: Literal["entropy", "margin"] = "margin") -> np.ndarray:
    """Give how unsure each voxel's label is, from 0 (sure) to 1 (any label could be it).

    Parameters
    ----------
    probability
        (L, P, M, N), as `random_walker` gives it; scaled to a sum of 1 at each voxel.
    measure
        "entropy", as a share of the largest one, log L; or "margin", 1 less the lead of the likeliest label
        over the second. Margin tells borders between two labels alike whatever the number of labels.

    Returns
    -------
    numpy.ndarray
        (P, M, N) float32; 1 where all layers are 0.

    Raises
    ------
    InputError
        Not four axes, fewer than two layers, or values that are negative or not finite.

    Examples
    --------
    >>> uncertainty(np.array([0.5, 0.5, 0.0]).reshape(3, 1, 1, 1)).item()
    1.0
    """
    layers = np.asarray(probability, np.float32)
    if layers.ndim != 4 or len(layers) < 2:
        raise InputError(
            f"probability of shape {layers.shape}: expected (layers, planes, rows, columns), two layers or more"
        )
    if not np.isfinite(layers).all() or layers.min() < 0:
        raise InputError(f"probability: values from {layers.min()} to {layers.max()}; expected 0 to 1")
    total = layers.sum(axis=0)
    share = layers / np.where(total > 0, total, 1)
    if measure == "entropy":
        bits = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=0) / np.log(len(layers))
        return np.where(total > 0, np.clip(bits, 0, 1), 1).astype(np.float32)
    if measure != "margin":
        raise InputError(f"measure={measure!r}: expected 'entropy' or 'margin'")
    best = share.max(axis=0)
    second = np.partition(share, -2, axis=0)[-2]
    return np.where(total > 0, 1 - (best - second), 1).astype(np.float32)


def probability_of(recipe: Recipe, volume: Volume, seeds: Volume | np.ndarray) -> np.ndarray:
    """Run a recipe as far as its probabilities and give them, (L, P, M, N): everything else, then the bones.

    Parameters
    ----------
    recipe
        With a step that gives a probability, such as `random_walker`.
    volume
        The scan.
    seeds
        Strokes on the scan's grid.

    Returns
    -------
    numpy.ndarray
        (L, P, M, N) float32.

    Raises
    ------
    InputError
        The recipe has no such step.
    """
    outputs = [find_step(call.step).output for call in recipe.calls]
    if "probability" not in outputs:
        raise InputError(
            f"{recipe.name}: no step gives a probability; where_to_look takes other segmentations instead"
        )
    state = {"image": volume.array, "seeds": on_grid("seeds", seeds, volume)}
    for call in recipe.calls[: len(outputs) - outputs[::-1].index("probability")]:
        run_call(call, state, volume.spacing)
    return state["probability"]


def consensus(maps: Sequence[Volume], method: Literal["staple", "majority"] = "staple") -> Volume:
    """Give the label map that several label maps of one scan agree on.

    Majority counts every map alike. STAPLE weighs each by how well it agrees with the hidden truth, which it
    estimates together with the weights; it needs three maps to tell the better from the worse, and it is
    misled where most maps share one fault.

    Parameters
    ----------
    maps
        Two label maps or more on one grid, with the same numbers for the same bones.
    method
        "staple" or "majority".

    Returns
    -------
    Volume
        Labels, uint8. A voxel without a winner goes to the label of the nearest decided voxel that some map
        gives there, else to the background.

    Raises
    ------
    InputError
        Fewer than two maps, other grids, or values that are no labels.

    References
    ----------
    Rohlfing T, Russakoff DB, Maurer CR (2004), doi:10.1109/TMI.2004.830803 (several labels); Warfield SK, Zou
    KH, Wells WM (2004), doi:10.1109/TMI.2004.828354.

    Examples
    --------
    >>> one, two, three = (Volume(np.full((2, 2, 2), n, np.uint8)) for n in (1, 1, 2))
    >>> int(consensus([one, two, three], "majority").array.max())
    1
    """
    arrays = _label_arrays(maps)
    if method not in ("staple", "majority"):
        raise InputError(f"method={method!r}: expected 'staple' or 'majority'")
    first, any_bone = maps[0], np.any(arrays, axis=0)
    out = np.zeros(first.shape, np.uint8)
    if any_bone.any():
        box = bounding_box(any_bone, ROUND_MM, first.spacing)
        parts = [np.ascontiguousarray(a[box]) for a in arrays]
        out[box] = _settled(_fused(parts, method), parts, first.spacing)
    return first.with_array(out, name="consensus")


def disagreement(maps: Sequence[Volume]) -> np.ndarray:
    """Give at each voxel the share of label maps that differ from the most frequent label, 0 to below 1.

    Parameters
    ----------
    maps
        Two label maps or more on one grid.

    Returns
    -------
    numpy.ndarray
        (P, M, N) float32.
    """
    arrays = _label_arrays(maps)
    most = np.zeros(arrays[0].shape, np.uint8)
    for array in arrays:
        np.maximum(most, sum((array == other).astype(np.uint8) for other in arrays), out=most)
    return (1 - most / len(arrays)).astype(np.float32)


@dataclass(frozen=True)
class Place:
    """Hold a place to look at next: where, which bone, how much is in doubt, what it could be.

    Parameters
    ----------
    slice
        Number of the slice in the array, from 0.
    position
        (x, y, z) LPS mm.
    label
        Number of the bone in doubt.
    bone
        Its name and side, or "label N".
    area_mm2
        Area in doubt in that slice, within 12 mm of the place.
    now
        What the label map says there, 0 = background.
    suggested
        What it could be instead; 255 = everything else.
    score
        What the ranking goes by: doubt gathered around the place, mm².
    """

    slice: int
    position: tuple[float, float, float]
    label: int
    bone: str
    area_mm2: float
    now: int
    suggested: int
    score: float

    def __str__(self) -> str:
        x, y, z = self.position
        other = "everything else" if self.suggested == EVERYTHING_ELSE else f"label {self.suggested}"
        return (
            f"{self.bone}: slice {self.slice} at ({x:.0f}, {y:.0f}, {z:.0f}) mm, {self.area_mm2:.0f} mm² in doubt; "
            f"now {f'label {self.now}' if self.now else 'background'}, perhaps {other}"
        )


def where_to_look(
    labels: Volume,
    *,
    probability: np.ndarray | None = None,
    others: Sequence[Volume] = (),
    bones: Sequence[int] | None = None,
    table: LabelTable | None = None,
    n: int = 5,
    apart: float = 20.0,
    least: float = 0.5,
) -> list[Place]:
    """Rank the places where a label map is most in doubt.

    Parameters
    ----------
    labels
        The result, (P, M, N).
    probability
        (L, P, M, N): everything else first, then the bones in ascending order.
    others
        Label maps of the same scan by other methods or settings.
    bones
        The bones of the layers; by default the numbers in ``labels``.
    table
        Names of the labels.
    n
        How many places at most.
    apart
        Distance in mm below which two places are one.
    least
        Doubt from which a voxel counts, 0 to 1: 1 less the margin of the likeliest label, or the share of
        ``others`` that differ from ``labels``, whichever is larger.

    Returns
    -------
    list of Place
        The worst first. Ranked by doubt within some mm in the slice, so that a patch counts and the thin
        rim that every border has does not.

    Raises
    ------
    InputError
        Nothing to compare with, other grids, or layers that do not fit the bones.
    """
    if probability is None and not others:
        raise InputError(
            "where_to_look: give probability or others, to have something that labels can be held against"
        )
    if n < 1 or not apart > 0 or not 0 < least <= 1:
        raise InputError(f"n={n}, apart={apart}, least={least}: expected n ≥ 1, apart > 0 mm and least from 0 to 1")
    current = _label_arrays([labels, *others] if others else [labels, labels])[0]
    doubt, instead = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.uint8)
    if probability is not None:
        doubt, instead = _from_probability(current, probability, bones)
    if others:
        share, vote = _from_others(current, [np.asarray(o.array) for o in others])
        instead = np.where(share > doubt, vote, instead)
        doubt = np.maximum(doubt, share)
    return _peaks(labels, current, doubt, instead, table or LabelTable(), n, apart, least)


def _from_probability(
    current: np.ndarray, probability: np.ndarray, bones: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Doubt, and the likeliest label that the map does not have."""
    numbers = sorted(bones) if bones is not None else [int(k) for k in np.unique(current) if k]
    if np.shape(probability)[1:] != current.shape or len(probability) != len(numbers) + 1:
        raise InputError(
            f"probability of shape {np.shape(probability)}: expected {(len(numbers) + 1, *current.shape)}, everything "
            f"else and the bones {numbers}; name the bones of the layers with bones="
        )
    doubt = uncertainty(probability)
    best, instead = np.full(current.shape, -1, np.float32), np.zeros(current.shape, np.uint8)
    for number, layer in zip([0, *numbers], probability, strict=True):
        better = (layer > best) & (current != number)
        best[better], instead[better] = layer[better], number
    return doubt, instead


def _from_others(current: np.ndarray, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Share of the other maps that differ, and the label that most of these give."""
    share = np.mean([other != current for other in others], axis=0, dtype=np.float32)
    instead, most = np.zeros(current.shape, np.uint8), np.zeros(current.shape, np.int32)
    for other in others:
        votes = sum((other == another).astype(np.int32) for another in others)
        better = (votes > most) & (other != current)
        most[better], instead[better] = votes[better], other[better]
    return share, instead


def _peaks(
    labels: Volume,
    current: np.ndarray,
    doubt: np.ndarray,
    instead: np.ndarray,
    table: LabelTable,
    n: int,
    apart: float,
    least: float,
) -> list[Place]:
    """The highest places of the gathered doubt, each far enough from the ones before."""
    heavy = np.where((doubt >= least) & ((current > 0) | (instead > 0)), doubt, 0).astype(np.float32)
    pixel = labels.spacing[1] * labels.spacing[2]
    sigma = [0, BLUR_MM / labels.spacing[1], BLUR_MM / labels.spacing[2]]
    score = ndi.gaussian_filter(heavy, sigma, mode="constant", truncate=3) * np.float32(2 * np.pi * BLUR_MM**2)
    score[heavy == 0] = 0  # the place itself shall be in doubt
    places: list[Place] = []
    while len(places) < n and score.max() > pixel:
        index = np.array(np.unravel_index(score.argmax(), score.shape))
        near = _near(index, EXTENT_MM, labels, flat=True)
        places.append(_place(labels, current, heavy, instead, table, index, near, float(score[tuple(index)])))
        box, inside = _near(index, apart, labels)
        score[box][inside] = 0
    return places


def _place(
    labels: Volume,
    current: np.ndarray,
    heavy: np.ndarray,
    instead: np.ndarray,
    table: LabelTable,
    index: np.ndarray,
    near: tuple[tuple[slice, ...], np.ndarray],
    score: float,
) -> Place:
    """What stands at a place: the label most in doubt around it, and what it could be."""
    box, inside = near
    mine = inside & (heavy[box] > 0)
    here, there = int(current[tuple(index)]), int(instead[tuple(index)])
    number = here or there
    named = table.get(number)
    area = float(np.count_nonzero(mine) * labels.spacing[1] * labels.spacing[2])
    position = tuple(np.round(labels.points([index])[0], 2).tolist())
    bone = named.title if named else f"label {number}"
    return Place(
        int(index[0]), position, number, bone, round(area, 1), here, there or EVERYTHING_ELSE, round(score, 2)
    )


def _near(
    index: np.ndarray, radius: float, labels: Volume, flat: bool = False
) -> tuple[tuple[slice, ...], np.ndarray]:
    """A box around a voxel and which of its voxels lie within a radius in mm, in its slice alone if flat."""
    reach = [0 if flat and axis == 0 else int(radius / s) for axis, s in enumerate(labels.spacing)]
    box = tuple(slice(max(0, i - r), min(k, i + r + 1)) for i, r, k in zip(index, reach, labels.shape, strict=True))
    lines = [(np.arange(b.start, b.stop) - i) * s for b, i, s in zip(box, index, labels.spacing, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij", sparse=True)
    return box, z**2 + y**2 + x**2 <= radius**2


def _label_arrays(maps: Sequence[Volume]) -> list[np.ndarray]:
    """The arrays of two label maps or more, which must lie on one grid and hold labels from 0 to 254."""
    maps = list(maps)
    if len(maps) < 2:
        raise InputError(f"{len(maps)} label map given; expected at least two")
    for volume in maps:
        refuse_other_grid(maps[0], volume)
        array = volume.array
        if array.dtype.kind not in "biu" or array.min() < 0 or array.max() >= UNDECIDED:
            raise InputError(
                f"{volume.name}: {array.dtype} from {array.min()} to {array.max()}; expected labels, 0 to 254"
            )
    return [volume.array.astype(np.uint8) for volume in maps]


def _fused(parts: list[np.ndarray], method: str) -> np.ndarray:
    """The fused labels, 255 where undecided."""
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(part) for part in parts]
    if method == "majority":
        return sitk.GetArrayFromImage(sitk.LabelVoting(images, UNDECIDED))
    return sitk.GetArrayFromImage(sitk.MultiLabelSTAPLE(images, UNDECIDED, 1e-5, 100)).astype(np.uint8)


def _settled(fused: np.ndarray, parts: list[np.ndarray], spacing: tuple[float, float, float]) -> np.ndarray:
    """Give undecided voxels to the nearest decided label that some map has there."""
    open_ = fused == UNDECIDED
    if not open_.any() or open_.all():
        return np.where(open_, 0, fused)
    nearest = ndi.distance_transform_edt(open_, sampling=spacing, return_distances=False, return_indices=True)
    label = fused[tuple(nearest)]
    given = np.any([part == label for part in parts], axis=0)
    return np.where(open_, np.where(given, label, 0), fused)
