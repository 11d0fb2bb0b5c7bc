"""The table of a cohort and the look at it before anything runs; one scan in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cohort_scene import SPACING, cohort, job_of, labels_in, write_table

import mrbone_nb as mb
from mrbone_nb.cohort import work as module
from mrbone_nb.cohort.look import look, need_of
from mrbone_nb.cohort.table import read_cohort
from mrbone_nb.cohort.work import work
from mrbone_nb.errors import InputError
from mrbone_nb.outputs import save_image
from mrbone_nb.phantom import write_dicom

pytest.importorskip("distributed", reason="needs the extra `cohort`")
SETTINGS = {"accept": [], "formats": [], "picture": False}


# --- the table ---------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_a_table_is_said_at_once(tmp_path):
    _, recipe, rows = cohort(tmp_path, 7)
    rows[1]["scan"] = "none.nii.gz"
    rows[2]["id"] = "../up"
    rows[3]["seeds"] = ""
    rows[4]["watershed.sigma"] = "99"
    rows[5]["echo"], rows[5]["truth"] = "first", "none"
    rows[6]["gaussian.sigma"] = "1"
    found = read_cohort(write_table(tmp_path, rows), recipe)
    assert [row.id for row in found.rows] == ["p000"]
    assert "no such file" in found.wrong["p001"] and "names a folder" in found.wrong["../up"]
    assert "needs strokes" in found.wrong["p003"] and "expected 0 to" in found.wrong["p004"]
    assert "echo" in found.wrong["p005"] and "truth none: no such file" in found.wrong["p005"], "both"
    assert "has no step 'gaussian'" in found.wrong["p006"]
    assert str(found.faults[0]).startswith("line 3, p001: scan none.nii.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("id,scan\n", "no scans"),
        ("id,file\na,b\n", "expected id and scan at least"),
        ("\xff", "UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(text, message, tmp_path):
    cohort(tmp_path, 1)
    (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_cohort(tmp_path / "t.csv", tmp_path / "quick.json")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("id,scan,colour\na,s0.nii.gz,c\n", 1, "column 'colour'"),
        ("id,scan,watershed.far\na,s0.nii.gz,1\n", 1, "has no 'far'"),
        ("id,scan,nothing.far\na,s0.nii.gz,1\n", 1, "unknown step 'nothing'"),
        ("id,scan,scan\na,b,s0.nii.gz\n", 1, "stands there 2 times"),
        ("id,scan\na,s0.nii.gz\nA,s0.nii.gz\n", 3, "stands 2 times in the table"),
        ("id,scan\na,s0.nii.gz,7\n", 2, "1 cells more than the header has"),
        ("id,scan\ncohort.csv,s0.nii.gz\n", 2, "names a folder"),
        ("id,scan\nnul.x,s0.nii.gz\n", 2, "names a folder"),
        ("id,scan,recipe\na,s0.nii.gz,mine.json\n", 2, "no such recipe file or preset"),
    ],
)
def test_faults_of_header_and_rows_are_named_with_their_line(text, line, message, tmp_path):
    cohort(tmp_path, 1)
    (tmp_path / "t.csv").write_text(text)
    faults = read_cohort(tmp_path / "t.csv", tmp_path / "quick.json").faults
    assert [fault for fault in faults if fault.line == line and message in fault.text], faults
    with pytest.raises(InputError, match="header|t.csv"):
        mb.batch(tmp_path / "t.csv", tmp_path / "quick.json", tmp_path / "out", skip_bad=True)
    assert not (tmp_path / "out").exists()


def test_a_table_as_a_spreadsheet_saves_it_is_read(tmp_path):
    _, recipe, _ = cohort(tmp_path, 1)
    (tmp_path / "t.csv").write_text("\ufeffid;scan ;seeds\r\na;s0.nii.gz; seeds0.nii.gz\r\n\r\n", encoding="utf-8")
    assert [row.id for row in read_cohort(tmp_path / "t.csv", recipe).rows] == ["a"]


def test_values_of_single_scans_go_into_their_recipe(tmp_path):
    _, recipe, rows = cohort(tmp_path, 2)
    rows[0]["watershed.sigma"], rows[1]["watershed.sigma"] = "1.5", ""
    first, second = read_cohort(write_table(tmp_path, rows), recipe).rows
    assert first.recipe.calls[1].params["sigma"] == 1.5 and second.recipe.calls[1].params["sigma"] != 1.5


# --- the look ----------------------------------------------------------------------------------------------


def seen(tmp_path, rows, recipe, **more):
    return look(read_cohort(write_table(tmp_path, rows), recipe), tmp_path / "out", SETTINGS | more)


def test_every_scan_is_read_before_anything_runs(tmp_path):
    _, recipe, rows = cohort(tmp_path, 6)
    (tmp_path / "s0.nii.gz").write_bytes(b"nothing")
    image = mb.read(tmp_path / "s1.nii.gz")
    save_image(image.with_array(0 * image.array), tmp_path / "s1.nii.gz", overwrite=True)
    moved = mb.Volume(mb.read_labels(tmp_path / "seeds2.nii.gz")[0].array, SPACING, (0, 0, 50))
    mb.write_labels(moved, tmp_path / "seeds2.nii.gz", overwrite=True)
    mb.write_labels(moved, tmp_path / "truth3.nii.gz", overwrite=True)
    rows[4]["recipe"] = "auto"
    found = seen(tmp_path, rows, recipe)
    assert [job["id"] for job in found.jobs] == ["p005"] and found.counts == (5, 6)
    assert "s0.nii.gz" in found.wrong["p000"] and "same value" in found.wrong["p001"]
    assert "grid" in found.wrong["p002"] and "grid" in found.wrong["p003"]
    assert "choose bright-marrow or dark-marrow" in found.wrong["p004"]
    assert str(tmp_path) not in str(found.wrong), "tables that are shared name no folder"
    assert not (tmp_path / "out").exists()


def test_a_blocked_scan_needs_consent(tmp_path):
    _, recipe, rows = cohort(tmp_path, 1)
    volume = mb.read(tmp_path / "s0.nii.gz")
    write_dicom(mb.Volume(np.rint(900 * np.clip(volume.array, 0, 2)).astype(np.float32), SPACING), tmp_path / "dicom")
    sorted((tmp_path / "dicom").rglob("*.dcm"))[4].unlink()
    rows[0] |= {"scan": "dicom", "seeds": "", "truth": "", "recipe": "bright.json"}
    calls = [{"step": "normalize"}, {"step": "threshold", "params": {"lower": 0.5}}]
    (tmp_path / "bright.json").write_text(json.dumps({"schema": 1, "calls": calls}))
    assert "--accept gap" in seen(tmp_path, rows, recipe).wrong["p000"]
    assert len(seen(tmp_path, rows, recipe, accept=["gap"]).jobs) == 1


def test_what_needs_more_memory_than_there_is_is_named(tmp_path):
    table, recipe, _ = cohort(tmp_path, 1)
    found = look(read_cohort(table, recipe), None, SETTINGS, memory_gb=0.1)
    assert "0.1 GB may be used" in found.wrong["p000"]
    whole = mb.Recipe.load("bright-marrow")
    assert need_of(whole, 24 * 384 * 384, False) > 444e6, "what the knee of the samples takes, measured"


def test_a_full_disk_is_said_before(tmp_path, monkeypatch):
    table, recipe, _ = cohort(tmp_path, 2)
    monkeypatch.setattr("mrbone_nb.files.shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="are free on that disk"):
        mb.batch(table, recipe, tmp_path / "out", dry_run=True)


# --- one scan ----------------------------------------------------------------------------------------------


def test_a_scan_gives_the_bits_that_it_gives_alone(tmp_path):
    _, recipe, _ = cohort(tmp_path, 1)
    answer = work(job_of(tmp_path, formats=["stl"], picture=True), str(tmp_path / "out"))
    assert answer["status"] == "done" and answer["flags"] == []
    words = ["run", recipe, tmp_path / "s0.nii.gz", "--seeds", tmp_path / "seeds0.nii.gz", "-o", tmp_path / "alone"]
    env = {**os.environ, **module.ONE_THREAD, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    subprocess.run([sys.executable, "-m", "mrbone_nb", *map(str, words)], env=env, check=True, capture_output=True)
    files = {p.name for p in (tmp_path / "alone").iterdir() if not p.name.endswith("_record.json")}
    assert len(files) == 7 and all(
        (tmp_path / "alone" / name).read_bytes() == (tmp_path / "out" / "p000" / name).read_bytes() for name in files
    )
    scan = mb.read(tmp_path / "s0.nii.gz")
    dice = mb.compare(mb.read_labels(next((tmp_path / "alone").glob("*dseg.nii.gz")), like=scan)[0], *truth_of(tmp_path, scan))
    assert answer["rows"][0]["dice"] == pytest.approx(dice[0].dice, abs=1e-4) and answer["rows"][0]["name"] == "femur"


def truth_of(tmp_path, scan):
    return (mb.read_labels(tmp_path / "truth0.nii.gz", like=scan)[0],)


def test_what_is_done_is_not_done_again_unless_something_changed(tmp_path):
    _, recipe, rows = cohort(tmp_path, 1)
    out = tmp_path / "out"
    assert len(seen(tmp_path, rows, recipe).jobs) == 1
    work(job_of(tmp_path), str(out))
    assert len(seen(tmp_path, rows, recipe).done) == 1 and len(labels_in(out / "p000")) == 9
    assert len(seen(tmp_path, rows, recipe, picture=True).jobs) == 1
    rows[0]["watershed.sigma"] = "1.5"
    assert len(seen(tmp_path, rows, recipe).jobs) == 1
    rows[0]["watershed.sigma"] = ""
    names = tmp_path / "seeds0.json"
    kept = names.read_text()
    names.write_text(kept.replace("femur", "tibia"))
    assert len(seen(tmp_path, rows, recipe).jobs) == 1, "the names go into the result"
    names.write_text(kept)
    assert len(seen(tmp_path, rows, recipe).done) == 1
    record = next((out / "p000").glob("*_record.json"))
    record.write_text(record.read_text() + " ")
    assert len(seen(tmp_path, rows, recipe).jobs) == 1, "a file is not what it was"


def test_a_scan_that_fails_leaves_nothing_and_no_folder_names(tmp_path):
    cohort(tmp_path, 1)
    job = job_of(tmp_path)
    (tmp_path / "s0.nii.gz").write_bytes(b"changed since the look")
    answer = work(job, str(tmp_path / "out"))
    assert answer["status"] == "failed" and "s0.nii.gz" in answer["error"] and str(tmp_path) not in answer["error"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_process_that_takes_too_much_memory_is_ended(tmp_path):
    cohort(tmp_path, 1)
    answer = work(job_of(tmp_path, limit=20e6), str(tmp_path / "out"))
    assert answer["status"] == "lost" and "out of memory" in answer["error"] and "--memory" in answer["error"]
    assert list((tmp_path / "out").iterdir()) == []


def test_an_attempt_that_was_begun_by_a_lost_worker_is_not_made_again(tmp_path):
    cohort(tmp_path, 1)
    job = job_of(tmp_path)
    (tmp_path / "out" / ".part-p000.x-1").mkdir()
    assert work(job, str(tmp_path / "out"))["status"] == "lost"
    assert work({**job, "attempt": "x-2"}, str(tmp_path / "out"))["status"] == "done"


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    psutil = pytest.importorskip("psutil")
    code = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-m', 'mrbone_nb.cohort.child'], "
    code += "stdin=subprocess.PIPE); p.stdin.write(b'{\"folder\": \"x\"'); p.stdin.flush(); print(p.pid, flush=True); "
    code += "time.sleep(60)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    words = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "env": env, "cwd": tmp_path}
    parent = subprocess.Popen([sys.executable, "-c", code], **words)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    end = time.time() + 30
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.time() < end:
        time.sleep(0.1)
    assert time.time() < end
