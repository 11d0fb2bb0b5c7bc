"""What strokes say, put into the words of a model: its layers, its axes, its grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..filters import gaussian
from ..grids import pool
from ..recipe import on_grid
from ..segment.forest import stroke_forest
from ..segment.walker import random_walker, seed_labels
from ..step import EVERYTHING_ELSE, Spacing
from ..volume import Volume

BLUR = 0.4  # mm, before the walks
CONTRAST = 0.05  # of the walks
UNSURE = 5.0  # mm from a border within which strokes say less
LEAST = 1e-3  # probability that nothing falls below, so that either side may overrule the other


def checked(seeds: Volume | np.ndarray, scan: Volume, numbers: Sequence[int]) -> np.ndarray:
    """Strokes on the scan's grid, all of labels that the model knows."""
    array = on_grid("seeds", seeds, scan)
    unknown = sorted(set(seed_labels(array)[1:]) - set(numbers))
    if unknown:
        known = ", ".join(map(str, numbers))
        raise InputError(f"seeds: label {unknown[0]} is not one that the model knows ({known}); renumber the strokes")
    return array


def stroke_layers(image: np.ndarray, scan: Volume, seeds: np.ndarray, shape: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Probability of each label of the strokes, 255 for everything else, in the body's axes on a coarser grid."""
    smooth = gaussian(image, spacing=scan.spacing, sigma=BLUR)
    found = random_walker(smooth, seeds, spacing=scan.spacing, contrast=CONTRAST)
    found = stroke_forest(smooth, seeds, found, spacing=scan.spacing, contrast=CONTRAST)
    layers = {}
    for label, layer in zip(seed_labels(seeds), found, strict=True):
        turned = scan.with_array(layer).reorient("LPS").array
        layers[label] = pool(turned, tuple(-(-n // m) for n, m in zip(turned.shape, shape, strict=True)), "mean")
    return layers


def joined(layers: np.ndarray, strokes: dict[int, np.ndarray], numbers: Sequence[int], spacing: Spacing) -> np.ndarray:
    """Believe model and strokes together: the product of their probabilities.

    Strokes tell what is where, but not where the border runs, which the masks of training teach; so what the strokes
    say is raised to a power that grows from 0 at the border between their labels to 1 well off it. What the strokes do
    not name, bones too that the model knows, is everything else to them.
    """
    order = list(strokes)
    belief = np.clip(_from_border(np.argmax([strokes[n] for n in order], axis=0), spacing) / UNSURE, 0, 1)
    out = np.empty_like(layers)
    for place, number in enumerate((0, *numbers)):
        said = strokes.get(number, strokes[EVERYTHING_ELSE])
        out[place] = np.maximum(layers[place], LEAST) * np.maximum(said, LEAST) ** belief
    return out / out.sum(axis=0)


def _from_border(best: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance in mm of every voxel from the border of its label."""
    import edt

    return edt.edt(np.ascontiguousarray(best + 1).astype(np.uint8), anisotropy=spacing, black_border=False)
