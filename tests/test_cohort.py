"""Many scans: the table is looked at first; a bad scan costs only itself; killed and interrupted work is taken up."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cohort_scene import cohort, write_table

import mrbone_nb as mb
from mrbone_nb.cohort.table import read_cohort
from mrbone_nb.cohort.work import work
from mrbone_nb.errors import InputError

pytest.importorskip("distributed", reason="needs the extra `cohort`")
ROOT = Path(__file__).parents[1]


def labels_in(folder):
    (path,) = folder.glob("*_dseg.nii.gz")
    return mb.read_labels(path)[0].array


# --- the table ---------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_a_table_is_said_at_once(tmp_path):
    _, recipe, rows = cohort(tmp_path, 6)
    rows[1]["scan"] = "none.nii.gz"
    rows[2]["id"] = "../up"
    rows[3]["seeds"] = ""
    rows[4]["watershed.sigma"] = "99"
    rows[5]["echo"] = "first"
    found = read_cohort(write_table(tmp_path, rows), recipe)
    assert [row.id for row in found.rows] == ["p000"]
    assert "no such file" in found.wrong["p001"] and "names a folder" in found.wrong["../up"]
    assert "needs strokes" in found.wrong["p003"] and "expected" in found.wrong["p004"] and "echo" in found.wrong["p005"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scans"),
        ("id,file\na,b\n", "expected id and scan at least"),
        ("id,scan,colour\na,b,c\n", "column 'colour'"),
        ("id,scan,watershed.far\na,b,1\n", "has no 'far'"),
        ("id,scan,nothing.far\na,b,1\n", "nothing"),
        ("id,scan\na,s0.nii.gz\nA,s0.nii.gz\n", "line 3: id 'A' occurs twice"),
        ("id,scan\na,s0.nii.gz,7\n", "more cells than the header"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(text, message, tmp_path):
    cohort(tmp_path, 1)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_cohort(tmp_path / "t.csv", tmp_path / "quick.json")


def test_values_of_single_scans_go_into_their_recipe(tmp_path):
    _, recipe, rows = cohort(tmp_path, 2)
    rows[0]["watershed.sigma"], rows[1]["watershed.sigma"] = "1.5", ""
    first, second = read_cohort(write_table(tmp_path, rows), recipe).rows
    assert first.recipe.calls[1].params["sigma"] == 1.5 and second.recipe.calls[1].params["sigma"] != 1.5


# --- one scan ----------------------------------------------------------------------------------------------


def job_of(tmp_path, number=0, **more):
    row = read_cohort(tmp_path / "cohort.csv", tmp_path / "quick.json").rows[number]
    return {**row.job(), "accept": [], "formats": [], "picture": False, **more}


def test_a_scan_runs_in_a_process_of_its_own_as_it_does_alone(tmp_path):
    table, recipe, _ = cohort(tmp_path, 1)
    answer = work(job_of(tmp_path), str(tmp_path / "out"))
    assert answer["status"] == "done" and answer["tries"] == 1
    scan = mb.read(tmp_path / "s0.nii.gz")
    alone = mb.Recipe.load(recipe).run(scan, seeds=mb.read_labels(tmp_path / "seeds0.nii.gz", like=scan)[0])
    assert np.array_equal(labels_in(tmp_path / "out" / "p000"), alone.labels.array)
    truth = mb.read_labels(tmp_path / "truth0.nii.gz", like=scan)[0]
    dice = mb.compare(alone.labels, truth)[0].dice
    assert answer["rows"][0]["dice"] == pytest.approx(dice, abs=1e-4) and answer["rows"][0]["name"] == "femur"


def test_what_is_done_is_not_done_again_unless_it_changes(tmp_path):
    cohort(tmp_path, 1)
    out = str(tmp_path / "out")
    work(job_of(tmp_path), out)
    made = (tmp_path / "out" / "p000" / "done.json").stat().st_mtime_ns
    assert work(job_of(tmp_path), out)["resumed"]
    assert (tmp_path / "out" / "p000" / "done.json").stat().st_mtime_ns == made
    changed = job_of(tmp_path)
    changed["recipe"]["calls"][1]["params"]["sigma"] = 2.0
    assert "resumed" not in work(changed, out)
    (tmp_path / "seeds0.nii.gz").write_bytes((tmp_path / "truth0.nii.gz").read_bytes())
    assert "resumed" not in work(changed, out)
    (tmp_path / "out" / "p000" / "done.json").write_text("{")
    assert "resumed" not in work(changed, out), "half a file is none"


def test_a_killed_process_is_tried_once_more(tmp_path, monkeypatch):
    from mrbone_nb.cohort import work as module

    cohort(tmp_path, 1)
    real, codes = module._process, [-9]
    monkeypatch.setattr(module, "_process", lambda job: (codes.pop(), "") if codes else real(job))
    assert work(job_of(tmp_path), str(tmp_path / "out"))["tries"] == 2
    monkeypatch.setattr(module, "_process", lambda job: (-9, ""))
    lost = work(job_of(tmp_path), str(tmp_path / "other"))
    assert lost["status"] == "failed" and "killed (signal 9) 2 times" in lost["error"]
    assert list((tmp_path / "other").iterdir()) == []


# --- a cohort ----------------------------------------------------------------------------------------------


def test_a_cohort_with_bad_scans(tmp_path):
    _, recipe, rows = cohort(tmp_path, 6)
    (tmp_path / "s1.nii.gz").write_bytes(b"nothing")
    rows[2]["seeds"] = rows[2]["scan"]
    rows[4]["scan"] = "none.nii.gz"
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    result = mb.batch(table, recipe, out, workers=2, picture=False)
    assert set(result.failed) == {"p001", "p002", "p004"} and "s1.nii.gz" in result.failed["p001"]
    assert {p.name for p in out.iterdir() if p.is_dir() and list(p.glob("*_dseg.nii.gz"))} == {"p000", "p003", "p005"}
    lines = list(csv.DictReader((out / "cohort.csv").read_text().splitlines()))
    assert len(lines) == 3 * 2 + 3 and float(lines[1]["dice"] or lines[3]["dice"]) > 0.5
    again = mb.batch(table, recipe, out, workers=1, picture=False)
    assert sum(bool(a.get("resumed")) for a in again.answers) == 3 and again.failed == result.failed
    assert not list(out.glob(".part-*"))


def test_an_interruption_costs_only_what_was_in_work(tmp_path):
    table, recipe, _ = cohort(tmp_path, 8)
    out = tmp_path / "out"
    words = [sys.executable, "-m", "mrbone_nb", "batch", table, recipe, "-o", out, "--workers", "1", "--no-picture"]
    child = subprocess.Popen(list(map(str, words)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    end = time.time() + 90
    while len(list(out.glob("p*/done.json"))) < 2 and time.time() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    done = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("p*/done.json")}
    assert 2 <= len(done) < 8 and "run the same command again" in said and child.returncode == 130
    result = mb.batch(table, recipe, out, workers=2, picture=False)
    assert not result.failed and len(result.answers) == 8
    assert all((out / name / "done.json").stat().st_mtime_ns == made for name, made in done.items()), "none twice"


@pytest.mark.slow
def test_two_hundred_scans(tmp_path):
    """195 right results, 5 named, none twice, after a worker was killed and the run was interrupted."""
    _, recipe, rows = cohort(tmp_path, 200)
    for k, name in ((7, "s7"), (50, "seeds50"), (90, "s90")):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"broken" * 9)
    rows[120]["scan"], rows[160]["seeds"] = "none.nii.gz", "s160.nii.gz"
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    words = [sys.executable, "-m", "mrbone_nb", "batch", table, recipe, "-o", out, "--no-picture", "--skip-bad"]
    child = subprocess.Popen(list(map(str, [*words, "--workers", "2"])), cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_for(out, 40)
    os.kill(worker_of(child.pid), signal.SIGKILL)
    wait_for(out, 90)
    child.send_signal(signal.SIGINT)
    child.wait(60)
    done = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("p*/done.json") if '"done"' in p.read_text()}
    result = mb.batch(table, recipe, out, workers=2, picture=False)
    assert set(result.failed) == {"p007", "p050", "p090", "p120", "p160"}
    right = [a for a in result.answers if a["status"] == "done"]
    assert len(right) == 195 and all(row["dice"] > 0.5 for a in right for row in a["rows"])
    assert all((out / name / "done.json").stat().st_mtime_ns == made for name, made in done.items())
    peaks = [a["peak_mb"] for a in right]
    assert max(peaks[-20:]) < 1.1 * max(peaks[:20]), "memory is flat"


def wait_for(out, count):
    end = time.time() + 900
    while len(list(out.glob("p*/done.json"))) < count and time.time() < end:
        time.sleep(0.1)


def worker_of(pid):
    """A Dask worker below a process: one that has children of its own."""
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    scans = [p for p in children if "mrbone_nb.cohort.child" in " ".join(p.cmdline())]
    return scans[0].ppid()
