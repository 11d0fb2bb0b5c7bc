"""Values: the scale of each slice, stored bits, byte order, odd kinds of pixels."""

import zlib

import numpy as np
import pytest
from made_dicom import SHAPE, plane, save, stack, values
from pydicom import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from mrbone_nb import intake
from mrbone_nb.errors import InputError


def test_each_slice_has_its_own_scale(tmp_path):
    scales = [("1", "0"), ("0.5", "0"), ("0.25", "-3"), ("2", "10")] * 2
    save(tmp_path, [plane(i, RescaleSlope=a, RescaleIntercept=b) for i, (a, b) in enumerate(scales)])
    wanted = np.stack([values()[i] * float(a) + float(b) for i, (a, b) in enumerate(scales)])
    assert np.array_equal(intake.read(tmp_path).array, wanted)


def big_endian(ds, path):
    """Write in big endian; the bytes of the pixels are stored as they stand."""
    dcmwrite(path, ds, little_endian=False, implicit_vr=False, force_encoding=True)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_plain_transfer_syntaxes(tmp_path, syntax):
    images = stack()
    for ds in images:
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
            ds["PixelData"].VR = "OW"
            big_endian(ds, tmp_path / f"{ds.InstanceNumber}.dcm")
        else:
            ds.save_as(tmp_path / f"{ds.InstanceNumber}.dcm", enforce_file_format=True)
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values()) and volume.issues == ()


def test_a_file_without_preamble(tmp_path):
    for path in save(tmp_path, stack()).iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert np.array_equal(intake.read(tmp_path).array, values())


def test_rubbish_above_the_stored_bits_is_cut(tmp_path):
    save(tmp_path, [plane(i, values()[i] | 0xA000) for i in range(8)])
    assert np.array_equal(intake.read(tmp_path).array, values())


def test_the_sign_is_taken_from_the_stored_bits(tmp_path):
    wanted = values().astype("i2") - 2048
    save(tmp_path, [plane(i, (wanted[i] & 0xFFF).astype("u2"), PixelRepresentation=1) for i in range(8)])
    assert np.array_equal(intake.read(tmp_path).array, wanted)


def test_stored_bits_that_begin_higher_up(tmp_path):
    save(tmp_path, [plane(i, values()[i] << 4 | 7, HighBit=15) for i in range(8)])
    assert np.array_equal(intake.read(tmp_path).array, values())


@pytest.mark.parametrize("bits", [8, 32])
def test_other_widths(tmp_path, bits):
    wanted = values().astype(f"u{bits // 8}")
    images = stack(BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1)
    for i, ds in enumerate(images):
        ds.PixelData = wanted[i].tobytes()
    volume = intake.read(save(tmp_path, images))
    assert np.array_equal(volume.array, wanted)
    assert volume.array.dtype == (np.float64 if bits == 32 else np.float32)


def test_eight_bits_in_big_endian_words(tmp_path):
    wanted = values().astype("u1")
    for i, ds in enumerate(stack(BitsAllocated=8, BitsStored=8, HighBit=7)):
        ds.PixelData = np.frombuffer(wanted[i].tobytes(), "<u2").byteswap().tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        big_endian(ds, tmp_path / f"{i}.dcm")
    assert np.array_equal(intake.read(tmp_path).array, wanted)


def floats(images, wanted):
    for i, ds in enumerate(images):
        del ds.PixelData
        ds.BitsAllocated = ds.BitsStored = 32
        ds.HighBit, ds.FloatPixelData = 31, wanted[i].astype("f4").tobytes()
    return images


def test_float_pixels(tmp_path):
    wanted = values() / 7
    volume = intake.read(save(tmp_path, floats(stack(), wanted)))
    assert np.array_equal(volume.array, wanted.astype("f4")) and volume.issues == ()


def test_nan_is_counted_and_blocks(tmp_path):
    wanted = values() / 7
    wanted[2, 3, 4], wanted[5, :2, 0] = np.nan, np.inf
    volume = intake.read(save(tmp_path, floats(stack(), wanted)))
    assert volume.meta["blocking"] == ("nan",) and "3 values are NaN or infinite" in volume.issues[0]
    assert np.isnan(volume.array[2, 3, 4])


def test_a_constant_image_is_told(tmp_path):
    save(tmp_path, [plane(i, np.full(SHAPE[1:], 7, "u2")) for i in range(8)])
    assert "same value (7)" in intake.read(tmp_path).issues[0]


def test_monochrome1_is_told(tmp_path):
    volume = intake.read(save(tmp_path, stack(PhotometricInterpretation="MONOCHROME1")))
    assert "MONOCHROME1" in volume.issues[0] and np.array_equal(volume.array, values())


def test_lossy_compression_is_told(tmp_path):
    assert "lossy" in intake.read(save(tmp_path, stack(LossyImageCompression="01"))).issues[0]


def test_a_deflated_file_that_grows_without_end_is_refused(tmp_path):
    ds = plane(0)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    body = zlib.decompress(data[start:], -15)
    at = body.index(b"\xe0\x7f\x10\0")
    size = 64 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(body[:at] + b"\xe0\x7f\x10\0OW\0\0" + size.to_bytes(4, "little"))
    bomb += packer.compress(b"\0" * size) + packer.flush()
    (tmp_path / "a.dcm").write_bytes(data[:start] + bomb)
    with pytest.raises(InputError, match="inflates beyond its size"):
        intake.read(tmp_path)
