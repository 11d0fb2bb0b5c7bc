"""A forest that learns the bones of one scan from the strokes drawn on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import numpy as np

from ..errors import InputError
from ..grids import pool, unpool
from ..step import EVERYTHING_ELSE, Image, Probability, Range, Seeds, Spacing, step
from .features import features
from .walker import coarsening, pool_seeds, random_walker, seed_labels

FOLDS = 3  # the strokes of two thirds of a bone's planes tell what walks are worth on the last third
MOST_SAMPLES = 8000  # stroke voxels a label, enough for the trees and quick
SMALLEST_LEAF = 3
SURE = 0.9  # probability of a walk that no forest needs to confirm
MOST_DOUBT = 1_500_000  # voxels: about 1.5 GB at the peak
CHUNK = 40_000  # voxels that are classified together, always in the same order of trees


def folds(seeds: np.ndarray) -> np.ndarray:
    """Part the strokes into folds, 1 to 3, by planes: every bone's planes in turn, everything else with the nearest bone.

    Strokes in one plane stay together, since neighbors in a stroke know each other's answer.
    """
    from scipy.ndimage import distance_transform_edt

    fold = np.zeros(seeds.shape, np.uint8)
    for bone in seed_labels(seeds)[1:]:
        for turn, plane in enumerate(np.flatnonzero((seeds == bone).any(axis=(1, 2)))):
            fold[plane][seeds[plane] == bone] = 1 + turn % FOLDS
    for turn, plane in enumerate(np.flatnonzero((seeds == EVERYTHING_ELSE).any(axis=(1, 2)))):
        other = seeds[plane] == EVERYTHING_ELSE
        known = fold[plane] > 0
        if known.any():
            nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
            fold[plane][other] = fold[plane][tuple(nearest)][other]
        else:
            fold[plane][other] = 1 + turn % FOLDS
    return fold


def unseen_walks(image: np.ndarray, seeds: np.ndarray, spacing: Spacing, walk: dict) -> np.ndarray:
    """Probabilities of walks, (L, P, M, N), that did not know the stroke of the voxel they are asked about.

    Away from the strokes it is the mean of all folds. A forest that learned from walks which end on the very
    stroke would learn to trust them blindly.
    """
    fold, labels = folds(seeds), seed_labels(seeds)
    total = np.zeros((len(labels), *seeds.shape), np.float32)
    own = np.zeros_like(total)
    for number in range(1, FOLDS + 1):
        rest = np.where(fold == number, 0, seeds)
        layers = np.zeros_like(total)
        for label, layer in zip(seed_labels(rest), random_walker(image, rest, spacing=spacing, **walk), strict=True):
            layers[labels.index(label)] = layer
        total += layers
        own[:, fold == number] = layers[:, fold == number]
    return np.where(fold > 0, own, total / FOLDS)


def _samples(seeds: np.ndarray, labels: list[int], seed: int) -> np.ndarray:
    """Flat indices of the stroke voxels to learn from."""
    random = np.random.default_rng(seed)
    chosen = []
    for label in labels:
        at = np.flatnonzero(seeds == label)
        most = MOST_SAMPLES * (len(labels) - 1 if label == EVERYTHING_ELSE else 1)
        chosen.append(np.sort(random.permutation(at)[:most]))
    return np.concatenate(chosen)


def grown(samples: np.ndarray, answers: np.ndarray, trees: int, seed: int):
    """A forest of extremely randomized trees in which every label weighs the same."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        trees, min_samples_leaf=SMALLEST_LEAF, max_features=0.3, class_weight="balanced", random_state=seed, n_jobs=2
    )
    return forest.fit(samples, answers).set_params(n_jobs=1)


def asked(forest, rows: np.ndarray) -> np.ndarray:
    """Probabilities of the forest's classes, (n, L); pieces run side by side, and the sums stay the same bits."""
    pieces = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor(2) as workers:
        return np.concatenate([np.empty((0, len(forest.classes_))), *workers.map(forest.predict_proba, pieces)])


