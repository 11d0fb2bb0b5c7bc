"""The elastic surface: it finds an egg from a ball, in millimeters on any grid, and does not pass through itself."""

import numpy as np
import pytest
from solids import egg, grid, marrow_and_cortex, off, radial_slices

from mrbone_nb.errors import InputError
from mrbone_nb.measure import dice
from mrbone_nb.mesh import Mesh, check
from mrbone_nb.shape import Evidence, Level, deform
from mrbone_nb.shape.active import carried
from mrbone_nb.shape.crossing import crossing_faces, move_without_crossing
from mrbone_nb.shape.fill import distance_to, grid_around, inside_mesh
from mrbone_nb.shape.sites import edges_of, sites, sites_across

TRUTH = egg(middle=(2.0, -1.0, 1.0))
START = egg((14.0, 14.0, 16.0))
LEVELS = (Level(200, 8.0, 4.0, 10.0, 0.01, 0.005, 8), Level(0, 4.0, 1.0, 6.0, 0.003, 0.05, 8))
GRIDS = [(1.2, 1.0, 1.0), (4.0, 1.0, 1.0)]


def probability(part):
    return part.with_array(inside_mesh(TRUTH, part).astype(np.float32))


# --- voxels -------------------------------------------------------------------------------------------------


def test_inside_holds_the_volume_on_any_grid():
    for spacing in GRIDS:
        part = grid(spacing)
        assert inside_mesh(TRUTH, part).sum() * np.prod(spacing) == pytest.approx(TRUTH.volume, rel=0.02)
    assert distance_to(TRUTH, 1.0, 5.0).array.min() == pytest.approx(-11, abs=1)


def test_an_open_mesh_is_refused():
    with pytest.raises(InputError, match="my bone: a ray enters it and never leaves"):
        inside_mesh(Mesh(TRUTH.vertices, TRUTH.faces[:-40]), grid((1, 1, 1)), "my bone")
    with pytest.raises(InputError, match="choose more"):
        grid_around(TRUTH, 0.01, 1.0)


# --- sites --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [grid((4.0, 1.0, 1.0)), radial_slices()[3]], ids=["stack", "slice"])
def test_sites_lie_in_the_planes_and_on_the_surface(part):
    at = sites(TRUTH, part, edges_of(TRUTH.faces))
    plane = part.index(at.points)[:, 0]
    assert len(at.points) > 50 and np.allclose(plane, np.rint(plane), atol=1e-6)
    across = np.reshape(part.direction, (3, 3))[:, 2]
    assert np.allclose(at.ways @ across, 0, atol=1e-6) and np.allclose(np.linalg.norm(at.ways, axis=1), 1)
    assert np.allclose(at.of @ TRUTH.vertices, at.points)
    assert (at.ways * (at.points - (2, -1, 1))).sum(axis=1).min() > 0  # outward


def test_thin_planes_are_asked_at_every_vertex_in_view_alone():
    part = grid((1.2, 1.0, 1.0))
    assert len(sites(TRUTH, part, edges_of(TRUTH.faces)).points) == len(TRUTH.vertices)
    half = part.crop((slice(0, part.shape[0] // 2), slice(None), slice(None)))
    assert len(sites(TRUTH, half, edges_of(TRUTH.faces)).points) == pytest.approx(len(TRUTH.vertices) / 2, rel=0.2)
    assert sites_across(TRUTH, part) is None
    thick = sites_across(TRUTH, grid((4.0, 1.0, 1.0)))
    assert np.abs(thick.ways[:, 1]).min() > 0.7  # the planes are coronal


# --- the surface --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", GRIDS)
def test_it_finds_an_egg_by_its_probability(spacing):
    before = START.vertices.copy()
    found = deform(START, [Evidence(None, probability(grid(spacing)))], LEVELS)
    assert off(START) > 1.8 and off(found) < 0.55
    assert not check(found).reason and np.array_equal(START.vertices, before) and np.array_equal(found.faces, START.faces)
    again = deform(START, [Evidence(None, probability(grid(spacing)))], LEVELS)
    assert np.array_equal(found.vertices, again.vertices)


@pytest.mark.parametrize("marrow", [0.9, 0.15])
def test_it_finds_the_outer_edge_of_cortex(marrow, rng):
    part = marrow_and_cortex(TRUTH, grid((4.0, 1.0, 1.0)), rng)
    part = part.with_array(np.where(part.array > 0.7, marrow, part.array).astype(np.float32))
    near = Mesh(TRUTH.vertices * 1.06, TRUTH.faces)
    found = deform(near, [Evidence(part, None, marrow)], LEVELS[1:])
    assert off(near) > 0.7 and off(found) < 0.55


def test_it_finds_an_egg_in_radial_slices():
    found = deform(START, [Evidence(None, probability(part)) for part in radial_slices()], LEVELS)
    part = grid((1.0, 1.0, 1.0))
    assert dice(inside_mesh(found, part), inside_mesh(TRUTH, part)) > 0.95


def test_where_nothing_is_seen_it_keeps_its_shape():
    empty = grid((4.0, 1.0, 1.0), half=5.0)
    found = deform(START, [Evidence(None, probability(empty))], LEVELS)
    assert np.abs(found.vertices - START.vertices).max() < 0.5


def test_values_are_carried_between_meshes():
    coarse, fine = egg(subdivisions=2), egg(subdivisions=4)
    assert np.abs(carried(coarse.vertices, coarse.vertices, fine.vertices) - fine.vertices).max() < 3.0
    assert np.allclose(carried(coarse.vertices, np.full((len(coarse.vertices), 3), 2.5), fine.vertices), 2.5)


# --- crossing -----------------------------------------------------------------------------------------------


def test_crossing_triangles_are_found():
    assert not len(crossing_faces(TRUTH))
    two = Mesh(
        np.concatenate([TRUTH.vertices, TRUTH.vertices + [20, 0, 0]]),
        np.concatenate([TRUTH.faces, TRUTH.faces + len(TRUTH.vertices)]),
    )
    found = crossing_faces(two)
    assert len(found) > 10
    middles = two.vertices[two.faces[found]].mean(axis=1)
    assert np.abs(middles[:, 0] - 12).max() < 4  # where the two overlap


def test_a_move_through_itself_is_damped():
    into = TRUTH.vertices.copy()
    top = into[:, 2] > 14
    into[top, 2] -= 45  # the cap is pushed out through the bottom
    moved = move_without_crossing(TRUTH, into, np.zeros(0, int))
    assert len(crossing_faces(Mesh(into, TRUTH.faces))) and not len(crossing_faces(moved))
    assert move_without_crossing(TRUTH, TRUTH.vertices + 3, np.zeros(0, int)).vertices == pytest.approx(TRUTH.vertices + 3)
