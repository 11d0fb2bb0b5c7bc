"""Saved results: complete, named, hashed, without a trace of who or where; refused before the work, not after it."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scenes import SPACING, bones

import mrbone_nb as mb
from mrbone_nb import outputs
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.export import read_labels
from mrbone_nb.outputs import failures, planned, planned_beside, save, save_beside, save_image
from mrbone_nb.recipe import Recipe
from mrbone_nb.record import load_record, replay
from mrbone_nb.step import Call

RECIPE = Recipe((Call("normalize"), Call("watershed", {"sigma": 0.8})), name="mine")
NAMES = LabelTable({1: Label("femur", "left", "#ff0000"), 2: Label("tibia", "", "#00ff00"), 9: Label("unused")})
OBLIQUE = (0.0, 0.6, -0.8, 1.0, 0.0, 0.0, 0.0, -0.8, -0.6)


@pytest.fixture(scope="module")
def scene():
    return bones((10, 40, 36), SPACING)


@pytest.fixture(scope="module")
def result(scene, tmp_path_factory):
    files = [tmp_path_factory.mktemp("DOE_JANE") / f"DOE_{k}.dcm" for k in range(2)]
    for file in files:
        file.write_text(file.name)
    scan = mb.Volume(
        scene.arrays["image"] * 300,
        SPACING,
        (7, -8, 9),
        OBLIQUE,
        name="sag-pd",
        issues=("a doubt",),
        files=tuple(files),
        meta={"blocking": ()},
        accepted=("gap",),
    )
    return RECIPE.run(scan, seeds=scan.with_array(scene.arrays["seeds"]))


@pytest.fixture(scope="module")
def saved(result, tmp_path_factory):
    return save(result, tmp_path_factory.mktemp("saved") / "new" / "folder", table=NAMES, formats=("stl", "glb"))


def test_all_is_there_under_names_as_in_bids(saved):
    assert {what: path.name for what, path in saved.items()} == {
        "labels": "sag-pd_desc-bone_dseg.nii.gz",
        "names": "sag-pd_desc-bone_dseg.json",
        "seeds": "sag-pd_desc-bone_seeds.nii.gz",
        "seeds names": "sag-pd_desc-bone_seeds.json",
        "record": "sag-pd_desc-bone_record.json",
        "picture": "sag-pd_desc-bone_slices.png",
        "1 left femur.stl": "sag-pd_desc-bone_hemi-L_label-femur_mesh.stl",
        "1 left femur.glb": "sag-pd_desc-bone_hemi-L_label-femur_mesh.glb",
        "2 tibia.stl": "sag-pd_desc-bone_label-tibia_mesh.stl",
        "2 tibia.glb": "sag-pd_desc-bone_label-tibia_mesh.glb",
    }
    folder = saved["labels"].parent
    assert sorted(folder.iterdir()) == sorted(saved.values())  # and nothing else


def test_what_is_read_back_is_what_was_made(saved, result):
    labels, table = read_labels(saved["labels"], like=result.volume)
    assert np.array_equal(labels.array, result.labels.array)
    assert dict(table) == {1: NAMES[1], 2: NAMES[2]}
    seeds, names = read_labels(saved["seeds"], like=result.volume)
    assert np.array_equal(seeds.array, result.seeds.array) and names[1].title == "left femur"
    with Image.open(saved["picture"]) as picture:
        assert (np.asarray(picture) == (255, 0, 0)).all(axis=2).any()


def test_the_record_knows_every_file_and_measure(saved, result):
    record = load_record(saved["record"])
    hashes = record["outputs"]["files"]
    assert set(hashes) == {path.name for what, path in saved.items() if what != "record"}
    for path in saved.values():
        if path != saved["record"]:
            assert hashes[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    femur, tibia = record["outputs"]["measures"]
    assert (femur["label"], femur["name"], femur["side"], tibia["name"]) == (1, "femur", "left", "tibia")
    voxels = np.count_nonzero(result.labels.array == 1)
    assert femur["volume_mm3"] == pytest.approx(voxels * np.prod(SPACING), abs=0.01)
    assert femur["area_mm2"] > 4.8 * femur["volume_mm3"] ** (2 / 3)  # no body has less surface than a ball
    assert record["outputs"]["labels"]["name"] == "sag-pd_desc-bone_dseg.nii.gz"
    assert record["inputs"]["seeds"]["name"] == "sag-pd_desc-bone_seeds.nii.gz"
    assert b"accepted: gap" in saved["2 tibia.stl"].read_bytes()[:80]
    assert record["accepted"] == ["gap"] and record["issues"] == ["a doubt"] and failures(saved) == {}


def test_what_was_saved_can_be_replayed(saved, result):
    seeds, _ = read_labels(saved["seeds"])
    assert replay(load_record(saved["record"]), result.volume, seeds=seeds)[1]


def test_nothing_tells_who_or_where(saved, result):
    for path in saved.values():
        data = path.read_bytes()
        assert b"DOE" not in data and str(path.parent).encode() not in data and b"/tmp" not in data


def test_only_measures_that_the_recipe_asks_for(result, tmp_path):
    lean = replace(result, recipe=replace(RECIPE, measures=("volume",)))
    files = save(lean, tmp_path, formats=(), picture=False)
    assert set(files) == {"labels", "names", "seeds", "seeds names", "record"}
    rows = load_record(files["record"])["outputs"]["measures"]
    assert [sorted(row) for row in rows] == [["label", "name", "side", "volume_mm3"]] * 2


def test_unnamed_labels_get_a_number_for_a_name(result, tmp_path):
    files = save(result, tmp_path, picture=False)
    assert files["2 label 2.stl"].name == "sag-pd_desc-bone_label-label2_mesh.stl"


def test_existing_files_are_refused_before_anything_is_written(result, tmp_path):
    taken = tmp_path / "sag-pd_desc-bone_slices.png"
    taken.write_text("mine")
    with pytest.raises(mb.InputError, match="slices.png: exists already"):
        save(result, tmp_path, table=NAMES)
    assert [p.name for p in tmp_path.iterdir()] == [taken.name] and taken.read_text() == "mine"
    save(result, tmp_path, table=NAMES, overwrite=True)
    assert taken.read_bytes()[:4] == b"\x89PNG"


def test_planned_says_what_save_will_write(result, saved, tmp_path):
    files = planned(result.volume, tmp_path / "new", NAMES.filled([1, 2]), formats=("stl", "glb"))
    assert {what: path.name for what, path in files.items()} == {what: path.name for what, path in saved.items()}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(folder="taken"), "is a file, not a folder"),
        (dict(folder="taken/below"), "is a file, not a folder"),
        (dict(formats=("stl", "fbx")), "format 'fbx': expected some of stl, ply, obj, glb"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_run(words, message, result, tmp_path):
    (tmp_path / "taken").write_text("")
    folder = tmp_path / words.pop("folder", "new")
    with pytest.raises(mb.InputError, match=message):
        planned(result.volume, folder, NAMES, **words)


def test_a_full_disk_is_said_before_the_run(result, tmp_path, monkeypatch):
    usage = outputs.check_writable.__globals__["shutil"].disk_usage(tmp_path)
    monkeypatch.setattr("mrbone_nb.files.shutil.disk_usage", lambda place: usage._replace(free=1000))
    with pytest.raises(mb.InputError, match="MB are needed and 0 MB are free"):
        planned(result.volume, tmp_path, NAMES)


def test_a_fault_that_nobody_accepted_blocks_before_the_run(result, tmp_path):
    scan = replace(result.volume, accepted=(), meta={"blocking": ("gap",)})
    with pytest.raises(mb.InputError, match="--accept gap"):
        planned(scan, tmp_path)
    with pytest.raises(mb.InputError, match="--accept gap"):
        planned_beside(scan, tmp_path / "x.nii.gz")
    with pytest.raises(mb.InputError, match="--accept gap"):
        save_image(scan, tmp_path / "x.nii.gz")
    assert not list(tmp_path.iterdir())


def test_a_model_that_fails_costs_that_model_alone(result, tmp_path, monkeypatch):
    real = outputs.extract_surface

    def fails(labels, number, **words):
        if number == 1:
            raise mb.InputError("too thin")
        return real(labels, number, **words)

    monkeypatch.setattr(outputs, "extract_surface", fails)
    files = save(result, tmp_path, table=NAMES)
    assert failures(files) == {"left femur": "too thin"}
    assert "1 left femur.stl" not in files and files["2 tibia.stl"].exists() and files["labels"].exists()


def test_an_empty_result_is_refused(result, tmp_path):
    empty = replace(result, labels=result.labels.with_array(result.labels.array * 0))
    with pytest.raises(mb.InputError, match="mine found no bone in sag-pd: nothing to save"):
        save(empty, tmp_path)
    assert not list(tmp_path.iterdir())


def test_save_beside_a_name_of_ones_own(result, scene, tmp_path):
    start = result.volume.with_array(scene.arrays["labels"], name="before")
    files = save_beside(result, tmp_path / "knee.nrrd", table=NAMES, start=start)
    assert {what: path.name for what, path in files.items()} == {
        "labels": "knee.nrrd",
        "names": "knee.json",
        "seeds": "knee_seeds.nii.gz",
        "seeds names": "knee_seeds.json",
        "start": "knee_start.nii.gz",
        "start names": "knee_start.json",
        "record": "knee_record.json",
    }
    assert sorted(tmp_path.iterdir()) == sorted(files.values())
    record = load_record(files["record"])
    assert record["inputs"]["start"]["name"] == "knee_start.nii.gz"
    assert json.loads(files["names"].read_text())["1"] == {"name": "femur", "side": "left", "color": "#ff0000"}
    (tmp_path / "seg").mkdir()
    assert "names" not in save_beside(result, tmp_path / "seg" / "knee.seg.nrrd", table=NAMES)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("knee.png", "expected a name that ends in .nii.gz"),
        ("knee", "expected a name"),
        ("no/knee.nrrd", "does not exist"),
    ],
)
def test_a_name_that_cannot_be_is_said_before_the_run(name, message, result, tmp_path):
    with pytest.raises(mb.InputError, match=message):
        planned_beside(result.volume, tmp_path / name)


@pytest.mark.parametrize("suffix", outputs.IMAGES)
def test_gray_values_are_saved_in_place(suffix, result, tmp_path):
    path = save_image(result.volume, tmp_path / f"image{suffix}")
    again = mb.read(path)
    assert np.array_equal(again.array, result.volume.array) and again.same_grid(result.volume)
    with pytest.raises(mb.InputError, match="exists already"):
        save_image(result.volume, path)
    with pytest.raises(mb.InputError, match="image.png: expected a name that ends in .nii.gz"):
        save_image(result.volume, tmp_path / "image.png")
