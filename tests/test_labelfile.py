"""Label maps that others made: 3D Slicer's segments, other orders of axes, damaged and lying files."""

import warnings

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from labelmaps import label_map, scan_for, written
from scipy.spatial.transform import Rotation

from mrbone_nb import InputError
from mrbone_nb.bones import Label
from mrbone_nb.export import onto_grid, read_labels, write_labels
from mrbone_nb.labelfile import SUFFIXES

# --- 3D Slicer's own files ---------------------------------------------------------------------------------


def slicer_file(path, array, keys, **more):
    header = {"space": "left-posterior-superior", "space directions": np.eye(3), "space origin": np.zeros(3)} | more
    nrrd.write(str(path), array, header | keys)
    return path


def test_a_file_of_3d_slicer_is_read_without_optional_keys(tmp_path):
    array = np.zeros((4, 5, 6), np.uint8)
    array[1], array[2] = 1, 3
    keys = {
        "Segment0_Name": "Right tibia",
        "Segment0_LabelValue": "3",
        "Segment0_Color": "0 0.5 1",
        "Segment1_LabelValue": "1",
    }
    labels, table = read_labels(slicer_file(tmp_path / "a.seg.nrrd", array, keys))
    assert np.array_equal(labels.array, array.transpose(2, 1, 0))
    assert table[3] == Label("tibia", "right", "#0080ff") and table[1].name == "label 1"


def test_overlapping_segments_are_refused_clearly(tmp_path):
    directions = np.vstack([np.full(3, np.nan), np.eye(3)])
    more = {"kinds": ["list", "domain", "domain", "domain"], "space directions": directions}
    path = slicer_file(tmp_path / "a.seg.nrrd", np.zeros((2, 4, 5, 6), np.uint8), {"Segment0_Layer": "0"}, **more)
    with pytest.raises(InputError, match="a.seg.nrrd: its segments overlap .*2 layers.*3D Slicer"):
        read_labels(path)


@pytest.mark.parametrize(
    "keys, told",
    [
        ({"Segment0_LabelValue": "300"}, "label 300"),
        ({"Segment0_LabelValue": "x"}, "segment 0"),
        ({"Segment0_Color": "red"}, "segment 0"),
        ({"Segment0_LabelValue": "1", "Segment1_LabelValue": "1"}, "segment 1"),
    ],
)
def test_odd_keys_are_named(tmp_path, keys, told):
    with pytest.raises(InputError, match=f"a.seg.nrrd: .*{told}"):
        read_labels(slicer_file(tmp_path / "a.seg.nrrd", np.ones((2, 2, 2), np.uint8), keys))


# --- onto the grid of a scan ------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "SAL"])
def test_labels_stored_in_another_order_of_axes_come_back(tmp_path, axes):
    labels = label_map(direction=tuple(np.eye(3).ravel()))
    path = written(tmp_path, ".nii.gz", labels.reorient(axes))
    read, _ = read_labels(path, like=scan_for(labels))
    assert np.array_equal(read.array, labels.array) and read.same_grid(labels)
    assert read.meta["modality"] == "MR"


def test_a_cropped_segmentation_is_put_into_the_scan(tmp_path):
    labels = label_map(shape=(6, 9, 11))
    inner = labels.crop((slice(1, 4), slice(2, 9), slice(3, 8)))
    read, _ = read_labels(written(tmp_path, ".seg.nrrd", inner), like=scan_for(labels))
    assert np.array_equal(read.array[1:4, 2:9, 3:8], inner.array)
    assert np.count_nonzero(read.array) == np.count_nonzero(inner.array)


def test_a_larger_segmentation_is_cut_where_it_is_empty_and_refused_elsewhere():
    labels = label_map(shape=(6, 9, 11))
    scan = scan_for(labels).crop((slice(1, 6), slice(0, 9), slice(2, 11)))
    with pytest.raises(InputError, match="of its voxels lie outside scan"):
        onto_grid(labels, scan)
    empty = labels.array.copy()
    empty[:1], empty[..., :2] = 0, 0
    assert np.array_equal(onto_grid(labels.with_array(empty), scan).array, labels.array[1:, :, 2:])


@pytest.mark.parametrize(
    "other",
    [
        dict(spacing=(3.0, 0.8, 1.2)),
        dict(origin=(10, -200.25, 33.0)),
        dict(direction=tuple(Rotation.from_euler("xyz", [20, -35, 51], degrees=True).as_matrix().ravel())),
    ],
)
def test_labels_off_the_grid_are_refused_naming_both(tmp_path, other):
    path = written(tmp_path, ".nii.gz")
    with pytest.raises(InputError, match="knee does not lie on the grid of scan: .* and .*"):
        read_labels(path, like=scan_for(label_map(**other)))


# --- reading what others made -----------------------------------------------------------------------------


def test_whole_numbers_stored_as_floats_are_labels(tmp_path):
    labels = label_map()
    image = sitk.Cast(labels.to_sitk(), sitk.sitkFloat64)
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    assert np.array_equal(read_labels(tmp_path / "a.nii.gz")[0].array, labels.array)


@pytest.mark.parametrize("value, told", [(0.5, "from 0 to 0.5"), (-1, "from -1"), (999, "to 999"), (np.nan, "NaN")])
def test_gray_images_are_no_label_maps(tmp_path, value, told):
    array = np.zeros((3, 4, 5), np.float32)
    array[1, 1, 1] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=f"a.nii.gz: .*{told}"):
        read_labels(tmp_path / "a.nii.gz")


def test_a_file_that_says_no_place_blocks_until_accepted(tmp_path):
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), None)
    image.header.set_zooms((0.5, 0.5, 3))
    image.header.set_xyzt_units("mm")
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    labels, _ = read_labels(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="--accept geometry"):
        write_labels(labels, tmp_path / "b.nii.gz")
    labels, _ = read_labels(tmp_path / "a.nii.gz", accept=("geometry",))
    write_labels(labels, tmp_path / "b.nii.gz")
    with pytest.raises(InputError, match="accept='geometri'"):
        read_labels(tmp_path / "a.nii.gz", accept=("geometri",))


def test_headers_that_point_at_other_files_are_refused(tmp_path):
    (tmp_path / "secret.raw").write_bytes(bytes(range(60)))
    (tmp_path / "a.nrrd").write_text(
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 3 4 5\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\ndata file: secret.raw\n\n"
    )
    (tmp_path / "a.mha").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 3 4 5\nElementSpacing = 1 1 1\nElementType = MET_UCHAR\n"
        "ElementDataFile = secret.raw\n"
    )
    for name in ("a.nrrd", "a.mha"):
        with pytest.raises(InputError, match=f"{name}: its values lie in another file"):
            read_labels(tmp_path / name)


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path):
    path = written(tmp_path, ".nii", label_map())
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([32767] * 3, "<i2").tobytes()
    path.write_bytes(data)
    with pytest.raises(InputError, match="knee.nii: .*header claims"):
        read_labels(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_file_is_refused_in_one_line(tmp_path, suffix, share, capfd):
    path = written(tmp_path, suffix, label_map(shape=(20, 30, 40)))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=f"knee{suffix}") as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(500)])
def test_what_is_no_image_is_refused(tmp_path, suffix, content):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with warnings.catch_warnings(), pytest.raises(InputError, match=f"a{suffix}"):
        read_labels(tmp_path / f"a{suffix}")


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "no.nii.gz")
    with pytest.raises(InputError, match="is a folder; give a label map file"):
        read_labels(tmp_path)
