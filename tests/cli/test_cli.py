"""The command line: one line with exit code 2 for whatever is given wrong; steps, presets, apply."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_scene import KNEE, ROOT
from scenes import SPACING

import mrbone_nb as mb
from mrbone_nb.cli import parser, scans
from mrbone_nb.export import read_labels, write_labels
from mrbone_nb.step import STEPS

VERBS = tuple(parser()._subparsers._group_actions[0].choices)


FAULTS = [
    ("", ["arguments are required: VERB"]),
    ("dance", ["dance", "segment"]),
    ("--bogus", ["VERB"]),
    ("steps --bogus", ["--bogus"]),
    ("steps --mark", ["--mark"]),  # no abbreviations
    ("segment {scan}", ["-o"]),
    ("segment {scan} -o out.nii.gz --echo one", ["--echo", "one"]),
    ("segment {scan} -o out.nii.gz --recipe {quick} --echo 3", ["--echo 3: this scan has no", "leave out --echo"]),
    ("steps gausian", ["gausian", "gaussian"]),
    ("steps gaussian --markdown", ["--markdown"]),
    ("inventory none", ["none", "no such file"]),
    ("inventory empty", ["empty", "no DICOM"]),
    ("segment none -o out.nii.gz --recipe {bright}", ["none", "no such"]),
    ("segment {scan} --seeds none -o out.nii.gz --recipe {quick}", ["--seeds none", "no such"]),
    ("segment {scan} --start none -o out.nii.gz --recipe {quick}", ["--start none", "no such"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe nothing", ["nothing", "bright-marrow"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz", ["bright-marrow or dark-marrow as the recipe"]),
    ("run auto {scan} --seeds {seeds} -o out", ["bright-marrow or dark-marrow as the recipe"]),
    ("segment {scan} --seeds {moved} -o out.nii.gz --recipe {quick}", ["moved", "scan", "grid"]),
    ("segment {scan} -o out.nii.gz --recipe {quick}", ["watershed needs seeds", "--seeds"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {bright}", ["bright", "--seeds"]),
    ("segment {scan} --start {labels} -o out.nii.gz --recipe {bright}", ["bright", "--start"]),
    ("segment {scan} --seeds {seeds} -o out.png --recipe {quick}", ["out.png", ".nii.gz"]),
    ("segment {scan} --seeds {seeds} -o no/out.nii.gz --recipe {quick}", ["no/out.nii.gz", "folder does not exist"]),
    ("segment {scan} --seeds {seeds} -o taken.nii.gz --recipe {quick}", ["taken.nii.gz", "--overwrite"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --names femur", ["--names", "femur", "1=femur"]),
    (
        "segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --names hip=femur",
        ["--names", "hip", "1 left femur"],
    ),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --crop 1:2", ["--crop '1:2'", "z0:z1"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --crop 5:99,:,:", ["5:99", "12 × 40 × 36"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --crop 5:5,:,:", ["5:5"]),
    ("segment {scan} -o out.nii.gz --recipe {bright} --crop auto", ["--crop auto", "strokes"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --crop auto --margin nan", ["--margin nan"]),
    ("segment {scan} --start {labels} -o out.nii.gz --recipe {quick} --start-margin -1", ["--start-margin -1"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --margin 9", ["--margin: goes with --crop auto"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --crop :,:,: --margin 9", ["--margin: goes with"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --start-margin 9", ["--start-margin: there is no"]),
    ("segment {scan} -o out.nii.gz --model m.npz --start-margin 9", ["--start-margin: does not go with --model"]),
    ("run {quick} {scan} --seeds {seeds} -o out --margin 9", ["--margin: goes with --crop auto"]),
    ("segment {scan} --start {segments} -o out.nii.gz --recipe {clean} --start-margin 2", ["--start-margin: recipe"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --echo 3", ["--echo 3"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --series 9", ["--series 9"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --series 1.2.3", ["--series '1.2.3'"]),
    ("segment {scan} --seeds {seeds} -o out.nii.gz --recipe {quick} --accept all", ["--accept 'all'", "gap"]),
    ("segment {knee} --seeds {seeds} -o out.nii.gz", ["2 volumes", "--echo NUMBER", "TE 31.56"]),
    ("run {quick} {scan} --seeds {seeds} -o taken.nii.gz", ["taken.nii.gz", "not a folder"]),
    ("run {quick} {scan} --seeds {seeds} -o out --formats fbx", ["fbx", "stl"]),
    ("replay none_record.json {scan}", ["none_record.json", "no such record"]),
    ("replay {quick} {scan}", ["quick.json", "not a record"]),
    ("apply gausian {scan} out.nii.gz", ["gausian", "gaussian"]),
    ("apply gaussian {scan} out.nii.gz --param sgima=1", ["sgima", "sigma"]),
    ("apply gaussian {scan} out.nii.gz --param sigma", ["'sigma'", "NAME=VALUE"]),
    ("apply gaussian {scan} out.nii.gz --param sigma=9", ["sigma=9", "mm", "0 to 5"]),
    ("apply gaussian {scan} out.nii.gz --param sigma=wide", ["sigma='wide'", "0 to 5"]),
    ("apply gaussian {scan} out.nii.gz --param sigma=nan", ["sigma=nan"]),
    ("apply gaussian {scan} out.nii.gz --seeds {seeds}", ["--seeds", "no use"]),
    ("apply gaussian {scan} out.seg.nrrd", ["out.seg.nrrd", ".nii.gz"]),
    ("apply gaussian {scan} no/out.nii.gz", ["folder does not exist"]),
    ("apply gaussian {scan} taken.nii.gz", ["taken.nii.gz", "--overwrite"]),
    ("apply watershed {scan} out.nii.gz", ["--seeds", "watershed needs it"]),
    ("apply cortical_shell {scan} out.nii.gz", ["--mask", "cortical_shell needs it"]),
    ("apply watershed {scan} out.nii.gz --seeds {moved}", ["moved", "grid"]),
    ("apply islands {labels} out.nii.gz --mask {labels}", ["--mask", "no use"]),
    ("apply islands {scan} out.nii.gz", ["scan.nii.gz", "whole numbers"]),
    ("mesh none -o out.stl", ["none", "no such file"]),
    ("mesh {labels} -o out.stl", ["out.stl", "one label", "1 left femur, 2 tibia"]),
    ("mesh {labels} -o out.fbx", ["out.fbx", "stl"]),
    ("mesh {blank} -o out.stl", ["blank", "no voxel has a label"]),
    ("mesh {blank} -o out", ["blank", "no voxel has a label"]),
    ("mesh {labels} -o out --formats fbx", ["--formats", "fbx"]),
    ("mesh {labels} -o out --label patella", ["--label", "patella", "2 tibia"]),
    ("mesh {labels} -o out --label 7", ["--label 7", "1, 2"]),
    ("mesh {labels} -o out --reduction 2", ["reduction=2", "0 to 0.99"]),
    ("mesh {labels} -o out --smoothing soft", ["smoothing='soft'"]),
    ("mesh {labels} -o no/out.stl --label 1", ["folder does not exist"]),
    ("mesh broken.nii.gz -o out", ["broken.nii.gz"]),
    ("compare {labels} none", ["none", "no such file"]),
    ("compare {labels} {moved}", ["labels", "moved", "different grids"]),
    ("compare {labels} {labels} --map 1", ["--map", "1:5"]),
    ("compare {labels} {labels} --map 8:9", ["8:9"]),
    ("compare {labels} {scan}", ["scan.nii.gz", "whole numbers"]),
    ("labels {labels} -o out.png", ["out.png", ".seg.nrrd"]),
    ("labels {labels} -o taken.nii.gz", ["taken.nii.gz", "--overwrite"]),
    ("labels {labels} -o out.nii.gz --merge 1,2", ["--merge", "1,2:3"]),
    ("labels {labels} -o out.nii.gz --merge 1,7:3", ["7", "1, 2"]),
    ("labels {labels} -o out.nii.gz --merge 1:300", ["300", "254"]),
    ("labels {labels} -o out.nii.gz --merge hip:1", ["hip", "2 tibia"]),
    ("labels {labels} -o out.nii.gz --split 5", ["5", "1, 2"]),
    ("labels {labels} -o out.nii.gz --split 1:halves", ["halves", "sides"]),
    ("labels {labels} -o out.nii.gz --split 1:sides", ["two sides"]),
    ("labels {labels} -o out.nii.gz --everything-else 5", ["--everything-else 5", "1, 2"]),
    ("labels {labels} -o out.nii.gz --everything-else hip", ["--everything-else", "hip", "2 tibia"]),
    ("labels {labels} -o out.seg.nrrd --everything-else 2", ["255", "finished labels"]),
    ("labels {labels} -o out.nii.gz --rename 1", ["--rename", "1=femur"]),
    ("labels {labels} -o out.nii.gz --side 1=up", ["'up'", "left"]),
    ("labels {labels} -o out.nii.gz --side 0=left", ["label 0"]),
    ("labels {labels} -o out.dcm", ["scan"]),
]


@pytest.mark.parametrize(("line", "words"), FAULTS, ids=[line for line, _ in FAULTS])
def test_bad_input_is_one_line_and_code_2(line, words, bad, files, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken.nii.gz").write_bytes(b"mine")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image at all")
    before = sorted(tmp_path.iterdir())
    message = bad(*line.format(knee=KNEE / "dicom", **files).split())
    for word in words:
        assert word in message
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "taken.nii.gz").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("step", '{"schema": 1, "calls": [{"step": "gausian"}]}', ["mine.json", "gausian", "did you mean 'gaussian'"]),
        (
            "parameter",
            '{"schema": 1, "calls": [{"step": "gaussian", "params": {"x": 1}}]}',
            ["gaussian", "'x'", "sigma"],
        ),
        (
            "range",
            '{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": 9}}]}',
            ["gaussian", "sigma=9 mm: expected 0 to 5"],
        ),
        ("depth", "[" * 100_000, ["mine.json", "50 levels"]),
        ("no JSON", "calls: []", ["mine.json", "JSON"]),
        ("lines", '{"schema": "a\\nb\\u001b[31m"}', ["schema"]),
    ],
)
def test_a_bad_recipe_is_named_before_the_scan_is_read(name, text, words, bad, files, tmp_path):
    (tmp_path / "mine.json").write_text(text)
    for line in (
        ["run", "mine.json", "no-scan", "-o", "out"],
        ["segment", "no-scan", "--recipe", "mine.json", "-o", "out.nii"],
    ):
        message = bad(*line)
        for word in words:
            assert word in message
        assert "\x1b" not in message


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(13, "Permission denied", "/scans/knee"), 2, "/scans/knee: Permission denied"),
        (FileNotFoundError(2, "No such file or directory", "knee"), 2, "knee: No such file"),
        (OSError("disk\nfailed"), 2, "disk failed"),
        (MemoryError(), 2, "memory does not suffice"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (mb.InputError("two\nlines \x1b[31m"), 2, "two lines ?[31m"),
        (ZeroDivisionError("oh"), 3, "a fault of the program, please report it: ZeroDivisionError: oh"),
    ],
)
def test_every_error_is_one_line_unless_debug_is_asked_for(error, code, words, mrbone, monkeypatch):
    def fail(args):
        raise error

    monkeypatch.setattr(scans, "inventory", fail)
    got, out, err = mrbone("inventory", "x")
    assert (got, out, err.count("\n")) == (code, "", 1) and err.startswith("mrbone inventory: ") and words in err
    got, out, err = mrbone("inventory", "x", "--debug")
    assert got == code and "Traceback" in err and words in err.splitlines()[-1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(bad, files, tmp_path):
    secret = tmp_path / "secret.nii.gz"
    secret.write_bytes(files["labels"].read_bytes())
    secret.chmod(0)
    assert "secret.nii.gz" in bad("mesh", secret, "-o", "out")


def test_help_and_version_are_no_errors(mrbone):
    for words in (["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)):
        code, out, err = mrbone(*words)
        assert (code, err) == (0, "") and out
    assert mb.__version__ in mrbone("--version")[1]


def test_as_a_process(files, tmp_path):
    def run(*words):
        return subprocess.run([sys.executable, "-m", "mrbone_nb", *words], capture_output=True, text=True, cwd=ROOT)

    done = run("steps", "--json")
    assert done.returncode == 0 and done.stderr == "" and len(json.loads(done.stdout)) == len(STEPS)
    done = run("inventory", str(tmp_path / "none"))
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    pipe = subprocess.Popen(
        [sys.executable, "-m", "mrbone_nb", "steps", "--markdown"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    pipe.stdout.close()  # as `| head -0` does
    assert pipe.stderr.read() == b"" and pipe.wait() == 0
    pipe.stderr.close()


def test_steps_and_presets(ok, mrbone):
    listed, _ = ok("steps")
    assert {entry["step"] for entry in listed} == set(STEPS)
    one, _ = ok("steps", "gaussian")
    assert one["params"][0] == {
        "name": "sigma",
        "type": "float",
        "unit": "mm",
        "range": [0, 5],
        "choices": [],
        "default": STEPS["gaussian"].params["sigma"].default,
        "meaning": STEPS["gaussian"].params["sigma"].doc,
    }
    text = mrbone("steps", "gaussian")[1]
    assert "sigma = " in text and "0 to 5 mm" in text and "mb.gaussian(image, spacing=volume.spacing" in text
    assert all(name in mrbone("steps")[1] for name in STEPS)
    assert [entry["name"] for entry in ok("presets")[0]] == mb.preset_names()


def test_apply_a_filter(ok, files):
    data, _ = ok("apply", "gaussian", files["scan"], "out.nrrd", "--param", "sigma=1.5")
    assert data["params"] == {"sigma": 1.5} and data["files"] == {"image": "out.nrrd"}
    scan, out = mb.read(files["scan"]), mb.read("out.nrrd")
    assert out.same_grid(scan) and np.array_equal(out.array, mb.gaussian(scan.array, spacing=scan.spacing, sigma=1.5))


def test_apply_takes_choices_and_switches_as_text(ok, files):
    ok("apply", "otsu", files["scan"], "out.nii.gz", "--param", "polarity=dark")
    scan = mb.read(files["scan"])
    assert np.array_equal(read_labels("out.nii.gz")[0].array > 0, mb.otsu(scan.array, polarity="dark"))
    ok("apply", "normalize", files["scan"], "n.nii.gz", "--param", "clip=true", "--param", "upper=90")
    assert mb.read("n.nii.gz").array.max() == 1


def test_apply_with_strokes_and_with_a_mask(ok, files):
    scan = mb.read(files["scan"])
    data, _ = ok("apply", "watershed", files["scan"], "w.seg.nrrd", "--seeds", files["seeds"])
    labels, table = read_labels("w.seg.nrrd", like=scan)
    seeds = read_labels(files["seeds"], like=scan)[0]
    assert np.array_equal(labels.array, mb.watershed(scan.array, seeds.array, spacing=SPACING))
    assert data["present"] == [1, 2] and table[1].title == "left femur"
    ok("apply", "normalize", files["scan"], "n.nii.gz")
    ok("apply", "cortical_shell", "n.nii.gz", "c.nii.gz", "--mask", files["labels"])
    before, after = (read_labels(path, like=scan)[0].array for path in (files["labels"], "c.nii.gz"))
    assert (after[before > 0] == before[before > 0]).all() and (after > 0).sum() > (before > 0).sum()


def test_apply_takes_a_part_of_the_grid_and_looks_at_the_output_first(ok, bad, files, scene, monkeypatch):
    scan = mb.read(files["scan"])
    box = (slice(1, 12), slice(2, 39), slice(1, 35))
    write_labels(scan.with_array(scene.arrays["labels"]).crop(box), "part.seg.nrrd")
    line = ["apply", "cortical_shell", files["scan"], "out.nii.gz", "--mask", "part.seg.nrrd"]
    ok(*line)
    assert read_labels("out.nii.gz")[0].same_grid(scan)
    monkeypatch.setattr(STEPS["cortical_shell"], "function", lambda *a, **k: pytest.fail("the step ran"))
    assert "--overwrite" in bad(*line)


def test_apply_a_mask_step_to_every_label(ok, files, scene):
    ok("apply", "opening", files["labels"], "out.nii.gz", "--param", "radius=2.5")
    out, table = read_labels("out.nii.gz")
    for number in (1, 2):
        alone = mb.opening(scene.arrays["labels"] == number, spacing=out.spacing, radius=2.5)
        assert np.array_equal(out.array == number, alone)
    assert table[2].title == "tibia"


def test_every_verb_is_tried():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_cli*.py"))
    for verb in VERBS:
        assert f'"{verb}"' in tests, verb
