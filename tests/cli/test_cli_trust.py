"""The verbs that check: verify, check-private."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_scene import KNEE

import mrbone_nb as mb
from mrbone_nb.outputs import save_image
from mrbone_nb.strokes import Stroke, Strokes


@pytest.fixture
def segmented(ok, files):
    """The scene, segmented by the quick recipe into out.nii.gz."""
    return ok("segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz")[0]


def test_verify_finds_all_as_recorded(segmented, ok, mrbone, files):
    data, _ = ok("verify", "out_record.json", "--scan", files["scan"])
    checked = {check["what"] for check in data["checks"]}
    assert (
        data["same"] is True and {"scan voxels", "scan files", "recipe", "seeds", "labels", "file out.json"} <= checked
    )
    assert "all as recorded" in mrbone("verify", "out_record.json")[1]


def test_verify_names_what_differs(segmented, mrbone, files):
    Path("out.json").write_text("{}")
    Path("out_seeds.nii.gz").unlink()
    scan = mb.read(files["scan"])
    save_image(scan.with_array(scan.array + np.float32(1)), "other.nii.gz")
    record = json.loads(Path("out_record.json").read_text())
    record["recipe"]["calls"][1]["params"]["sigma"] = 1.0
    Path("out_record.json").write_text(json.dumps(record))
    code, out, _ = mrbone("verify", "out_record.json", "--scan", "other.nii.gz", "--json")
    state = {check["what"]: check["state"] for check in json.loads(out)["checks"]}
    assert code == 1 and json.loads(out)["same"] is False
    assert {what for what, found in state.items() if found == "differs"} == {
        *("scan voxels", "scan files", "recipe", "file out.json")
    }
    assert {what for what, found in state.items() if found == "missing"} == {"seeds", "file out_seeds.nii.gz"}
    assert state["labels"] == state["file out.nii.gz"] == "same"


def test_verify_refuses_what_is_no_record(bad, files):
    assert "not a record" in bad("verify", files["quick"])
    assert "no such record" in bad("verify", "none_record.json")


def test_check_private_names_what_it_finds(segmented, ok, mrbone, bad, tmp_path):
    (tmp_path / "clean").mkdir()
    Path("out.nii.gz").rename("clean/out.nii.gz")
    Path("out_record.json").rename("clean/out_record.json")
    assert ok("check-private", "clean")[0] == {"findings": []}
    assert "nothing found" in mrbone("check-private", "clean")[1]
    (tmp_path / "clean" / "notes.txt").write_text("PatientName: Doe^Jane, see /home/jane/scans/knee.dcm\n")
    code, out, _ = mrbone("check-private", "clean", "--scan", KNEE / "dicom", "--json")
    kinds = {finding["kind"] for finding in json.loads(out)["findings"]}
    assert code == 1 and kinds == {"patient tag", "path"}
    assert "no such file" in bad("check-private", "none")


def test_painted_strokes_and_changes_by_hand_are_replayed(ok, mrbone, files):
    scan = mb.read(files["scan"])
    seeds, table = mb.read_labels(files["seeds"], like=scan)
    strokes = [Stroke.of(int(n), np.flatnonzero(seeds.array == n)) for n in np.unique(seeds.array) if n]
    Strokes(scan, strokes, table).save("strokes.json")
    ok("segment", files["scan"], "--seeds", "strokes.json", "--recipe", files["quick"], "-o", "a.nii.gz")
    ok("segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "b.nii.gz")
    assert (mb.read_labels("a.nii.gz")[0].array == mb.read_labels("b.nii.gz")[0].array).all()
    result = mb.Recipe.load(files["quick"]).run(scan, seeds=seeds)
    bone = np.flatnonzero(result.labels.array == 1)[:7]
    mended = result.mended(Strokes(scan, [Stroke.of(0, bone)]))
    record = mb.save(mended, "out", table=table, formats=())["record"]
    assert ok("replay", record, files["scan"])[0]["same"] is True
    assert ok("verify", record, "--scan", files["scan"])[0]["same"] is True
    edits = next(record.parent.glob("*_edits.json"))
    edits.write_text(edits.read_text().replace('"label": 0', '"label": 2'))
    code, _, err = mrbone("replay", record, files["scan"])
    assert code == 2 and "needs its edits" in err
    assert mrbone("verify", record)[0] == 1
