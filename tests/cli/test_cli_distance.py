"""The verb that measures a model against a reference."""

from pathlib import Path

import numpy as np
import pytest
from boneshapes import grown, knob, motion

from mrbone_nb.mesh import Mesh
from mrbone_nb.meshfile import write_mesh
from mrbone_nb.shape.register import moved

BONE = knob(3)


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thick = grown(BONE, 0.5)
    write_mesh(BONE, "ct.stl")
    write_mesh(thick, "mr.ply")
    write_mesh(Mesh(moved(motion(1), thick.vertices), thick.faces), "elsewhere.obj")


def test_a_model_anywhere_is_measured_and_colored(models, ok):
    data, _ = ok("distance", "elsewhere.obj", "ct.stl", "-o", "d.ply")
    assert data["mean_mm"] == pytest.approx(0.5, abs=0.05) and data["share"] > 0.95
    assert np.allclose(data["matrix"], np.linalg.inv(motion(1)), atol=0.1)
    assert Path("d.ply").is_file() and data["files"]["distances"] == "d.ply"


def test_models_in_one_space_stay(models, ok):
    data, _ = ok("distance", "mr.ply", "ct.stl", "--in-place")
    assert data["p95_mm"] == pytest.approx(0.5, abs=0.05) and "matrix" not in data


def test_a_label_map_is_traced(models, ok, files, scene):
    words = ("distance", files["labels"], files["labels"], "--in-place", "--label", "1")
    assert ok(*words)[0]["rms_mm"] == pytest.approx(0, abs=1e-6)


def test_it_refuses_in_words(models, bad, files):
    assert "no such file" in bad("distance", "none.stl", "ct.stl")
    assert "--limit -1" in bad("distance", "mr.ply", "ct.stl", "--limit", "-1")
    assert "to .ply" in bad("distance", "mr.ply", "ct.stl", "--in-place", "-o", "d.stl")
    assert "say which one" in bad("distance", files["labels"], "ct.stl")
