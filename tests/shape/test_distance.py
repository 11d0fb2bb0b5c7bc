"""Closest points, registration and signed distance against surfaces whose answer is known."""

import numpy as np
import pytest
from boneshapes import cut_flat, grown, knob, motion

from mrbone_nb import InputError
from mrbone_nb.mesh import Mesh
from mrbone_nb.shape.closest import Surface
from mrbone_nb.shape.distance import distance_to_mesh
from mrbone_nb.shape.flat import flat_cuts
from mrbone_nb.shape.register import fit_rigid, moved, register, thinned

BONE = knob()
BOX = Mesh(
    [[x, y, z] for x in (0, 4) for y in (0, 10) for z in (0, 20)],
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]],
)  # fmt: skip


@pytest.mark.parametrize(
    ("point", "nearest", "distance"),
    [
        ((2, 5, 23), (2, 5, 20), 3),  # before a face
        ((1, 5, 10), (0, 5, 10), -1),  # inside
        ((7, 14, 10), (4, 10, 10), 5),  # beside an edge
        ((-2, -1, -2), (0, 0, 0), 3),  # at a corner
        ((4, 10, 20), (4, 10, 20), 0),
    ],
)
def test_nearest_point_of_a_box(point, nearest, distance):
    found = Surface(BOX).nearest(np.array([point], float))
    assert np.allclose(found.points, [nearest]) and np.allclose(found.distances, [distance])


def test_large_triangles_beside_small_ones_are_found(rng):
    """One side of a box in 2 triangles, and a fine ball near it."""
    ball = Mesh(knob(3).vertices * 0.05 + [2, 5, 27], knob(3).faces)
    both = Mesh(np.vstack([BOX.vertices, ball.vertices]), np.vstack([BOX.faces, ball.faces + 8]))
    points = rng.uniform((-3, -3, -3), (7, 13, 20), (300, 3))
    assert np.allclose(Surface(both).nearest(points).distances, Surface(BOX).nearest(points).distances, atol=1e-9)


def test_a_surface_without_area_is_refused():
    with pytest.raises(InputError, match="none of them has an area"):
        Surface(Mesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]))


def test_rigid_fit_is_exact_and_never_mirrors(rng):
    points, matrix = rng.normal(size=(9, 3)), motion(3)
    assert np.allclose(fit_rigid(points, moved(matrix, points)), matrix)
    assert np.linalg.det(fit_rigid(points, points * [-1, 1, 1])[:3, :3]) == pytest.approx(1)


def test_thinning_is_even_and_about_as_many():
    chosen = thinned(BONE.vertices, 200)
    assert 200 <= len(chosen) <= 300 and len(np.unique(chosen)) == len(chosen)


@pytest.mark.parametrize(("offset", "height"), [(0.5, None), (-0.4, -8.0), (0.0, 3.0)])
def test_offset_of_a_moved_and_cut_bone_is_found(offset, height):
    """An even difference is measured to 0.1 mm, wherever the part lies, and the flat end is left out."""
    part = grown(BONE, offset) if height is None else cut_flat(grown(BONE, offset), height)
    matrix = motion(5)
    found = distance_to_mesh(Mesh(moved(matrix, part.vertices), part.faces), BONE)
    assert np.abs(moved(found.placement.matrix @ matrix, part.vertices) - part.vertices).max() < 0.1
    known = np.isfinite(found.values)
    assert np.abs(found.values[known] - offset).mean() < 0.02
    assert np.quantile(np.abs(found.values[known] - offset), 0.98) < 0.1
    assert found.mean == pytest.approx(offset, abs=0.05) and found.rms == pytest.approx(abs(offset), abs=0.06)
    if height is not None:
        flat = part.vertices[:, 2] < height + 1e-9
        assert known[~flat].mean() > 0.95 and known[flat].mean() < 0.2
        assert found.share < 0.95


def test_a_reference_that_shows_less_measures_only_that():
    reference = cut_flat(BONE, 0.0)
    found = distance_to_mesh(grown(BONE, 0.3), reference, place=False)
    known = np.isfinite(found.values)
    assert not known[BONE.vertices[:, 2] < -6].any() and known[BONE.vertices[:, 2] > 3].all()
    assert found.mean == pytest.approx(0.3, abs=0.05)


def test_registration_turns_round():
    matrix = motion(8)
    part = cut_flat(BONE, -5)
    there = Mesh(moved(matrix, BONE.vertices), BONE.faces)
    assert np.allclose(register(there, part).matrix, np.linalg.inv(register(part, there).matrix), atol=1e-6)
    start = matrix.copy()
    start[:3, 3] += [3, -2, 2]
    assert np.allclose(register(part, there, start=start).matrix, matrix, atol=0.02)


def test_figures_are_weighted_by_area_and_named():
    found = distance_to_mesh(grown(BONE, 1.0), BONE, place=False)
    assert found.as_dict().keys() == {"mean_mm", "rms_mm", "p95_mm", "share", "vertices"}
    assert found.p95 == pytest.approx(1, abs=0.02) and found.share == pytest.approx(1, abs=0.02)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="moving mesh of 8 vertices: expected 20 or more"):
        register(BOX, BONE)
    inside_out = Mesh(BONE.vertices, BONE.faces[:, ::-1])
    with pytest.raises(InputError, match="no place in common"):
        distance_to_mesh(BONE, inside_out, place=False)


def test_flat_cuts_are_found_at_any_turn_and_bone_is_none():
    part = cut_flat(BONE, -8.0)
    there = Mesh(moved(motion(6), part.vertices), part.faces)
    lies_flat = (part.vertices[part.faces][:, :, 2] < -8 + 1e-9).all(axis=1)
    assert (flat_cuts(there) == lies_flat).mean() > 0.99 and flat_cuts(there)[lies_flat].mean() > 0.97
    assert not flat_cuts(BONE).any() and not flat_cuts(knob(3)).any()
