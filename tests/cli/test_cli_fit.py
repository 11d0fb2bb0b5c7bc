"""The verb on templates: fit."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb import phantom
from mrbone_nb.meshfile import write_mesh
from mrbone_nb.outputs import save_image
from mrbone_nb.record import file_sha256
from mrbone_nb.shape import write_landmarks

sys.path.insert(0, str(Path(__file__).parents[1] / "shape"))
from solids import egg, grid, marrow_and_cortex, radial_slices  # noqa: E402

TRUTH = egg(middle=(2.0, -1.0, 1.0))
POINTS = {"top": (0, 0, 19.0), "left": (13.0, 0, 0), "front": (0, -12.0, 0), "right": (-13.0, 0, 0), "back": (0, 12.0, 0)}
GIVEN = {"top": (2, -1, 21.0), "left": (16, -1, 1), "front": (2, -12, 1), "right": (-12, -1, 1), "back": (2, 10, 1)}


@pytest.fixture
def here(tmp_path, rng):
    """A stack, a template of an egg with its landmarks, and landmarks in the scan."""
    save_image(marrow_and_cortex(TRUTH, grid((4.0, 1.0, 1.0), half=26.0), rng), tmp_path / "scan.nii.gz")
    write_mesh(egg((13.0, 12.0, 19.0)), tmp_path / "egg.stl")
    write_landmarks(POINTS, tmp_path / "egg.json")
    write_landmarks(GIVEN, tmp_path / "all.mrk.json")
    write_landmarks({name: GIVEN[name] for name in list(GIVEN)[:3]}, tmp_path / "three.json")
    return tmp_path


def test_fit_to_a_stack(here, ok):
    data, said = ok(
        "fit", "scan.nii.gz", "--template", "egg.stl", "--landmarks", "all.mrk.json", "-o", "out.stl", "--mask", "out.nii.gz"
    )
    assert data["route"] == "control points" and data["geometry"] == "stack" and "control points: top, left" in said
    assert data["volume_mm3"] == pytest.approx(TRUTH.volume, rel=0.08)
    mask, table = mb.read_labels("out.nii.gz")
    assert mask.same_grid(mb.read("scan.nii.gz")) and table[1].title == "egg"
    record = json.loads(Path("out_record.json").read_text())
    assert record["inputs"]["template"] == "egg" and set(record["outputs"]["files"]) == {"out.stl", "out.nii.gz", "out.json"}
    assert str(here) not in json.dumps(record)


def test_fit_to_radial_slices(here, ok, rng):
    slices = [marrow_and_cortex(TRUTH, part, rng) for part in radial_slices()]
    phantom.write_dicom([part.with_array(np.maximum(1000 * part.array, 0)) for part in slices], Path("radial"))
    words = ("--landmarks", "three.json", "-o", "out.ply", "--mask", "mask.nii.gz", "--spacing", "1.5")
    data, _ = ok("fit", "radial", "--template", "egg.stl", *words)
    assert data["route"] == "landmarks" and data["geometry"] == "radial" and data["slices"] == 9
    assert data["off_axis_mm"] < 0.1 and data["largest_gap_deg"] == pytest.approx(20, abs=0.1)
    assert data["volume_mm3"] == pytest.approx(TRUTH.volume, rel=0.08)
    assert mb.read_labels("mask.nii.gz")[0].spacing == pytest.approx((1.5, 1.5, 1.5))


def test_fit_a_shape_model(here, ok, bad):
    eggs = [egg(np.array((13.0, 12.0, 19.0)) + by) for by in np.random.default_rng(3).normal(0, 2, (6, 3))]
    corner = {name: np.sign(point) * eggs[0].vertices.max(axis=0) for name, point in POINTS.items()}
    mb.save_model(mb.build_model(eggs, name="egg", landmarks=corner), "model.npz")
    words = ("fit", "scan.nii.gz", "--template", "model.npz", "--landmarks", "three.json", "-o", "out.stl")
    data, _ = ok(*words)
    assert data["model_weight"] == 1 and data["volume_mm3"] == pytest.approx(TRUTH.volume, rel=0.08)
    inputs = json.loads(Path("out_record.json").read_text())["inputs"]
    assert inputs["template"] == "model" and inputs["model_weight"] == 1
    assert inputs["template_file"] == {"model.npz": file_sha256(Path("model.npz"))}
    assert ok(*words, "--model-weight", "0.5", "--overwrite")[0]["model_weight"] == 0.5
    assert "model_weight=2" in bad(*words, "--model-weight", "2", "--overwrite")
    Path("model.npz").write_bytes(Path("model.npz").read_bytes()[:-400])
    assert "model.npz" in bad(*words, "--overwrite")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"-o": "out.vtk"}, "unknown kind of model"),
        ({"-o": "nowhere/out.stl"}, "its folder does not exist"),
        ({"--template": "tibia"}, "femur-left, femur-right"),
        ({"--template": "femur-right"}, "landmark top"),
        ({"--landmarks": "none.json"}, "no such file of landmarks"),
        ({"--mask": "out.png"}, "--mask out.png"),
        ({"--spacing": "0"}, "--spacing 0.0 mm"),
        ({"--spacing": "2"}, "--spacing: it is that of the mask"),
        ({"--model-weight": "0.5"}, "--model-weight: egg is a mere template"),
        ({"-o": "egg.stl"}, "overwrite"),
    ],
)
def test_faults_are_told_before_anything_is_written(changed, said, here, bad):
    words = {"--template": "egg.stl", "--landmarks": "three.json", "-o": "out.stl"} | changed
    before = sorted(here.iterdir())
    assert said in bad("fit", "scan.nii.gz", *(word for pair in words.items() for word in pair))
    assert sorted(here.iterdir()) == before
