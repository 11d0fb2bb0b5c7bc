"""Templates: the one that comes along is closed and right, and any closed mesh with landmarks can serve."""

import numpy as np
import pytest
from solids import egg

from mrbone_nb.errors import InputError
from mrbone_nb.mesh import Mesh, check
from mrbone_nb.meshfile import write_mesh
from mrbone_nb.shape import load_template, place, template_names, write_landmarks
from mrbone_nb.shape.crossing import crossing_faces

RADIAL = ("head_center", "greater_trochanter", "shaft_center")


def test_the_femur_that_comes_along():
    right, left = (load_template(f"femur-{side}") for side in ("right", "left"))
    assert template_names() == ["femur-left", "femur-right"]
    assert not check(right.mesh).reason and not check(left.mesh).reason and not len(crossing_faces(right.mesh))
    assert 2000 <= len(right.mesh.vertices) <= 3000
    assert right.mesh.volume == pytest.approx(185_668, rel=0.01)  # mm³ of the mesh it was made from
    assert {*RADIAL} < {*right.landmarks} and len(right.landmarks) >= 8 + 2
    # Right in LPS: the trochanter lies to the right of the head (-x) and behind it (+y), the shaft below (-z).
    assert right.landmarks["greater_trochanter"][0] < -40 and left.landmarks["greater_trochanter"][0] > 40
    assert right.landmarks["lesser_trochanter"][1] > 20 and right.landmarks["shaft_center"][2] < -40
    around = np.linalg.norm(right.mesh.vertices, axis=1)
    assert (np.abs(around - 23.1) < 0.7).sum() > 300  # the head is a ball round its middle


def test_landmarks_of_the_surface_lie_on_it():
    femur = load_template("femur-right")
    for name, point in femur.landmarks.items():
        away = np.linalg.norm(femur.mesh.vertices - point, axis=1).min()
        assert (away > 8) if name.endswith("center") else (away < 0.01), name


def test_any_closed_mesh_can_serve(tmp_path):
    mesh = egg()
    points = {"top": mesh.vertices[mesh.vertices[:, 2].argmax()], "left": (14.0, 0, 0), "front": (0.0, -11, 0)}
    for name, ending in (("a.stl", "a.json"), ("b.ply", "b.mrk.json")):
        write_mesh(mesh, tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}: its landmarks are missing; expected {name[0]}\.json"):
            load_template(tmp_path / name)
        write_landmarks(points, tmp_path / ending)
        found = load_template(tmp_path / name)
        assert found.name == name[0] and list(found.landmarks) == list(points)
        assert len(found.mesh.vertices) == len(mesh.vertices) and found.mesh.volume == pytest.approx(mesh.volume, rel=1e-5)


def test_what_is_no_template_is_told(tmp_path):
    with pytest.raises(InputError, match=r"'tibia'.*femur-left, femur-right, or a mesh file"):
        load_template("tibia")
    write_landmarks({"a": (0, 0, 0)}, tmp_path / "hole.json")
    write_mesh(Mesh(egg().vertices, egg().faces[:-1]), tmp_path / "hole.stl")
    with pytest.raises(InputError, match=r"hole\.stl: no closed surface: .*holes"):
        load_template(tmp_path / "hole.stl")
    (tmp_path / "hole.ply").write_bytes(b"ply\nnonsense")
    with pytest.raises(InputError, match=r"hole\.ply: not a mesh"):
        load_template(tmp_path / "hole.ply")


def test_three_landmarks_place_and_more_bend(rng):
    femur = load_template("femur-right")
    given = {name: 1.1 * femur.landmarks[name] + (5, 6, 7) for name in RADIAL}
    placed = place(femur, given)
    assert placed.route == "landmarks" and placed.used == RADIAL and placed.residual < 1e-6
    assert np.allclose(placed.mesh.vertices, 1.1 * femur.mesh.vertices + (5, 6, 7))
    more = place(femur, {name: point + rng.normal(0, 1, 3) for name, point in femur.landmarks.items()})
    assert more.route == "control points" and 0 < more.residual < 1.5


def test_landmarks_that_do_not_fit_are_told():
    femur = load_template("femur-left")
    with pytest.raises(InputError, match=r"landmark patella: femur-left knows head_center, "):
        place(femur, {"patella": (0, 0, 0)})
    with pytest.raises(InputError, match="2 landmarks: expected 3 to place femur-left, or 4 and more"):
        place(femur, {name: (0, 0, 0) for name in RADIAL[:2]})


def test_landmarks_of_the_other_side_are_told():
    left = load_template("femur-left")
    names = [name for name in left.landmarks if not name.endswith("center")][:9]
    with pytest.raises(InputError, match="other side"):
        place(load_template("femur-right"), {name: left.landmarks[name] for name in names})
