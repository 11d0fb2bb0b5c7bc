"""What the tests of the notebook's views share: a small scan with strokes, and how to read their pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scenes import bones

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.step import find_step
from mrbone_nb.volume import Volume

SCENE = bones((9, 24, 22), (4.0, 2.0, 2.2))
VOLUME = Volume(SCENE.arrays["image"], SCENE.spacing, (10, 20, 30), name="knee")
SEEDS, LABELS, MASK = (SCENE.arrays[n] for n in ("seeds", "labels", "mask"))
TABLE = LabelTable({1: Label("femur", "right", "#e41a1c"), 2: Label("tibia", "right", "#377eb8")})
GROW = ["normalize", "gaussian", "watershed", "islands"]


def tuned(step, volume=VOLUME, **preset):
    """A panel for a step, with the arrays that it needs."""
    inputs = (find_step(step) if isinstance(step, str) else step).inputs
    return mb.tune(step, volume, **{n: SCENE.arrays[n] for n in inputs if n != "image"}, **preset)


def opened(data):
    """The pixels of a picture file, (rows, columns, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def shown(panel):
    """The pixels that a panel shows."""
    return opened(panel.image.value)
