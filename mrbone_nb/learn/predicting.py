"""Asking a model: from a scan to bones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..recipe import Recipe, Result
from ..step import EVERYTHING_ELSE, Call, find_step
from ..volume import Volume
from .atlas import RESOLUTION, votes
from .frame import Frame
from .model import Model
from .passes import Pass, asked, rows_of
from .ready import labels_of, ready
from .settle import settled
from .shapes import Shape
from .together import check_seeds, together, voices

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


def predict(model: Model, scan: Volume, *, seeds: Volume | None = None) -> Prediction:
    """Find the bones of a scan by a model.

    The atlases, pulled into the scan's shape, say about where the bones lie, and each pass of the trees, which sees how
    far the shape models are that were fitted to this, how likely each bone is; what no fitted shape allows is given up;
    then walks go from every voxel, held up by edges, and on their way the model's word ends them (Grady
    2005), so that what is in doubt goes with its surroundings.

    Parameters
    ----------
    model
        Made by `train`.
    scan
        A scan like those of training.
    seeds
        Strokes on the scan's grid, of all bones of the model or some, and 255: with them a last pass of trees hears
        strokes and model together.

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
    if seeds is not None:
        check_seeds(seeds, scan, model.numbers)
        if model.together is None:
            raise InputError("the model learned without strokes; leave the seeds out, or train it anew on two scans")
    turned = ready(scan, model.recipe)
    layers = votes(Frame.of(turned, RESOLUTION), model.atlases, len(model.numbers) + 1) if model.atlases else None
    warnings: tuple[str, ...] = ()
    for place, (this, trees) in enumerate(zip(model.steps, model.passes, strict=True)):
        frame = Frame.of(turned, this.resolution)
        if place == 0:
            warnings = model.likeness.warnings(scan, turned.array, seen_in(this, frame))
        layers = asked(this, trees, frame, layers, model.shapes)
    if seeds is None:
        return Prediction(settled(layers, turned, scan, model.numbers, model.shapes), warnings)
    return Prediction(joined(model, scan, turned, seeds, layers, model.shapes), warnings)


def joined(
    model: Model,
    scan: Volume,
    turned: Volume,
    seeds: Volume,
    layers: np.ndarray,
    shapes: Sequence[Shape | None],
    part: int | None = None,
) -> Volume:
    """Give labels from strokes and from what the model says of a scan.

    Parameters
    ----------
    model
        Made by `train` on two scans or more.
    scan, turned
        The scan, and normalized in the body's axes.
    seeds
        Strokes on the scan's grid.
    layers
        What the passes say, (L, p, m, n).
    shapes
        Of the bones.
    part
        Only the trees that have not seen this part are asked; None asks all.

    Returns
    -------
    Volume
        Labels; the strokes keep theirs, and a bone without strokes is the model's, where no other bone is.
    """
    heard = voices(scan, turned, seeds, model.strokes, layers, model.numbers, shapes)
    labels = labels_of(together(heard, model.together, part), turned, scan, model.numbers)
    unmarked = sorted(set(model.numbers) - set(np.unique(seeds.array).tolist()))
    if unmarked:  # of these the model alone can tell
        alone = settled(layers, turned, scan, model.numbers, shapes).array
        labels = np.where(np.isin(labels, unmarked), 0, labels)
        labels = np.where(np.isin(alone, unmarked) & (labels == 0), alone, labels)
    labels = np.where(seeds.array > 0, np.where(seeds.array == EVERYTHING_ELSE, 0, seeds.array), labels)
    return scan.with_array(labels.astype(np.uint8), name="model", meta={})


def segment(
    model: Model, scan: Volume, *, seeds: Volume | None = None, recipe: Recipe = CLEAN
) -> tuple[Result, Volume]:
    """Find bones by a model and clean them up by a recipe.

    Parameters
    ----------
    model, scan
        As of `predict`.
    seeds
        Strokes, as of `predict`.
    recipe
        Steps that begin with labels.

    Returns
    -------
    tuple
        The result, with the model's hash and its warnings among its notes, and the labels before the clean-up, from
        which the recipe can be replayed: give both to `save`.
    """
    redrawn = [call.step for call in recipe.calls if "seeds" in find_step(call.step).required]
    if redrawn:
        raise InputError(f"recipe {recipe.name}: {redrawn[0]} draws from strokes anew; give clean-up steps, which take labels")
    said = predict(model, scan, seeds=seeds)
    result = recipe.run(scan, seeds=seeds, labels=said.labels)
    return replace(result, notes=(*result.notes, about(model), *said.warnings)), said.labels


def about(model: Model) -> str:
    """Say in one sentence which model gave the labels."""
    return f"the labels before this recipe are those of a model of {model.facts['scans']} scans, SHA-256 {model.sha256}"


def seen_in(this: Pass, frame: Frame) -> np.ndarray:
    """What the first pass sees of some voxels all over the body."""
    inside = np.flatnonzero(frame.depth > 0)
    return rows_of(this, frame, None, inside[:: max(1, len(inside) // LOOKED_AT)])
