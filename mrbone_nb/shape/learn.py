"""A forest that learns from a scan itself what is bone: from planes with a mask, or from a template placed near it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from ..morphology import padded
from ..segment.features import COUNT, features
from ..segment.forest import asked, grown
from ..volume import Volume
from .fill import distance_to
from .rbf import Similarity

TREES = 60
SAMPLES = 12_000  # of each side, enough for the trees and quick
AROUND_MM = 20.0  # of the template, where the forest learns and is asked
CELL_MM = 1.5  # of the grid of distances to the template


@dataclass(frozen=True, eq=False)
class Known:
    """Hold what is known of one part of a scan.

    Parameters
    ----------
    part
        Gray values, 0 to about 1.
    bone, other
        Where bone is and where it is not, bool, the part's shape; the rest is unknown.
    asked
        Where the probability is wanted.
    more
        Further features, (m, P, M, N), such as coordinates in the frame of the landmarks.
    """

    part: Volume
    bone: np.ndarray
    other: np.ndarray
    asked: np.ndarray
    more: np.ndarray | None = None


def surroundings(mesh: Mesh) -> Volume:
    """Give the signed distance in mm to a placed template as far as the forest learns and is asked."""
    return distance_to(mesh, CELL_MM, AROUND_MM)


def near_template(part: Volume, mesh: Mesh, distance: Volume, margin: float) -> Known:
    """Cut a part of a scan out round a placed template, and take its inside for bone and its outside for none.

    Parameters
    ----------
    part
        Gray values, 0 to about 1.
    mesh
        The template in its place.
    distance
        To its surface in mm, as `surroundings` gives it.
    margin
        How far in mm its surface may be off: nearer than that nothing is taken for known.

    Returns
    -------
    Known
        What is known of the part cut out.
    """
    cut = part.crop(_box(part, mesh))
    away = _sampled(distance, cut)
    return Known(cut, away < -margin, (away > margin) & (away < AROUND_MM), away < AROUND_MM)


def known_masks(
    parts: Sequence[Volume], masks: Sequence[np.ndarray | None], mesh: Mesh, frame: Similarity
) -> list[Known]:
    """Take what a user has drawn for known, and add the place in the frame of the landmarks to the features.

    Parameters
    ----------
    parts
        Gray values, 0 to about 1.
    masks
        A mask of the bone for each part, of its shape (or that of its one plane), or None.
    mesh
        The template in its place; far from it nothing is learned or asked.
    frame
        From the scan to the template, turned and scaled by the landmarks.

    Returns
    -------
    list of Known
        One for each part.
    """
    if len(masks) != len(parts) or all(mask is None for mask in masks):
        raise InputError(f"{len(masks)} masks for {len(parts)} slices: expected one for each, None where there is none")
    distance = surroundings(mesh)
    known = []
    for part, mask in zip(parts, masks, strict=True):
        near = _sampled(distance, part) < AROUND_MM
        bone, other = (np.zeros(part.shape, bool) for _ in range(2))
        if mask is not None:
            if np.size(mask) != part.array.size:
                raise InputError(f"mask of shape {np.shape(mask)}: expected that of its slice, {part.shape}")
            bone = np.reshape(np.asarray(mask, bool), part.shape)
            other = near & ~bone
        place = frame(part.points(np.indices(part.shape).reshape(3, -1).T)).T.reshape(3, *part.shape)
        known.append(Known(part, bone, other, near, place.astype(np.float32)))
    return known


def bone_probability(known: Sequence[Known], seed: int = 0) -> list[Volume]:
    """Learn from what is known of the parts of a scan, and give each part a probability of bone.

    Extremely randomized trees see gray values, edges and texture at several widths in mm in each plane, not the
    place, so that they learn how bone looks and not where the template lies.

    Parameters
    ----------
    known
        What is known of each part.
    seed
        Of the samples and the trees.

    Returns
    -------
    list of Volume
        float32 on the grid of each part, 0 where it was not asked for.

    Raises
    ------
    InputError
        Nothing known on one of the two sides.

    References
    ----------
    Geurts P, Ernst D, Wehenkel L (2006). Extremely randomized trees. doi:10.1007/s10994-006-6226-1
    """
    random = np.random.default_rng(seed)
    count = [sum(int(side.sum()) for side in sides) for sides in ([k.bone for k in known], [k.other for k in known])]
    if not all(count):
        raise InputError("no pixel of bone or none of anything else lies in the slices; do the landmarks fit this scan?")
    rows, answers = [], []
    for one in known:
        for answer, side, total in ((1, one.bone, count[0]), (0, one.other, count[1])):
            places = np.flatnonzero(side)
            wanted = int(np.ceil(len(places) * min(1.0, SAMPLES / total)))
            rows.append(_described(one, np.sort(random.permutation(places)[:wanted])))
            answers.append(np.full(wanted, answer))
    forest = grown(np.concatenate(rows), np.concatenate(answers), TREES, seed)
    return [_probability(forest, one) for one in known]


def _described(one: Known, places: np.ndarray) -> np.ndarray:
    """Features of pixels, without their place."""
    seen = features(one.part.array, one.part.spacing, places)[:, :COUNT]
    if one.more is None:
        return seen
    return np.concatenate([seen, one.more.reshape(len(one.more), -1).T[places]], axis=1)


def _probability(forest: object, one: Known) -> Volume:
    places = np.flatnonzero(one.asked)
    probability = np.zeros(one.part.shape, np.float32)
    if len(places):
        probability.ravel()[places] = asked(forest, _described(one, places))[:, 1]
    return one.part.with_array(probability, name="probability")


def _box(part: Volume, mesh: Mesh) -> tuple[slice, slice, slice]:
    """The voxels of a part within some way of a mesh; at least one."""
    index = part.index(mesh.vertices)
    top = np.array(part.shape) - 1
    low = np.clip(np.floor(index.min(axis=0)), 0, top).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)), low, top).astype(int)
    box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    return padded(box, AROUND_MM, part.spacing, part.shape)


def _sampled(field: Volume, grid: Volume) -> np.ndarray:
    """A field at the voxels of another grid; far outside it, far."""
    from scipy.ndimage import map_coordinates

    points = grid.points(np.indices(grid.shape).reshape(3, -1).T)
    values = map_coordinates(field.array, field.index(points).T, order=1, mode="constant", cval=1e3, output=np.float32)
    return values.reshape(grid.shape)
