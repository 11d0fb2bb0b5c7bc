"""Small bodies whose truth is known."""

import numpy as np

from mrbone_nb import Volume
from mrbone_nb import phantom as ph


CLEAN = dict(noise=0.0, bias=0.0, blur=0.0, shift=0.0)  # a scanner that adds nothing
TILTED = (0.96, 0.0, 0.28, 0.0, 1.0, 0.0, -0.28, 0.0, 0.96)


def made_of(codes, spacing=(1.0, 1.0, 1.0), truth=None, **place):
    """A body of given tissues without texture."""
    grid = Volume(np.asarray(codes, np.uint8), spacing, **place)
    bones = np.zeros(grid.shape, np.uint8) if truth is None else np.asarray(truth, np.uint8)
    return ph.Body(grid, grid.with_array(bones), np.ones(grid.shape, np.float32))


def sphere(radius, shape=(40, 60, 50), spacing=(1.5, 0.8, 1.0), center=None, **place):
    """A label map with one ball, by default in the middle; center in mm."""
    grid = Volume(np.zeros(shape, np.uint8), spacing, **place)
    middle = grid.points([(np.array(shape) - 1) / 2])[0] if center is None else np.array(center)
    index = np.argwhere(np.ones(shape, bool))
    inside = np.linalg.norm(grid.points(index) - middle, axis=1) <= radius
    return grid.with_array(inside.reshape(shape).astype(np.uint8)), middle
