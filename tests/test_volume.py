"""A volume keeps its place in space, whatever is cut, turned or resampled."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scenes import SPACING
from scipy.spatial.transform import Rotation

from mrbone_nb.errors import InputError
from mrbone_nb.volume import Volume

TILTED = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix().ravel()


def ramp(volume):
    """The volume filled with a function that is linear in LPS mm, so that interpolation is exact."""
    points = volume.points(np.argwhere(np.ones(volume.shape)))
    return volume.with_array(linear(points).reshape(volume.shape).astype(np.float32))


def linear(points):
    return points @ [0.5, -0.25, 0.125] + 3


@st.composite
def volumes(draw, dtypes=(np.uint8, np.int16, np.float32)):
    """Small volumes with any spacing, place, orientation (mirrored too) and values."""
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5))
    spacing = draw(st.tuples(*[st.floats(0.05, 10)] * 3))
    origin = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    quaternion = draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
    turn = Rotation.from_quat(quaternion).as_matrix() * draw(st.sampled_from([1, -1]))
    dtype = draw(st.sampled_from(dtypes))
    count = int(np.prod(shape))
    return Volume(np.arange(count).reshape(shape).astype(dtype), spacing, origin, turn.ravel())


@given(volumes())
def test_simpleitk_and_back_changes_nothing(volume):
    again = Volume.from_sitk(volume.to_sitk())
    assert np.array_equal(again.array, volume.array) and again.array.dtype == volume.array.dtype
    for name in ("spacing", "origin", "direction"):
        assert getattr(again, name) == pytest.approx(getattr(volume, name), abs=1e-12)
    assert again.same_grid(volume)


@given(volumes(), st.tuples(*[st.integers(-3, 8)] * 3))
def test_points_are_where_simpleitk_puts_them(volume, index):
    expected = volume.to_sitk().TransformContinuousIndexToPhysicalPoint([float(i) for i in index[::-1]])
    assert volume.points([index])[0] == pytest.approx(expected, abs=1e-6)
    assert (volume.affine @ [*index, 1])[:3] == pytest.approx(expected, abs=1e-6)


@given(volumes(), hnp.arrays(float, (4, 3), elements=st.floats(-50, 50)))
def test_index_undoes_points(volume, index):
    assert volume.index(volume.points(index)) == pytest.approx(index, abs=1e-6)


def test_points_follow_the_order_of_the_axes():
    volume = Volume(np.zeros((2, 3, 4)), SPACING, origin=(100, 200, 300))
    assert volume.points([[1, 2, 3]]).tolist() == [[100 + 3 * 1.1, 200 + 2 * 0.8, 300 + 1 * 3.0]]
    assert volume.corners().min(0).tolist() == [100, 200, 300]
    assert volume.corners().max(0) == pytest.approx([103.3, 201.6, 303.0])


@st.composite
def crops(draw):
    volume = draw(volumes())
    box = []
    for size in volume.shape:
        start = draw(st.integers(0, size - 1))
        box.append(slice(start, draw(st.integers(start + 1, size))))
    return volume, tuple(box)


@given(crops())
def test_crop_keeps_every_voxel_in_its_place(case):
    volume, box = case
    part = volume.crop(box)
    inside = np.argwhere(np.ones(part.shape))
    assert part.points(inside) == pytest.approx(volume.points(inside + [s.start for s in box]), abs=1e-9)
    assert np.array_equal(part.array, volume.array[box])


@given(crops())
def test_paste_puts_a_crop_back(case):
    volume, box = case
    expected = np.zeros_like(volume.array)
    expected[box] = volume.array[box]
    assert np.array_equal(volume.paste(volume.crop(box)), expected)


def test_crop_and_paste_refuse_what_does_not_fit():
    volume = Volume(np.zeros((4, 5, 6)), SPACING, direction=TILTED)
    for box in [(slice(2, 2), slice(None), slice(None)), (slice(0, 4, 2), slice(None), slice(None)), (slice(1, 2),)]:
        with pytest.raises(InputError, match="crop .*expected"):
            volume.crop(box)
    outside = Volume(np.zeros((2, 2, 2)), SPACING, volume.points([[3, 0, 0]])[0], TILTED)
    with pytest.raises(InputError, match=r"part from voxel \[3, 0, 0\] to \[5, 2, 2\]"):
        volume.paste(outside)
    for other in [
        Volume(np.zeros((2, 2, 2)), (1.5, 0.8, 1.1), direction=TILTED),  # thinner planes
        Volume(np.zeros((2, 2, 2)), SPACING),  # not tilted
        Volume(np.zeros((2, 2, 2)), SPACING, volume.points([[0.5, 0, 0]])[0], TILTED),  # between the planes
    ]:
        with pytest.raises(InputError, match="paste: the part lies on another grid"):
            volume.paste(other)


@given(volumes(), st.sampled_from(["LPS", "RAS", "PIR", "SAL", "ilp"]))
def test_reorient_moves_no_voxel(volume, axes):
    turned = volume.reorient(axes)
    index = np.argwhere(np.ones(turned.shape))
    old = np.rint(volume.index(turned.points(index))).astype(int)
    assert volume.points(old) == pytest.approx(turned.points(index), abs=1e-4)
    assert np.array_equal(volume.array[tuple(old.T)], turned.array[tuple(index.T)])


def test_reorient_runs_as_named():
    sagittal = Volume(np.zeros((2, 3, 4), bool), SPACING, direction=(0, 0, -1, 1, 0, 0, 0, -1, 0), name="knee")
    turned = sagittal.reorient("LPS")
    assert turned.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert turned.shape == (3, 4, 2) and turned.spacing == (0.8, 1.1, 3.0)
    assert turned.array.dtype == bool and turned.name == "knee"
    feet_first = turned.reorient("LPI")
    assert np.reshape(feet_first.direction, (3, 3))[:, 2].tolist() == [0, 0, -1]
    for wrong in ("LPX", "LLS", "LP", ""):
        with pytest.raises(InputError, match=f"axes='{wrong}': expected three letters"):
            sagittal.reorient(wrong)


@pytest.mark.parametrize("spacing", [(1.5, 0.8, 1.1), (3, 0.4, 0.4), (6, 1.6, 2.2), (2, 2, 2), (1, 0.7, 2.9)], ids=str)
def test_resample_keeps_constants_and_outer_faces(spacing):
    volume = Volume(np.full((8, 22, 16), 7.0), SPACING, (5, -6, 70), TILTED)
    moved = volume.resample(spacing)
    assert moved.spacing == pytest.approx(spacing)
    assert moved.array == pytest.approx(7.0, rel=1e-5)
    size = np.array(volume.shape) * SPACING
    assert np.abs(np.array(moved.shape) * spacing - size).max() <= max(spacing) / 2
    middle = [(np.array(v.shape) - 1) / 2 for v in (volume, moved)]
    assert moved.points([middle[1]]) == pytest.approx(volume.points([middle[0]]), abs=1e-6)


def test_resample_keeps_outer_faces_exactly_where_they_can_be_kept():
    volume = Volume(np.zeros((8, 22, 16)), SPACING, (5, -6, 70), TILTED)
    moved = volume.resample((1.5, 1.6, 2.2))
    assert moved.shape == (16, 11, 8)
    for corner, other in [((-0.5, -0.5, -0.5), (-0.5, -0.5, -0.5)), ((7.5, 21.5, 15.5), (15.5, 10.5, 7.5))]:
        assert moved.points([other]) == pytest.approx(volume.points([corner]), abs=1e-9)


@pytest.mark.parametrize("spacing", [(1.5, 0.4, 0.5), (3, 1.6, 2.2)], ids=str)
def test_resample_reproduces_a_linear_ramp(spacing):
    volume = ramp(Volume(np.zeros((12, 40, 30)), SPACING, (5, -6, 70), TILTED))
    moved = volume.resample(spacing)
    inner = (slice(2, -2), slice(8, -8), slice(8, -8))  # beyond the last centers the value stays level
    assert moved.array[inner] == pytest.approx(ramp(moved).array[inner], abs=2e-3)


def test_resample_like_another_grid():
    volume = ramp(Volume(np.zeros((12, 30, 30)), (2, 1, 1), (-15, -15, -12), meta={"modality": "MR"}))
    other = Volume(np.zeros((4, 9, 8)), (2, 1, 1), (-6, -5, -3), TILTED)
    moved = volume.resample(like=other)
    assert moved.same_grid(other) and moved.meta["modality"] == "MR"
    assert moved.array == pytest.approx(ramp(other).array, abs=1e-4)
    far = Volume(np.zeros((2, 2, 2)), origin=(500, 0, 0))
    assert not volume.resample(like=far).array.any()


def test_resample_of_labels_takes_the_nearest():
    labels = np.random.default_rng(0).integers(0, 4, (4, 6, 5)).astype(np.uint8)
    volume = Volume(labels, SPACING, direction=TILTED)
    thinner = volume.resample((1.0, 0.8, 1.1), labels=True)
    assert thinner.array.dtype == np.uint8
    assert np.array_equal(thinner.array, np.repeat(labels, 3, axis=0))


def test_resample_of_a_mask_keeps_its_volume():
    mask = np.zeros((12, 40, 40), bool)
    mask[3:9, 10:30, 10:30] = True
    volume = Volume(mask, (2, 1, 1))
    for spacing in [(1, 0.5, 0.5), (4, 2, 2), (2, 1.3, 1.3)]:
        for labels in (False, True):
            moved = volume.resample(spacing, labels=labels)
            assert moved.array.dtype == bool
            assert moved.array.sum() * np.prod(spacing) == pytest.approx(mask.sum() * 2, rel=0.1)


def test_resample_to_coarser_voxels_does_not_alias():
    stripes = np.zeros((4, 8, 64))
    stripes[..., ::2] = 1  # the finest pattern there is: every second voxel
    moved = Volume(stripes, (1, 1, 1)).resample((1, 1, 4))
    assert np.ptp(moved.array[..., 2:-2]) < 0.1
    assert moved.array.mean() == pytest.approx(0.5, abs=0.03)


def test_resample_to_turned_voxels_of_the_same_size_does_not_blur():
    volume = Volume(np.random.default_rng(0).normal(size=(5, 24, 24)).astype(np.float32))
    turned = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    other = Volume(np.zeros((5, 8, 8)), origin=(11.5, 7, 0), direction=turned.ravel())
    expected = sitk.Resample(volume.to_sitk(), other.to_sitk(), sitk.Transform(), sitk.sitkLinear, 0.0)
    assert np.array_equal(volume.resample(like=other).array, sitk.GetArrayFromImage(expected))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (2, 3, 1)])
def test_resample_of_thin_scans_keeps_their_values(shape):
    volume = Volume(np.full(shape, 3.0), SPACING)
    for spacing in [(8, 2, 2), (0.5, 0.5, 0.5), (30, 30, 30)]:
        assert volume.resample(spacing).array == pytest.approx(3.0, rel=1e-5)


@pytest.mark.parametrize("spacing", [(0, 1, 1), (-1, 1, 1), (1, 1), 2.0, (1, np.nan, 1)], ids=str)
def test_resample_refuses_wrong_spacing(spacing):
    volume = Volume(np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match="spacing=.*expected three positive numbers"):
        volume.resample(spacing)


def test_resample_wants_one_target():
    volume = Volume(np.zeros((2, 2, 2)))
    for words in ({}, {"spacing": (1, 1, 1), "like": volume}):
        with pytest.raises(InputError, match="give either spacing or like"):
            volume.resample(**words)


@pytest.mark.parametrize(("shift", "same"), [(0.0005, True), (0.002, False)])
def test_same_grid_has_a_tolerance_of_a_micrometer(shift, same):
    volume = Volume(np.zeros((4, 50, 50)), SPACING, direction=TILTED)
    moved = Volume(np.zeros((4, 50, 50)), SPACING, (shift, 0, 0), TILTED)
    stretched = Volume(np.zeros((4, 50, 50)), (3.0, 0.8, 1.1 + shift / 49), direction=TILTED)
    assert volume.same_grid(moved) is volume.same_grid(stretched) is same
    assert not volume.same_grid(Volume(np.zeros((4, 50, 49)), SPACING, direction=TILTED))


def test_a_volume_does_not_change():
    volume = Volume(np.zeros((2, 2, 2)), meta={"modality": "MR"})
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        volume.spacing = (2, 2, 2)
    with pytest.raises(TypeError):
        volume.meta["modality"] = "CT"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))], ids=["copied", "pickled"])
def test_a_volume_can_be_sent_to_another_process(again):
    volume = Volume(np.arange(8).reshape(2, 2, 2), SPACING, (1, 2, 3), TILTED, "knee", {"modality": "MR"}, ("odd",))
    other = again(volume)
    assert other.same_grid(volume) and np.array_equal(other.array, volume.array)
    assert (other.name, dict(other.meta), other.issues) == ("knee", {"modality": "MR"}, ("odd",))
    assert not other.array.flags.writeable


def test_with_array_keeps_the_place():
    volume = Volume(np.zeros((2, 3, 4)), SPACING, (1, 2, 3), TILTED, name="knee")
    mask = volume.with_array(np.ones((2, 3, 4), bool), name="femur")
    assert mask.same_grid(volume) and mask.array.all() and (mask.name, volume.name) == ("femur", "knee")
    with pytest.raises(InputError, match=r"array of shape \(2, 3, 5\): expected the scan's shape \(2, 3, 4\)"):
        volume.with_array(np.zeros((2, 3, 5)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"array": np.zeros((2, 2))}, r"array of shape \(2, 2\)"),
        ({"array": np.zeros((2, 0, 2))}, r"array of shape \(2, 0, 2\)"),
        ({"spacing": (1, 0, 1)}, r"spacing=\(1.0, 0.0, 1.0\) mm: expected three positive"),
        ({"spacing": (1, 1)}, r"spacing=\(1.0, 1.0\) mm: expected three positive"),
        ({"spacing": (1, np.inf, 1)}, "spacing=.*inf.*expected three positive"),
        ({"origin": (0, np.nan, 0)}, "origin=.*nan.*expected three numbers"),
        ({"origin": (0, 0)}, "origin=.*expected three numbers"),
        ({"direction": (1, 0, 0, 0, 1, 0, 0, 0, 2)}, "direction=.*expected three orthogonal"),
        ({"direction": (1, 0, 0, 0.1, 1, 0, 0, 0, 1)}, "direction=.*expected three orthogonal"),
        ({"direction": (1, 0, 0, 1)}, "direction=.*expected three orthogonal"),
        ({"direction": (np.nan,) * 9}, "direction=.*expected three orthogonal"),
    ],
)
def test_faults_are_quoted(words, message):
    with pytest.raises(InputError, match=message):
        Volume(**({"array": np.zeros((2, 2, 2))} | words))


def test_only_gray_volumes_are_taken_over():
    for image in (sitk.Image([4, 4], sitk.sitkUInt8), sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3)):
        with pytest.raises(InputError, match="expected 3 dimensions and one gray value"):
            Volume.from_sitk(image)


@settings(max_examples=20)
@given(st.sampled_from([bool, np.uint8, np.int8, np.uint16, ">i2", np.int32, np.float64, np.int64]))
def test_any_number_type_goes_to_simpleitk(dtype):
    array = np.arange(24).reshape(2, 3, 4)[:, ::-1, ::2].astype(dtype)
    assert np.array_equal(sitk.GetArrayFromImage(Volume(array).to_sitk()), array)
