"""Cohorts that run: bad scans cost only themselves; killed and interrupted work is taken up, nothing is done twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from cohort_scene import cohort, labels_in, write_table

import mrbone_nb as mb
from mrbone_nb.cohort.lock import NAME
from mrbone_nb.errors import InputError

pytest.importorskip("distributed", reason="needs the extra `cohort`")
ROOT = Path(__file__).parents[1]
FAST = {"picture": False, "report": False}


def scans_in_work(pid=None):
    """The processes of scans below a process."""
    below = psutil.Process(pid).children(recursive=True)
    found = []
    for process in below:
        try:
            if "mrbone_nb.cohort.child" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_one(pid=None):
    end = time.time() + 60
    while time.time() < end:
        for process in scans_in_work(pid):
            process.kill()
            return
        time.sleep(0.01)
    raise AssertionError("no scan is in work")


def made(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in out.glob("p*/done.json")}


def test_twelve_scans_with_bad_ones_a_killed_one_and_an_interruption(tmp_path):
    _, recipe, rows = cohort(tmp_path, 12)
    (tmp_path / "s1.nii.gz").write_bytes(b"nothing")
    rows[3]["scan"] = "none.nii.gz"
    nothing = {"schema": 1, "calls": [{"step": "normalize"}, {"step": "threshold", "params": {"lower": 2}}]}
    (tmp_path / "nothing.json").write_text(json.dumps(nothing))
    rows[8] |= {"recipe": "nothing.json", "seeds": ""}  # shows itself when it runs
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    with pytest.raises(InputError, match="2 of 12 rows are wrong.*p001.*p003.*skip_bad"):
        mb.batch(table, recipe, out, **FAST)

    def until_five(answers, total=None):
        for count, answer in enumerate(answers, 1):
            if total == 10 and count == 2:
                kill_one()
            if total == 10 and count == 6:
                raise KeyboardInterrupt
            yield answer

    with pytest.raises(KeyboardInterrupt):
        mb.batch(table, recipe, out, skip_bad=True, workers=2, progress=until_five, **FAST)
    assert scans_in_work() == [] and not (out / NAME).exists()
    before = made(out)
    lines = list(csv.DictReader((out / "cohort.csv").read_text().splitlines()))
    assert {"done", "skipped", "waiting"} <= {line["status"] for line in lines}
    result = mb.batch(table, recipe, out, skip_bad=True, workers=2, **FAST)
    assert set(result.failed) == {"p001", "p003", "p008"} and "found no bone" in result.failed["p008"]
    assert 3 <= len(before) < 9 and all(made(out)[name] == when for name, when in before.items()), "none twice"
    assert len(made(out)) == 9 == len([p for p in out.iterdir() if p.is_dir()])
    assert len(result) == 12 and len(list(result)) == 9 * 2 + 3 and "p008" in result._repr_html_()
    record = json.loads((out / "cohort.json").read_text())
    assert record["counts"] == {"done": 9, "failed": 1, "skipped": 2, "waiting": 0} and len(record["scans"]) == 12
    scan = mb.read(tmp_path / "s5.nii.gz")
    alone = mb.Recipe.load(recipe).run(scan, seeds=mb.read_labels(tmp_path / "seeds5.nii.gz", like=scan)[0])
    assert np.array_equal(labels_in(out / "p005"), alone.labels.array)


def test_a_process_killed_twice_is_named(tmp_path, monkeypatch):
    from mrbone_nb.cohort import work

    table, recipe, _ = cohort(tmp_path, 2)
    real, tried = work._process, []

    def process(job):
        tried.append(job["id"])
        if job["id"] == "p000" or tried.count("p001") == 1:
            return -9, "", 0.0
        return real(job)

    monkeypatch.setattr(work, "_process", process)
    result = mb.batch(table, recipe, tmp_path / "out", workers=1, **FAST)
    assert "killed (signal 9)" in result.failed["p000"] and "tried 2 times" in result.failed["p000"]
    assert sorted(tried) == ["p000", "p000", "p001", "p001"] and result.answers[1]["tries"] == 2
    assert [p.name for p in (tmp_path / "out").iterdir() if p.is_dir()] == ["p001"]


def test_an_earlier_result_stays_where_a_new_one_fails(tmp_path):
    table, recipe, rows = cohort(tmp_path, 1)
    out = tmp_path / "out"
    mb.batch(table, recipe, out, **FAST)
    when = made(out)
    rows[0] |= {"recipe": "nothing.json", "seeds": ""}
    nothing = {"schema": 1, "calls": [{"step": "normalize"}, {"step": "threshold", "params": {"lower": 2}}]}
    (tmp_path / "nothing.json").write_text(json.dumps(nothing))
    result = mb.batch(write_table(tmp_path, rows), recipe, out, **FAST)
    assert "still holds an earlier result" in result.failed["p000"] and made(out) == when


def test_one_batch_at_a_time_works_in_a_folder(tmp_path):
    table, recipe, _ = cohort(tmp_path, 1)
    out = tmp_path / "out"
    out.mkdir()
    holder = {"process": os.getppid(), "machine": __import__("platform").node()}
    (out / NAME).write_text(json.dumps(holder))
    with pytest.raises(InputError, match="another batch works there"):
        mb.batch(table, recipe, out, **FAST)
    (out / NAME).write_text(json.dumps(holder | {"process": 2**22 + 1}))
    assert not mb.batch(table, recipe, out, **FAST).failed, "that process is gone"


def test_a_scheduler_that_runs_already_and_a_worker_of_it_that_dies(tmp_path):
    import dask
    from distributed import LocalCluster

    table, recipe, _ = cohort(tmp_path, 3)
    quiet = {"logging.distributed": "error", "distributed.worker.daemon": True}
    words = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0, "silence_logs": 50}
    killed = []

    def kill_a_worker(answers, total=None):
        for answer in answers:
            if total == 3 and not killed:
                (scan, *_) = scans_in_work() or [None]
                killed.append(scan is not None and os.kill(scan.ppid(), signal.SIGKILL) is None)
            yield answer

    with dask.config.set(quiet), LocalCluster(n_workers=1, processes=True, **words) as cluster:
        address = cluster.scheduler_address
        result = mb.batch(table, recipe, tmp_path / "out", scheduler=address, progress=kill_a_worker, **FAST)
    assert not result.failed and len(made(tmp_path / "out")) == 3
    assert not list((tmp_path / "out").glob(".part-*/*.nii.gz")), "what was killed left no result"


def test_no_scheduler_there_is_one_line(tmp_path):
    from mrbone_nb.cohort import dispatch

    table, recipe, _ = cohort(tmp_path, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "WAIT", 1)
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            mb.batch(table, recipe, tmp_path / "out", scheduler="tcp://127.0.0.1:9", **FAST)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    table, recipe, _ = cohort(tmp_path, 4)
    out = tmp_path / "out"
    child = started(table, recipe, out, "--workers", "1", stderr=subprocess.PIPE)
    wait_for(out, 1)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert 1 <= len(made(out)) < 4 and "run the same command again" in said and child.returncode == 130
    assert not [p for p in out.glob("p*") if not (p / "done.json").exists()]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
def test_a_computer_that_slept_goes_on(tmp_path, monkeypatch):
    """Dask takes workers for lost that were silent for some time; those of this process were silent with it."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "1s")
    table, recipe, _ = cohort(tmp_path, 2)
    child = started(table, recipe, tmp_path / "out", "--workers", "1", "--no-report", stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "out", 1)
    child.send_signal(signal.SIGSTOP)
    time.sleep(3)
    child.send_signal(signal.SIGCONT)
    assert child.wait(60) == 0 and len(made(tmp_path / "out")) == 2


