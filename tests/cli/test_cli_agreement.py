"""The verbs for a paper: agree, diff, methods."""

from __future__ import annotations

import csv
from pathlib import Path

from test_agreement import shaved, written


def test_agree_writes_tables_plot_and_maps(ok, mrbone, tmp_path):
    a, b = written(tmp_path / "a"), written(tmp_path / "b", shaved)
    data, _ = ok("agree", a, b, "-o", "found", "--maps")
    assert [row["bone"] for row in data["summary"]] == ["left femur", "left tibia"] and len(data["pairs"]) == 6
    names = {p.name for p in Path("found").iterdir()}
    assert {"pairs.csv", "summary.csv", "volumes.png", "maps"} <= names
    assert len(list(Path("found/maps").glob("*.ply"))) == 6
    assert len(list(csv.DictReader(Path("found/pairs.csv").read_text().splitlines()))) == 6
    code, _, err = mrbone("agree", a, b, "-o", "found")
    assert code == 2 and "exists already" in err
    code, out, _ = mrbone("agree", a, b)
    assert code == 0 and "left femur" in out and "icc" in out


def test_diff_and_methods(ok, bad, files):
    assert any("added" in line for line in ok("diff", files["quick"], "bright-marrow")[0]["differences"])
    assert ok("diff", "ct", "ct")[0]["differences"] == []
    assert "random walker" in ok("methods", "bright-marrow")[0]["text"]
    ok("segment", files["scan"], "--seeds", files["seeds"], "--recipe", files["quick"], "-o", "out.nii.gz")
    assert "strokes drawn by hand" in ok("methods", "out_record.json")[0]["text"]
    assert "none" in bad("methods", "none_record.json")
