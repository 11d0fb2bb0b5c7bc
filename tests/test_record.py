"""Records: enough to do it again, nothing that tells who or where, and no trust in what they hold."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import SPACING, bones

import mrbone_nb as mb
from mrbone_nb import record as records
from mrbone_nb.recipe import Recipe
from mrbone_nb.record import array_sha256, files_sha256, load_record, make_record, replay, run_cropped
from mrbone_nb.step import Call

SHAPE = (10, 40, 36)
BOX = ((1, 10), (5, 38), (4, 33))
RECIPE = Recipe((Call("normalize"), Call("watershed", {"sigma": 0.8}), Call("closing")), name="mine")
TURNED = (0.0, 0.6, -0.8, 1.0, 0.0, 0.0, 0.0, -0.8, -0.6)


@pytest.fixture(scope="module")
def scene():
    return bones(SHAPE, SPACING)


@pytest.fixture(scope="module")
def scan(scene):
    image = np.rint(scene.arrays["image"] * 300).astype(np.float32)
    return mb.Volume(image, SPACING, (7, -8, 9), TURNED, name="scene", issues=("a doubt",), accepted=("gap",))


@pytest.fixture(scope="module")
def seeds(scene, scan):
    return scan.with_array(scene.arrays["seeds"], name="strokes")


@pytest.fixture(scope="module")
def result(scan, seeds):
    return RECIPE.run(scan, seeds=seeds)


@pytest.fixture
def record(result):
    return json.loads(records.to_json(make_record(result, seeds_name="scene_seeds.nii.gz")))


def test_a_record_says_what_was_done_to_what(record, result):
    assert Recipe.from_dict(record["recipe"]) == RECIPE
    assert record["inputs"]["scan"]["voxels_sha256"] == array_sha256(result.volume)
    assert record["inputs"]["seeds"]["name"] == "scene_seeds.nii.gz"
    assert record["outputs"]["labels"] == {"voxels_sha256": array_sha256(result.labels), "present": [1, 2]}
    assert record["accepted"] == ["gap"] and record["issues"] == ["a doubt"]
    assert record["versions"].keys() >= {"python", "numpy", "SimpleITK"} and record["threads"] >= 1
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["time"])


def test_files_are_named_by_hash_alone_whatever_their_order(tmp_path, scan, seeds):
    for name, text in (("NAME_OF_PATIENT_1.dcm", "a"), ("NAME_OF_PATIENT_2.dcm", "b")):
        (tmp_path / name).write_text(text)
    files = tuple(tmp_path.iterdir())
    with_files = replace(scan, files=files)
    text = records.to_json(make_record(RECIPE.run(with_files, seeds=seeds)))
    assert "PATIENT" not in text and str(tmp_path) not in text and json.loads(text)["inputs"]["scan"]["files"] == 2
    assert (
        files_sha256(with_files)
        == files_sha256(replace(scan, files=files[::-1]))
        != files_sha256(replace(scan, files=files[:1]))
    )
    assert files_sha256(scan) is None


def test_the_hash_sees_voxels_type_and_place(scan):
    same = mb.Volume(scan.array.copy(), SPACING, (7 + 1e-6, -8, 9), TURNED)
    assert array_sha256(same) == array_sha256(scan)
    values = scan.array.copy()
    values[3, 4, 5] += 1
    others = [
        replace(scan, array=values),
        replace(scan, array=scan.array.astype(np.float64)),
        replace(scan, origin=(7, -8, 9.01)),
        replace(scan, spacing=(3.01, 0.8, 1.1)),
        replace(scan, direction=mb.volume.IDENTITY),
        scan.crop((slice(0, 9), slice(None), slice(None))),
    ]
    assert len({array_sha256(v) for v in [scan, *others]}) == 7


def test_replay_gives_the_same_bits(record, result, scan, seeds):
    again, same = replay(record, scan, seeds=seeds)
    assert same and np.array_equal(again.labels.array, result.labels.array)


def test_replay_says_when_the_result_differs(record, scan, seeds):
    record["recipe"]["calls"][1]["params"]["sigma"] = 3.0
    assert replay(record, scan, seeds=seeds)[1] is False


def test_replay_survives_the_rounding_of_a_file(record, scan, seeds, rng):
    """NIfTI keeps places as 32 bit floats; a hash of them must not depend on which side they are rounded to."""
    for _ in range(20):
        rounded = replace(seeds, origin=tuple(np.add(seeds.origin, rng.uniform(-1e-4, 1e-4, 3))))
        assert replay(record, scan, seeds=rounded)[1]


def test_replay_names_what_is_not_the_recorded_one(record, scan, seeds):
    values = scan.array.copy()
    values[0, 0, 0] += 1
    with pytest.raises(mb.InputError, match="^scan scene: not the recorded one"):
        replay(record, replace(scan, array=values), seeds=seeds)
    strokes = seeds.array.copy()
    strokes[0, 0, 0] = 1
    with pytest.raises(mb.InputError, match="^seeds strokes: not the recorded one"):
        replay(record, scan, seeds=replace(seeds, array=strokes))
    with pytest.raises(mb.InputError, match=r"needs its seeds \(scene_seeds.nii.gz\)"):
        replay(record, scan)
    with pytest.raises(mb.InputError, match="^seeds strokes: grid"):
        replay(record, scan, seeds=replace(seeds, origin=(0, 0, 0)))
    elsewhere = replace(scan, origin=(0, 0, 0))
    with pytest.raises(mb.InputError, match="^scan scene: not the recorded one"):
        replay(record, elsewhere, seeds=seeds)


def test_replay_from_a_label_map(scan, scene):
    start = scan.with_array(scene.arrays["labels"], name="before")
    recipe = Recipe((Call("closing", {"radius": 3}),))
    record = make_record(recipe.run(scan, labels=start), start=start)
    assert replay(record, scan, start=start)[1]
    with pytest.raises(mb.InputError, match="needs its start"):
        replay(record, scan)
    with pytest.raises(mb.InputError, match="^start before: not the recorded one"):
        replay(record, scan, start=start.with_array(start.array * 2))


def test_a_cropped_run_puts_the_labels_back_in_place(scan, seeds):
    result = run_cropped(RECIPE, scan, BOX, seeds=seeds)
    box = tuple(slice(*pair) for pair in BOX)
    alone = RECIPE.run(scan.crop(box), seeds=seeds.crop(box))
    assert result.labels.same_grid(scan) and np.array_equal(result.labels.array[box], alone.labels.array)
    outside = result.labels.array.copy()
    outside[box] = 0
    assert not outside.any() and result.labels.array.any()
    assert result.volume is scan and result.seeds is seeds and result.crop == BOX
    record = json.loads(records.to_json(make_record(result)))
    assert replay(record, scan, seeds=seeds)[1]
    assert record["crop"] == [list(pair) for pair in BOX]


def broken(record, *keys, value=None):
    """The record with one entry replaced, or taken out."""
    record = json.loads(json.dumps(record))
    place = record
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return record


FAULTS = {
    "not a record": (("kind",), None, "not a record"),
    "another schema": (("schema",), 99, "schema 99; this version reads schema 1"),
    "no recipe": (("recipe",), None, "recipe.calls is missing"),
    "no hash of the scan": (("inputs", "scan", "voxels_sha256"), None, "inputs.scan.voxels_sha256 is missing"),
    "no hash of the labels": (("outputs", "labels", "voxels_sha256"), None, "outputs.labels.voxels_sha256 is missing"),
    "inputs are text": (("inputs",), "scan", "inputs.scan.voxels_sha256 is missing"),
    "seeds are text": (("inputs", "seeds"), "x.nii.gz", "inputs.seeds: expected its name"),
    "hash is a number": (("inputs", "seeds", "voxels_sha256"), 3, "inputs.seeds: expected its name"),
    "name is a number": (("inputs", "seeds", "name"), 7, "seeds: expected the name of a file"),
    "name of the labels is a list": (("outputs", "labels", "name"), ["x"], "labels: expected the name of a file"),
    "files are a list": (("outputs", "files"), ["x"], "outputs.files: expected names"),
    "hash of a file is a number": (("outputs", "files"), {"x": 1}, "outputs.files: expected names"),
    "crop is text": (("crop",), "all", "crop: expected"),
    "crop of two axes": (("crop",), [[0, 3], [0, 3]], "crop: expected"),
    "crop of fractions": (("crop",), [[0, 3.5], [0, 3], [0, 3]], "crop: expected"),
    "crop backwards": (("crop",), [[3, 1], [0, 3], [0, 3]], "crop: expected"),
    "crop below 0": (("crop",), [[-3, 3], [0, 3], [0, 3]], "crop: expected"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_record_is_refused_in_one_line(fault, record, tmp_path):
    keys, value, message = FAULTS[fault]
    path = tmp_path / "x_record.json"
    path.write_text(json.dumps(broken(record, *keys, value=value)))
    with pytest.raises(mb.InputError) as caught:
        load_record(path)
    assert str(caught.value).startswith("x_record.json: ") and message in str(caught.value)
    path.write_text(json.dumps(record))
    assert load_record(path) == record


def test_records_are_limited_like_recipes(tmp_path):
    path = tmp_path / "x_record.json"
    for text, message in (
        ("[" * 99, "nested deeper"),
        ('{"kind": NaN}', "NaN"),
        ("[1]", "not a record"),
        ("x", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(mb.InputError, match=message):
            load_record(path)
    with pytest.raises(mb.InputError, match="no such record"):
        load_record(Path("none_record.json"))


def test_a_recipe_inside_a_record_is_checked_too(record, scan, seeds):
    record["recipe"]["calls"][0]["step"] = "system"
    with pytest.raises(mb.InputError, match="record: unknown step 'system'"):
        replay(record, scan, seeds=seeds)


def test_a_crop_outside_the_scan_is_refused(record, scan, seeds):
    record["crop"] = [[50, 60], [0, 9], [0, 9]]
    with pytest.raises(mb.InputError, match="crop"):
        replay(record, scan, seeds=seeds)
