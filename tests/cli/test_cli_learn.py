"""The verb ``train``, and ``segment`` with a model."""

import numpy as np
from learn_scene import blocks, written

from mrbone_nb.outputs import save_image
from mrbone_nb.phantom import simulated_strokes


def test_a_model_is_trained_and_finds_bones_that_can_be_replayed(ok, tmp_path):
    folders = [written(tmp_path / f"case{n}", blocks(n)) for n in (1, 2)]
    words = ("--names", "1=right femur,2=left femur", "--effort", 0.2)
    answer, _ = ok("train", *folders, "-o", "model.npz", *words)
    assert set(answer["scores"]) == {"case1", "case2"} and answer["labels"] == {"1": "right femur", "2": "left femur"}
    answer, said = ok("segment", "case1/image.nii.gz", "--model", "model.npz", "-o", "found.nii.gz")
    assert [row["name"] for row in answer["labels"]] == ["femur", "femur"]
    assert any("SHA-256" in note for note in answer["notes"]) and "unlike" not in said
    assert ok("replay", "found_record.json", "case1/image.nii.gz")[0]["same"] is True


def test_what_cannot_be_learned_from_is_refused(bad, tmp_path):
    folder = written(tmp_path / "case", blocks(1))
    assert "ends in .npz" in bad("train", folder, "-o", "model.nii.gz")
    assert "effort=9.0" in bad("train", folder, "-o", "model.npz", "--effort", 9)
    (folder / "truth.nii.gz").unlink()
    assert "no truth.nii.gz" in bad("train", folder, "-o", "model.npz")
    assert "no such file or folder" in bad("train", "nowhere", "-o", "model.npz")


def test_a_model_hears_strokes_too(ok, bad, tmp_path):
    cases = [blocks(n) for n in (1, 2)]
    folders = [written(tmp_path / f"case{n}", case) for n, case in enumerate(cases, 1)]
    ok("train", *folders, "-o", "model.npz", "--effort", 0.2, "--no-score")
    save_image(simulated_strokes(cases[0].truth, 12.0), tmp_path / "seeds.nii.gz")
    words = ("segment", folders[0] / "image.nii.gz", "--model", "model.npz")
    answer, _ = ok(*words, "--seeds", "seeds.nii.gz", "-o", "found.nii.gz")
    assert len(answer["labels"]) == 2 and (tmp_path / "found_seeds.nii.gz").exists()
    assert ok("replay", "found_record.json", "case1/image.nii.gz")[0]["same"] is True
    ok("train", *folders, "-o", "deaf.npz", "--effort", 0.2, "--no-score", "--no-strokes")
    line = bad(*words[:-1], "deaf.npz", "--seeds", "seeds.nii.gz", "-o", "other.nii.gz")
    assert "without strokes" in line and not (tmp_path / "other.nii.gz").exists()


def test_what_is_no_model_is_refused(bad, tmp_path):
    folder = written(tmp_path / "case", blocks(1))
    np.savez(tmp_path / "m.npz", about=np.zeros(3, np.uint8))
    assert "model" in bad("segment", folder / "image.nii.gz", "--model", "m.npz", "-o", "out.nii.gz")
