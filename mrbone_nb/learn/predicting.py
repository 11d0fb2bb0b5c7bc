"""Asking a model: from a scan to bones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..recipe import Recipe, Result
from ..step import Call
from ..volume import Volume
from .atlas import RESOLUTION, votes
from .frame import Frame
from .model import Model
from .passes import Pass, asked, rows_of
from .ready import ready
from .settle import settled

CLEAN = Recipe((Call("islands"), Call("fill_holes")), name="clean-up")
LOOKED_AT = 20_000  # voxels that tell whether a scan is like those of training


@dataclass(frozen=True, eq=False)
class Prediction:
    """Hold what a model says of a scan.

    Parameters
    ----------
    labels
        On the scan's grid.
    warnings
        In which ways the scan is unlike those of training.
    """

    labels: Volume
    warnings: tuple[str, ...]


def predict(model: Model, scan: Volume) -> Prediction:
    """Find the bones of a scan by a model.

    The atlases, pulled into the scan's shape, say about where the bones lie, and each pass of the trees how likely
    each bone is, ever finer; then walks go from every voxel, held up by edges, and on their
    way the model's word ends them (Grady 2005), so that what is in doubt goes with its surroundings.

    Parameters
    ----------
    model
        Made by `train`.
    scan
        A scan like those of training.

    Returns
    -------
    Prediction
        The labels, and warnings where the scan is unlike those of training.

    Notes
    -----
    A pelvis of 47 × 384 × 384 voxels takes less than a minute on two cores.

    References
    ----------
    Grady (2005), doi:10.1109/CVPR.2005.239 (walks with a prior)
    """
    turned = ready(scan, model.recipe)
    layers = votes(Frame.of(turned, RESOLUTION), model.atlases, len(model.numbers) + 1) if model.atlases else None
    warnings: tuple[str, ...] = ()
    for place, (this, trees) in enumerate(zip(model.steps, model.passes, strict=True)):
        frame = Frame.of(turned, this.resolution)
        if place == 0:
            warnings = model.likeness.warnings(scan, turned.array, seen_in(this, frame))
        layers = asked(this, trees, frame, layers)
    return Prediction(settled(layers, turned, scan, model.numbers), warnings)


def segment(model: Model, scan: Volume, *, recipe: Recipe = CLEAN) -> tuple[Result, Volume]:
    """Find bones by a model and clean them up by a recipe.

    Parameters
    ----------
    model, scan
        As of `predict`.
    recipe
        Steps that begin with labels.

    Returns
    -------
    tuple
        The result, with the model's hash and its warnings among its notes, and the labels before the clean-up, from
        which the recipe can be replayed: give both to `save`.
    """
    said = predict(model, scan)
    result = recipe.run(scan, labels=said.labels)
    return replace(result, notes=(*result.notes, about(model), *said.warnings)), said.labels


def about(model: Model) -> str:
    """Say in one sentence which model gave the labels."""
    return f"the labels before this recipe are those of a model of {model.facts['scans']} scans, SHA-256 {model.sha256}"


def seen_in(this: Pass, frame: Frame) -> np.ndarray:
    """What the first pass sees of some voxels all over the body."""
    inside = np.flatnonzero(frame.depth > 0)
    return rows_of(this, frame, None, inside[:: max(1, len(inside) // LOOKED_AT)])
