"""The verb on many scans."""

from __future__ import annotations

import pytest
from cohort_scene import cohort, write_table

pytest.importorskip("distributed", reason="needs the extra `cohort`")


def test_batch_looks_first_and_runs_then(ok, mrbone, bad, tmp_path):
    table, recipe, rows = cohort(tmp_path, 3)
    rows[1]["scan"] = "none.nii.gz"
    write_table(tmp_path, rows)
    code, out, _ = mrbone("batch", table, recipe, "--dry-run")
    assert code == 1 and "2 scans to run" in out and "p001: scan none.nii.gz: no such file" in out
    assert "1 rows are wrong" in bad("batch", table, recipe, "-o", "out") and not (tmp_path / "out").exists()
    assert "say where the results go" in bad("batch", table, recipe)
    code, out, _ = mrbone("batch", table, recipe, "-o", "out", "--skip-bad", "--workers", "1", "--formats", "stl")
    assert code == 1 and "2 of 3 scans done" in out and "p001" in out
    assert (tmp_path / "out" / "cohort.csv").exists() and len(list((tmp_path / "out" / "p000").glob("*.stl"))) == 2
    write_table(tmp_path, [rows[0], rows[2]])
    assert ok("batch", table, recipe, "-o", "out", "--formats", "stl")[0]["done"] == ["p000", "p002"]
