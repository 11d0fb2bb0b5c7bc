"""Random walker: how likely a walk from each voxel, held up by edges, meets each stroke first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from ..errors import InputError
from ..grids import cut, pool, unpool
from ..step import EVERYTHING_ELSE, Image, Labels, Probability, Range, Seeds, Spacing, step

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOLERANCE = 3e-3  # relative residual at which the solver stops; labels then settle to about 1 voxel in 1000
FLOOR = 1e-5  # conductance across the strongest edge, so that every voxel is reached
MOST_ITERATIONS = 400
TINY = 1e-30
STRIDE = 1.5  # mm: the grid on which `likeness` is the share of walks that end at a voxel
LEVELS = 256  # of gray, for comparing strokes
ENOUGH = 150_000  # voxels below which no coarser grid is worth it
SURE = 0.97  # probability above which a coarser grid's answer stands


def seed_labels(seeds: np.ndarray) -> list[int]:
    """The order of the layers of a probability: everything else first, then the bones by number."""
    bones = [int(n) for n in np.unique(seeds) if 0 < n < EVERYTHING_ELSE]
    return [EVERYTHING_ELSE, *bones]


def coarsening(shape: tuple[int, ...], spacing: Spacing, resolution: float) -> tuple[int, ...]:
    """How many voxels of each axis make one of about the working resolution in mm."""
    return tuple(max(1, min(n, round(resolution / s))) for n, s in zip(shape, spacing, strict=True))


def pool_seeds(seeds: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Strokes on the coarse grid; a block in which two labels meet stays unmarked."""
    shape = tuple(-(-n // f) for n, f in zip(seeds.shape, factors, strict=True))
    marked = np.nonzero(seeds)
    blocks = np.ravel_multi_index([at // f for at, f in zip(marked, factors, strict=True)], shape)
    values = seeds[marked]
    lowest, highest = np.full(np.prod(shape), 255, np.uint8), np.zeros(np.prod(shape), np.uint8)
    np.minimum.at(lowest, blocks, values)
    np.maximum.at(highest, blocks, values)
    return np.where(lowest == highest, highest, 0).astype(np.uint8).reshape(shape)


def conductances(image: np.ndarray, spacing: Spacing, contrast: float) -> list[np.ndarray]:
    """How easily a walk passes between neighbors along each axis: less for farther ones and across edges."""
    plane = float(np.mean(spacing[1:]))
    weights = []
    for axis, s in enumerate(spacing):
        step = np.diff(image, axis=axis) / np.float32(contrast)
        weights.append(((plane / s) ** 2 * np.exp(-(step**2)) + FLOOR).astype(np.float32))
    return weights


def walk(
    image: np.ndarray, seeds: np.ndarray, labels: list[int], spacing: Spacing, contrast: float, loss: np.ndarray
) -> np.ndarray:
    """Solve for the probability of each label, (L, P, M, N), on a coarser grid first where that saves work.

    What the coarser grid is sure of, away from any border, is kept; the rest is solved anew.
    """
    factors = tuple(2 if s < 2 * min(spacing) and n > 8 else 1 for s, n in zip(spacing, image.shape, strict=True))
    coarse_seeds = pool_seeds(seeds, factors)
    if image.size <= ENOUGH or max(factors) == 1 or not set(labels[1:]) <= set(np.unique(coarse_seeds)):
        return solve(conductances(image, spacing, contrast), seeds, labels, None, loss)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    coarse = pool(image, factors, "mean"), pool(loss, factors, "mean") * (np.mean(size[1:]) / np.mean(spacing[1:])) ** 2
    far = walk(coarse[0], coarse_seeds, labels, size, contrast, coarse[1])
    settled = np.where(_sure(far), np.array(labels, np.uint8)[far.argmax(axis=0)], 0)
    for axis, factor in enumerate(factors):
        settled = settled.repeat(factor, axis)
    settled = np.where(seeds > 0, seeds, settled[tuple(slice(n) for n in seeds.shape)])
    guess = unpool(far, factors, image.shape)
    return solve(conductances(image, spacing, contrast), settled, labels, guess, loss)


def _sure(probability: np.ndarray) -> np.ndarray:
    """Where one label is nearly certain, at the voxel and all around it."""
    from scipy.ndimage import minimum_filter

    return np.any([minimum_filter(layer, 3, mode="nearest") > SURE for layer in probability], axis=0)


def unlike_bone(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """How clearly each gray value is one that the strokes of everything else have and those of bone have not, 0 to 1.

    From the two smoothed histograms; gray values that no stroke has, or both, give 0.
    """
    from scipy.ndimage import gaussian_filter1d

    level = np.clip(image * (LEVELS / 2), 0, LEVELS - 1).astype(np.intp)  # 0 to 2, the range of a normalized image
    marks = (seeds == EVERYTHING_ELSE, (seeds > 0) & (seeds < EVERYTHING_ELSE))
    other, bone = (np.bincount(level[m], minlength=LEVELS) / max(1, m.sum()) for m in marks)
    other, bone = (gaussian_filter1d(h, LEVELS / 64, mode="nearest") for h in (other, bone))
    share = other / (other + bone + 0.02 / LEVELS)
    return np.maximum(0, 2 * share - 1).astype(np.float32)[level]


def solve(
    weights: list[np.ndarray],
    seeds: np.ndarray,
    labels: list[int],
    guess: np.ndarray | None,
    loss: np.ndarray,
    pull: float = 0.0,
) -> np.ndarray:
    """Solve the Laplace equation of every label at once on the graph of the conductances.

    Only voxels without a seed are unknowns; the matrix is sparse, and conjugate gradients with a
    diagonal preconditioner work on all labels side by side. With ``pull``, walks also end anywhere, and then by the
    odds of the guess there: a prior (Grady 2005).
    """
    free = seeds == 0
    out = np.stack([seeds == label for label in labels], axis=-1).astype(np.float32)
    if free.any() and len(labels) > 1:
        matrix, degree, right = _equations(weights, seeds, labels, loss + np.float32(pull) if pull else loss)
        start = np.zeros_like(right) if guess is None else np.stack([layer[free] for layer in guess[1:]], axis=1)
        right = right + np.float32(pull) * start if pull else right
        found = np.clip(_conjugate_gradients(matrix, degree, right, start), 0, 1)
        out[free, 1:] = found
        out[free, 0] = np.clip(1 - found.sum(axis=1), 0, 1)
    else:
        out[free, 0] = 1
    return np.ascontiguousarray(np.moveaxis(out, -1, 0))


def _equations(
    weights: list[np.ndarray], seeds: np.ndarray, labels: list[int], loss: np.ndarray
) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """The Laplacian among the voxels without a seed, its diagonal, and what flows in from each bone's seeds."""
    from scipy.sparse import coo_matrix

    free = seeds == 0
    count = int(free.sum())
    number = np.full(seeds.shape, -1, np.int32)
    number[free] = np.arange(count, dtype=np.int32)
    degree = loss[free].astype(np.float32)  # what a walk loses to everything else on its way
    right = np.zeros((count, len(labels) - 1), np.float32)
    rows, columns, values = [], [], []
    for axis, weight in enumerate(weights):
        ends = cut(axis, 0, -1), cut(axis, 1, None)
        for here, there in (ends, ends[::-1]):
            at = free[here]
            mine, other, value = number[here][at], number[there][at], weight[at]
            degree += np.bincount(mine, value, count)
            open_ = other >= 0
            rows.append(mine[open_]), columns.append(other[open_]), values.append(-value[open_])
            beside = seeds[there][at][~open_]
            for layer, label in enumerate(labels[1:]):
                hit = beside == label
                right[:, layer] += np.bincount(mine[~open_][hit], value[~open_][hit], count)
    index = np.arange(count, dtype=np.int32)
    parts = (np.concatenate([*values, degree]), (np.concatenate([*rows, index]), np.concatenate([*columns, index])))
    return coo_matrix(parts, shape=(count, count)).tocsr(), degree, right


def _conjugate_gradients(matrix: csr_matrix, diagonal: np.ndarray, right: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Solve matrix @ x = right for several columns at once, beginning at x."""
    inverse = (1 / np.maximum(diagonal, FLOOR))[:, None]
    residual = right - matrix @ x
    goal = TOLERANCE**2 * np.einsum("ij,ij->j", right, inverse * right)
    direction = inverse * residual
    power = np.einsum("ij,ij->j", residual, direction)
    for _ in range(MOST_ITERATIONS):
        if (power <= goal).all():
            break
        pushed = matrix @ direction
        length = power / np.maximum(np.einsum("ij,ij->j", direction, pushed), TINY)
        x += length * direction
        residual -= length * pushed
        ahead = inverse * residual
        power, before = np.einsum("ij,ij->j", residual, ahead), power
        direction *= power / np.maximum(before, TINY)
        direction += ahead
    return x


@step(preview="slice", bytes_per_voxel=60)
def random_walker(
    image: Image,
    seeds: Seeds,
    *,
    spacing: Spacing,
    contrast: Annotated[float, Range(0.01, 0.5, 0.005)] = 0.07,
    resolution: Annotated[float, Range(0.3, 5, 0.1, "mm")] = 1.5,
    likeness: Annotated[float, Range(0, 0.5, 0.005)] = 0.02,
    keep: Literal["mean", "dark lines", "bright lines"] = "mean",
) -> Probability:
    """Give the probability that a walk from each voxel meets a label's strokes before all others.

    Walks cross edges rarely, and a small gap in the cortex lets only few of them through, so a leak
    stays faint where region growing would pour through. It needs strokes on both sides of a border.

    Parameters
    ----------
    image
        Gray values, (P, M, N), 0 to about 1.
    seeds
        Strokes, (P, M, N): labels, and 255 for everything else.
    spacing
        (plane, row, column) in mm.
    contrast
        Difference of gray value between neighbors that holds up about two walks in three.
    resolution
        Voxels smaller than this are pooled for the walk; the result is interpolated back.
    likeness
        Share of walks that end, on a way of 1.5 mm, where only the strokes of everything else have such
        gray values; 0 lets edges alone decide.
    keep
        What pooling keeps: the mean, or thin dark or bright lines such as cortex.

    Returns
    -------
    Probability
        (L, P, M, N): everything else first, then the labels of the strokes in ascending order.

    Notes
    -----
    Time grows with the voxels at the working resolution and with the number of labels.

    References
    ----------
    Grady (2006), doi:10.1109/TPAMI.2006.233

    Examples
    --------
    >>> image = np.array([[[1, 1, 1, 0, 0.0, 0]]])
    >>> seeds = np.array([[[2, 0, 0, 0, 0, 255]]])
    >>> random_walker(image, seeds, spacing=(1, 1, 1), resolution=1)[1].round().tolist()
    [[[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]]
    """
    labels = seed_labels(seeds)
    factors = coarsening(image.shape, spacing, resolution)
    how = {"mean": "mean", "dark lines": "min", "bright lines": "max"}[keep]
    coarse = pool(image, factors, how)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    marks = pool_seeds(seeds, factors)
    loss = likeness * (np.mean(size[1:]) / STRIDE) ** 2 * unlike_bone(coarse, marks)  # a walk is longer on finer grids
    layers = walk(coarse, marks, labels, size, contrast, loss)
    return unpool(layers, factors, image.shape)


@step(preview="volume", bytes_per_voxel=17)
def most_likely(
    probability: Probability,
    seeds: Seeds,
    *,
    certainty: Annotated[float, Range(0, 1, 0.01)] = 0.5,
) -> Labels:
    """Give each voxel its most likely label, and background where no bone is likely enough.

    Raise `certainty` where bones run out into their surroundings, lower it where they stay too thin.
    The strokes keep their own labels.

    Parameters
    ----------
    probability
        (L, P, M, N): everything else first, then the labels of the strokes in ascending order.
    seeds
        The strokes that the layers stand for, (P, M, N).
    certainty
        Probability that all bones together must reach.

    Returns
    -------
    Labels
        (P, M, N).

    Examples
    --------
    >>> most_likely(np.array([0.2, 0.8]).reshape(2, 1, 1, 1), np.array([[[7]]])).tolist()
    [[[7]]]
    """
    labels = seed_labels(seeds)
    if len(probability) != len(labels):
        raise InputError(f"probability has {len(probability)} layers; expected {len(labels)}, as many as the strokes")
    if len(labels) == 1:
        return np.zeros(seeds.shape, np.uint8)
    best, highest = np.full(seeds.shape, labels[1], np.uint8), probability[1].copy()
    for label, layer in zip(labels[2:], probability[2:], strict=True):  # argmax over the first axis is far slower
        np.copyto(best, np.uint8(label), where=layer > highest)
        np.maximum(highest, layer, out=highest)
    best[probability[0] > np.float32(1 - certainty)] = 0
    marked = seeds > 0  # a coarse walk may overrule a stroke, the user's word may not be
    best[marked] = np.where(seeds[marked] == EVERYTHING_ELSE, 0, seeds[marked])
    return best
