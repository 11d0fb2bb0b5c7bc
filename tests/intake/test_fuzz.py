"""Thousands of damaged files: no crash, no hang, and no volume with other geometry or values unless it is said."""

import time
import warnings

import numpy as np
import pytest
from made_dicom import SHAPE, enhanced, places, save, stack, values
from pydicom import dcmread
from pydicom.uid import RLELossless

from mrbone_nb import intake
from mrbone_nb.errors import InputError

SLICES = 4
SECONDS = 20.0  # for one folder; the decoder's own limit lies above


def classic(folder):
    save(folder, stack(SLICES))


def deep(folder):
    images = stack(SLICES)
    for ds in images:
        block = ds.private_block(0x0029, "SOMEONE", create=True)
        block.add_new(1, "LT", "text " * 50)
        ds.RescaleSlope, ds.RescaleIntercept = "2", "1"
    save(folder, images)


def implicit(folder):
    images = stack(SLICES)
    for ds in images:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        ds.save_as(folder / f"im{ds.InstanceNumber:03d}.dcm", enforce_file_format=True)


def multiframe(folder):
    save(folder, [enhanced([dict(position=p) for p in places(SLICES)], values()[:SLICES])])


KINDS = [classic, deep, implicit, multiframe]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file as transfers, disks and writers do, mostly in its header."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        end = len(data) if rng.random() < 0.2 else min(len(data), 1600)
        at = int(rng.integers(0, max(1, end)))
        how = int(rng.integers(0, 6))
        if how == 0:
            data[at : at + 1] = bytes([int(rng.integers(0, 256))])
        elif how == 1 and at < len(data):
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif how == 2:
            del data[at : at + int(rng.integers(1, 40))]
        elif how == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif how == 4:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"9999"])
        else:
            del data[max(1, at) :]
    return bytes(data)


def check(folder, sound, name):
    """Read a folder with a damaged file: an error in words, a warning, or else the sound volume and nothing less."""
    start = time.monotonic()
    try:
        found = intake.read_all(folder)
        str(intake.inventory(folder))
    except InputError as error:
        assert str(error) and len(str(error)) < 4000
        found = []
    assert time.monotonic() - start < SECONDS
    if any(not i.is_note for _, issues in found for i in issues):
        return
    for image, issues in found:
        if image is None:
            assert issues
            continue
        assert image.GetSize() == SHAPE[::-1][:2] + (SLICES,)
        corners = [
            image.TransformIndexToPhysicalPoint(i) for i in ((0, 0, 0), (SHAPE[2] - 1, SHAPE[1] - 1, SLICES - 1))
        ]
        wanted = sound if len(list(folder.iterdir())) > 1 else stated(folder / name, sound)
        assert np.abs(np.array(corners) - wanted).max() < 0.05, "another geometry, and nothing was said"


def stated(path, sound):
    """Corners by the header of a multi-frame file, whose only copy of a value may have been damaged into another one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return corners_by_header(dcmread(path, stop_before_pixels=True))
        except Exception:  # damaged so that pydicom alone makes nothing of it
            return sound


def corners_by_header(ds):
    shared = ds.SharedFunctionalGroupsSequence[0]
    row, column = np.reshape([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient], (2, 3))
    down, across = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    ends = [f.PlanePositionSequence[0].ImagePositionPatient for f in ds.PerFrameFunctionalGroupsSequence]
    ends = np.array([[float(v) for v in place] for place in ends])
    heights = ends @ np.cross(row, column)
    corner = ends[heights.argmax()] + row * across * (SHAPE[2] - 1) + column * down * (SHAPE[1] - 1)
    return np.array([ends[heights.argmin()], corner])


def run(tmp_path, count, seed):
    rng = np.random.default_rng(seed)
    for make in KINDS:
        folder = tmp_path / make.__name__
        folder.mkdir()
        make(folder)
        volume = intake.read(folder)
        sound = volume.corners()[[0, -1]]
        files = sorted(folder.iterdir())
        kept = {f: f.read_bytes() for f in files}
        for _ in range(count // len(KINDS)):
            file = files[int(rng.integers(0, len(files)))]
            file.write_bytes(mutate(kept[file], rng))
            check(folder, sound, file.name)
            file.write_bytes(kept[file])


def test_damaged_files(tmp_path):
    run(tmp_path, 300, seed=1)


@pytest.mark.slow
def test_many_damaged_files(tmp_path):
    run(tmp_path, 10_000, seed=2)


def test_damaged_compressed_files(tmp_path):
    rng = np.random.default_rng(4)
    images = stack(SLICES)
    for ds in images:
        ds.compress(RLELossless, encoding_plugin="pydicom")
    save(tmp_path, images)
    sound = intake.read(tmp_path).corners()[[0, -1]]
    file = tmp_path / "im002.dcm"
    kept = file.read_bytes()
    for _ in range(12):
        file.write_bytes(mutate(kept, rng))
        check(tmp_path, sound, file.name)
