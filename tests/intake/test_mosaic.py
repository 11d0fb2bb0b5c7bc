"""Tiled images: taken apart with the right geometry, or refused by that name."""

import struct

import numpy as np
import pytest
from made_dicom import AXES, ORIGIN, SPACING, plane, save, values
from pydicom.dataset import Dataset

from mrbone_nb import intake
from mrbone_nb.errors import InputError

TILES = 7  # in a grid of 3 × 3


def tiled(array, across=3, down=3):
    big = np.zeros((down * array.shape[1], across * array.shape[2]), "u2")
    for k, one in enumerate(array):
        r, c = k // across * array.shape[1], k % across * array.shape[2]
        big[r : r + array.shape[1], c : c + array.shape[2]] = one
    return big


def csa(**tags):
    """A Siemens CSA header with some tags."""
    out = b"SV10\4\3\2\1" + struct.pack("<II", len(tags), 77)
    for name, texts in tags.items():
        out += name.encode().ljust(64, b"\0") + struct.pack("<i4siii", 1, b"IS\0\0", 6, len(texts), 77)
        for text in texts:
            data = text.encode() + b"\0"
            out += struct.pack("<4i", len(data), len(data), 77, len(data)) + data + b"\0" * (-len(data) % 4)
    return out


def mosaic(array, normal=AXES[:, 2], count=TILES, **tags):
    """A mosaic whose header places the tiled image, as the scanner does, round the center of the first slice."""
    big = tiled(array)
    shift = [(big.shape[1] - array.shape[2]) * SPACING[2] / 2, (big.shape[0] - array.shape[1]) * SPACING[1] / 2]
    origin = ORIGIN - AXES[:, :2] @ shift
    ds = plane(0, big, origin=origin, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], **tags)
    block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    facts = {"NumberOfImagesInMosaic": [str(count)]} if count else {}
    facts |= {"SliceNormalVector": [f"{v:.8f}" for v in normal]} if normal is not None else {}
    block.add_new(0x10, "OB", csa(**facts))
    return ds


def test_a_siemens_mosaic(tmp_path):
    array = values()[:TILES]
    volume = intake.read(save(tmp_path, [mosaic(array)]))
    assert np.array_equal(volume.array, array) and np.allclose(volume.origin, ORIGIN, atol=1e-5)
    assert volume.spacing == pytest.approx(SPACING) and volume.issues == ()


def test_slices_that_run_against_the_normal(tmp_path):
    array = values()[:TILES]
    volume = intake.read(save(tmp_path, [mosaic(array, normal=-AXES[:, 2])]))
    assert np.array_equal(volume.array, array[::-1])
    assert np.allclose(volume.points([[TILES - 1, 0, 0]])[0], ORIGIN, atol=1e-5)


def test_mosaics_over_time(tmp_path):
    images = [mosaic(values(seed=s)[:TILES], AcquisitionNumber=s, InstanceNumber=s) for s in (1, 2, 3)]
    rows = intake.inventory(save(tmp_path, images))
    assert len(rows) == 3 and all(r.size == (TILES, 12, 10) for r in rows)
    assert np.array_equal(intake.read(tmp_path, series=2).array, values(seed=2)[:TILES])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (dict(count=None), "does not count its slices"),
        (dict(normal=None), "in which direction"),
        (dict(count=40), "do not fit"),
        (dict(SpacingBetweenSlices=None), "Spacing Between Slices"),
    ],
)
def test_a_mosaic_that_cannot_be_taken_apart(tmp_path, change, text):
    with pytest.raises(InputError, match=f"mosaic.*{text}"):
        intake.read(save(tmp_path, [mosaic(values()[:TILES], **change)]))


def test_a_broken_csa_header(tmp_path):
    ds = mosaic(values()[:TILES])
    ds[0x0029, 0x1010].value = ds[0x0029, 0x1010].value[:100]
    with pytest.raises(InputError, match="mosaic"):
        intake.read(save(tmp_path, [ds]))


def test_a_mosaic_whose_marks_were_taken_out(tmp_path):
    big = tiled(np.concatenate([values()] * 2), across=4, down=4)
    ds = plane(0, big, ScanningSequence="EP")
    ds.AcquisitionMatrix = [12, 0, 0, 12]
    ds.Rows, ds.Columns, ds.PixelData = 48, 48, np.zeros((48, 48), "u2").tobytes()
    with pytest.raises(InputError, match="mosaic"):
        intake.read(save(tmp_path, [ds]))


def grid(array, with_places=True):
    ds = plane(
        0, tiled(array, across=3, down=3), ImageType=["ORIGINAL", "PRIMARY", "M", "VFRAME"], ImagePositionPatient=None
    )
    block = ds.private_block(0x0065, "Image Private Header", create=True)
    items = []
    for k in range(len(array)):
        item = Dataset()
        item.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + AXES[:, 2] * SPACING[0] * k]
        items.append(item)
    if with_places:
        block.add_new(0x51, "SQ", items)
    return ds


def test_a_uih_grid(tmp_path):
    array = values()[:TILES]
    volume = intake.read(save(tmp_path, [grid(array)]))
    assert np.array_equal(volume.array, array) and np.allclose(volume.origin, ORIGIN, atol=1e-5)


def test_a_uih_grid_without_places(tmp_path):
    with pytest.raises(InputError, match="UIH grid"):
        intake.read(save(tmp_path, [grid(values()[:TILES], with_places=False)]))
