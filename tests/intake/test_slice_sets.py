"""Slices that make no stack: a radial scan is recognized, and each slice keeps its own place."""

import numpy as np
import pytest
from made_dicom import plane, save, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError

CENTER = np.array([5.0, -20.0, 30.0])
SPACING = (3.0, 0.7, 0.6)


def radial(count=9, aside=0.0, **tags):
    """Planes that turn round the vertical axis through CENTER."""
    images = []
    for k in range(count):
        angle = np.pi * k / count
        row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([0, 0, -1.0])
        axes = np.stack([row, column, np.cross(row, column)], 1)
        corner = CENTER - row * 9 * 0.6 / 2 - column * 11 * 0.7 / 2 + axes[:, 2] * aside * (k % 2)
        images.append(
            plane(0, values()[k % 8], axes, corner, SPACING, InstanceNumber=k + 1, SOPInstanceUID=f"1.2.{k}", **tags)
        )
    return images


def test_a_radial_scan(tmp_path):
    save(tmp_path, radial())
    (row,) = intake.inventory(tmp_path)
    assert row.kind == "slice set (radial)" and row.size == (9, 12, 10) and row.spacing[0] is None
    found = intake.read(tmp_path)
    assert isinstance(found, intake.SliceSet) and found.is_radial and len(found) == 9
    assert found.axis_residual_mm < 0.01
    assert abs(abs(found.axis_direction[2]) - 1) < 1e-6
    assert np.allclose(np.array(found.axis_point)[:2], CENTER[:2], atol=0.01)
    assert np.allclose(found.angles_deg(), 20 * np.arange(9), atol=0.01) or np.allclose(
        found.angles_deg()[1:], 180 - 20 * np.arange(1, 9), atol=0.01
    )
    assert "radial" in found.issues[0] and len(found.files) == 9


def test_each_slice_keeps_its_place(tmp_path):
    save(tmp_path, radial())
    for one in intake.read(tmp_path):
        middle = one.points([[5.5, 4.5]])[0]
        assert np.allclose(middle, CENTER, atol=1e-4)
        volume = one.volume(name="x")
        assert volume.spacing == (3.0, 0.7, 0.6) and np.allclose(volume.points([[0, 5.5, 4.5]])[0], CENTER, atol=1e-4)


def test_slices_come_one_by_one_and_flagged(tmp_path):
    found = intake.read_all(save(tmp_path, radial()))
    assert len(found) == 9
    for image, issues in found:
        assert image.GetSize() == (10, 12, 1) and "radial" in issues[0]


def test_no_common_axis(tmp_path):
    found = intake.read(save(tmp_path, radial(aside=8.0)))
    assert not found.is_radial and found.axis_point is None
    with pytest.raises(ValueError, match="share no axis"):
        found.angles_deg()


def test_a_slice_without_thickness_has_no_volume(tmp_path):
    save(tmp_path, radial(SliceThickness=None, SpacingBetweenSlices=None))
    with pytest.raises(InputError, match="Slice Thickness"):
        intake.read(tmp_path)[0].volume()
    assert all(image is None for image, _ in intake.read_all(tmp_path))


def test_a_bad_file_in_a_radial_scan(tmp_path):
    save(tmp_path, radial())
    path = tmp_path / "im004.dcm"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="im004.dcm .1 of 9 files.: cut short"):
        intake.read(tmp_path)
    assert len(intake.read(tmp_path, accept=("truncated",))) == 8
