"""NIfTI, NRRD and MetaImage: the same geometry as other readers see, and every doubt told."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_dicom import turn

from mrbone_nb import intake
from mrbone_nb.errors import InputError

ARRAY = (np.random.default_rng(1).random((5, 6, 7)) * 1000).astype("f4")


def image(array=ARRAY, spacing=(0.5, 0.6, 3.0), origin=(1, 2, 3), direction=None):
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    made.SetDirection((turn() if direction is None else direction).ravel().tolist())
    return made


def write(path, made=None, packed=False):
    sitk.WriteImage(image() if made is None else made, str(path), packed)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "scan of knee.NII.GZ"])
def test_reading_agrees_with_simpleitk(tmp_path, name):
    path = write(tmp_path / name.lower().replace(" ", "_"), packed=name != "a.nii")
    volume, other = intake.read(path), sitk.ReadImage(str(path))
    assert np.array_equal(volume.array, ARRAY) and volume.array.dtype == np.float32
    assert np.allclose(volume.spacing[::-1], other.GetSpacing(), atol=1e-6)
    assert np.allclose(volume.origin, other.GetOrigin(), atol=1e-6)
    assert np.allclose(volume.direction, other.GetDirection(), atol=1e-6)
    assert [i for i in volume.issues if not i.is_note] == [] and volume.files == (path,)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flip=st.booleans(),
    spacing=st.tuples(*[st.floats(0.1, 9)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    suffix=st.sampled_from([".nii", ".nrrd", ".mha"]),
)
def test_reading_gives_back_what_was_written(tmp_path_factory, angles, flip, spacing, origin, suffix):
    direction = turn(angles[0], angles[1]) @ turn(0, angles[2]) * ([1, 1, -1] if flip else [1, 1, 1])
    made = image(spacing=spacing, origin=origin, direction=direction)
    volume = intake.read(write(tmp_path_factory.mktemp("a") / f"a{suffix}", made))
    corners = [made.TransformIndexToPhysicalPoint(i) for i in ((0, 0, 0), (6, 5, 4))]
    assert np.abs(volume.corners()[[0, -1]] - corners).max() < 1e-3
    assert np.array_equal(volume.array, ARRAY)


def test_the_name_comes_from_the_file(tmp_path):
    assert intake.read(write(tmp_path / "My scan_01.nii.gz")).name == "My-scan-01"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_the_inventory_tells_the_grid(tmp_path, name):
    axes = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)  # planes run from right to left
    found = intake.inventory(write(tmp_path / name, image(direction=axes)))
    assert (found[0].size, found[0].orientation) == ((5, 6, 7), "sagittal")
    assert found[0].spacing == pytest.approx((3, 0.6, 0.5)) and "3 × 0.6 × 0.5" in str(found)


def test_the_inventory_makes_up_no_plane(tmp_path):
    row = intake.inventory(patched(tmp_path, (252, "2h", 0, 0)))[0]
    assert row.orientation == "" and row.spacing == pytest.approx((3, 0.6, 0.5))


def test_letters_lose_their_marks_in_the_name(tmp_path):
    for name in ("Müller knee", "Mu\u0308ller knee"):  # one sign, or a letter and its mark as macOS stores it
        assert intake.read(write(tmp_path / f"{name}.nrrd")).name == "Muller-knee"


@pytest.mark.parametrize(("kind", "wanted"), [("u1", "f4"), ("i2", "f4"), ("u2", "f4"), ("i4", "f4"), ("f8", "f8")])
def test_values_are_kept(tmp_path, kind, wanted):
    array = (ARRAY / 5).astype(kind) if kind != "f8" else ARRAY.astype("f8") / 3
    for suffix in (".nii", ".nrrd", ".mha"):
        volume = intake.read(write(tmp_path / f"a{suffix}", image(array)))
        assert np.array_equal(volume.array, array) and volume.array.dtype == wanted


def test_large_whole_numbers_are_kept(tmp_path):
    array = np.full((2, 3, 4), 2**24 + 1, "i4")
    for suffix in (".nii", ".nrrd", ".mha"):
        assert intake.read(write(tmp_path / f"a{suffix}", image(array))).array.max() == 2**24 + 1


def patched(tmp_path, *changes, made=None):
    """A NIfTI file with bytes changed: (offset, format, values…)."""
    path = write(tmp_path / "a.nii", made)
    data = bytearray(path.read_bytes())
    for at, form, *values in changes:
        struct.pack_into("<" + form, data, at, *values)
    path.write_bytes(data)
    return path


def test_the_scale_is_applied(tmp_path):
    path = patched(tmp_path, (112, "2f", 0.5, 3.0), made=image(np.arange(24, dtype="i2").reshape(2, 3, 4)))
    assert np.array_equal(intake.read(path).array.ravel(), np.arange(24) * 0.5 + 3)


def test_no_place_in_space_is_told(tmp_path):
    volume = intake.read(patched(tmp_path, (252, "2h", 0, 0)))
    assert volume.meta["blocking"] == ("geometry",) and "qform_code" in volume.issues[0]
    assert volume.spacing == pytest.approx((3, 0.6, 0.5))
    assert intake.read(tmp_path / "a.nii", accept=("geometry",)).meta["blocking"] == ()


def test_two_places_that_disagree_are_told(tmp_path):
    volume = intake.read(patched(tmp_path, (268, "f", 50.0)))
    assert "qform and sform" in volume.issues[0]


def test_voxel_sizes_that_disagree_are_told(tmp_path):
    volume = intake.read(patched(tmp_path, (80, "f", 0.7), (252, "2h", 0, 1)))
    assert volume.meta["blocking"] == ("geometry",) and "pixdim" in volume.issues[0]


def test_a_unit_that_is_not_mm(tmp_path):
    made = image(spacing=(500, 600, 3000))
    assert intake.read(patched(tmp_path, (123, "B", 3), made=made)).spacing == pytest.approx((3, 0.6, 0.5))
    with pytest.raises(InputError, match="implausible"):
        intake.read(patched(tmp_path, (123, "B", 1)))
    assert intake.read(patched(tmp_path, (123, "B", 0))).issues[0].startswith("note")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ((80, "f", 0.0), "voxel size"),
        ((80, "f", float("nan")), "voxel size"),
        ((280, "f", 9.0), "right angles"),
        ((280, "12f", *[0] * 12), "does not give voxels a size"),
        ((70, "h", 128), "color"),
        ((70, "h", 32), "datatype 32"),
        ((40, "h", 99), "header is damaged"),
        ((42, "h", -5), "header is damaged"),
        ((42, "h", 30000), "cut short"),
        ((344, "4s", b"ni1\0"), "NIfTI pair"),
        ((344, "4s", b"\0\0\0\0"), 'name of a NIfTI file, but its header is damaged .the mark "n.1".*export it again'),
        ((0, "i", 77), "name of a NIfTI file, but its header is damaged"),
        ((108, "f", float("inf")), "header is damaged"),
        ((40, "h", 2), "3 dimensions"),
    ],
)
def test_broken_nifti_headers(tmp_path, change, text):
    with pytest.raises(InputError, match=text):
        intake.read(patched(tmp_path, change))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_cut_short(tmp_path, name, packed):
    path = write(tmp_path / name, packed=packed)
    data = path.read_bytes()
    for size in (10, 200, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match="a[.](nii|nii.gz|nrrd|mha)"):
            intake.read(path)


def test_nan_is_counted(tmp_path):
    array = ARRAY.copy()
    array[2, 3, 4:6] = np.nan
    for suffix in (".nii", ".nii.gz", ".nrrd", ".mha"):
        volume = intake.read(write(tmp_path / f"a{suffix}", image(array)))
        assert "2 values are NaN" in volume.issues[0] and volume.meta["blocking"] == ("nan",)
        assert np.isnan(volume.array).sum() == 2


def test_time_points_are_chosen(tmp_path):
    frames = [image(ARRAY + t) for t in range(3)]
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "a.nii.gz"))
    assert len(intake.inventory(tmp_path / "a.nii.gz")) == 3
    with pytest.raises(InputError, match="3 volumes to choose from"):
        intake.read(tmp_path / "a.nii.gz")
    assert np.array_equal(intake.read(tmp_path / "a.nii.gz", series=3).array, ARRAY + 2)


def text_file(path, data, old, new):
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"space directions", b"space_directions", "voxel size is unknown"),
        (b"encoding: raw", b"encoding: hex", "encoding"),
        (b"encoding: raw", b"encoding: raw\ndata file: /etc/passwd", "another file"),
        (b"kinds: domain domain domain", b"kinds: RGB-color domain domain", "values a voxel"),
        (b"sizes: 7 6 5", b"sizes: 7 6 x", "damaged"),
        (b"sizes: 7 6 5", b"sizes: 7 6 9999999999", "cut short"),
    ],
)
def test_broken_nrrd_headers(tmp_path, old, new, text):
    path = write(tmp_path / "a.nrrd")
    with pytest.raises(InputError, match=text):
        intake.read(text_file(path, path.read_bytes(), old, new))


def test_an_nrrd_without_a_named_space_is_told(tmp_path):
    path = write(tmp_path / "a.nrrd")
    text_file(path, path.read_bytes(), b"space: left-posterior-superior", b"space: 3D-right-handed")
    assert intake.read(path).meta["blocking"] == ("geometry",)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/passwd", "another file"),
        (b"ElementSpacing", b"ElementPacing", "voxel size is unknown"),
        (b"DimSize = 7 6 5", b"DimSize = 7 6 0", "damaged"),
        (b"DimSize = 7 6 5", b"DimSize = 7 6 99999", "cut short"),
    ],
)
def test_broken_metaimage_headers(tmp_path, old, new, text):
    path = write(tmp_path / "a.mha")
    with pytest.raises(InputError, match=text):
        intake.read(text_file(path, path.read_bytes(), old, new))


def test_a_metaimage_without_place_is_told(tmp_path):
    path = write(tmp_path / "a.mha")
    text_file(path, path.read_bytes(), b"TransformMatrix", b"NoMatrix")
    assert intake.read(path).meta["blocking"] == ("geometry",)


def test_color_is_refused(tmp_path):
    made = sitk.GetImageFromArray(np.zeros((5, 6, 7, 3), "u1"), isVector=True)
    for name in ("a.nii", "a.nrrd", "a.mha"):
        with pytest.raises(InputError, match="a[.]"):
            intake.read(write(tmp_path / name, made))


def test_a_folder_with_a_volume_beside_dicom_lists_both(tmp_path):
    from made_dicom import save, stack

    save(tmp_path, stack())
    write(tmp_path / "mask.nii.gz")
    assert [r.series != "" for r in intake.inventory(tmp_path)] == [True, False]


def test_packed_rubbish(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"x" * 2000))
    with pytest.raises(InputError, match="a.nii.gz: has the name of a NIfTI file, but its header is damaged"):
        intake.read(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(InputError, match="packed data is damaged"):
        intake.read(tmp_path / "b.nii.gz")


def test_the_name_and_the_packing_disagree(tmp_path):
    plain, packed = write(tmp_path / "a.nii"), write(tmp_path / "b.nii.gz", packed=True)
    packed.rename(tmp_path / "b.nii")
    with pytest.raises(InputError, match="b.nii: packed with gzip.*Name it .nii.gz"):
        intake.read(tmp_path / "b.nii")
    plain.rename(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="a.nii.gz: .*header is damaged .it is not packed with gzip"):
        intake.read(tmp_path / "a.nii.gz")


def test_a_damaged_nifti_beside_dicom_is_named_and_blocks_nothing(tmp_path):
    from made_dicom import save, stack

    save(tmp_path, stack())
    (tmp_path / "mask.nii").write_bytes(b"x" * 2000)
    found = intake.inventory(tmp_path)
    assert [name for name, _ in found.damaged] == ["mask.nii"] and "\nmask.nii: has the name of a NIfTI" in str(found)
    assert intake.read(tmp_path).meta["blocking"] == ()


def test_nrrd_spaces_are_turned_to_lps(tmp_path):
    data = write(tmp_path / "a.nrrd").read_bytes()
    for space, signs in (("right-anterior-superior", (-1, -1, 1)), ("LAS", (1, -1, 1)), ("RAS", (-1, -1, 1))):
        path = text_file(tmp_path / "b.nrrd", data, b"space: left-posterior-superior", f"space: {space}".encode())
        volume, other = intake.read(path), sitk.ReadImage(str(path))
        assert np.allclose(volume.origin, np.array([1, 2, 3]) * signs)
        assert np.allclose(volume.origin, other.GetOrigin()) and np.allclose(volume.direction, other.GetDirection())


def test_big_endian_values(tmp_path):
    head, _, body = write(tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    swapped = np.frombuffer(body, "<f4").astype(">f4").tobytes()
    (tmp_path / "a.nrrd").write_bytes(head.replace(b"endian: little", b"endian: big") + b"\n\n" + swapped)
    assert np.array_equal(intake.read(tmp_path / "a.nrrd").array, ARRAY)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_damaged_files_end_in_words(tmp_path, name):
    from test_fuzz import mutate

    rng = np.random.default_rng(5)
    path = write(tmp_path / name, packed=True)
    data = path.read_bytes()
    for _ in range(100):
        path.write_bytes(mutate(data, rng))
        try:
            volume = intake.read(path)
        except InputError as error:
            assert name in str(error)
        else:
            assert np.all(np.isfinite(volume.spacing)) and min(volume.spacing) > 0
