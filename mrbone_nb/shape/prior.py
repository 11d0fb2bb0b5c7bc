"""A shape model as the memory of an elastic surface: what it should look like, given what the scan shows of it."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .model import LIMIT, ShapeModel, shape
from .rbf import similarity
from .register import moved
from .solve import Pairs, solve

MODEL_WEIGHT = 1.0
NOISE_MM = 2.0  # what a vertex may lie off the model, standard deviation
UNSEEN = 0.02  # trust in a vertex at which the scan says nothing: the model alone says where it lies


class Prior:
    """Hold the shape of a model that is nearest to a surface, and find it anew from where its trusted vertices lie.

    Parameters
    ----------
    model
        Shapes with the vertices of the surface.
    start
        The surface in its place.
    """

    def __init__(self, model: ShapeModel, start: Mesh) -> None:
        self.model = model
        self.weights = np.zeros(model.count)
        fit = similarity(start.vertices, model.mean, scaling=False)
        self.matrix = np.eye(4)
        self.matrix[:3, :3], self.matrix[:3, 3] = fit.turn, fit.shift  # from the scan to the model's place

    def nearest(self, points: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Give the model's shape, (V, 3) in the scan, for vertices that are trusted, (V,), more or less.

        The pose and weights of the last call are where it starts, so that one linear step is enough.
        """
        now = shape(self.model, self.weights)
        here = moved(self.matrix, points)
        corners = np.repeat(np.arange(len(points))[:, None], 3, axis=1)
        shares = np.tile([1.0, 0, 0], (len(points), 1))
        pairs = Pairs(here, now.vertices, now.normals(), corners, shares, np.maximum(trust, UNSEEN))
        step, self.weights, _ = solve(self.model, pairs, self.weights, NOISE_MM, LIMIT)
        self.matrix = step @ self.matrix
        return moved(np.linalg.inv(self.matrix), shape(self.model, self.weights).vertices)


def check_weight(model: ShapeModel | None, weight: float | None) -> float:
    """Give the weight of a model, by default the usual one, 0 without a model; or say that it makes no sense."""
    if model is None:
        if weight is not None:
            raise InputError(f"model_weight={weight}: the template is no shape model; leave it out")
        return 0.0
    weight = MODEL_WEIGHT if weight is None else weight
    if not 0 <= weight <= 1:
        raise InputError(f"model_weight={weight}: expected 0 (a mere template) to 1")
    return float(weight)

