"""Compressed pixels: the same values from every syntax, and a decoder that may fail without harm."""

import io
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from made_dicom import ENHANCED_MR, enhanced, places, plane, save, stack, values
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mrbone_nb import intake
from mrbone_nb.errors import InputError
from mrbone_nb.intake import child


SIZE = (40, 36)  # JPEG 2000 wants more pixels than the usual series has


def images_of(n=8, array=None, **tags):
    array = values((n, *SIZE)) if array is None else array
    return [plane(i, array[i], **tags) for i in range(n)]


def jpeg_lossless(array, folder):
    """One frame coded by GDCM, through SimpleITK."""
    image = sitk.GetImageFromArray(array[None])
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(folder / "coded.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(image)
    ds = dcmread(folder / "coded.dcm")
    assert ds.file_meta.TransferSyntaxUID in (JPEGLosslessSV1, JPEGLossless)
    return next(generate_frames(ds.PixelData, number_of_frames=1)), ds.file_meta.TransferSyntaxUID


def pack(ds, syntax, folder):
    if syntax != JPEGLosslessSV1:
        if syntax == RLELossless:
            ds.compress(syntax, encoding_plugin="pydicom")
        else:
            ds.compress(syntax)
        return ds
    array = np.frombuffer(ds.PixelData, "u2").reshape(ds.Rows, ds.Columns)
    frame, ds.file_meta.TransferSyntaxUID = jpeg_lossless(array, folder)
    ds.BitsStored, ds.HighBit = 16, 15
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length, ds["PixelData"].VR = True, "OB"
    return ds


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1], ids=lambda s: s.name[:14]
)
def test_lossless_syntaxes(tmp_path, syntax):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    save(tmp_path / "scan", [pack(ds, syntax, scratch) for ds in images_of(3)])
    volume = intake.read(tmp_path / "scan")
    assert np.array_equal(volume.array, values((3, *SIZE))) and volume.issues == ()


def test_several_syntaxes_in_one_series(tmp_path):
    images = images_of()
    for i, ds in enumerate(images):
        if i % 4:
            pack(ds, [None, RLELossless, JPEG2000Lossless, JPEGLSLossless][i % 4], tmp_path)
    assert np.array_equal(intake.read(save(tmp_path, images)).array, values((8, *SIZE)))


@pytest.mark.parametrize(
    ("syntax", "cut"), [(RLELossless, True), (RLELossless, False), (JPEG2000Lossless, False), (JPEGLSLossless, False)]
)
def test_signed_values(tmp_path, syntax, cut):
    wanted = values((3, *SIZE)).astype("i2") - 2048
    images = images_of(3, (wanted & 0xFFF).astype("u2") if cut else wanted.view("u2"), PixelRepresentation=1)
    for ds in images:
        pack(ds, syntax, tmp_path)
    assert np.array_equal(intake.read(save(tmp_path, images)).array, wanted)


def test_one_frame_in_several_fragments(tmp_path):
    images = [pack(ds, JPEG2000Lossless, tmp_path) for ds in images_of(3)]
    for ds in images:
        frame = next(generate_frames(ds.PixelData, number_of_frames=1))
        ds.PixelData = encapsulate([frame], fragments_per_frame=3, has_bot=False)
        ds["PixelData"].is_undefined_length = True
    assert np.array_equal(intake.read(save(tmp_path, images)).array, values((3, *SIZE)))


def test_compressed_frames_of_a_multiframe_file(tmp_path):
    ds = enhanced([dict(position=p) for p in places()], values())
    ds.compress(RLELossless, encoding_plugin="pydicom")
    assert ds.SOPClassUID == ENHANCED_MR
    assert np.array_equal(intake.read(save(tmp_path, [ds])).array, values())


def test_fewer_frames_than_promised(tmp_path):
    ds = enhanced([dict(position=p) for p in places()], values())
    ds.compress(RLELossless, encoding_plugin="pydicom")
    frames = list(generate_frames(ds.PixelData, number_of_frames=8))
    ds.PixelData = encapsulate(frames[:5])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(InputError, match="5 compressed frames, but the header counts 8 frames"):
        intake.read(save(tmp_path, [ds]))


def rubbish(ds, data):
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds.PixelData = encapsulate([data])
    ds["PixelData"].is_undefined_length, ds["PixelData"].VR = True, "OB"
    return ds


def test_rubbish_costs_its_own_file(tmp_path):
    images = stack()
    rubbish(images[3], b"\xff\x4f\xff\x51" + np.random.default_rng(0).bytes(900))
    save(tmp_path, images)
    with pytest.raises(InputError, match=r"im003.dcm \(1 of 8 files\): .*cannot be decoded"):
        intake.read(tmp_path)
    volume = intake.read(tmp_path, accept=("undecodable", "gap"))
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert np.array_equal(volume.array[kept], values()[kept]) and volume.meta["blocking"] == ()
    assert intake.read(tmp_path, accept=("undecodable",)).meta["blocking"] == ("gap",)


