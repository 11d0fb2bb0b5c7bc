"""A small oblique label map for tests, and writing it."""

import numpy as np
from scenes import SPACING
from scipy.spatial.transform import Rotation

from mrbone_nb import Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.export import write_labels

TABLE = LabelTable({1: Label("femur", "right", "#e69f00"), 7: Label("fémur µ|~^:=", "left", "#0a0b0c")})
OBLIQUE = tuple(Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix().ravel())


def label_map(seed=0, shape=(5, 6, 7), **facts):
    array = np.random.default_rng(seed).choice([0, 1, 7], shape).astype(np.uint8)
    array.flat[:2] = 1, 7
    return Volume(
        array, **{"spacing": SPACING, "origin": (10, -200.25, 33.5), "direction": OBLIQUE, "name": "knee"} | facts
    )


def written(folder, suffix, labels=None, **given):
    labels = label_map() if labels is None else labels
    return write_labels(labels, folder / f"knee{suffix}", given.pop("table", TABLE), **given)


def scan_for(labels):
    return labels.with_array(np.zeros(labels.shape, np.float32), name="scan", meta={"modality": "MR"})
