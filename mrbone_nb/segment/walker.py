"""Random walker: how likely a walk from each voxel, held up by edges, meets each stroke first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np

from ..errors import InputError
from ..step import EVERYTHING_ELSE, Image, Labels, Probability, Range, Seeds, Spacing, step

TOLERANCE = 1e-3  # relative residual at which the solver stops; probabilities are then good to about 1 %
FLOOR = 1e-5  # conductance across the strongest edge, so that every voxel is reached
MOST_ITERATIONS = 400


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


def walk(weights: list[np.ndarray], seeds: np.ndarray, labels: list[int]) -> np.ndarray:
    """Solve for the probability of each label, (L, P, M, N), on the graph of the conductances.

    One Laplace equation a label, by conjugate gradients with a diagonal preconditioner; the operator
    is applied as shifted arrays, so there is no matrix to store.
    """
    free = (seeds == 0).astype(np.float32)
    degree = np.zeros(seeds.shape, np.float32)
    for axis, weight in enumerate(weights):
        degree[_cut(axis, 0, -1)] += weight
        degree[_cut(axis, 1, None)] += weight

    def spread(x: np.ndarray) -> np.ndarray:
        out = np.zeros_like(x)
        for axis, weight in enumerate(weights):
            low, high = _cut(axis, 0, -1), _cut(axis, 1, None)
            out[low] += weight * x[high]
            out[high] += weight * x[low]
        return out

    def operator(x: np.ndarray) -> np.ndarray:
        return free * (degree * x - spread(x))

    inverse = free / np.maximum(degree, FLOOR)
    layers = []
    for label in labels[1:]:
        fixed = (seeds == label).astype(np.float32)
        layers.append(fixed + _conjugate_gradients(operator, free * spread(fixed), inverse))
    bones = np.clip(np.stack(layers), 0, 1) if layers else np.zeros((0, *seeds.shape), np.float32)
    rest = np.clip(1 - bones.sum(axis=0), 0, 1)
    return np.concatenate([rest[None], bones])


def _cut(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))


def _conjugate_gradients(operator: Callable, right: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Solve operator(x) = right with x = 0 where inverse is 0."""
    x = np.zeros_like(right)
    residual = right.copy()
    goal = TOLERANCE * np.sqrt(np.vdot(residual, inverse * residual))
    ahead = inverse * residual
    direction = ahead.copy()
    power = float(np.vdot(residual, ahead))
    for _ in range(MOST_ITERATIONS):
        if np.sqrt(max(power, 0.0)) <= goal:
            break
        pushed = operator(direction)
        length = np.float32(power / float(np.vdot(direction, pushed)))
        x += length * direction
        residual -= length * pushed
        np.multiply(inverse, residual, out=ahead)
        power, before = float(np.vdot(residual, ahead)), power
        direction *= np.float32(power / before)
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
    layers = walk(conductances(coarse, size, contrast), marks, labels)
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
