"""Label maps out and in: the place survives any orientation, names come along, nothing personal does."""

import gzip
import json
import warnings
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenes import SPACING
from scipy.spatial.transform import Rotation

from mrbone_nb import InputError, Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.export import onto_grid, read_labels, write_labels
from mrbone_nb.labelfile import SUFFIXES

TABLE = LabelTable({1: Label("femur", "right", "#e69f00"), 7: Label("fémur µ|~^:=", "left", "#0a0b0c")})
OBLIQUE = tuple(Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix().ravel())


def label_map(seed=0, shape=(5, 6, 7), **facts):
    array = np.random.default_rng(seed).choice([0, 1, 7], shape).astype(np.uint8)
    array.flat[:2] = 1, 7
    return Volume(array, **{"spacing": SPACING, "origin": (10, -200.25, 33.5), "direction": OBLIQUE, "name": "knee"} | facts)


def written(folder, suffix, labels=None, **given):
    labels = label_map() if labels is None else labels
    return write_labels(labels, folder / f"knee{suffix}", given.pop("table", TABLE), **given)


# --- geometry -------------------------------------------------------------------------------------------


@st.composite
def placed(draw):
    """A small label map with any spacing, place and orientation, right- or left-handed."""
    seed = draw(st.integers(0, 2**31))
    numbers = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() if draw(st.booleans()) else np.eye(3)[numbers.permutation(3)]
    turn = turn * numbers.choice([-1, 1], 3)
    return label_map(
        seed,
        shape=tuple(numbers.integers(1, 9, 3)),
        spacing=tuple(numbers.uniform(0.05, 8, 3)),
        origin=tuple(numbers.uniform(-800, 800, 3)),
        direction=tuple(turn.ravel()),
    ) if numbers.integers(2) else label_map(seed, shape=(9, 2, 4), direction=tuple(turn.ravel()))  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=placed())
def test_place_and_labels_survive(tmp_path, suffix, labels):
    path = written(tmp_path, suffix, labels, overwrite=True)
    read, table = read_labels(path)
    assert read.array.dtype == np.uint8 and np.array_equal(read.array, labels.array)
    assert np.abs(read.corners() - labels.corners()).max() < 1e-3
    assert dict(table) == dict(TABLE.filled({1, 7}))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=placed())
def test_nibabel_finds_the_same_place_twice(tmp_path, suffix, labels):
    image = nibabel.load(written(tmp_path, suffix, labels, overwrite=True))
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    index = np.array(np.meshgrid(*[(0, n - 1) for n in labels.shape], indexing="ij")).reshape(3, 8).T
    lps = labels.points(index)
    for affine in (image.get_qform(), image.get_sform()):
        ras = index[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        assert np.abs(ras * [-1, -1, 1] - lps).max() < 1e-3
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), labels.array)


def test_masks_are_written_too(tmp_path):
    mask = label_map().with_array(label_map().array > 0)
    read, table = read_labels(written(tmp_path, ".nii.gz", mask, table=None))
    assert np.array_equal(read.array > 0, mask.array) and table[1].name == "label 1"


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_names_stand_in_the_sidecar(tmp_path, suffix):
    path = written(tmp_path, suffix)
    sidecar = json.loads((tmp_path / "knee.json").read_text(encoding="utf-8"))
    assert sidecar["1"] == {"name": "femur", "side": "right", "color": "#e69f00"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "knee.json"])


def test_only_labels_that_occur_are_named_and_all_of_them(tmp_path):
    table = LabelTable({7: Label("tibia"), 9: Label("patella")})
    written(tmp_path, ".nii.gz", table=table)
    assert {k: v["name"] for k, v in json.loads((tmp_path / "knee.json").read_text()).items()} == {"1": "label 1", "7": "tibia"}


def test_3d_slicers_keys(tmp_path):
    labels = label_map()
    path = written(tmp_path, ".seg.nrrd", labels)
    assert "Segment1_Name:=left fémur µ|~^:=\n".encode() in path.read_bytes()
    data, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior" and data.dtype == np.uint8
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    for n, (value, label) in enumerate(TABLE.items()):
        plain = label.title.encode("ascii", "ignore").decode()  # pynrrd drops what is not ASCII; 3D Slicer does not
        assert header[f"Segment{n}_Name"] == plain and header[f"Segment{n}_LabelValue"] == str(value)
        assert header[f"Segment{n}_Layer"] == "0" and header[f"Segment{n}_ID"]
        color = [float(c) for c in header[f"Segment{n}_Color"].split()]
        assert color == pytest.approx(label.rgb, abs=1e-5)
        low_c, high_c, low_r, high_r, low_p, high_p = map(int, header[f"Segment{n}_Extent"].split())
        box = labels.array[low_p : high_p + 1, low_r : high_r + 1, low_c : high_c + 1]
        assert (box == value).sum() == (labels.array == value).sum()
    assert "Segment2_Name" not in header
    tags = header["Segment0_Tags"]
    assert tags.startswith("TerminologyEntry:") and tags.endswith("|") and tags.count("~") == 6
    assert "~SCT^71341001^Femur~SCT^24028007^Right~" in tags
    assert "SCT^85756007^Tissue" in header["Segment1_Tags"], "what is no known bone is not called one"
    assert not (tmp_path / "knee.json").exists()


