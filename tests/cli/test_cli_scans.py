"""The verbs on scans: inventory, segment, run, replay."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_scene import BRIGHT, KNEE, QUICK
from scenes import SPACING

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.cli.inputs import cut_bones, seeds_from_labels
from mrbone_nb.export import read_labels, write_labels
from mrbone_nb.step import STEPS


def test_inventory_of_the_knee(ok, mrbone):
    data, _ = ok("inventory", KNEE / "dicom")
    assert [(row["echo"], row["marrow"]) for row in data["rows"]] == [(1, "bright"), (5, "bright")]
    assert "31.56" in mrbone("inventory", KNEE / "dicom")[1]


def test_segment_the_knee_and_replay(ok, mrbone, tmp_path, files):
    given = ["segment", KNEE / "dicom", "--echo", 1, "--seeds", KNEE / "seeds.nii.gz", "--recipe", files["quick"]]
    data, said = ok(*given, "-o", "knee.nii.gz")
    assert [row["name"] for row in data["labels"]] == ["femur", "tibia", "patella", "fibula"] and said == ""
    assert {p.name for p in tmp_path.iterdir()} == {Path(p).name for p in data["files"].values()}
    scan = mb.read(KNEE / "dicom", echo=1)
    labels, table = read_labels("knee.nii.gz")
    assert labels.same_grid(scan) and table[3].title == "right patella"
    femur = np.count_nonzero(labels.array == 1) * np.prod(labels.spacing)
    assert data["labels"][0]["volume_mm3"] == pytest.approx(femur, rel=1e-5)

    same, _ = ok("replay", "knee_record.json", KNEE / "dicom")  # the record knows series and echo
    assert (same["same"], same["differ"]) == (True, 0)
    code, out, err = mrbone("replay", "knee_record.json", KNEE / "dicom", "--echo", 5)
    assert code == 2 and "scan sag-se-s8-echo5: not the recorded one" in err


def test_auto_names_the_preset_and_why(ok, monkeypatch, tmp_path):
    quick = mb.Recipe.from_dict({**QUICK, "name": "bright-marrow"})
    monkeypatch.setattr("mrbone_nb.cli.inputs.Recipe.load", lambda name: quick if name == "bright-marrow" else None)
    _, said = ok("segment", KNEE / "dicom", "--series", 1, "--seeds", KNEE / "seeds.nii.gz", "-o", "knee.nii.gz")
    assert said.startswith("recipe bright-marrow: marrow is likely bright: ") and said.count("\n") == 1


def test_a_doubt_blocks_before_the_work_until_it_is_accepted(ok, bad, files, tmp_path, monkeypatch):
    (tmp_path / "gap").mkdir()
    for path in sorted((KNEE / "dicom").glob("echo1_*.dcm")):
        if "_13" not in path.name:
            (tmp_path / "gap" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "r.json").write_text(json.dumps({**BRIGHT, "measures": ["volume"]}))
    given = ["segment", "gap", "--recipe", "r.json", "-o", "out.nii.gz"]
    with monkeypatch.context() as patch:
        patch.setattr(STEPS["normalize"], "function", lambda *a, **k: pytest.fail("a step ran"))
        assert "--accept gap" in bad(*given)
    data, said = ok(*given, "--accept", "gap")
    assert said.startswith("warning: ") and "gap" in said
    record = json.loads(Path("out_record.json").read_text())
    assert data["accepted"] == record["accepted"] == ["gap"] and len(record["issues"]) >= 1
    assert ok("replay", "out_record.json", "gap", "--accept", "gap")[0]["same"] is True


def test_slices_that_make_no_stack_are_refused(bad, files, monkeypatch):
    monkeypatch.setattr("mrbone_nb.intake.read", lambda *a, **k: object())
    assert "make no stack" in bad("segment", "radial", "--recipe", files["bright"], "-o", "out.nii.gz")


@pytest.fixture
def segmented(ok, files):
    """The scene, segmented by the quick recipe into out.nii.gz."""
    return ok("segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz")[0]


def test_segment_equals_python(segmented, files):
    scan = mb.read(files["scan"])
    seeds = read_labels(files["seeds"], like=scan)[0]
    result = mb.Recipe.load(files["quick"]).run(scan, seeds=seeds)
    assert np.array_equal(read_labels("out.nii.gz", like=scan)[0].array, result.labels.array)
    assert segmented["recipe"] == "quick" and segmented["scan"] == "scan"


def test_names_on_the_command_line_win(ok, files):
    ok(
        "segment",
        files["scan"],
        "--seeds",
        files["seeds"],
        "--recipe",
        files["quick"],
        "-o",
        "out.nii.gz",
        "--names",
        "1=right humerus",
    )
    table = read_labels("out.nii.gz")[1]
    assert (table[1].title, table[2].title, table[1].color) == ("right humerus", "tibia", "#ff0000")


def test_overwrite_replaces(segmented, ok, files):
    given = ["segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz"]
    Path("out.json").write_text("{}")
    ok(*given, "--overwrite")
    assert read_labels("out.nii.gz")[1][1].title == "left femur"


def test_run_makes_everything(ok, files, tmp_path):
    data, _ = ok("run", files["quick"], files["scan"], "--seeds", files["seeds"], "-o", "out", "--formats", "stl,.PLY")
    names = {Path(p).name for p in data["files"].values()}
    assert names == {p.name for p in (tmp_path / "out").iterdir()}
    assert {"scan_desc-bone_dseg.nii.gz", "scan_desc-bone_slices.png", "scan_desc-bone_label-tibia_mesh.ply"} <= names
    assert ok("replay", data["files"]["record"], files["scan"])[0]["same"] is True


def test_run_without_strokes(ok, files):
    data, _ = ok("run", files["bright"], files["scan"], "-o", "out")
    assert [row["label"] for row in data["labels"]] == [1] and "seeds" not in data["files"]
    assert ok("replay", data["files"]["record"], files["scan"])[0]["same"] is True


def test_run_tells_what_it_made_for_people_too(mrbone, files):
    code, out, err = mrbone("run", files["quick"], files["scan"], "--seeds", files["seeds"], "-o", "out")
    assert code == 0 and err == ""
    assert "left femur" in out and "mm³" in out and "record: out" in out


def test_a_model_that_fails_is_told_and_the_code_is_1(mrbone, files, monkeypatch):
    def fails(labels, number, **words):
        raise mb.InputError("too thin")

    monkeypatch.setattr("mrbone_nb.outputs.extract_surface", fails)
    code, out, err = mrbone("run", files["quick"], files["scan"], "--seeds", files["seeds"], "-o", "out", "--json")
    assert code == 1 and "no model of left femur: too thin" in err
    assert json.loads(out)["failed"] == {"left femur": "too thin", "tibia": "too thin"}
    assert Path("out/scan_desc-bone_dseg.nii.gz").exists()


def test_crop_by_hand(ok, files, scene):
    data, _ = ok(
        "segment",
        files["scan"],
        "--seeds",
        files["seeds"],
        "--recipe",
        files["quick"],
        "-o",
        "out.nii.gz",
        "--crop",
        ":,5:38, 4:",
    )
    assert data["crop"] == [[0, 12], [5, 38], [4, 36]]
    labels = read_labels("out.nii.gz")[0].array
    assert labels.shape == (12, 40, 36) and not labels[:, :5].any() and not labels[..., :4].any()
    assert ok("replay", "out_record.json", files["scan"])[0]["same"] is True


@pytest.mark.filterwarnings("default:no stroke marks everything else")
def test_crop_auto_goes_round_the_strokes(ok, files, scene):
    given = ["segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "--crop", "auto"]
    data, said = ok(*given, "-o", "a.nii.gz", "--margin", 4)
    marked = (scene.arrays["seeds"] > 0) & (scene.arrays["seeds"] < 255)
    for (start, stop), axis, step in zip(data["crop"], range(3), SPACING, strict=True):
        used = np.flatnonzero(marked.any(axis=tuple(a for a in range(3) if a != axis)))
        assert start <= max(0, used[0] - 4 / step) and stop >= min(marked.shape[axis], used[-1] + 1 + 4 / step)
        assert stop - start < marked.shape[axis] or step == SPACING[0]
    assert "cropped to" in said and "4 mm" in said
    assert "warning: no stroke marks everything else (255)" in said  # they lie outside so narrow a box
    assert ok(*given, "-o", "b.nii.gz", "--margin", 500)[0]["crop"] == [[0, n] for n in marked.shape]


def test_a_crop_that_cuts_a_bone_is_told_and_recorded(ok, files):
    given = ["segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz"]
    data, said = ok(*given, "--crop", "5:7,:,:")
    assert "warning: the crop may have cut left femur" in said and "cut left femur" in data["notes"][0]
    assert json.loads(Path("out_record.json").read_text())["notes"] == data["notes"]
    assert "cut" not in ok(*given, "--crop", ":,:,1:", "--overwrite")[1]


def test_memory_is_said_before_the_work(mrbone, files, monkeypatch):
    monkeypatch.setattr("mrbone_nb.memory.SAY_ABOVE", 1000)
    monkeypatch.setattr(STEPS["normalize"], "function", lambda *a, **k: 1 / 0)
    given = ["segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz"]
    code, _, err = mrbone(*given)
    assert code == 3 and err.startswith("note: quick needs about 0.0 GB of memory\n")
    monkeypatch.setattr("mrbone_nb.memory.available", lambda: 1000)
    for line in (given, ["apply", "gaussian", files["scan"], "out.nii.gz"]):
        code, _, err = mrbone(*line)
        assert code == 2 and "crop the scan (--crop)" in err


def test_a_bone_that_vanished_is_told(ok, files, tmp_path):
    (tmp_path / "r.json").write_text(
        json.dumps({**QUICK, "calls": [*QUICK["calls"], {"step": "islands", "params": {"minimum": 800}}]})
    )
    data, said = ok("segment", files["scan"], "--seeds", files["seeds"], "--recipe", "r.json", "-o", "out.nii.gz")
    assert [row["label"] for row in data["labels"]] == [1] and "warning: no voxel is left of tibia" in said


def test_start_gives_its_labels_to_a_recipe_of_clean_up(ok, files, scene):
    data, _ = ok("segment", files["scan"], "--start", files["segments"], "--recipe", files["clean"], "-o", "out.nii.gz")
    scan = mb.read(files["scan"])
    expected = mb.Recipe.load(files["clean"]).run(scan, labels=scene.arrays["labels"])
    labels, table = read_labels("out.nii.gz")
    assert np.array_equal(labels.array, expected.labels.array) and table[1].title == "left femur"
    assert Path(data["files"]["start"]).name == "out_start.nii.gz"
    assert ok("replay", "out_record.json", files["scan"])[0]["same"] is True


def test_start_gives_strokes_to_a_recipe_that_needs_them(ok, files, scene):
    data, said = ok("segment", files["scan"], "--start", files["plain"], "--recipe", files["quick"], "-o", "out.nii.gz")
    assert "strokes made from plain: 3 mm" in said and "start" not in data["files"]
    truth = scene.arrays["labels"]
    seeds = read_labels("out_seeds.nii.gz")[0].array
    bone = (seeds > 0) & (seeds < 255)
    assert set(np.unique(seeds)) == {0, 1, 2, 255} and (seeds[bone] == truth[bone]).all()
    assert not truth[seeds == 255].any() and bone.sum() < (truth > 0).sum()
    labels = read_labels("out.nii.gz")[0].array
    assert (labels[truth == 1] == 1).mean() > 0.9
    assert ok("replay", "out_record.json", files["scan"])[0]["same"] is True


def test_strokes_of_a_map_keep_their_distance_in_mm():
    array = np.zeros((9, 21, 21), np.uint8)
    array[2:7, 4:17, 4:17] = 1
    array[4, 10, 20], array[0, 0, 0] = 2, 255  # as thin as can be; and a stroke of everything else
    seeds = seeds_from_labels(mb.Volume(array, (2.0, 1.0, 1.5)), margin=3.0).array
    assert (seeds[3, 10, 10], seeds[2, 10, 10]) == (1, 0)  # 4 and 2 mm inside, across the planes
    assert (seeds[4, 6, 10], seeds[4, 5, 10]) == (1, 0)  # 3 and 2 mm, across the rows
    assert (seeds[4, 10, 5], seeds[4, 10, 4]) == (1, 0)  # 3 and 1.5 mm, across the columns
    assert (seeds[0, 10, 10], seeds[1, 10, 10]) == (255, 0)  # 4 and 2 mm outside
    assert (seeds[4, 0, 10], seeds[4, 1, 10]) == (255, 0)  # 4 and 3 mm
    assert seeds[4, 10, 20] == 2 and seeds[0, 0, 0] == 255
    with pytest.raises(mb.InputError, match="the map is empty"):
        seeds_from_labels(mb.Volume(array * 0))


def test_a_bone_at_the_border_of_the_scan_was_not_cut():
    array = np.zeros((4, 6, 8), np.uint8)
    array[0, 2, 3], array[2, 4, 5] = 1, 2
    labels, table = mb.Volume(array), LabelTable({1: Label("femur", "left")})
    assert cut_bones(labels, None, table) == cut_bones(labels, ((0, 4), (0, 6), (0, 8)), table) == []
    assert cut_bones(labels, ((0, 3), (0, 6), (0, 8)), table) == ["label 2"]
    assert cut_bones(labels, ((0, 4), (2, 6), (0, 6)), table) == ["left femur", "label 2"]


def test_names_of_the_strokes_win_over_those_of_the_start(ok, files, scene):
    other = LabelTable({1: Label("humerus"), 2: Label("ulna"), 3: Label("radius")})
    write_labels(mb.read(files["scan"]).with_array(scene.arrays["labels"]), "start.nii.gz", other)
    given = ["--start", "start.nii.gz", "--seeds", files["seeds"], "--recipe", files["quick"]]
    data, _ = ok("segment", files["scan"], *given, "-o", "out.nii.gz")
    assert [row["name"] for row in data["labels"]] == ["femur", "tibia"]


def test_strokes_win_over_those_of_the_start(ok, files, scene):
    strokes = scene.arrays["seeds"].copy()
    strokes[strokes == 2] = 255  # the second bone is none
    scan = mb.read(files["scan"])
    write_labels(scan.with_array(strokes), "mine.nii.gz")
    ok(
        "segment",
        files["scan"],
        "--start",
        files["labels"],
        "--seeds",
        "mine.nii.gz",
        "--recipe",
        files["quick"],
        "-o",
        "out.nii.gz",
    )
    seeds = read_labels("out_seeds.nii.gz")[0].array
    assert (seeds[strokes > 0] == strokes[strokes > 0]).all() and (seeds[strokes == 0] > 0).any()


def test_replay_counts_the_voxels_that_differ(segmented, mrbone, files):
    record = json.loads(Path("out_record.json").read_text())
    record["recipe"]["calls"][1]["params"]["sigma"] = 3.0
    record["versions"]["numpy"] = "1.0"
    Path("out_record.json").write_text(json.dumps(record))
    code, out, err = mrbone("replay", "out_record.json", files["scan"], "-o", "again.nii.gz", "--json")
    data = json.loads(out)
    differ = np.count_nonzero(read_labels("out.nii.gz")[0].array != read_labels("again.nii.gz")[0].array)
    assert code == 1 and data["same"] is False and data["differ"] == differ > 0
    assert f"note: numpy was 1.0, is {np.__version__}" in err and len(data["changed"]) == 1
    assert read_labels("again.nii.gz")[1][1].title == "left femur"
    assert f"{differ} of {12 * 40 * 36} voxels differ" in mrbone("replay", "out_record.json", files["scan"])[1]
    for change in (lambda: Path("out.nii.gz").write_bytes(b"other"), lambda: Path("out.nii.gz").unlink()):
        change()
        code, out, _ = mrbone("replay", "out_record.json", files["scan"])
        assert code == 1 and "so no count" in out


def test_replay_names_strokes_that_changed_or_are_gone(segmented, bad, ok, files, scene):
    strokes = scene.arrays["seeds"].copy()
    strokes[0, 0, 0] = 1
    write_labels(mb.read(files["scan"]).with_array(strokes), "out_seeds.nii.gz", overwrite=True)
    assert "seeds out_seeds: not the recorded one" in bad("replay", "out_record.json", files["scan"])
    Path("out_seeds.nii.gz").unlink()
    assert "out_seeds.nii.gz: no such file" in bad("replay", "out_record.json", files["scan"])
    assert ok("replay", "out_record.json", files["scan"], "--seeds", files["seeds"])[0]["same"] is True
    assert "made without" in bad(
        "replay", "out_record.json", files["scan"], "--seeds", files["seeds"], "--start", files["labels"]
    )


def test_replay_does_not_follow_a_record_out_of_its_folder(segmented, bad, mrbone, files):
    record = json.loads(Path("out_record.json").read_text())
    record["inputs"]["seeds"]["name"] = "../elsewhere/seeds.nii.gz"
    Path("x_record.json").write_text(json.dumps(record))
    assert "without folders" in bad("replay", "x_record.json", files["scan"])
    record["inputs"]["seeds"]["name"] = "out_seeds.nii.gz"
    record["outputs"]["labels"] = {**record["outputs"]["labels"], "name": "/etc/passwd"}
    Path("x_record.json").write_text(json.dumps(record))
    assert "without folders" in bad("replay", "x_record.json", files["scan"])


def test_replay_refuses_a_taken_output_before_the_work(segmented, bad, files, monkeypatch):
    monkeypatch.setattr(STEPS["normalize"], "function", lambda *a, **k: pytest.fail("a step ran"))
    assert "--overwrite" in bad("replay", "out_record.json", files["scan"], "-o", "out.nii.gz")
