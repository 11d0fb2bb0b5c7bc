"""Which volume `read` takes, and how it asks."""

import json
import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from made_dicom import AXES, plane, save, stack, uid, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError


@pytest.fixture
def two_echoes(tmp_path):
    """One series with echoes 1 and 5."""
    late = [plane(i, values(seed=9)[i], EchoTime="60", EchoNumbers=5, InstanceNumber=20 + i) for i in range(8)]
    return save(tmp_path, stack(EchoNumbers=1) + late)


def test_the_only_series_is_taken(tmp_path):
    volume = intake.read(save(tmp_path, stack()))
    assert volume.shape == (8, 12, 10) and volume.array.dtype == np.float32
    assert np.array_equal(volume.array, values())
    assert volume.spacing == pytest.approx((3.3, 0.7, 0.6), abs=1e-6)
    assert volume.issues == () and volume.meta["blocking"] == ()
    assert len(volume.files) == 8 and all(f.is_file() for f in volume.files)


def test_echoes_are_never_stacked(two_echoes):
    with pytest.raises(InputError, match="echo=NUMBER") as error:
        intake.read(two_echoes)
    assert "TE 12 ms" in str(error.value) and "TE 60 ms" in str(error.value)
    assert np.array_equal(intake.read(two_echoes, echo=1).array, values())
    assert np.array_equal(intake.read(two_echoes, echo=5).array, values(seed=9))
    assert intake.read(two_echoes, echo=5).meta["echo_time_ms"] == 60


def test_an_echo_that_is_not_there(two_echoes):
    with pytest.raises(InputError, match="echo=2: expected one of 1, 5"):
        intake.read(two_echoes, echo=2)


def test_the_choices_can_be_told_apart_in_one_line(two_echoes):
    with pytest.raises(InputError) as error:
        intake.read(two_echoes)
    one_line = " ".join(str(error.value).split())
    assert "there are 1, " in one_line and "; 2, " in one_line


def test_an_echo_of_a_scan_without_echo_numbers(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(values()), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="^echo=3: this scan has no echo numbers; leave out echo="):
        intake.read(tmp_path, echo=3)
    with pytest.raises(InputError, match="that row has no echo number;"):
        intake.read(tmp_path, series=1, echo=3)


def test_a_series_by_number_key_or_uid(tmp_path):
    other = uid("pd")
    save(tmp_path, stack() + [plane(i, values(seed=5)[i], SeriesInstanceUID=other, SeriesNumber=9) for i in range(8)])
    rows = intake.inventory(tmp_path)
    assert len(rows) == 2
    for name in (2, "2", rows[1].key, other):
        assert np.array_equal(intake.read(tmp_path, series=name).array, values(seed=5))
    with pytest.raises(InputError, match="from 1 to 2"):
        intake.read(tmp_path, series=3)
    with pytest.raises(InputError, match="not here"):
        intake.read(tmp_path, series="1.2.3.4")
    with pytest.raises(InputError, match="series=ROW"):
        intake.read(tmp_path)


def test_a_localizer_is_never_the_default(tmp_path):
    scout = [
        plane(k, axes=AXES[:, o], SeriesInstanceUID=uid("loc"), SeriesNumber=1)
        for k, o in enumerate([[0, 1, 2], [1, 2, 0]])
    ]
    many = stack(12, array=values()[0], SeriesInstanceUID=uid("loc2"), SeriesNumber=2, SeriesDescription="localizer")
    save(tmp_path / "both", scout + many + stack())
    assert np.array_equal(intake.read(tmp_path / "both").array, values())
    save(tmp_path / "alone", many)
    with pytest.raises(InputError, match="only a localizer"):
        intake.read(tmp_path / "alone")
    assert intake.read(tmp_path / "alone", series=1).shape == (12, 12, 10)


def test_phase_and_single_slices_are_not_the_default(tmp_path):
    phase = stack(SeriesInstanceUID=uid("phase"), ImageType=["ORIGINAL", "PRIMARY", "P"])
    lone = [plane(0, SeriesInstanceUID=uid("lone"))]
    save(tmp_path, phase + lone + [plane(i, SeriesInstanceUID=uid("scan")) for i in range(8)])
    assert intake.read(tmp_path).meta["component"] == "magnitude"


def test_the_meta_data_holds_facts_and_nobody(tmp_path):
    volume = intake.read(save(tmp_path / "Doe_Jane", stack(EchoNumbers=1, MagneticFieldStrength="1.5")))
    meta = dict(volume.meta)
    assert meta["modality"] == "MR" and meta["marrow"] == "bright" and meta["echo"] == 1
    assert meta["field_strength_t"] == 1.5 and meta["fat_suppressed"] is False
    assert len(meta["series_hash"]) == 16
    text = f"{volume.name} {meta}"
    for word in ("Doe", "Jane", "JD1", "t1_sag_knee", uid("series")):
        assert word not in text
    assert volume.name == "ax-se-s3"


def test_names_are_safe_whatever_the_tags_say(tmp_path):
    save(tmp_path, stack(ScanningSequence="../../x", SeriesDescription="..\\..\\evil", SequenceName="/etc/passwd"))
    name = intake.read(tmp_path).name
    assert all(c.isascii() and (c.isalnum() or c == "-") for c in name) and len(name) <= 80


def test_one_file_of_a_series_is_a_single_slice(tmp_path):
    save(tmp_path, stack())
    volume = intake.read(tmp_path / "im003.dcm")
    assert volume.shape == (1, 12, 10) and volume.meta["blocking"] == ("single",)
    assert intake.read(tmp_path / "im003.dcm", accept="single").meta["blocking"] == ()


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="empty"):
        intake.read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="a.txt"):
        intake.read(tmp_path)
    with pytest.raises(InputError, match="no such"):
        intake.read(tmp_path / "missing")


def test_accept_knows_its_names(tmp_path):
    with pytest.raises(InputError, match="accept='gpa'"):
        intake.read(tmp_path, accept=("gpa",))


def test_read_all_gives_every_volume(two_echoes):
    found = intake.read_all(two_echoes)
    assert [image.GetSize() for image, _ in found] == [(10, 12, 8)] * 2
    assert [issues for _, issues in found] == [[], []]


def test_issues_are_plain_text_that_keeps_its_name(two_echoes):
    issue = intake.Issue("gap", "a gap", blocks=True)
    again = pickle.loads(pickle.dumps(issue))
    assert (str(again), again.name, again.blocks, again.build) == ("a gap", "gap", True, False)
    assert json.loads(json.dumps([issue])) == ["a gap"]


def test_masks_beside_a_scan_are_not_the_default(tmp_path):
    save(tmp_path, stack())
    sitk.WriteImage(intake.read(tmp_path).to_sitk(), str(tmp_path / "scan_dseg.nii.gz"))
    assert len(intake.inventory(tmp_path)) == 2
    assert intake.read(tmp_path).meta["modality"] == "MR"