@step(preview="none", bytes_per_voxel=200)
def stroke_forest(
    image: Image,
    seeds: Seeds,
    probability: Probability,
    *,
    spacing: Spacing,
    share: Annotated[float, Range(0, 1, 0.05)] = 0.3,
    trees: Annotated[int, Range(10, 500, 10)] = 100,
    contrast: Annotated[float, Range(0.01, 0.5, 0.005)] = 0.07,
    likeness: Annotated[float, Range(0, 0.5, 0.005)] = 0.02,
    resolution: Annotated[float, Range(0.5, 5, 0.1, "mm")] = 1.2,
    seed: Annotated[int, Range(0, 1000, 1)] = 0,
) -> Probability:
    """Improve the probability of each label by a forest that learned this scan's own strokes.

    The forest knows gray, edges, texture, surroundings up to 40 mm away and position, and what walks from other
    planes' strokes say; it finds marrow between distant strokes where walks alone run out. Of the dark rim it knows
    nothing, so the border has to be sought afterwards.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    probability
        (L, P, M, N), as `random_walker` gives it for these strokes.
    spacing
        (plane, row, column) in mm.
    share
        Weight of the forest against the probability that comes in.
    trees
        Number of trees: more are steadier and slower.
    contrast
        Of the walks that the forest learns from: difference of gray value that holds up about two in three.
    likeness
        Of these walks: share that ends where only everything else has such gray values.
    resolution
        Voxels smaller than this are pooled; what the forest changes is interpolated back.
    seed
        Of the random choice of strokes and splits.

    Returns
    -------
    Probability
        (L, P, M, N): everything else first, then the labels of the strokes in ascending order.

    Raises
    ------
    InputError
        The probability has not one layer for each label of the strokes and one for everything else.

    Notes
    -----
    Three walks and the features are computed for the whole scan at the working resolution; only voxels in doubt are
    classified, and where they are very many, at a coarser resolution. A bone with strokes in one plane alone keeps its
    probability. A pelvis of 47 × 430 × 430 voxels takes 10 to 15 s on two cores. The same ``seed`` gives the same bits.

    References
    ----------
    Geurts et al. (2006), doi:10.1007/s10994-006-6226-1; Tu & Bai (2010), doi:10.1109/TPAMI.2009.186 (probabilities
    as features)

    Examples
    --------
    >>> image = np.array([[[1.0] * 6 + [0.0] * 6]] * 2)
    >>> seeds = np.array([[[2] * 3 + [0] * 6 + [255] * 3]] * 2)
    >>> even = np.full((2, 2, 1, 12), 0.5)
    >>> found = stroke_forest(image, seeds, even, spacing=(1, 1, 1), trees=10)
    >>> (found[1, 0, 0] > found[0, 0, 0])[3:9].tolist()
    [True, True, True, False, False, False]
    """
    labels = seed_labels(seeds)
    if len(probability) != len(labels):
        raise InputError(f"probability has {len(probability)} layers; expected {len(labels)}, as many as the strokes")
    factors = coarsening(image.shape, spacing, resolution)
    marks = pool_seeds(seeds, factors)
    if share == 0 or len(labels) == 1 or seed_labels(marks) != labels or EVERYTHING_ELSE not in marks:
        return probability
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    walk = {"contrast": contrast, "likeness": likeness}
    before = np.stack([pool(layer, factors, "mean") for layer in probability]).reshape(len(labels), -1)
    once = [n for n, label in enumerate(labels) if n and np.count_nonzero((marks == label).any(axis=(1, 2))) < 2]
    likely = 1 + before[1:].argmax(axis=0)  # of a bone marked in one plane alone, walks without it know nothing
    doubt = np.flatnonzero((before.max(axis=0) < SURE) & (marks.ravel() == 0) & ~np.isin(likely, once))
    if not len(doubt):
        return probability
    if len(doubt) > MOST_DOUBT:
        coarser = {"share": share, "trees": trees, "resolution": min(5.0, 1.3 * max(resolution, min(size))), "seed": seed}
        return stroke_forest.function(image, seeds, probability, spacing=spacing, **coarser, **walk)
    learned = _learned(pool(image, factors, "mean"), marks, size, doubt, walk, trees, seed)
    change = np.zeros((len(labels), *marks.shape), np.float32)
    change.reshape(len(labels), -1)[:, doubt] = np.float32(share) * (learned - before[:, doubt])
    return np.clip(probability + unpool(change, factors, image.shape), 0, 1)


def _learned(
    image: np.ndarray, seeds: np.ndarray, spacing: Spacing, doubt: np.ndarray, walk: dict, trees: int, seed: int
) -> np.ndarray:
    """What a forest grown from the strokes says of the voxels in doubt, (L, n)."""
    labels = seed_labels(seeds)
    samples = _samples(seeds, labels, seed)
    walks = unseen_walks(image, seeds, spacing, walk).reshape(len(labels), -1)
    places = np.concatenate([samples, doubt])
    rows = features(image, spacing, places, walks[:, places])
    forest = grown(rows[: len(samples)], seeds.ravel()[samples], trees, seed)
    order = np.searchsorted(forest.classes_, labels)
    return asked(forest, rows[len(samples) :])[:, order].T.astype(np.float32)

