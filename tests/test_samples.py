"""The sample scan is whole, free of personal data, and its strokes are what the stroke file says."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data_samples"
SCAN = SAMPLES / "knee_t2map"
OUTLINES = ROOT / "tests" / "golden" / "knee_t2map_outlines.json"
ECHO_TIMES = {1: 6.312, 5: 31.56}  # ms
PLANES = 24
EMPTY = [
    "PatientName", "PatientID", "PatientSex", "OtherPatientIDs", "PatientAge", "PatientWeight", "PatientSize", "PatientAddress",
    "PatientComments", "IssuerOfPatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName", "PerformingPhysicianName",
    "OperatorsName", "PhysiciansOfRecord", "StudyDescription", "SeriesDescription", "InstitutionAddress", "ImageComments",
]  # fmt: skip
MASKED = ["InstitutionName", "StationName", "DeviceSerialNumber", "ProtocolName"]


def load_tool():
    """Load the sample maker, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("make_samples", ROOT / "tools" / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    return load_tool()


@pytest.fixture(scope="module")
def headers():
    return {path.name: pydicom.dcmread(path, stop_before_pixels=True) for path in sorted((SCAN / "dicom").iterdir())}


@pytest.fixture(scope="module")
def strokes(tool):
    return json.loads(tool.STROKES.read_text())


@pytest.fixture(scope="module")
def seeds():
    return sitk.ReadImage(str(SCAN / "seeds.nii.gz"))


def test_every_listed_file_has_its_checksum():
    listed = dict(reversed(line.split()) for line in (SAMPLES / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == {f"knee_t2map/dicom/{path.name}" for path in (SCAN / "dicom").iterdir()} | {"knee_anatomy.nrrd"}
    for name, expected in listed.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == expected, name


def test_samples_stay_small():
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) <= 7_000_000


def test_license_notice_quotes_the_package():
    text = (SCAN / "LICENSE").read_text()
    assert "License: MIT" in text and "mskt 0.1.22" in text and "Anthony Gatti" in text


def test_two_echoes_of_one_series_along_the_normal(headers, tool):
    assert len(headers) == 2 * PLANES
    assert len({header.SeriesInstanceUID for header in headers.values()}) == 1
    for echo, time in ECHO_TIMES.items():
        own = [header for name, header in headers.items() if name.startswith(f"echo{echo}_")]
        assert {int(header.EchoNumbers) for header in own} == {echo}
        assert [float(header.EchoTime) for header in own] == [time] * PLANES
        steps = np.diff([tool.along_normal(header) for header in own])
        assert np.allclose(steps, 4.0, atol=0.01)


def test_no_personal_data(headers):
    for name, header in headers.items():
        for element in header.iterall():
            assert not element.tag.is_private, (name, element.tag)
            if element.VR in ("PN", "DA", "TM", "DT"):
                assert str(element.value) in ("", "00010101", "000000.00"), (name, element)
        for keyword in EMPTY:
            assert not header.get(keyword), (name, keyword)
        for keyword in MASKED:
            assert header.get(keyword, "ANONYMIZED") == "ANONYMIZED", (name, keyword)
        assert str(header.StudyInstanceUID).startswith("2.25."), name


def test_seeds_lie_on_the_grid_of_echo_1(seeds, tool):
    image = tool.read_echo(SCAN / "dicom")
    assert seeds.GetSize() == image.GetSize() == (256, 256, PLANES)
    assert seeds.GetPixelID() == sitk.sitkUInt8
    assert np.allclose(seeds.GetSpacing(), image.GetSpacing(), atol=1e-4)
    # NIfTI keeps 32-bit numbers, so compare where the corners of the grid lie.
    for corner in [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, PLANES - 1), (255, 255, PLANES - 1)]:
        ours, theirs = seeds.TransformIndexToPhysicalPoint(corner), image.TransformIndexToPhysicalPoint(corner)
        assert np.allclose(ours, theirs, atol=1e-4), corner


def test_seeds_have_the_four_bones_and_the_rest(seeds):
    assert set(np.unique(sitk.GetArrayViewFromImage(seeds))) == {0, 1, 2, 3, 4, 255}
    names = {number: label["name"] for number, label in json.loads((SCAN / "seeds.json").read_text()).items()}
    assert names == {"1": "femur", "2": "tibia", "3": "patella", "4": "fibula"}


def test_drawing_the_strokes_again_gives_the_same_seeds(seeds, strokes, tool):
    assert np.array_equal(tool.rasterize(strokes), sitk.GetArrayFromImage(seeds))


def test_strokes_of_two_labels_must_not_cross(tool):
    stroke = {"slice": 0, "radius": 1.0, "points": [[2, 2], [2, 7]]}
    crossing = {"shape": [1, 10, 10], "spacing": [4.0, 0.5, 0.5], "strokes": [{**stroke, "label": 1}, {**stroke, "label": 255}]}
    with pytest.raises(ValueError, match="label 255 on slice 0 crosses"):
        tool.rasterize(crossing)


def test_a_stroke_is_as_wide_as_its_radius_in_mm(tool):
    dot = {"slice": 0, "label": 1, "radius": 1.0, "points": [[10, 10]]}
    drawn = tool.rasterize({"shape": [1, 21, 21], "spacing": [4.0, 0.5, 1.0], "strokes": [dot]})[0]
    assert drawn[:, 10].sum() == 5 and drawn[10, :].sum() == 3


def test_a_changed_archive_is_refused(tool, tmp_path):
    (tmp_path / "mskt.tar.gz").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="SHA-256"):
        tool.read_members(tmp_path / "mskt.tar.gz")


def test_anatomy_labels_are_named():
    image = sitk.ReadImage(str(SAMPLES / "knee_anatomy.nrrd"))
    labels = json.loads((SAMPLES / "knee_anatomy.json").read_text())
    assert {str(number) for number in np.unique(sitk.GetArrayViewFromImage(image))} - {"0"} == set(labels)
    assert all(label["side"] == "right" and label["color"].startswith("#") for label in labels.values())


def test_outlines_agree_with_the_strokes(seeds):
    """Bone strokes lie inside the hand-drawn outline of their bone, and no other stroke does."""
    from skimage.draw import polygon2mask

    drawn = sitk.GetArrayFromImage(seeds)
    outlines = json.loads(OUTLINES.read_text())
    assert outlines["shape"] == list(drawn.shape)
    assert len({outline["slice"] for outline in outlines["outlines"]}) == 5
    assert {outline["label"] for outline in outlines["outlines"]} == {1, 2, 3, 4}
    for outline in outlines["outlines"]:
        inside = polygon2mask(drawn.shape[1:], np.array(outline["points"]))
        assert set(np.unique(drawn[outline["slice"]][inside])) <= {0, outline["label"]}, (outline["slice"], outline["label"])
