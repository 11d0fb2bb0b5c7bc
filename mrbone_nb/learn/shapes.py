"""Shape models: how the bones of training vary, as signed distances, fitted to what is said of a new scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..grids import pool, unpool
from ..morphology import bounding_box
from ..step import Spacing
from .atlas import RESOLUTION, Atlas
from .frame import nested

LEAST = 3  # scans that show a bone, below which there is no variation to learn
FAR = 20.0  # mm at which distances end
NEAR = 10.0  # mm round the border within which a shape is fitted
EXTENDED = 40.0  # mm by which a bone that the scan cuts goes on, straight
MARGIN = 24.0  # mm round the mean
KEPT = 0.95  # share of the variance that modes explain
LIMIT = 2.5  # standard deviations of a mode
POINTS = 2000  # at which a shape is compared
INDEPENDENT = 150  # of them, about: neighbors say the same
NOISE = 2.0  # mm that a border found may be off
OUTLIER = 4.0  # mm off, from which a place pulls less
SCALE, TURN = 0.08, 0.15  # usual change of size, and turn in radians, between scans
ROUNDS, ALIGNED = 15, 2  # of a fit, and of the mean
UNSURE = 6.0  # mm outside or inside the fitted shape that are still possible
FADE = 2.0  # mm beyond, on which the odds of what is impossible fall to a third


@dataclass(frozen=True, eq=False)
class Shape:
    """Hold the mean of a bone and how it varies.

    Parameters
    ----------
    mean
        Signed distance to its border in mm, negative inside, (p, m, n).
    modes
        Change of that distance by one standard deviation of each mode, (K, p, m, n), the widest first.
    spacing
        In mm, in the body's axes.
    """

    mean: np.ndarray
    modes: np.ndarray
    spacing: Spacing

    @classmethod
    def checked(cls, mean: np.ndarray, modes: np.ndarray, spacing: Sequence[float]) -> Shape:
        """Take over arrays from a file; ValueError where they are no shape."""
        good = mean.ndim == 3 and modes.ndim == 4 and modes.shape[1:] == mean.shape and len(modes) >= 1
        good = good and min(mean.shape) >= 2 and len(spacing) == 3 and mean.dtype == modes.dtype == np.float16
        if not (good and np.isfinite(mean).all() and np.isfinite(modes).all() and all(0 < s < 100 for s in spacing)):
            raise ValueError("shape")
        return cls(mean, modes, tuple(float(s) for s in spacing))


@dataclass(frozen=True, eq=False)
class _Pose:
    """Where a shape lies: shift in mm, turn and logarithm of the size about its middle, and weights of its modes."""

    shift: np.ndarray
    turn: np.ndarray
    size: float
    weights: np.ndarray

    def stepped(self, step: np.ndarray) -> _Pose:
        """The pose a step farther; what no bone is like is not reached."""
        weights = np.clip(self.weights + step[7:], -LIMIT, LIMIT)
        size = float(np.clip(self.size + step[6], -4 * SCALE, 4 * SCALE))
        return _Pose(self.shift + step[:3], np.clip(self.turn + step[3:6], -4 * TURN, 4 * TURN), size, weights)

    def back(self, points: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """Points of the scan, (n, 3), in the place of the shape."""
        from scipy.spatial.transform import Rotation

        arms = (points - middle - self.shift) * np.exp(-self.size)
        return middle + arms @ Rotation.from_rotvec(self.turn).as_matrix()


Field = tuple[np.ndarray, Spacing]


def fields_of(atlas: Atlas, labels: int) -> list[Field | None]:
    """Give the signed distance to each bone of an atlas, as shapes are learned from; None for one that it lacks."""
    masks = (atlas.labels == label for label in range(1, labels + 1))
    return [(_field(mask, atlas.spacing), atlas.spacing) if mask.any() else None for mask in masks]


def shapes_of(scans: Sequence[Sequence[Field | None]], least: int = LEAST) -> tuple[Shape | None, ...]:
    """Learn how each bone varies; None for one that too few scans show.

    Parameters
    ----------
    scans
        What `fields_of` gave for each.
    least
        How many must show a bone; two at the very least.

    References
    ----------
    Leventon et al. (2000), doi:10.1109/CVPR.2000.855835; Tsai et al. (2003), doi:10.1109/TMI.2002.808355 (principal
    components of signed distances)
    """
    found = []
    for fields in zip(*scans, strict=True):
        shown = [field for field in fields if field is not None]
        found.append(_shape(shown) if len(shown) >= least else None)
    return tuple(found)


def distances(shapes: Sequence[Shape | None], layers: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Fit the shapes to probabilities and give the signed distance to each in mm, -20 to 20, on their grid.

    Parameters
    ----------
    shapes
        One for each label, or None.
    layers
        Probabilities, (L, p, m, n), background first.
    spacing
        In mm.

    Returns
    -------
    numpy.ndarray
        (L - 1, p, m, n) float32; 0 where there is no shape, 20 where nothing of the bone is seen.
    """
    factors = nested(layers.shape[1:], spacing, RESOLUTION)
    size = tuple(s * f for s, f in zip(spacing, factors, strict=True))
    found = []
    for shape, layer in zip(shapes, layers[1:], strict=True):
        mask = pool(layer, factors, "mean") > 0.5
        if shape is None or not mask.any():
            found.append(np.full(mask.shape, 0 if shape is None else FAR, np.float32))
        else:
            found.append(_placed(shape, _fitted(shape, signed(mask, size), size), mask.shape, size))
    return unpool(np.stack(found), factors, layers.shape[1:])


