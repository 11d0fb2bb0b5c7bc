"""What must not be shared is found, and what is harmless is not."""

import base64
import gzip
import json

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.privacy import check_private, personal_values


def notebook(*outputs, source="", state=None):
    cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": list(outputs)}
    return json.dumps({"cells": [cell], "metadata": {"widgets": state or {}}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def scan(tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    header = Dataset()
    header.PatientName, header.PatientID, header.InstitutionName = "Kowalska^Zofia", "KZ-778812", "St. Elsewhere"
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, "1.2.3"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID, header.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, "1.2.3"
    folder = tmp_path / "scan"
    folder.mkdir()
    header.save_as(folder / "a.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("read('/home/anna/scans/knee')", "path"),
        (r"open(r'C:\Users\Anna\knee.nii')", "path"),
        ("file:///Users/anna/x.html", "path"),
        ("write to anna.b@clinic.example.org", "e-mail address"),
        ("PatientName: DOE^JANE", "patient tag"),
        ('"PatientBirthDate": "19700102"', "patient tag"),
        ("1.2.840.113619.2.5.1762583153.215519.978957063.78", "DICOM UID"),
    ],
)
def test_each_kind_is_found_in_a_cell(tmp_path, text, kind):
    (tmp_path / "a.ipynb").write_text(notebook(source=[text]))
    found = check_private(tmp_path / "a.ipynb")
    assert [(f.file, f.place, f.kind) for f in found] == [("a.ipynb", "cell 1 source", kind)]


@pytest.mark.parametrize(
    "text",
    [
        "doi.org/10.1109/TMI.2010.2046908", "https://example.org/home/page", "a/b and 1/2", "3.14.15.92",
        "data_samples/knee_t2map", "TE 6.3 ms, TR 2450 ms", "normalize(lower=1.0)", "the patient is unknown",
    ],
)  # fmt: skip
def test_harmless_text_is_not(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert check_private(tmp_path) == []


def test_outputs_widget_state_and_packed_buffers_are_searched(tmp_path, scan):
    stream = {"output_type": "stream", "text": ["for Zofia", "\n"]}
    packed = base64.b64encode(gzip.compress(b"\x00" * 400 + b"KZ-778812" + bytes(np.random.default_rng(0).bytes(400))))
    state = {"a": {"state": {"value": "St. Elsewhere"}, "buffers": [{"data": packed.decode()}]}}
    (tmp_path / "a.ipynb").write_text(notebook(stream, state=state))
    found = {(f.place, f.kind) for f in check_private(tmp_path / "a.ipynb", scans=[scan])}
    assert found == {
        ("cell 1 output 1", "PatientName"),
        ("widget state", "InstitutionName"),
        ("widget state", "PatientID"),
    }


def test_personal_values_of_a_scan(scan, tmp_path):
    values = personal_values(scan)
    assert values["Kowalska"] == "PatientName" and values["KZ-778812"] == "PatientID"
    with pytest.raises(mb.InputError, match="no DICOM file"):
        personal_values(tmp_path / "scan" / "nothing")


def test_a_name_in_a_file_name_and_in_a_binary_header_is_found(tmp_path, scan):
    out = tmp_path / "out"
    out.mkdir()
    (out / "kowalska_femur.stl").write_bytes(b"made for ZOFIA KOWALSKA" + bytes(range(256)) * 4)
    found = check_private(out, scans=[scan])
    assert {(f.place, f.text) for f in found} >= {("file name", "kowalska"), ("content", "KOWALSKA")}


def test_dicom_says_that_it_holds_identity(scan):
    assert {f.place for f in check_private(scan)} == {"DICOM header, which holds identity by design"}


def test_what_cannot_be_read_is_named_and_costs_itself_alone(tmp_path, monkeypatch):
    (tmp_path / "a_odd.dcm").write_bytes(bytes(128) + b"DICM" + b"\x10\x00\x10\x00QZ\x04\x00Doe ")
    (tmp_path / "b_large.txt").write_bytes(b"x" * 2000)
    (tmp_path / "c.txt").write_text("PatientName: Doe")
    monkeypatch.setattr("mrbone_nb.privacy.MAX_BYTES", 1000)
    found = check_private(tmp_path)
    assert [(f.file, f.kind) for f in found] == [
        ("a_odd.dcm", "not looked through"),
        ("b_large.txt", "not looked through"),
        ("c.txt", "patient tag"),
    ]
    assert "look at it yourself" in found[0].text and "2000 bytes" in found[1].text


def test_what_the_package_writes_is_clean(tmp_path):
    grid = mb.Volume(np.zeros((6, 20, 20), np.float32), spacing=(4, 1, 1), name="knee")
    labels = np.zeros(grid.shape, np.uint8)
    labels[1:5, 5:15, 5:15] = 1
    mb.write_labels(grid.with_array(labels), tmp_path / "knee.nii.gz")
    assert check_private(tmp_path) == []
    with pytest.raises(mb.InputError, match="no such file"):
        check_private(tmp_path / "none")
