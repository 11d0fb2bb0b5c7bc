"""The inventory: what is listed, how it is shown, and what it never tells."""

import hashlib
import json
import os
import sys

import pytest
from made_dicom import AXES, plane, save, stack, uid, values
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mrbone_nb import intake
from mrbone_nb.errors import InputError


def tree(folder):
    """Every file with its bytes, to see that nothing was touched."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()}


def test_one_row_says_how_the_series_was_made(tmp_path):
    save(tmp_path, stack(Laterality="R", FlipAngle="90", MagneticFieldStrength="3"))
    (row,) = intake.inventory(tmp_path)
    assert row.number == 1 and row.kind == "stack" and row.files == 8
    assert row.description == "t1_sag_knee" and row.sequence == "SE"
    assert (row.echo_time_ms, row.repetition_time_ms, row.flip_angle_deg) == (12, 600, 90)
    assert row.size == (8, 12, 10) and row.spacing == pytest.approx((3.3, 0.7, 0.6))
    assert row.side == "right" and row.marrow == "bright" and not row.is_localizer
    assert row.issues == ()
    assert row.key == hashlib.sha256(row.series.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("axes", "name"),
    [(AXES, "axial"), (AXES[:, [1, 2, 0]], "sagittal"), (AXES[:, [0, 2, 1]] * [1, 1, -1], "coronal")],
)
def test_planes_are_named(tmp_path, axes, name):
    save(tmp_path, stack(axes=axes))
    assert intake.inventory(tmp_path)[0].orientation == name


def test_volumes_are_split_by_patient_series_echo_and_type(tmp_path):
    images = stack()
    images += stack(EchoTime="80", EchoNumbers=2)
    images += stack(SeriesInstanceUID=uid("pd"), SeriesNumber=4, SeriesDescription="pd")
    images += stack(SeriesInstanceUID=uid("other"), PatientID="XX", SeriesNumber=5)
    images += [
        plane(
            i,
            SeriesInstanceUID=uid("gre"),
            SeriesNumber=6,
            ImageType=["ORIGINAL", "PRIMARY", kind],
            InstanceNumber=9 * k + i,
        )
        for k, kind in enumerate("MP")
        for i in range(8)
    ]
    found = intake.inventory(save(tmp_path, images))
    assert len(found) == 6
    assert {r.size for r in found} == {(8, 12, 10)}
    assert sorted(r.component for r in found) == ["magnitude"] * 5 + ["phase"]
    assert all(any(i.name == "patients" for i in r.issues) for r in found)
    assert [r.number for r in found] == [1, 2, 3, 4, 5, 6]


def test_the_table_holds_a_line_for_each_row_and_each_issue_once(tmp_path):
    save(tmp_path, stack() + stack(EchoTime="80", InstanceNumber=7), None)
    (tmp_path / "notes.txt").write_text("hello")
    text = str(intake.inventory(tmp_path))
    assert "2 volumes in 17 files" in text
    assert text.count("notes.txt") == 1
    assert "80" in text and "t1_sag_knee" in text and "bright" in text


def test_many_time_points_make_one_line(tmp_path):
    save(
        tmp_path, [plane(i, TemporalPositionIdentifier=t, InstanceNumber=9 * t + i) for t in range(9) for i in range(3)]
    )
    found = intake.inventory(tmp_path)
    assert len(found) == 9
    assert "1-9" in str(found) and "9 volumes" in str(found)


def test_html_is_escaped(tmp_path):
    save(tmp_path, stack(SeriesDescription="<img src=x onerror=alert(1)>"), [f"<b>{i}.dcm" for i in range(8)])
    (tmp_path / "<script>.txt").write_text("x")
    shown = intake.inventory(tmp_path)._repr_html_()
    assert "<img" not in shown and "<script" not in shown and "&lt;img" in shown


def test_json_holds_no_uid_and_nobody(tmp_path):
    folder = save(tmp_path / "scan", stack(PatientBirthDate="19700101", AccessionNumber="ACC77"))
    text = json.dumps(intake.inventory(folder).to_dict())
    for word in ("Doe", "JD1", "19700101", "ACC77", uid("series"), uid("study"), str(tmp_path)):
        assert word not in text
    assert "t1_sag_knee" in text


def test_other_files_are_skipped_with_a_reason(tmp_path):
    save(tmp_path, stack())
    for name, data in {
        "empty.dcm": b"", "notes.txt": b"hi", ".DS_Store": b"\0\0\0\1Bud1" * 9, "Thumbs.db": b"\xd0\xcf\x11\xe0" * 99,
        "photo.jpg": b"\xff\xd8\xff\xe0" * 99, "old.zip": b"PK\x03\x04" + b"\0" * 50,
        "._im000.dcm": b"\0\x05\x16\x07" + b"\0" * 4092,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    before = tree(tmp_path)
    found = intake.inventory(tmp_path)
    assert len(found) == 1 and found[0].warnings == ()
    assert {name for name, _ in found.skipped} == {
        "empty.dcm", "notes.txt", ".DS_Store", "Thumbs.db", "photo.jpg", "old.zip", "._im000.dcm", "._im000.dcm"}  # fmt: skip
    assert tree(tmp_path) == before


def test_files_without_extension_in_nested_folders(tmp_path):
    images = stack()
    save(tmp_path / "a" / "b", images[:4], [generate_uid() for _ in range(4)])
    save(tmp_path / "c d", images[4:], ["x y", "naïve-日本", "$(touch pwned)", "-rf"])
    (row,) = intake.inventory(tmp_path)
    assert row.size == (8, 12, 10) and row.issues == ()


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege on Windows")
def test_links_are_not_followed(tmp_path):
    outside = save(tmp_path / "outside", stack(2, SeriesInstanceUID=uid("secret")))
    folder = save(tmp_path / "scan", stack())
    (folder / "loop").symlink_to(".")
    (folder / "out").symlink_to(outside)
    (folder / "file.dcm").symlink_to(outside / "im000.dcm")
    found = intake.inventory(folder)
    assert len(found) == 1
    assert {name for name, _ in found.skipped} == {"loop", "out", "file.dcm"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_does_not_hang(tmp_path):
    save(tmp_path, stack())
    os.mkfifo(tmp_path / "pipe")
    assert len(intake.inventory(tmp_path)) == 1


def test_dicomdir_and_reports_are_skipped(tmp_path):
    folder = save(tmp_path, stack())
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.3.10", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    record = Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", ["A", "PASSWD"]
    index = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    index.DirectoryRecordSequence = [record]
    report = plane(0, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")
    del report.PixelData
    save(folder, [index, index, report], ["DICOMDIR", "INDEX.OLD", "report.dcm"])
    found = intake.inventory(folder)
    assert len(found) == 1 and found[0].warnings == ()
    reasons = dict(found.skipped)
    assert "not followed" in reasons["INDEX.OLD"]
    assert "not followed" in reasons["DICOMDIR"] and "Basic Text SR" not in reasons["DICOMDIR"]
    assert "no image" in reasons["report.dcm"]


def test_a_localizer_is_marked(tmp_path):
    save(tmp_path, stack(3, ImageType=["ORIGINAL", "PRIMARY", "M", "LOCALIZER"]))
    (row,) = intake.inventory(tmp_path)
    assert row.is_localizer and [i.name for i in row.warnings] == ["localizer"]


@pytest.mark.parametrize("text", ["3-plane loc", "Survey_MST", "scout", "LOCALIZER knee", "AAHead_Scout"])
def test_localizers_by_name(tmp_path, text):
    save(tmp_path, stack(3, SeriesDescription=text))
    assert intake.inventory(tmp_path)[0].is_localizer


@pytest.mark.parametrize("text", ["t1 sag local shim", "block design", "velocity", "pd_tse_cor"])
def test_no_localizers_by_name(tmp_path, text):
    save(tmp_path, stack(3, SeriesDescription=text))
    assert not intake.inventory(tmp_path)[0].is_localizer


def test_control_characters_are_cleaned(tmp_path):
    save(tmp_path, stack(SeriesDescription="a\x1b[31mb\x07c"))
    assert intake.inventory(tmp_path)[0].description == "a [31mb c"


def test_an_unknown_character_set_costs_letters_only(tmp_path):
    save(tmp_path, stack(SpecificCharacterSet="ISO_IR 999"))
    assert intake.inventory(tmp_path)[0].issues == ()


def test_a_missing_place_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        intake.inventory(tmp_path / "nowhere")


def test_a_folder_without_images_lists_nothing_and_says_why(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    found = intake.inventory(tmp_path)
    assert len(found) == 0 and "a.txt" in str(found)
    assert values().shape == (8, 12, 10)


def test_projections_are_marked(tmp_path):
    save(tmp_path, stack(ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE"]))
    (row,) = intake.inventory(tmp_path)
    assert row.component == "projection" and "unfit" in row.warnings[0]
