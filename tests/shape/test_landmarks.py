"""Landmarks: the same points from our JSON and from 3D Slicer, in one space, and clear words where a file is wrong."""

import json

import numpy as np
import pytest

from mrbone_nb.errors import InputError
from mrbone_nb.shape import Landmarks, read_landmarks, write_landmarks

POINTS = {"head_center": (-10.5, 20.25, 30.0), "shaft": (1.0, 2.0, -80.0)}


@pytest.mark.parametrize("name", ["points.json", "points.mrk.json"])
def test_written_is_read_again(name, tmp_path):
    found = read_landmarks(write_landmarks(POINTS, tmp_path / name))
    assert list(found) == list(POINTS)
    assert np.array_equal(found.array(), np.array(list(POINTS.values())))
    with pytest.raises(InputError, match=r"points.*overwritten"):
        write_landmarks(POINTS, tmp_path / name)


@pytest.mark.parametrize(("space", "signs"), [("LPS", (1, 1, 1)), ("RAS", (-1, -1, 1)), ("0", (-1, -1, 1)), (1, (1, 1, 1))])
def test_slicers_space_is_minded(space, signs, tmp_path):
    markup = {
        "type": "Fiducial",
        "coordinateSystem": space,
        "controlPoints": [
            {"id": "1", "label": "head", "position": [1.0, 2.0, 3.0], "positionStatus": "defined"},
            {"id": "2", "label": "not yet", "position": [0.0, 0.0, 0.0], "positionStatus": "undefined"},
        ],
    }
    (tmp_path / "a.mrk.json").write_text(json.dumps({"markups": [markup]}))
    found = read_landmarks(tmp_path / "a.mrk.json")
    assert list(found) == ["head"] and found["head"].tolist() == [s * v for s, v in zip(signs, (1, 2, 3), strict=True)]


def own(**changed):
    return {"space": "LPS", "unit": "mm", "points": [{"name": "a", "position": [1, 2, 3]}]} | changed


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (own(space="RAS"), "space 'RAS'; expected LPS"),
        (own(unit="cm"), "unit 'cm'; expected mm"),
        (own(points=None), "points is missing"),
        (own(points=[{"name": "a"}]), "expected a name and a position"),
        (own(points=[{"name": "a", "position": [1, 2]}]), "landmark 'a': position"),
        (own(points=[{"name": "a", "position": [1, 2, 1e9]}]), "landmark 'a': position"),
        (own(points=[{"name": "a", "position": ["x", 0, 0]}]), "landmark 'a': position"),
        (own(points=own()["points"] * 2), "landmark a is there twice"),
        (own(points=[]), "no landmark that was placed"),
        ({"markups": [{"coordinateSystem": "IJK", "controlPoints": []}]}, "coordinateSystem 'IJK'"),
        ({"markups": [{"coordinateSystem": "LPS", "coordinateUnits": "um", "controlPoints": []}]}, "coordinateUnits 'um'"),
        ([1], "a JSON list"),
    ],
)
def test_a_wrong_file_is_told(data, said, tmp_path):
    (tmp_path / "bad.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=rf"^(bad\.json: .*)?{said}"):
        read_landmarks(tmp_path / "bad.json")


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(InputError, match="no such file of landmarks"):
        read_landmarks(tmp_path / "none.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe not json")
    with pytest.raises(InputError, match="not JSON"):
        read_landmarks(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"ends in \.json"):
        write_landmarks(POINTS, tmp_path / "a.txt")


def test_landmarks_are_checked_when_made():
    with pytest.raises(InputError, match="'a'"):
        Landmarks({"a": (np.nan, 0, 0)})
