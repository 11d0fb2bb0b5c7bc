"""Two simple bones with a dark rim, and cases of them on disk, that the tests of learning share."""

import numpy as np

from mrbone_nb import Volume
from mrbone_nb.learn import Case
from mrbone_nb.outputs import save_image

GRID = (4.0, 2.0, 2.0)


def blocks(seed, shape=(14, 40, 30), flip=False):
    """Two bright bones of different size in gray flesh, each with a dark rim; label 1 is on the patient's right."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(shape).astype(float) * np.reshape(GRID, (3, 1, 1, 1))
    image, truth = np.full(shape, 0.45), np.zeros(shape, np.uint8)
    for number, (middle, radius) in enumerate((((26, 38, 16), 11), ((30, 44, 42), 9)), 1):
        at = np.array(middle) + random.uniform(-2, 2, 3)
        away = np.sqrt((z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2) / (radius + random.uniform(-1, 1))
        truth[away < 1] = number
        image[away < 1] = 0.1
        image[away < 0.8] = 1.0
    image[:, :2] = image[:, -2:] = 0
    image = image + random.normal(0, 0.03, shape)
    volume = Volume(np.float32(np.abs(image)), GRID, direction=(1, 0, 0, 0, 0, 1, 0, -1, 0), name=f"blocks{seed}",
                    meta={"marrow": "bright"})  # fmt: skip
    return Case(f"blocks{seed}", volume, volume.with_array(truth))


def written(folder, case):
    folder.mkdir()
    save_image(case.scan, folder / "image.nii.gz")
    save_image(case.truth, folder / "truth.nii.gz")
    return folder
