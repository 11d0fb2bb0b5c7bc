"""Random walker: how likely a walk from each voxel, held up by edges, meets each stroke first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from ..errors import InputError
from ..step import EVERYTHING_ELSE, Image, Labels, Probability, Range, Seeds, Spacing, step

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOLERANCE = 1e-3  # relative residual at which the solver stops; probabilities are then good to about 1 %
FLOOR = 1e-5  # conductance across the strongest edge, so that every voxel is reached
MOST_ITERATIONS = 400
TINY = 1e-30
ENOUGH = 150_000  # voxels below which no coarser grid is worth it
SURE = 0.97  # probability above which a coarser grid's answer stands


def seed_labels(seeds: np.ndarray) -> list[int]:
    """The order of the layers of a probability: everything else first, then the bones by number."""
    bones = [int(n) for n in np.unique(seeds) if 0 < n < EVERYTHING_ELSE]
    return [EVERYTHING_ELSE, *bones]


def coarsening(shape: tuple[int, ...], spacing: Spacing, resolution: float) -> tuple[int, ...]:
    """How many voxels of each axis make one of about the working resolution in mm."""
    return tuple(max(1, min(n, round(resolution / s))) for n, s in zip(shape, spacing, strict=True))


def pool(image: np.ndarray, factors: tuple[int, ...], how: Literal["mean", "min", "max"]) -> np.ndarray:
    """Reduce blocks of voxels to their mean, minimum or maximum; the last blocks repeat the border."""
    short = [(0, -n % f) for n, f in zip(image.shape, factors, strict=True)]
    image = np.pad(image, short, mode="edge") if any(after for _, after in short) else image
    split = [size for n, f in zip(image.shape, factors, strict=True) for size in (n // f, f)]
    return getattr(image.reshape(split), how)(axis=(1, 3, 5))


def pool_seeds(seeds: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Strokes on the coarse grid; where a bone and everything else meet in a block, it stays unmarked."""
    bones = np.where(seeds == EVERYTHING_ELSE, 0, seeds)
    highest = pool(bones, factors, "max")
    lowest = pool(np.where(bones > 0, bones, EVERYTHING_ELSE), factors, "min")
    other = pool((seeds == EVERYTHING_ELSE).astype(np.uint8), factors, "max") > 0
    clear = (highest == lowest) & ~other
    return np.where(clear, highest, np.where(other & (highest == 0), EVERYTHING_ELSE, 0)).astype(np.uint8)


