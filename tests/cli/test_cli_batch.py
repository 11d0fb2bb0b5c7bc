"""The verb on many scans."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from cohort_scene import cohort, labels_in, write_table
from learn_scene import blocks, written

import mrbone_nb as mb

pytest.importorskip("distributed", reason="needs the extra `cohort`")


def test_batch_looks_first_and_runs_then(ok, mrbone, bad, tmp_path):
    table, recipe, rows = cohort(tmp_path, 3)
    rows[1] |= {"scan": "none.nii.gz", "echo": "x"}
    write_table(tmp_path, rows)
    code, out, _ = mrbone("batch", table, recipe, "--dry-run")
    assert code == 1 and "2 of 3 scans can be run" in out and "line 3, p001: scan none.nii.gz: no such file" in out
    assert "line 3, p001: echo='x'" in out, "all at once, a line each"
    assert "1 of 3 rows is wrong; mend them, or add --skip-bad" in bad("batch", table, recipe, "-o", "out")
    assert not (tmp_path / "out").exists()
    assert "say where the results go" in bad("batch", table, recipe)
    assert "memory_gb=0" in bad("batch", table, recipe, "-o", "out", "--memory", "0")
    assert "format 'dxf'" in bad("batch", table, recipe, "-o", "out", "--formats", "dxf")
    code, out, _ = mrbone("batch", table, recipe, "-o", "out", "--skip-bad", "--workers", "1", "--formats", "stl")
    assert code == 1 and "2 of 3 scans done" in out and "p001" in out and "report.html" in out
    assert len(list((tmp_path / "out" / "p000").glob("*.stl"))) == 2
    write_table(tmp_path, [rows[0] | {"echo": ""}, rows[2] | {"echo": ""}])
    assert ok("batch", table, recipe, "--dry-run", "-o", "out", "--formats", "stl")[0]["done"] == ["p000", "p002"]
    answer, _ = ok("batch", table, recipe, "-o", "out", "--formats", "stl")
    assert answer["done"] == ["p000", "p002"] and answer["failed"] == answer["flagged"] == {}


def test_a_model_takes_the_place_of_a_recipe(ok, bad, tmp_path):
    for n in (1, 2):
        written(tmp_path / f"case{n}", blocks(n))
    ok("train", "case1", "case2", "-o", "model.npz", "--names", "1=right femur,2=left femur", "--effort", 0.2, "--no-score")
    ok("segment", "case1/image.nii.gz", "--model", "model.npz", "-o", "found.nii.gz")
    (tmp_path / "c.csv").write_text("id,scan,truth\na,case1/image.nii.gz,case1/truth.nii.gz\n")
    answer, _ = ok("batch", "c.csv", "model.npz", "-o", "out", "--no-picture")
    assert answer["done"] == ["a"]
    assert np.array_equal(labels_in(tmp_path / "out" / "a"), mb.read_labels(tmp_path / "found.nii.gz")[0].array)
    lines = list(csv.DictReader((tmp_path / "out" / "cohort.csv").read_text().splitlines()))
    assert [line["side"] for line in lines] == ["right", "left"] and "SHA-256" in lines[0]["notes"]
    (tmp_path / "bad.npz").write_bytes(b"no model")
    assert "c.csv" in bad("batch", "c.csv", "bad.npz", "-o", "other")
    assert "no such model" in bad("batch", "c.csv", "none.npz", "-o", "other")
