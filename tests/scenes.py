"""Small scenes for tests, built in mm on anisotropic grids, so that a forgotten spacing shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPACING = (3.0, 0.8, 1.1)  # (plane, row, column) in mm: three different numbers


def positions(shape, spacing):
    """Three arrays (P, M, N) of mm from the middle of the grid."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def distance_to(center, shape, spacing):
    """Distance in mm of every voxel from a point, itself in mm from the middle of the grid."""
    return np.sqrt(sum((x - c) ** 2 for x, c in zip(positions(shape, spacing), center, strict=True)))


def ball(radius, shape, spacing, center=(0.0, 0.0, 0.0)):
    """Mask of the voxels whose centers lie within a radius in mm."""
    return distance_to(center, shape, spacing) <= radius


def dice(one, other):
    """Dice of two masks; two empty ones agree."""
    total = one.sum() + other.sum()
    return 2 * (one & other).sum() / total if total else 1.0


def halve(array):
    """Mean of blocks of 2 x 2 x 2 voxels, over the last three axes."""
    *lead, planes, rows, columns = array.shape
    blocks = array.reshape(*lead, planes // 2, 2, rows // 2, 2, columns // 2, 2)
    return blocks.mean(axis=(-5, -3, -1))


@dataclass
class Scene:
    """Arrays by the names of their slots, and their spacing."""

    arrays: dict[str, np.ndarray]
    spacing: tuple[float, float, float]

    @property
    def shape(self):
        return self.arrays["image"].shape

    def run(self, step, spacing=None, **given):
        """Call a step with the arrays that it takes."""
        words = {"spacing": spacing or self.spacing} if step.uses_spacing else {}
        words |= {name: self.arrays[name] for name in step.inputs}
        return step(**{**words, **given})

    def with_seeds(self, seeds):
        """The same scene with other strokes, and the layers of probability that belong to them."""
        return Scene(self.arrays | dict(seeds=seeds, probability=layers(seeds, self.arrays["labels"])), self.spacing)

    def like(self, change):
        """The same scene with every array changed."""
        return Scene({name: change(array) for name, array in self.arrays.items()}, self.spacing)


def layers(seeds, labels):
    """Probability of everything else first, then of each bone that is marked, in the order of their numbers."""
    marked = [n for n in np.unique(seeds) if 0 < n < 255]
    bones = [np.where(labels == n, 0.9, 0.1 / max(1, len(marked))) for n in marked]
    return np.stack([1 - sum(bones, np.zeros(seeds.shape)), *bones]).astype(np.float32)


BONES = {1: ((0.0, -3.0, -5.0), 7.5), 2: ((2.0, 5.0, 7.0), 4.5)}  # label: center and radius of the marrow, in mm
CORTEX_MM = 2.5


def bones(shape, spacing):
    """Two bones in muscle: bright marrow, dark cortex, edges one mm wide, and the strokes for them."""
    z, y, x = positions(shape, spacing)
    image = 0.5 + 0.02 * np.sin(x / 2) * np.cos(y / 2 + z / 3)
    labels, seeds = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    seeds[np.abs(np.maximum(abs(x), abs(y)) - 17) < 2] = 255
    for number, (center, radius) in BONES.items():
        far = distance_to(center, shape, spacing)
        for value, edge in ((0.1, radius + CORTEX_MM), (0.9, radius)):
            inside = np.clip(edge - far + 0.5, 0, 1)
            image = image * (1 - inside) + value * inside
        labels[far <= radius] = number
        seeds[far <= 2.5] = number
    arrays = dict(
        image=image.astype(np.float32),
        channels=np.stack([image, 1 - image]).astype(np.float32),
        mask=labels == 1,
        labels=labels,
        seeds=seeds,
        probability=layers(seeds, labels),
    )
    return Scene(arrays, tuple(spacing))


def tiny(shape):
    """A scene of a few voxels: a ramp, half a mask, one stroke at each end."""
    count = int(np.prod(shape))
    ramp = np.linspace(0, 1, count, dtype=np.float32).reshape(shape)
    half = (np.arange(count) < (count + 1) // 2).reshape(shape)
    seeds = np.zeros(count, np.uint8)
    seeds[-1], seeds[0] = 255, 1
    arrays = dict(
        image=ramp,
        channels=np.stack([ramp, ramp]),
        mask=half,
        labels=half.astype(np.uint8),
        seeds=seeds.reshape(shape),
        probability=np.stack([1 - ramp, ramp]),
    )
    return Scene(arrays, SPACING)
