"""Meshes: what they enclose, what is told of their faults, and fewer triangles."""

import numpy as np
import pytest

from mrbone_nb import InputError
from mrbone_nb.mesh import Mesh, check, decimate

CUBE_FACES = np.array(
    [
        *([0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4]),
        *([1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]),
    ]
)
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)


def box(size=(2.0, 3.0, 4.0), at=(100.0, -50.0, 7.0)):
    return Mesh(CORNERS * size + at, CUBE_FACES)


def joined(*meshes):
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=False)]),
    )


def turned_over(mesh):
    return Mesh(mesh.vertices, mesh.faces[:, ::-1])


def sphere(radius=10.0, rings=40):
    """A closed ball of rings and meridians, by hand."""
    down, around = np.linspace(0, np.pi, rings + 1)[1:-1], np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(down, around, indexing="ij")
    points = radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1).reshape(-1, 3)
    number = np.arange(len(points)).reshape(t.shape)
    a, b = number[:-1], np.roll(number, -1, axis=1)[:-1]
    c, d = number[1:], np.roll(number, -1, axis=1)[1:]
    faces = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    top, bottom = len(points), len(points) + 1
    caps = [[top, number[0, k], number[0, k - 2 * rings + 1]] for k in range(2 * rings)]
    caps += [[bottom, number[-1, k - 2 * rings + 1], number[-1, k]] for k in range(2 * rings)]
    return Mesh(np.concatenate([points, [[0, 0, radius], [0, 0, -radius]]]), np.concatenate([faces, caps]))


def test_a_box_is_closed_and_measured():
    report = check(box())
    assert report.watertight and report.outward and report.reason == ""
    assert (report.parts, report.cavities) == (1, 0)
    assert report.volume_mm3 == pytest.approx(24) and report.area_mm2 == pytest.approx(2 * (6 + 8 + 12))
    assert box().bounds.tolist() == [[100, -50, 7], [102, -47, 11]]


def test_a_hole_is_told():
    report = check(Mesh(box().vertices, CUBE_FACES[1:]))
    assert not report.watertight and "3 edges belong to one triangle alone" in report.reason


def test_a_turned_triangle_is_told():
    faces = CUBE_FACES.copy()
    faces[3] = faces[3][::-1]
    report = check(Mesh(box().vertices, faces))
    assert report.watertight and not report.outward and "3 edges run the same way" in report.reason


def test_an_inside_out_mesh_is_told():
    report = check(turned_over(box()))
    assert not report.outward and report.reason == "it is inside out" and report.volume_mm3 == pytest.approx(-24)


def test_a_doubled_sheet_is_told():
    report = check(Mesh(box().vertices, np.concatenate([CUBE_FACES, CUBE_FACES[:2]])))
    assert not report.watertight and "more than two triangles" in report.reason


def test_a_collapsed_triangle_is_told():
    report = check(Mesh(box().vertices, np.concatenate([CUBE_FACES, [[0, 0, 1]]])))
    assert not report.watertight and "1 triangles name one vertex twice" in report.reason


def test_broken_numbers_are_told():
    vertices = box().vertices.copy()
    vertices[0, 0] = np.nan
    assert "NaN" in check(Mesh(vertices, CUBE_FACES)).reason


def test_an_empty_mesh_is_told():
    report = check(Mesh(np.zeros((0, 3)), np.zeros((0, 3), int)))
    assert not report.watertight and report.reason == "it has no triangles"


def test_parts_and_cavities_are_counted():
    mesh = joined(box((9, 9, 9), (0, 0, 0)), turned_over(box((2, 2, 2), (3, 3, 3))), box((1, 1, 1), (20, 0, 0)))
    report = check(mesh)
    assert (report.parts, report.cavities) == (2, 1)
    assert report.volume_mm3 == pytest.approx(729 - 8 + 1) and report.reason == ""


@pytest.mark.parametrize(
    "vertices, faces",
    [
        (np.zeros((3, 2)), [[0, 1, 2]]),
        (np.zeros((3, 3)), [[0, 1, 3]]),
        (np.zeros((3, 3)), [[0, 1, -1]]),
        (np.zeros(3), [[0, 1, 2]]),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, faces):
    with pytest.raises(InputError, match="mesh"):
        Mesh(vertices, faces)


def test_a_mesh_cannot_be_changed():
    with pytest.raises(ValueError):
        box().vertices[0, 0] = 1


def test_normals_point_outward():
    ball = sphere()
    assert np.allclose(ball.normals(), ball.vertices / 10, atol=0.02)
    assert check(ball).volume_mm3 == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)


@pytest.mark.parametrize("reduction", [0.5, 0.9])
def test_decimation_keeps_shape_and_closure(reduction):
    ball = sphere()
    less = decimate(ball, reduction)
    assert len(less.faces) <= (1 - reduction) * len(ball.faces) * 1.05
    assert check(less).reason == ""
    assert less.volume == pytest.approx(ball.volume, rel=0.02)


def test_no_decimation_gives_the_mesh_itself():
    ball = sphere()
    assert decimate(ball, 0) is ball


def test_decimation_that_tears_the_surface_is_tried_again_more_carefully(monkeypatch):
    import fast_simplification

    simplify, tried = fast_simplification.simplify, []

    def tearing(vertices, faces, reduction, agg):
        tried.append(agg)
        vertices, faces = simplify(vertices, faces, reduction, agg=agg)
        return vertices, faces if len(tried) > 1 else faces[1:]

    monkeypatch.setattr(fast_simplification, "simplify", tearing)
    assert check(decimate(sphere(), 0.5)).reason == ""
    assert len(set(tried)) == 2


def test_decimation_that_cannot_keep_it_closed_is_refused(monkeypatch):
    import fast_simplification

    monkeypatch.setattr(fast_simplification, "simplify", lambda vertices, faces, reduction, agg: (vertices, faces[1:]))
    with pytest.raises(InputError, match="reduction=0.5: the surface would not stay closed .*holes.*choose less"):
        decimate(sphere(), 0.5)