def held(layers: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Probabilities, (L, p, m, n), without what no fitted shape allows: islands far off, and holes deep inside.

    Parameters
    ----------
    layers
        Background first.
    away
        What `distances` gave.
    """
    odds = layers.copy()
    for layer, field in zip(odds[1:], away, strict=True):
        layer *= np.exp(-np.maximum(field - UNSURE, 0) / FADE)
        odds[0] *= np.exp(-np.maximum(-field - UNSURE, 0) / FADE)
    total = odds.sum(axis=0)
    odds[0] += total <= 1e-6  # nothing is possible: background
    return odds / odds.sum(axis=0)


def _shape(fields: Sequence[tuple[np.ndarray, Spacing]]) -> Shape:
    """The mean of bones that are moved onto each other, and its modes; fields as `_field` gives them."""
    sizes = [float((field < 0).sum() * np.prod(spacing)) for field, spacing in fields]
    start, spacing = fields[int(np.argsort(sizes)[len(sizes) // 2])]
    start = start[bounding_box(start < 0, MARGIN, spacing)]
    mean = Shape(start, np.empty((0, *start.shape), np.float32), spacing)
    for _ in range(ALIGNED):
        poses = [_fitted(mean, _within(field, size), size) for field, size in fields]
        moved = np.stack([_moved(field, size, pose, mean) for (field, size), pose in zip(fields, poses, strict=True)])
        mean = Shape(moved.mean(axis=0), mean.modes, spacing)
    flat = (moved - mean.mean).reshape(len(moved), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T / (len(flat) - 1))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    share = np.cumsum(values) / max(values.sum(), 1e-12)
    count = min(len(flat) - 1, 1 + int(np.searchsorted(share, KEPT)))
    modes = (vectors[:, :count].T @ flat) / np.sqrt(len(flat) - 1)  # one standard deviation long
    modes *= np.where(modes[np.arange(count), np.abs(modes).argmax(axis=1)] < 0, -1, 1)[:, None]
    return Shape(mean.mean.astype(np.float16), modes.reshape(count, *start.shape).astype(np.float16), spacing)


def _pads(spacing: Spacing) -> list[int]:
    """Voxels by which a bone goes on beyond its scan."""
    return [int(EXTENDED / s) for s in spacing]


def _field(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Signed distance on a larger grid, where what the scan cuts goes on straight."""
    return signed(np.pad(mask, [(pad, pad) for pad in _pads(spacing)], mode="edge"), spacing)


def _within(field: np.ndarray, spacing: Spacing) -> np.ndarray:
    """The part of such a field that lies in the scan."""
    return field[tuple(slice(pad, n - pad) for pad, n in zip(_pads(spacing), field.shape, strict=True))]


def signed(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Signed distance in mm to the border of a mask, negative inside, -20 to 20; the scan's border is none."""
    import edt

    inside, outside = (edt.edt(np.ascontiguousarray(m), anisotropy=spacing, black_border=False) for m in (mask, ~mask))
    half = 0.5 * min(spacing)
    return np.clip(np.where(mask, half - inside, outside - half), -FAR, FAR).astype(np.float32)


def _sampled(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A field at indices, (n, 3); beyond it, as at its border."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(np.asarray(field, np.float32), at.T, order=1, mode="nearest")


def _middle(shape: Shape) -> np.ndarray:
    """The middle of the mean in mm of its own grid."""
    return np.argwhere(shape.mean < 0).mean(axis=0) * shape.spacing


def _grid(shape: Sequence[int], spacing: Spacing) -> np.ndarray:
    return np.indices(shape, np.float32).reshape(3, -1).T * np.float32(spacing)


def _moved(field: np.ndarray, spacing: Spacing, pose: _Pose, onto: Shape) -> np.ndarray:
    """The signed distance of a scan's bone, widened, in the place of the mean that was fitted to it."""
    from scipy.spatial.transform import Rotation

    middle = _middle(onto)
    arms = (_grid(onto.mean.shape, onto.spacing) - middle) @ Rotation.from_rotvec(pose.turn).as_matrix().T
    there = arms * np.exp(pose.size) + middle + pose.shift
    return (_sampled(field, there / np.array(spacing) + _pads(spacing)) * np.exp(-pose.size)).reshape(onto.mean.shape)


def _fitted(shape: Shape, target: np.ndarray, spacing: Spacing) -> _Pose:
    """The pose and the weights with which a shape is nearest to a signed distance, by damped Gauss-Newton."""
    close = np.argwhere(np.abs(target) < NEAR)
    if len(close) > POINTS:
        close = close[np.linspace(0, len(close) - 1, POINTS).astype(int)]
    points, wanted = close * np.array(spacing), target[tuple(close.T)]
    middle = _middle(shape)
    start = np.argwhere(target < 0).mean(axis=0) * spacing - middle
    modes = [np.asarray(mode, np.float32) for mode in shape.modes]
    mean = np.asarray(shape.mean, np.float32)
    pose = _Pose(start, np.zeros(3), 0.0, np.zeros(len(modes)))
    usual = np.concatenate([np.full(3, 1e-6), np.full(3, TURN**-2), [SCALE**-2], np.ones(len(modes))])
    for _ in range(ROUNDS):
        rows, rest = _slopes(mean, modes, shape.spacing, pose, points, wanted, middle)
        trust = (INDEPENDENT / len(points) / NOISE**2) / (1 + (rest / OUTLIER) ** 2)
        now = np.concatenate([np.zeros(3), pose.turn, [pose.size], pose.weights])
        square = (rows * trust[:, None]).T @ rows + np.diag(usual)
        step = np.linalg.solve(square, rows.T @ (trust * rest) - usual * now)
        pose = pose.stepped(step)
        if np.abs(step[:3]).max() < 0.05 and (np.abs(step[7:]) < 0.02).all():
            break
    return pose


def _slopes(
    mean: np.ndarray, modes: list, spacing: Spacing, pose: _Pose, points: np.ndarray, wanted: np.ndarray,
    middle: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """How the distance at points changes with shift, turn, size and weights, (n, 7 + K), and what it lacks, (n,)."""
    field = mean + sum(w * mode for w, mode in zip(pose.weights, modes, strict=True))
    here = pose.back(points, middle)
    at = here / np.array(spacing)
    size = np.exp(pose.size)
    value = _sampled(field, at) * size
    half = 0.5
    slope = np.stack([
        (_sampled(field, at + half * e) - _sampled(field, at - half * e)) / s
        for e, s in zip(np.eye(3), spacing, strict=True)
    ], axis=1)  # fmt: skip
    from scipy.spatial.transform import Rotation

    turned = slope @ Rotation.from_rotvec(pose.turn).as_matrix().T  # in the scan's axes
    arms = points - middle - pose.shift
    columns = [-turned, -np.cross(arms, turned), (value - (turned * arms).sum(axis=1))[:, None]]
    columns += [(size * _sampled(mode, at))[:, None] for mode in modes]
    return np.concatenate(columns, axis=1), np.clip(wanted - np.clip(value, -FAR, FAR), -NEAR, NEAR)


def _placed(shape: Shape, pose: _Pose, onto: Sequence[int], spacing: Spacing) -> np.ndarray:
    """The signed distance of a fitted shape on a scan's grid."""
    field = np.asarray(shape.mean, np.float32) + np.tensordot(pose.weights, np.asarray(shape.modes, np.float32), 1)
    at = pose.back(_grid(onto, spacing), _middle(shape)) / np.array(shape.spacing)
    value = _sampled(field, at) * np.exp(pose.size)
    beyond = np.maximum(np.maximum(-at, at - np.array(field.shape) + 1), 0) * np.array(shape.spacing)
    return np.clip(value + np.linalg.norm(beyond, axis=1), -FAR, FAR).astype(np.float32).reshape(onto)
