"""Simulated scans as DICOM: read back where they were, with the tags of what was simulated."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mrbone_nb import Volume
from mrbone_nb import phantom as ph


def test_dicom_comes_back_where_it_was(small_knee, tmp_path):
    volume, _ = ph.scan(small_knee, "pdfs", plane="coronal", tilt=(12.0, -7.0), spacing=(3.3, 1.2, 1.7))
    files = ph.write_dicom(volume, tmp_path, gap=0.3, seed=2)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(f) for f in files])
    back = Volume.from_sitk(reader.Execute())
    assert back.shape == volume.shape
    assert np.abs(back.corners() - volume.corners()).max() < 1e-4
    assert np.abs(back.array - volume.array).max() <= 0.5


def test_dicom_tags_say_what_was_simulated(small_knee, tmp_path):
    want = {
        "pdfs": ("SE", "FS", 30.0, 3000.0),
        "t1": ("SE", "", 12.0, 600.0),
        "stir": (["SE", "IR"], "", 35.0, 4000.0),
        "gre": ("GR", "", 4.6, 30.0),
    }
    found = {}
    for series, (name, (kind, options, te, tr)) in enumerate(want.items(), 1):
        volume, _ = ph.scan(small_knee, name, spacing=(20.0, 4.0, 3.0), field=1.5)
        head = found[name] = pydicom.dcmread(ph.write_dicom(volume, tmp_path / name, series=series, gap=2.0)[1])
        assert head.ScanningSequence == kind and (head.get("ScanOptions") or "") == options
        assert (head.EchoTime, head.RepetitionTime, head.MagneticFieldStrength) == (te, tr, 1.5)
        assert (head.SliceThickness, head.SpacingBetweenSlices) == (18.0, 20.0)
        assert list(head.PixelSpacing) == [4.0, 3.0]
        assert head.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        assert str(head.PatientName) == "PHANTOM" and head.InstanceNumber == 2
    assert 150 < found["stir"].InversionTime < 220
    assert len({f.SeriesInstanceUID for f in found.values()}) == 4
    assert len({f.StudyInstanceUID for f in found.values()}) == len({f.FrameOfReferenceUID for f in found.values()}) == 1


def test_dicom_of_one_seed_is_written_twice_the_same(small_knee, tmp_path):
    volume, _ = ph.scan(small_knee, spacing=(30.0, 5.0, 5.0))
    one, two, other = (ph.write_dicom(volume, tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert [f.read_bytes() for f in one] == [f.read_bytes() for f in two]
    assert pydicom.dcmread(one[0]).StudyInstanceUID != pydicom.dcmread(other[0]).StudyInstanceUID


def test_radial_slices_make_one_dicom_series(small_knee, tmp_path):
    slices = ph.scan_radial(small_knee, center=(0.0, 0.0, 0.0), slices=4, spacing=(3.0, 4.0, 4.0))
    files = ph.write_dicom([s.volume for s in slices], tmp_path)
    heads = [pydicom.dcmread(f) for f in files]
    assert len({h.SeriesInstanceUID for h in heads}) == 1
    assert len({h.SOPInstanceUID for h in heads}) == 4
    for head, (volume, _) in zip(heads, slices, strict=True):
        axes = np.reshape(volume.direction, (3, 3))
        assert np.array(head.ImageOrientationPatient, float) == pytest.approx(axes[:, :2].T.ravel(), abs=1e-8)
        assert np.array(head.ImagePositionPatient, float) == pytest.approx(volume.origin, abs=1e-8)