def test_a_series_of_rubbish_is_refused(tmp_path):
    save(tmp_path, [rubbish(ds, b"\0" * 300) for ds in stack(3)])
    with pytest.raises(InputError, match="3 of 3 files.*cannot be decoded"):
        intake.read(tmp_path, accept=("undecodable",))


def test_a_frame_of_another_size_than_the_header_says(tmp_path):
    images = [pack(ds, JPEG2000Lossless, tmp_path) for ds in images_of(3)]
    for ds in images:
        ds.Rows = ds.Columns = 4000
    with pytest.raises(InputError, match="a frame is 40 x 36, the header says 4000 x 4000"):
        intake.read(save(tmp_path, images))


def test_a_compressed_file_cut_short(tmp_path):
    save(tmp_path, [pack(ds, JPEG2000Lossless, tmp_path) for ds in images_of(3)])
    path = tmp_path / "im001.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"im001.dcm \(1 of 3 files\): cut short"):
        intake.read(tmp_path)


def test_a_tiny_file_that_claims_gigabytes(tmp_path):
    ds = rubbish(plane(0, Rows=60000, Columns=60000), b"\xff\x4f\xff\x51" + b"\0" * 100)
    with pytest.raises(InputError, match="60000 × 60000"):
        intake.read(save(tmp_path, [ds]))


def test_lossy_syntax_is_told(tmp_path):
    images = [pack(ds, JPEG2000Lossless, tmp_path) for ds in images_of(3)]
    for ds in images:
        ds.file_meta.TransferSyntaxUID = JPEG2000
    assert "lossy" in intake.read(save(tmp_path, images)).issues[0]


def test_a_baseline_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(36)).astype("u1") * 3
    coded = io.BytesIO()
    Image.fromarray(smooth).save(coded, "JPEG", quality=95)
    images = images_of(3, BitsAllocated=8, BitsStored=8, HighBit=7)
    for ds in images:
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        ds.PixelData = encapsulate([coded.getvalue()])
        ds["PixelData"].is_undefined_length, ds["PixelData"].VR = True, "OB"
    volume = intake.read(save(tmp_path, images))
    assert np.abs(volume.array - smooth).max() <= 4 and "lossy" in volume.issues[0]


@pytest.mark.parametrize("name", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"])
def test_video_is_refused_by_name(tmp_path, name):
    ds = rubbish(plane(0), b"\0" * 300)
    ds.file_meta.TransferSyntaxUID = UID(name)
    with pytest.raises(InputError, match=f"transfer syntax .*MPEG.*{name}"):
        intake.read(save(tmp_path, [ds]))


BAD_CHILD = """
import json, sys, time
for line in sys.stdin:
    job = json.loads(line)
    {what}
    print(json.dumps(dict(shape=[1, job["rows"], job["columns"]], dtype="<u2")), flush=True)
    sys.stdout.buffer.write(bytes(2 * job["rows"] * job["columns"]))
    sys.stdout.flush()
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("import os; os.abort()", "broke down"),
        ("time.sleep(60)", "not done after"),
        ("print('nonsense', flush=True); sys.exit()", "broke down"),
    ],
)
def test_a_decoder_that_dies_or_hangs_costs_one_file(tmp_path, monkeypatch, what, reason):
    script = tmp_path / "child.py"
    script.write_text(BAD_CHILD.format(what=f"if job['name'] == 'im001.dcm': {what}"))
    monkeypatch.setattr(child, "SCRIPT", script)
    monkeypatch.setattr(child, "SECONDS", 1.0)
    save(tmp_path / "scan", [rubbish(ds, b"\0" * 300) for ds in stack(3)])
    start = time.monotonic()
    with pytest.raises(InputError, match=rf"im001.dcm \(1 of 3 files\): .*{reason}"):
        intake.read(tmp_path / "scan")
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("by_looking", [False, True])
def test_a_decoder_that_eats_memory_is_stopped(tmp_path, monkeypatch, by_looking):
    if by_looking and sys.platform == "win32":
        pytest.skip("same code path as without")
    script = tmp_path / "child.py"
    limit = (
        ""
        if by_looking
        else "import resource; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) + (1 << 30),) * 2); "
    )
    eat = "kept = [(bytearray(1 << 24), time.sleep(0.005)) for _ in range(10_000)]"
    script.write_text(BAD_CHILD.format(what=limit + eat))
    monkeypatch.setattr(child, "SCRIPT", script)
    monkeypatch.setattr(child, "SPARE", 200 << 20)
    if by_looking:
        monkeypatch.setattr(child.sys, "platform", "darwin")
    elif sys.platform != "linux":
        pytest.skip("the system sets no limit here")
    save(tmp_path / "scan", [rubbish(plane(0), b"\0" * 300)])
    with pytest.raises(InputError, match="more than 0.2 GB of memory" if by_looking else "broke down"):
        intake.read(tmp_path / "scan", series=1)


def test_uncompressed_series_start_no_child(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "Child", None)
    assert intake.read(save(tmp_path, stack())).shape == (8, 12, 10)
    assert plane(0).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