def unpool(field: np.ndarray, factors: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate a coarse field linearly back to the full grid."""
    for axis, (factor, n) in enumerate(zip(factors, shape, strict=True)):
        if factor == 1:
            continue
        at = np.clip((np.arange(n) + 0.5) / factor - 0.5, 0, field.shape[axis] - 1)
        low = np.floor(at).astype(int)
        weight = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        first = np.take(field, low, axis)
        field = first + weight * (np.take(field, np.minimum(low + 1, field.shape[axis] - 1), axis) - first)
    return field


def conductances(image: np.ndarray, spacing: Spacing, contrast: float) -> list[np.ndarray]:
    """How easily a walk passes between neighbors along each axis: less for farther ones and across edges."""
    plane = float(np.mean(spacing[1:]))
    weights = []
    for axis, s in enumerate(spacing):
        step = np.diff(image, axis=axis) / np.float32(contrast)
        weights.append(((plane / s) ** 2 * np.exp(-(step**2)) + FLOOR).astype(np.float32))
    return weights


def walk(image: np.ndarray, seeds: np.ndarray, labels: list[int], spacing: Spacing, contrast: float) -> np.ndarray:
    """Solve for the probability of each label, (L, P, M, N), on a coarser grid first where that saves work.

    What the coarser grid is sure of, away from any border, is kept; the rest is solved anew.
    """
    factors = tuple(2 if s < 2 * min(spacing) and n > 8 else 1 for s, n in zip(spacing, image.shape, strict=True))
    coarse_seeds = pool_seeds(seeds, factors)
    if image.size <= ENOUGH or max(factors) == 1 or not set(labels[1:]) <= set(np.unique(coarse_seeds)):
        return solve(conductances(image, spacing, contrast), seeds, labels, None)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    far = walk(pool(image, factors, "mean"), coarse_seeds, labels, size, contrast)
    settled = np.where(_sure(far), np.array(labels, np.uint8)[far.argmax(axis=0)], 0)
    for axis, factor in enumerate(factors):
        settled = settled.repeat(factor, axis)
    settled = np.where(seeds > 0, seeds, settled[tuple(slice(n) for n in seeds.shape)])
    guess = np.stack([unpool(layer, factors, image.shape) for layer in far])
    return solve(conductances(image, spacing, contrast), settled, labels, guess)


def _sure(probability: np.ndarray) -> np.ndarray:
    """Where one label is nearly certain, at the voxel and all around it."""
    from scipy.ndimage import minimum_filter

    return np.any([minimum_filter(layer, 3, mode="nearest") > SURE for layer in probability], axis=0)


def solve(weights: list[np.ndarray], seeds: np.ndarray, labels: list[int], guess: np.ndarray | None) -> np.ndarray:
    """Solve the Laplace equation of every label at once on the graph of the conductances.

    Only voxels without a seed are unknowns; the matrix is sparse, and conjugate gradients with a
    diagonal preconditioner work on all labels side by side.
    """
    free = np.flatnonzero(seeds.ravel() == 0)
    out = np.stack([(seeds == label).ravel() for label in labels], axis=1).astype(np.float32)
    if len(free) and len(labels) > 1:
        matrix, degree = _laplacian(weights, seeds.shape, free)
        right = matrix[1] @ out[:, 1:]
        start = np.zeros_like(right) if guess is None else guess.reshape(len(labels), -1)[1:, free].T.copy()
        found = np.clip(_conjugate_gradients(matrix[0], degree, right, start), 0, 1)
        out[free, 1:] = found
        out[free, 0] = np.clip(1 - found.sum(axis=1), 0, 1)
    elif len(free):
        out[free, 0] = 1
    return np.ascontiguousarray(out.T).reshape(len(labels), *seeds.shape)


def _laplacian(
    weights: list[np.ndarray], shape: tuple[int, ...], free: np.ndarray
) -> tuple[tuple[csr_matrix, csr_matrix], np.ndarray]:
    """Conductances among the free voxels, conductances from the free voxels to all, and sums of each voxel."""
    from scipy.sparse import coo_matrix, diags_array

    number = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    ends = [(number[_cut(axis, 0, -1)].ravel(), number[_cut(axis, 1, None)].ravel()) for axis in range(3)]
    low, high = (np.concatenate(side) for side in zip(*ends, strict=True))
    value = np.concatenate([weight.ravel() for weight in weights])
    both = (np.concatenate([low, high]), np.concatenate([high, low]))
    graph = coo_matrix((np.concatenate([value, value]), both), shape=(number.size,) * 2).tocsr()
    rows = graph[free]
    degree = np.asarray(rows.sum(axis=1), np.float32).ravel()
    return (diags_array(degree) - rows[:, free], rows), degree


def _cut(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))


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
    resolution: Annotated[float, Range(0.3, 5, 0.1, "mm")] = 1.2,
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
    layers = walk(coarse, marks, labels, size, contrast)
    return np.stack([unpool(layer, factors, image.shape) for layer in layers])


@step(preview="volume", bytes_per_voxel=8)
def most_likely(
    probability: Probability,
    seeds: Seeds,
    *,
    certainty: Annotated[float, Range(0, 1, 0.01)] = 0.5,
) -> Labels:
    """Give each voxel its most likely label, and background where no bone is likely enough.

    Raise `certainty` where bones run out into their surroundings, lower it where they stay too thin.

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
    best = np.array(labels[1:], np.uint8)[probability[1:].argmax(axis=0)]
    return np.where(1 - probability[0] >= np.float32(certainty), best, 0)
