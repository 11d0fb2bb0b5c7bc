"""The verbs quality and sensitivity."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mrbone_nb as mb
from mrbone_nb.outputs import save_image


def test_quality_ranks_the_bones(ok, mrbone, files):
    data, _ = ok("quality", files["scan"], files["labels"])
    assert [set(bone) >= {"bone", "score", "findings", "volume_mm3", "faults"} for bone in data["bones"]] == [True] * 2
    scores = [bone["score"] for bone in data["bones"]]
    assert scores == sorted(scores) and {bone["bone"] for bone in data["bones"]} == {"left femur", "tibia"}
    assert data["bones"][0]["agreement"] is None
    code, out, _ = mrbone("quality", files["scan"], files["labels"])
    assert code == 0 and "left femur" in out and "score" in out


def test_quality_takes_strokes_other_maps_and_names(ok, files):
    strokes, _ = ok("quality", files["scan"], files["labels"], "--seeds", files["seeds"])
    assert all(0 < bone["agreement"] < 1 for bone in strokes["bones"])
    words = ("--other", files["plain"], "--names", "1=sacrum", "--marrow", "bright")
    same, _ = ok("quality", files["scan"], files["labels"], *words)
    assert {bone["agreement"] for bone in same["bones"]} == {1}
    assert "left sacrum" in {bone["bone"] for bone in same["bones"]}  # the side stays


def test_quality_against_other_scans(ok, bad, files):
    data, _ = ok("quality", files["scan"], files["labels"])
    Path("others.json").write_text(json.dumps({"bones": data["bones"] * 5}))
    held, _ = ok("quality", files["scan"], files["labels"], "--against", "others.json")
    assert all(bone["score"] == 100 for bone in held["bones"])  # like all the others
    Path("wrong.json").write_text('{"bones": [1]}')
    assert "not an answer" in bad("quality", files["scan"], files["labels"], "--against", "wrong.json")


def test_quality_refuses_what_it_cannot_use(bad, files):
    assert "moved" in bad("quality", files["scan"], files["moved"])
    blank = mb.read(files["scan"])
    save_image(blank.with_array(np.zeros(blank.shape, np.float32)), "blank.nii.gz")
    assert "no voxel has a label" in bad("quality", files["scan"], "blank.nii.gz")


def test_sensitivity_writes_pictures_and_tables(ok, mrbone, files):
    words = ("sensitivity", files["quick"], files["scan"], "--seeds", files["seeds"], "-o", "out")
    data, _ = ok(*words, "--only", "watershed,islands.keep")
    assert set(data["files"]) == {"tornado", "where", "flips", "table", "data"}
    for name in ("tornado", "where"):
        with Image.open(data["files"][name]) as picture:
            assert min(picture.size) > 50
    with open(data["files"]["table"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(data["rows"]) and {row["step"] for row in rows} == {"watershed", "islands"}
    written = json.loads(Path(data["files"]["data"]).read_text())
    assert written["rows"] == data["rows"] and written["parameters"][0]["name"].startswith("2 watershed.")
    flips = mb.read(data["files"]["flips"]).array
    assert 0 < flips.max() <= data["changes"]
    code, _, err = mrbone(*words)
    assert code == 2 and "exists" in err
    cropped, _ = ok(*words, "--only", "watershed.sigma", "--overwrite", "--label", "femur", "--crop", "2:12,:,:")
    assert mb.read(cropped["files"]["flips"]).shape[0] == 10
    assert len(cropped["parameters"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "median"], "--only"),
        (["--amount", "-1"], "amount=-1"),
        (["--label", "talus"], "talus"),
    ],
)
def test_sensitivity_refuses_before_it_writes(bad, files, words, message):
    given = ["sensitivity", files["quick"], files["scan"], "--seeds", files["seeds"], "-o", "out"]
    only = [] if "--only" in words else ["--only", "islands.keep"]
    assert message in bad(*given, *only, *words)
    assert not Path("out").exists()
