"""Label maps out and in: the place survives any orientation, names come along, nothing personal does."""

import gzip
import json
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelmaps import TABLE, label_map, scan_for, written
from scipy.spatial.transform import Rotation

from mrbone_nb import InputError
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.export import read_labels, write_labels
from mrbone_nb.labelfile import SUFFIXES

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
    assert dict(table) == dict(TABLE.filled(set(np.unique(labels.array)) - {0}))


def limit_of_qform(labels):
    """How far a qform may be off in mm: its quaternion leaves out one part, which is lost near half a turn."""
    turn = np.reshape(labels.direction, (3, 3)) * [[-1], [-1], [1]]
    turn = turn * [1, 1, np.sign(np.linalg.det(turn))]
    left_out = np.abs(Rotation.from_matrix(turn).as_quat()[3])
    return 1.3e-3 * np.ptp(labels.corners(), axis=0).sum() if left_out < 0.03 else 0


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=placed())
def test_nibabel_finds_the_same_place_twice(tmp_path, suffix, labels):
    image = nibabel.load(written(tmp_path, suffix, labels, overwrite=True))
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    index = np.array(np.meshgrid(*[(0, n - 1) for n in labels.shape], indexing="ij")).reshape(3, 8).T
    lps = labels.points(index)
    for affine, limit in ((image.get_sform(), 1e-3), (image.get_qform(), 1e-3 + limit_of_qform(labels))):
        ras = index[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        assert np.abs(ras * [-1, -1, 1] - lps).max() < limit
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
    assert {k: v["name"] for k, v in json.loads((tmp_path / "knee.json").read_text()).items()} == {
        "1": "label 1",
        "7": "tibia",
    }


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


def moved(image):
    image.SetOrigin([v + 0.01 for v in image.GetOrigin()])


def changed(image):
    image[1, 2, 3] = 1 - image[1, 2, 3]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("spoil, told", [(moved, "do not lie where they were"), (changed, "are not what was written")])
def test_what_reads_back_different_is_not_kept(tmp_path, suffix, spoil, told, monkeypatch):
    read = sitk.ReadImage

    def spoiled(path, *more):
        image = read(path, *more)
        spoil(image)
        return image

    monkeypatch.setattr(sitk, "ReadImage", spoiled)
    with pytest.raises(InputError, match=told):
        written(tmp_path, suffix)
    assert not list(tmp_path.iterdir()), "neither the image nor its names"


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
