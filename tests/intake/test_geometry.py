"""Places in space: read as written for any orientation; gaps, shear and odd positions are told and block exports."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_dicom import AXES, ORIGIN, SHAPE, SPACING, places, plane, save, stack, turn, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError


def shifted(along=(), sideways=()):
    """The usual stack with some planes moved along the normal, or every plane moved within itself."""
    images = []
    for i in range(SHAPE[0]):
        place = (
            places()[i]
            + AXES[:, 2] * (along[i] if len(along) else 0)
            + AXES[:, 1] * (sideways[i] if len(sideways) else 0)
        )
        images.append(plane(i, ImagePositionPatient=[f"{v:.6f}" for v in place]))
    return images


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(st.floats(0.3, 9), st.floats(0.1, 3), st.floats(0.1, 3)),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    order=st.permutations(range(SHAPE[0])),
)
def test_reading_gives_back_what_was_written(tmp_path_factory, angles, spacing, origin, order):
    axes = turn(angles[0], angles[1]) @ turn(0, angles[2])
    images = [plane(i, axes=axes, spacing=spacing, origin=origin) for i in order]
    volume = intake.read(save(tmp_path_factory.mktemp("scan"), images))
    corner = np.array(origin) + axes @ ((np.array(SHAPE) - 1) * spacing)[[2, 1, 0]]
    assert np.abs(volume.corners()[0] - origin).max() < 1e-3
    assert np.abs(volume.corners()[-1] - corner).max() < 1e-3
    assert np.array_equal(volume.array, values()) and volume.issues == ()


def test_reversed_numbers_and_shuffled_names_change_nothing(tmp_path):
    images = [plane(i, InstanceNumber=100 - i) for i in range(8)]
    save(tmp_path, [images[k] for k in (3, 1, 7, 0, 6, 2, 5, 4)])
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values()) and np.allclose(volume.origin, ORIGIN)


def test_rounding_is_no_fault(tmp_path):
    images = shifted(along=[1e-4 * (-1) ** i for i in range(8)])
    for i, ds in enumerate(images):
        ds.ImageOrientationPatient = [f"{float(v) + 1e-6 * (-1) ** i:.8f}" for v in ds.ImageOrientationPatient]
    assert intake.read(save(tmp_path, images)).issues == ()


def test_positions_written_to_a_tenth_are_no_fault(tmp_path):
    images = stack()
    for ds in images:
        ds.ImagePositionPatient = [f"{float(v):.1f}" for v in ds.ImagePositionPatient]
    volume = intake.read(save(tmp_path, images))
    assert volume.issues == () and volume.spacing[0] == pytest.approx(3.3, abs=0.03)


def test_a_missing_slice_is_told_and_filled(tmp_path):
    save(tmp_path, stack(InstanceNumber=1)[:3] + stack()[4:])
    volume = intake.read(tmp_path)
    (issue,) = volume.issues
    assert issue.name == "gap" and "6.60 mm apart" in issue and "im002.dcm and im003.dcm" in issue
    assert volume.meta["blocking"] == ("gap",) and volume.meta["interpolated_planes"] == (3,)
    assert volume.shape == (8, 12, 10) and volume.spacing[0] == pytest.approx(3.3)
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert np.array_equal(volume.array[kept], values()[kept])
    assert np.allclose(volume.array[3], (values()[2] + values()[4].astype(float)) / 2)
    accepted = intake.read(tmp_path, accept=("gap",))
    assert accepted.meta["blocking"] == () and accepted.accepted == ("gap",) and accepted.issues == volume.issues


def test_integer_positions_hide_no_gap(tmp_path):
    images = [plane(i, axes=np.eye(3), origin=(0, 0, 0), spacing=(1.0, 0.5, 0.5)) for i in range(8) if i != 4]
    for ds in images:
        ds.ImagePositionPatient = [str(int(float(v))) for v in ds.ImagePositionPatient]
    assert intake.read(save(tmp_path, images)).meta["blocking"] == ("gap",)


@pytest.mark.parametrize(("off", "told"), [(0.008, False), (0.012, True), (0.3, True)])
def test_uneven_spacing_beyond_a_hundredth(tmp_path, off, told):
    volume = intake.read(save(tmp_path, shifted(along=[off * (i == 3) for i in range(8)])))
    assert (volume.meta["blocking"] == ("gap",)) is told


def test_small_steps_that_add_up_are_told(tmp_path):
    volume = intake.read(save(tmp_path, shifted(along=[0.009 * max(0, i - 3) for i in range(8)])))
    assert "gap" in volume.meta["blocking"]


def test_every_second_slice_missing(tmp_path):
    volume = intake.read(save(tmp_path, stack()[::2]))
    assert volume.meta["blocking"] == ("gap",) and "1 of 2" in volume.issues[0]


def test_the_distance_of_positions_counts_not_the_thickness(tmp_path):
    volume = intake.read(save(tmp_path, stack(SliceThickness="2.0", SpacingBetweenSlices=None)))
    assert volume.spacing[0] == pytest.approx(3.3) and volume.issues == ()


@pytest.mark.parametrize(("degrees", "told"), [(0.08, False), (0.12, True), (14, True)])
def test_shear_is_told_and_put_straight(tmp_path, degrees, told):
    step = 3.3 * np.tan(np.radians(degrees))
    volume = intake.read(save(tmp_path, shifted(sideways=[step * i for i in range(8)])))
    assert (volume.meta["blocking"] == ("shear",)) is told
    if degrees == 14:
        assert "14.00°" in volume.issues[0]
        assert volume.shape[1] > 12 and np.abs(volume.array[0, :12]).sum() > 0
        full = values()[7].astype(float)  # the last slice lies 5.76 mm further down, 8.23 rows
        shift = step * 7 / 0.7
        low = int(shift)
        middle = (shift - low) * full[3] + (1 - shift + low) * full[4]
        assert np.allclose(volume.array[7, low + 4], middle, atol=0.01)


def test_one_slice_moved_sideways(tmp_path):
    volume = intake.read(save(tmp_path, shifted(sideways=[2.0 * (i == 4) for i in range(8)])))
    assert volume.meta["blocking"] == ("shear",)


def test_slices_short_of_what_the_header_counts(tmp_path):
    volume = intake.read(save(tmp_path, stack(6, ImagesInAcquisition=8)))
    assert "6 of 8 slices" in volume.issues[0]


def test_whole_echoes_left_out_are_no_fault(tmp_path):
    images = stack(4, EchoNumbers=1, ImagesInAcquisition=16) + stack(
        4, EchoNumbers=3, EchoTime="30", ImagesInAcquisition=16
    )
    assert intake.read(save(tmp_path, images), echo=3).issues == ()


def test_all_images_at_one_place(tmp_path):
    save(tmp_path, [plane(0, values()[i], InstanceNumber=i) for i in range(6)])
    with pytest.raises(InputError, match="6 images .* at one and the same position"):
        intake.read(tmp_path)


def test_two_slices_cannot_be_checked(tmp_path):
    assert "cannot be checked" in intake.read(save(tmp_path, stack(2))).issues[0]


def test_a_single_slice_without_thickness_is_not_guessed(tmp_path):
    save(tmp_path, [plane(0, SliceThickness=None, SpacingBetweenSlices=None)])
    with pytest.raises(InputError, match="Slice Thickness"):
        intake.read(tmp_path)


def test_two_stacks_side_by_side_come_apart(tmp_path):
    second = [plane(i, values(seed=4)[i], origin=ORIGIN + AXES[:, 0] * 90, InstanceNumber=50 + i) for i in range(8)]
    rows = intake.inventory(save(tmp_path, stack() + second))
    assert len(rows) == 2 and "in-plane" in rows[0].part
    assert intake.read(tmp_path, series=2).origin == pytest.approx(tuple(ORIGIN + AXES[:, 0] * 90), abs=1e-4)
    assert SPACING == (3.3, 0.7, 0.6)


def test_both_knees_in_one_series_come_apart(tmp_path):
    left = [plane(i, values(seed=4)[i], origin=ORIGIN + AXES[:, 2] * 120, InstanceNumber=50 + i) for i in range(8)]
    rows = intake.inventory(save(tmp_path, stack() + left))
    assert [r.size for r in rows] == [(8, 12, 10)] * 2
    assert all("2 stacks in one series, 97 mm" in r.issues[0] for r in rows)
    assert {tuple(np.round(intake.read(tmp_path, series=k).origin, 3)) for k in (1, 2)} == {
        tuple(np.round(ORIGIN, 3)),
        tuple(np.round(ORIGIN + AXES[:, 2] * 120, 3)),
    }


def test_gaps_too_wide_to_close_are_refused(tmp_path):
    save(tmp_path, [plane(i, values()[i % 8]) for i in (0, 1, 60, 61)])
    with pytest.raises(InputError, match="too wide to close"):
        intake.read(tmp_path)
