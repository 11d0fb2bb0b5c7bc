"""Strokes as data: drawn again they give the same voxels, and a file of another scan is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.errors import InputError
from mrbone_nb.strokes import Stroke, Strokes, read_strokes
from mrbone_nb.volume import Volume

SCAN = Volume(np.zeros((4, 5, 6), np.float32), (3, 1, 0.5), (1, 2, 3), name="knee")
TABLE = LabelTable({1: Label("femur", "right")})


def some():
    first = Stroke.of(1, np.array([7, 3, 4, 5, 7]), {"tool": "brush", "radius": 3})
    return Strokes(SCAN, [first, Stroke.of(255, np.arange(60, 70)), Stroke.of(0, [4, 64])], TABLE)


def test_a_stroke_is_runs_of_voxels():
    stroke = Stroke.of(1, np.array([7, 3, 4, 5, 7]))
    assert stroke.runs.tolist() == [[3, 3], [7, 1]]
    assert stroke.voxels.tolist() == [3, 4, 5, 7]
    assert Stroke.of(1, []).voxels.tolist() == []


def test_later_strokes_lie_over_earlier_ones():
    flat = some().array().ravel()
    assert np.flatnonzero(flat == 1).tolist() == [3, 5, 7]
    assert np.flatnonzero(flat == 255).tolist() == [60, 61, 62, 63, *range(65, 70)]
    base = np.full(SCAN.shape, 9, np.uint8)
    assert (some().array(base).ravel()[[0, 3, 4]] == (9, 1, 0)).all() and base.all()
    with pytest.raises(InputError, match=r"have shape \(1, 1, 1\)"):
        some().array(np.zeros((1, 1, 1)))


def test_a_file_gives_the_same_strokes(tmp_path):
    path = some().save(tmp_path / "knee_strokes.json")
    again = read_strokes(path, SCAN)
    assert (again.array() == some().array()).all() and len(again) == 3
    assert again.done[0].how == {"tool": "brush", "radius": 3} and again.table[1].title == "right femur"
    seeds, table = mb.read_labels(path, like=SCAN)
    assert (seeds.array == some().array()).all() and seeds.same_grid(SCAN) and table[1].name == "femur"
    alone, _ = mb.read_labels(path)
    assert alone.same_grid(SCAN)
    again.save(path)
    assert read_strokes(path).to_json() == some().to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "recipe"}, "not a file of strokes"),
        ({"schema": 9}, "schema 9; this version reads 1"),
        ({"strokes": [{"label": 1, "runs": [119, 2]}]}, "stroke 1 leaves the scan"),
        ({"strokes": [{"label": 1, "runs": [-1, 2]}]}, "stroke 1 leaves the scan"),
        ({"strokes": [{"label": 1, "runs": [1, 2, 3]}]}, "damaged"),
        ({"strokes": [{"label": 300, "runs": [1, 2]}]}, "label 300, expected 0 to 255"),
        ({"strokes": [{"runs": [1, 2]}]}, "damaged: 'label'"),
        ({"grid": {}}, "damaged"),
        ({"labels": {"x": 1}}, "expected the number of a label"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, message):
    path = tmp_path / "s.json"
    path.write_text(json.dumps(json.loads(some().to_json()) | change))
    with pytest.raises(InputError, match=message):
        read_strokes(path)


def test_other_files_and_other_scans_are_refused(tmp_path):
    path = some().save(tmp_path / "s.json")
    other = Volume(np.zeros((4, 5, 7), np.float32), (3, 1, 0.5), name="hip")
    with pytest.raises(InputError, match="not the grid of hip"):
        read_strokes(path, other)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        mb.read_labels(path)
    with pytest.raises(InputError, match="no such file"):
        read_strokes(tmp_path / "none.json")


def test_strokes_and_changes_by_hand_lie_beside_the_record(tmp_path):
    """What was painted is kept stroke by stroke, and what was mended is mended again by a replay."""
    from scenes import bones

    scene = bones((6, 24, 22), (4.0, 2.0, 2.2))
    scan = Volume(scene.arrays["image"], scene.spacing, name="knee")
    seeds = scene.arrays["seeds"]
    painted = Strokes(scan, [Stroke.of(n, np.flatnonzero(seeds == n)) for n in (1, 2, 255)])
    result = mb.Recipe((mb.Call("watershed", {}),), name="w").run(scan, seeds=painted.volume())
    mended = result.mended(Strokes(scan, [Stroke.of(0, np.flatnonzero(result.labels.array == 1)[:9])]))
    assert (mended.labels.array != result.labels.array).sum() == 9
    files = mb.save(mended, tmp_path, formats=(), picture=False, strokes=painted)
    record = mb.load_record(files["record"])
    assert files["strokes"].name == "knee_desc-bone_strokes.json" and "knee_desc-bone_edits.json" in record["outputs"]["files"]
    assert (read_strokes(files["strokes"], scan).array() == seeds).all()
    edits = read_strokes(files["edits"], scan)
    again, same = mb.replay(record, scan, seeds=painted.volume(), edits=edits)
    assert same and (again.labels.array == mended.labels.array).all()
    with pytest.raises(InputError, match="needs its edits"):
        mb.replay(record, scan, seeds=painted.volume())
    with pytest.raises(InputError, match="needs its edits"):
        mb.replay(record, scan, seeds=painted.volume(), edits=painted)
    with pytest.raises(InputError, match="changed since this result"):
        mb.save(result, tmp_path / "b", strokes=Strokes(scan, painted.done[:1]))
    with pytest.raises(InputError, match="exists already"):
        mb.save(mended, tmp_path, formats=(), picture=False, strokes=painted)
