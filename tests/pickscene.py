"""What the tests of the series picker share: a folder of simulated series, sound and faulty ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from scenes import bones

from mrbone_nb.phantom.dicom import write_dicom
from mrbone_nb.volume import Volume

SAGITTAL = (0, 0, -1, 1, 0, 0, 0, -1, 0)


def scan(shape=(9, 40, 24), spacing=(4.0, 1.0, 2.0), direction=SAGITTAL, seed=0):
    """A small scan with bones and some noise, of positive whole numbers."""
    scene = bones(shape, spacing)
    noise = np.random.default_rng(seed).uniform(0, 20, shape)
    return Volume(np.rint(400 * scene.arrays["image"] + noise).astype(np.float32), spacing, (10, 20, 30), direction)


def write_series(folder: Path) -> dict[str, Volume]:
    """Three sound series, one of two that hold the same places twice, one with a gap, and rubbish."""
    scans = {f"series {n}": scan(shape, seed=n) for n, shape in ((1, (9, 40, 24)), (2, (7, 32, 32)), (3, (11, 24, 40)))}
    for n, volume in enumerate(scans.values(), 1):
        write_dicom(volume, folder / str(n), series=n, description=f"sag t1 no {n}")
    write_dicom(scan(seed=4), folder / "4", series=4, description="one slice is lost")
    (folder / "4" / "MR0040004.dcm").unlink()
    write_dicom(scan(seed=5), folder / "5", series=5, description="cut short")
    for name in ("MR0050003.dcm", "MR0050007.dcm"):
        broken = folder / "5" / name
        broken.write_bytes(broken.read_bytes()[:-500])
    (folder / "notes.txt").write_text("nothing to see")
    return scans


def write_many(folder: Path, number: int, slices: int = 24, side: int = 64) -> None:
    """As many series as a long examination has."""
    for n in range(1, number + 1):
        shape = (slices, side, side - n % 3)
        values = np.random.default_rng(n).integers(0, 900, shape).astype(np.float32)
        write_dicom(Volume(values, (3.0, 0.7, 0.7), (0, 0, 0), SAGITTAL), folder / f"s{n}", series=n)


def copied(source: Path, target: Path) -> Path:
    """A copy of a folder."""
    return Path(shutil.copytree(source, target))
