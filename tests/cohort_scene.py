"""A cohort of small scans as files, for tests and the benchmark."""

from __future__ import annotations

import csv
import json

import numpy as np
from scenes import bones

from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.cohort.look import look
from mrbone_nb.cohort.table import read_cohort
from mrbone_nb.export import read_labels, write_labels
from mrbone_nb.outputs import save_image
from mrbone_nb.volume import Volume

TABLE = LabelTable({1: Label("femur", "left", "#e69f00"), 2: Label("tibia", "left", "#56b4e9")})
SPACING = (4.0, 2.0, 2.2)
QUICK = {"schema": 1, "name": "quick", "calls": [{"step": "normalize"}, {"step": "watershed"}, {"step": "islands"}]}


def cohort(folder, count, shape=(9, 24, 22)):
    """Scans, strokes and truth of some people, with a table and a recipe; gives the paths of both."""
    rng = np.random.default_rng(0)
    scene = bones(shape, SPACING)
    rows = []
    for k in range(count):
        image = scene.arrays["image"] + rng.normal(0, 0.02, shape).astype(np.float32)
        save_image(Volume(image, SPACING), folder / f"s{k}.nii.gz")
        for name, kind in (("seeds", "seeds"), ("truth", "labels")):
            write_labels(Volume(scene.arrays[kind].astype(np.uint8), SPACING), folder / f"{name}{k}.nii.gz", TABLE)
        rows.append({"id": f"p{k:03d}", "scan": f"s{k}.nii.gz", "seeds": f"seeds{k}.nii.gz", "truth": f"truth{k}.nii.gz"})
    (folder / "quick.json").write_text(json.dumps(QUICK))
    return write_table(folder, rows), folder / "quick.json", rows


def write_table(folder, rows):
    with (folder / "cohort.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "cohort.csv"


def job_of(folder, **more):
    """The job of the first scan of a cohort, as a worker gets it; makes the folder of results."""
    settings = {"accept": [], "formats": [], "picture": False}
    known = {name: value for name, value in more.items() if name in settings}
    (job, *_) = look(read_cohort(folder / "cohort.csv", folder / "quick.json"), None, settings | known).jobs
    (folder / "out").mkdir(exist_ok=True)
    return {**job, "attempt": "x-1", "limit": None, **more}


def labels_in(folder):
    """The label map among the results of a scan."""
    (path,) = folder.glob("*_dseg.nii.gz")
    return read_labels(path)[0].array
