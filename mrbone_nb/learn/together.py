"""Strokes and model together: a last pass of trees hears both, and has learned whom to trust where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..grids import pool
from ..morphology import distance_inside
from ..recipe import Recipe, preset, run_call
from ..segment.walker import pool_seeds, seed_labels
from ..step import EVERYTHING_ELSE
from ..volume import Volume
from .context import around, to_centers
from .frame import Frame, on_grid_of, ratio, spacing_of
from .look import look, offsets, shifted
from .near import beside, of_marrow, to_borders, to_strokes
from .passes import CHUNK, Pass
from .shapes import Shape, distances
from .trees import Trees

TOGETHER = Pass(0.9, (1.0, 2.0, 4.0, 8.0), 16, 3.0, 40.0, 6, 50, 0.2, 20_000, 20)
EVERY_MM = 15.0  # between the slices with strokes of the simulated user from whom it learns
SURE = 0.97  # probability above which there is nothing to ask where all say the same
RING = (3.0, 8.0)  # mm outside a bone, whose gray is compared with the marrow's
DEEP = 2.0  # mm inside it


@dataclass(frozen=True, eq=False)
class Voices:
    """Hold what is said of a scan, on one grid in the body's axes.

    Parameters
    ----------
    frame
        The scan.
    strokes
        Probabilities by its strokes, (L, p, m, n), background first.
    drawn
        Shares of the labels that the strokes' recipe ends with, (L, p, m, n).
    model
        Probabilities by the model, (L, p, m, n).
    seeds
        The strokes, (p, m, n).
    numbers
        The model's labels.
    away
        Distance in mm to the shapes fitted to both, (L - 1, p, m, n); empty without shapes.
    """

    frame: Frame
    strokes: np.ndarray
    drawn: np.ndarray
    model: np.ndarray
    seeds: np.ndarray
    numbers: tuple[int, ...]
    away: np.ndarray

    def likeliest(self) -> np.ndarray:
        """Give the place of the label that the strokes' recipe ends with."""
        return self.drawn.argmax(axis=0).astype(np.uint8)

    def asked_at(self) -> np.ndarray:
        """Give flat indices of the voxels that are not sure."""
        best = self.likeliest()
        agreed = np.ones(best.shape, bool)
        for layers in (self.strokes, self.model, self.drawn):
            agreed &= np.take_along_axis(layers, best[None].astype(np.intp), 0)[0] > SURE
        return np.flatnonzero(~agreed)

    def rows(self, this: Pass, places: np.ndarray) -> np.ndarray:
        """Give what the trees see of voxels, (n, columns) float32."""
        image, spacing = self.frame.image, self.frame.spacing
        ways = offsets(this.ways, this.nearest, this.farthest, this.seed)
        columns = list(look(image, spacing, places, this.widths, ways))
        columns += (layer.ravel()[places] for layers in (self.strokes, self.model, self.drawn) for layer in layers)
        ways = offsets(this.around, 2 * this.nearest, this.farthest / 2, this.seed + 1)
        there = [shifted(image.shape, spacing, places, way) for way in ways]
        for layer in (*self.strokes[1:], *self.model[1:]):
            columns += around(layer, spacing, there)
        columns += to_centers(self.model, spacing, places)
        columns += to_borders(self.drawn, spacing, places)
        columns += to_strokes(self.seeds, self.numbers, spacing, places)
        columns += list(self.frame.position(places))
        columns += beside((*self.drawn, *self.model, image), spacing, places)
        columns += (of_marrow(image, self.seeds, places), *(field.ravel()[places] for field in self.away))
        return np.stack([np.asarray(c, np.float32) for c in columns], axis=1)


