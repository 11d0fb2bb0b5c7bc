"""A record tells which of the things that it names are no longer what they were."""

import json

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.outputs import save
from mrbone_nb.verify import changed_versions, verify


@pytest.fixture
def scan():
    image = np.zeros((8, 24, 24), np.float32)
    image[2:6, 6:18, 6:18] = 1
    return mb.Volume(image, spacing=(3, 1, 1), name="cube")


@pytest.fixture
def files(scan, tmp_path):
    seeds = np.zeros(scan.shape, np.uint8)
    seeds[4, 12, 12], seeds[4, 2, 2] = 1, 255
    recipe = mb.Recipe((mb.Call("watershed"),))
    return save(recipe.run(scan, seeds=seeds), tmp_path / "out")


def states(files, scan=None):
    return {check.what: check.state for check in verify(files["record"], scan)}


def test_all_is_as_recorded(files, scan):
    found = states(files, scan)
    assert set(found.values()) == {"same"} and {"scan voxels", "recipe", "seeds", "labels"} <= set(found)
    assert "scan voxels" not in states(files)  # without the scan it is not checked


def test_another_scan_is_named(files, scan):
    other = scan.with_array(scan.array + 1)
    assert [what for what, state in states(files, other).items() if state != "same"] == ["scan voxels"]


def test_a_changed_recipe_is_named(files, scan):
    record = json.loads(files["record"].read_text())
    record["recipe"]["calls"][0]["params"]["sigma"] = 0.1
    files["record"].write_text(json.dumps(record))
    assert [what for what, state in states(files, scan).items() if state != "same"] == ["recipe"]


def test_a_changed_label_map_is_named(files, scan):
    from mrbone_nb.export import read_labels, write_labels

    labels, table = read_labels(files["labels"], like=scan)
    array = labels.array.copy()
    array[4, 12, 12] = 0
    write_labels(labels.with_array(array), files["labels"], table, overwrite=True)
    wrong = [what for what, state in states(files, scan).items() if state != "same"]
    assert wrong == ["labels", f"file {files['labels'].name}"]


def test_a_missing_file_is_named(files, scan):
    files["picture"].unlink()
    assert states(files, scan)[f"file {files['picture'].name}"] == "missing"


def test_a_record_cannot_lead_out_of_its_folder(files, scan):
    record = json.loads(files["record"].read_text())
    record["outputs"]["files"] = {"../secret": "0"}
    files["record"].write_text(json.dumps(record))
    assert any(check.state == "differs" and "plain name" in check.detail for check in verify(files["record"], scan))


def test_versions_that_changed():
    assert changed_versions({"versions": {"numpy": "0.1"}})[0].startswith("numpy 0.1 then, ")
    assert changed_versions({}) == []