@pytest.mark.slow
def test_two_hundred_scans(tmp_path):
    """195 right results, 5 named, none twice, after a process was killed and the run was interrupted."""
    _, recipe, rows = cohort(tmp_path, 200, (12, 48, 48))
    for k, name in ((7, "s7"), (50, "seeds50"), (90, "s90")):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"broken" * 9)
    rows[120]["scan"], rows[160]["seeds"] = "none.nii.gz", "s160.nii.gz"
    table, out = write_table(tmp_path, rows), tmp_path / "out"
    child = started(table, recipe, out, "--skip-bad", "--workers", "2", stderr=subprocess.DEVNULL)
    wait_for(out, 40)
    kill_one(child.pid)
    wait_for(out, 90)
    child.send_signal(signal.SIGINT)
    child.wait(60)
    before = made(out)
    assert 90 <= len(before) < 195
    result = mb.batch(table, recipe, out, workers=2, skip_bad=True)
    assert set(result.failed) == {"p007", "p050", "p090", "p120", "p160"}
    right = [a for a in result.answers if a["status"] == "done"]
    assert len(right) == 195 and all(row["dice"] > 0.5 for a in right for row in a["rows"])
    assert all(made(out)[name] == when for name, when in before.items()), "none twice"
    peaks = [a["peak_mb"] for a in right]
    assert max(peaks[-20:]) < 1.1 * max(peaks[:20]), "memory is flat"
    page = (out / "report.html").stat().st_size
    assert page < 40e6 and "p199" in (out / "report.html").read_text()


def started(table, recipe, out, *more, stderr):
    words = [sys.executable, "-m", "mrbone_nb", "batch", table, recipe, "-o", out, *more]
    return subprocess.Popen(list(map(str, words)), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def wait_for(out, count):
    end = time.time() + 900
    while len(made(out)) < count and time.time() < end:
        time.sleep(0.05)
