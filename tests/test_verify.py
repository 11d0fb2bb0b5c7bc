"""A record tells which of the things that it names are no longer what they were."""

import json
from pathlib import Path

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.dicomseg import IdentityWarning
from mrbone_nb.outputs import save, save_beside
from mrbone_nb.record import load_record, make_record, threads
from mrbone_nb.verify import changed_versions, recorded_labels, verify

KNEE = Path(__file__).parents[1] / "data_samples" / "knee_t2map" / "dicom"


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


def test_segments_are_given_back_the_numbers_of_the_record(tmp_path):
    """DICOM-SEG counts them from 1 without gaps."""
    scan = mb.read(KNEE, echo=1)
    seeds = np.zeros(scan.shape, np.uint8)
    seeds[11, 100, 100], seeds[11, 200, 100], seeds[11, 10, 10] = 7, 40, 255
    result = mb.Recipe((mb.Call("watershed"),)).run(scan, seeds=seeds)
    table = LabelTable({7: Label("femur"), 40: Label("tibia")})
    with pytest.warns(IdentityWarning):
        files = save_beside(result, tmp_path / "bones.dcm", table=table)
    assert set(states(files, scan).values()) == {"same"}
    entry = load_record(files["record"])["outputs"]["labels"]
    labels, names = recorded_labels(files["labels"], entry, scan)
    assert (labels.array == result.labels.array).all() and [names[n].name for n in (7, 40)] == ["femur", "tibia"]
    for odd in (None, [7], [7, 400], [7, "x"], ["x"] * 2):  # a record may come from anybody
        assert set(np.unique(recorded_labels(files["labels"], {**entry, "present": odd}, scan)[0].array)) == {0, 1, 2}


def test_versions_that_changed(scan):
    result = mb.Recipe((mb.Call("otsu"),)).run(scan)
    now = make_record(result)
    assert changed_versions(now) == []
    now["versions"]["numpy"], now["threads"] = "0.1", 99
    assert changed_versions(now) == [f"numpy was 0.1, is {np.__version__}", f"threads was 99, is {threads()}"]
    assert len(changed_versions({})) == len(now["versions"]) + 1