def recipe_of(scans: Sequence[Volume], truths: Sequence[Volume]) -> Recipe:
    """Choose the preset for strokes: whether marrow is brighter in these scans than what lies round the bones."""
    brighter = []
    for scan, truth in zip(scans, truths, strict=True):
        bone = truth.array > 0
        away = distance_inside(~bone, scan.spacing)
        marrow = bone & (distance_inside(bone, scan.spacing) > DEEP)
        ring = (away > RING[0]) & (away < RING[1])
        if marrow.any() and ring.any():
            brighter.append(float(np.median(scan.array[marrow])) > float(np.median(scan.array[ring])))
    return preset("bright-marrow" if np.mean(brighter or [1.0]) >= 0.5 else "dark-marrow")


def voices(
    scan: Volume,
    turned: Volume,
    seeds: Volume,
    recipe: Recipe,
    before: np.ndarray,
    numbers: tuple[int, ...],
    shapes: Sequence[Shape | None] = (),
) -> Voices:
    """Let strokes and model speak of a scan.

    Parameters
    ----------
    scan, turned
        The scan, and normalized in the body's axes.
    seeds
        Strokes on the scan's grid.
    recipe
        Steps from strokes to labels, by way of a probability.
    before
        What the model says, (L, p, m, n), coarser.
    numbers
        The model's labels.
    shapes
        Of the bones.
    """
    frame = Frame.of(turned, TOGETHER.resolution)
    factors = ratio(turned.shape, frame.image.shape)

    def small(layer: np.ndarray) -> np.ndarray:
        return pool(scan.with_array(np.asarray(layer, np.float32)).reorient("LPS").array, factors, "mean")

    state = {"image": scan.array, "seeds": seeds.array}
    for call in recipe.calls:
        run_call(call, state, scan.spacing)
    model = on_grid_of(frame, before)
    said = dict(zip(seed_labels(seeds.array), state["probability"], strict=True))
    strokes, drawn = np.empty_like(model), np.empty_like(model)
    for place, number in enumerate(numbers, 1):
        if number in said:
            strokes[place], drawn[place] = small(said[number]), small(state["labels"] == number)
        else:  # a bone without strokes is the model's alone
            strokes[place] = drawn[place] = model[place]
    for layers in (strokes, drawn):
        layers[0] = np.clip(1 - layers[1:].sum(axis=0), 0, 1)
    marks = pool_seeds(seeds.reorient("LPS").array, factors)
    return Voices(frame, strokes, drawn, model, marks, numbers, _away(frame, drawn, before, shapes))


def _away(frame: Frame, drawn: np.ndarray, before: np.ndarray, shapes: Sequence[Shape | None]) -> np.ndarray:
    """Distance in mm to the shapes fitted to the mean of what both say."""
    if not shapes:
        return np.empty((0, *frame.image.shape), np.float32)
    factors = ratio(frame.image.shape, before.shape[1:])
    small = np.stack([pool(layer, factors, "mean") for layer in drawn])
    return on_grid_of(frame, distances(shapes, (small + before) / 2, spacing_of(frame, before)))


def together(heard: Voices, trees: Trees, part: int | None = None) -> np.ndarray:
    """Give the probabilities after the last pass, (L, p, m, n)."""
    found = heard.drawn.copy()
    flat = found.reshape(len(found), -1)
    places = heard.asked_at()
    for start in range(0, len(places), CHUNK):
        chosen = places[start : start + CHUNK]
        flat[:, chosen] = trees.probability(heard.rows(TOGETHER, chosen), part).T
    return found


def check_seeds(seeds: Volume, scan: Volume, numbers: tuple[int, ...]) -> None:
    """Refuse strokes of another grid, or of labels that the model does not know."""
    if not scan.same_grid(seeds):
        raise InputError(f"seeds {seeds.name}: another grid than the scan's; draw on the scan itself or resample to it")
    unknown = sorted(set(seed_labels(seeds.array)[1:]) - set(numbers))
    if unknown:
        raise InputError(f"seeds: labels {unknown}; the model knows {list(numbers)} (and 255 for everything else)")
    if EVERYTHING_ELSE not in seeds.array:
        raise InputError("seeds: none says 255, everything else; add strokes outside the bones")