def slicer_file(path, array, keys, **more):
    header = {"space": "left-posterior-superior", "space directions": np.eye(3), "space origin": np.zeros(3)} | more
    nrrd.write(str(path), array, header | keys)
    return path


def test_a_file_of_3d_slicer_is_read_without_optional_keys(tmp_path):
    array = np.zeros((4, 5, 6), np.uint8)
    array[1], array[2] = 1, 3
    keys = {"Segment0_Name": "Right tibia", "Segment0_LabelValue": "3", "Segment0_Color": "0 0.5 1", "Segment1_LabelValue": "1"}
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


def scan_for(labels):
    return labels.with_array(np.zeros(labels.shape, np.float32), name="scan", meta={"modality": "MR"})


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


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm"])
def test_an_empty_mask_is_refused(tmp_path, suffix):
    with pytest.raises(InputError, match="knee: the mask is empty; nothing to export"):
        written(tmp_path, suffix, label_map().with_array(np.zeros((5, 6, 7), np.uint8)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm"])
def test_a_mask_on_another_grid_than_the_scan_is_refused_naming_both(tmp_path, suffix):
    scan = scan_for(label_map(origin=(0, 0, 0)))
    with pytest.raises(InputError, match="knee and scan lie on different grids: .* from .* and .* from"):
        written(tmp_path, suffix, scan=scan)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm"])
@pytest.mark.parametrize("of", ["labels", "scan"])
def test_a_fault_that_nobody_accepted_blocks_the_export(tmp_path, suffix, of):
    labels, scan = label_map(), scan_for(label_map())
    blocked = {"blocking": ("gap",)}
    if of == "labels":
        labels = labels.with_array(labels.array, meta=blocked)
    else:
        scan = scan.with_array(scan.array, meta=blocked)
    with pytest.raises(InputError, match=r'accept=\("gap",\) or --accept gap'):
        written(tmp_path, suffix, labels, scan=scan)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_accepted_fault_is_repeated_in_the_file(tmp_path, suffix):
    labels = label_map()
    accepted = labels.with_array(labels.array, accepted=("gap", "shear"), meta={"blocking": ("gap",)})
    path = written(tmp_path, suffix, accepted)
    data = gzip.decompress(path.read_bytes()) if suffix == ".nii.gz" else path.read_bytes()
    assert b"accepted: gap, shear" in data[:4000]


@pytest.mark.parametrize(
    "array, told",
    [
        (np.full((5, 6, 7), 0.5), "whole numbers"),
        (np.full((5, 6, 7), -1), "values from -1 to -1"),
        (np.full((5, 6, 7), 300), "values from 300 to 300"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, array, told):
    with pytest.raises(InputError, match=told):
        written(tmp_path, ".nii.gz", label_map().with_array(array))


def test_strokes_may_be_written_as_images_only(tmp_path):
    strokes = label_map().array.copy()
    strokes[0, 0, 2] = 255
    seeds = label_map().with_array(strokes)
    read, table = read_labels(written(tmp_path, ".nii.gz", seeds))
    assert np.array_equal(read.array, strokes) and list(table) == [1, 7]
    for suffix in (".seg.nrrd", ".dcm"):
        with pytest.raises(InputError, match="everything else"):
            written(tmp_path, suffix, seeds)


@pytest.mark.parametrize("name", ["knee", "knee.txt", ".nii.gz", "knee.png", "knee.nii.gz.exe"])
def test_an_unknown_extension_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="unknown kind of label map; known are .seg.nrrd"):
        write_labels(label_map(), tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("taken", ["map", "sidecar"])
def test_existing_files_stay(tmp_path, suffix, taken):
    if suffix == ".seg.nrrd" and taken == "sidecar":
        pytest.skip("it has no sidecar")
    old = tmp_path / (f"knee{suffix}" if taken == "map" else "knee.json")
    old.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        written(tmp_path, suffix)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
    assert read_labels(written(tmp_path, suffix, overwrite=True))[1][1].name == "femur"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="folder does not exist"):
        written(tmp_path / "no", ".nii.gz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_reads_back_different_is_not_kept(tmp_path, suffix, monkeypatch):
    read = sitk.ReadImage

    def moved(path, *more):
        image = read(path, *more)
        image.SetOrigin([v + 0.01 for v in image.GetOrigin()])
        return image

    monkeypatch.setattr(sitk, "ReadImage", moved)
    with pytest.raises(InputError, match="do not lie where they were"):
        written(tmp_path, suffix)
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".json"]


# --- privacy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_personal_reaches_a_label_map(tmp_path, suffix):
    labels = label_map()
    secret = labels.with_array(
        labels.array, meta={"patient": "Doe^Jane"}, issues=("IM1.dcm of Doe^Jane",), files=(Path("/home/doe/IM1.dcm"),)
    )
    path = written(tmp_path, suffix, secret)
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
        assert b"doe" not in data.lower()
    if "nii" in suffix:
        header = nibabel.load(path).header
        assert not any(bytes(header[key]).strip(b"\0") for key in ("descrip", "aux_file", "intent_name", "db_name"))


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
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\ndata file: secret.raw\n"
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
    for path in (tmp_path / "no.nii.gz", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_labels(path)
