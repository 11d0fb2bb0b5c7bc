"""Surfaces: closed, in the right place, of the right size, and without the stairs of thick slices."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SPACING, ball, positions
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from mrbone_nb import InputError, Volume
from mrbone_nb.export import read_labels
from mrbone_nb.mesh import check
from mrbone_nb.surface import SURFACE_PARAMS, surface

THICK = (4.0, 0.6, 0.6)
GRIDS = [THICK, (0.7, 0.7, 0.7), (2.0, 0.23, 0.23), (1.0, 1.0, 3.0), SPACING]


def grid_for(size, spacing):
    """Shape of a grid that holds a size in mm with room around."""
    return tuple(int(size / s) + 6 for s in spacing)


def truth(volume, label=None):
    """Volume of the mask itself in mm³."""
    mask = volume.array != 0 if label is None else volume.array == label
    return mask.sum() * np.prod(volume.spacing)


def sound(mesh, volume, label=None, within=0.005):
    """Closed, outward, and of the mask's volume."""
    report = check(mesh)
    assert report.reason == ""
    assert report.volume_mm3 == pytest.approx(truth(volume, label), rel=within)
    return report


@pytest.fixture(scope="module")
def anatomy(request):
    """A real knee as label map: 0.7 × 0.36 × 0.36 mm."""
    return read_labels(request.config.rootpath / "data_samples" / "knee_anatomy.nrrd")[0]


# --- size and place -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", GRIDS, ids=str)
@pytest.mark.parametrize("radius", [5, 10])
def test_a_ball_is_a_ball(spacing, radius):
    scan = Volume(ball(radius, grid_for(2 * radius, spacing), spacing), spacing)
    mesh = surface(scan)
    report = sound(mesh, scan)
    assert (report.parts, report.cavities) == (1, 0)
    center = scan.points([(np.array(scan.shape) - 1) / 2])[0]
    off = np.linalg.norm(mesh.vertices - center, axis=1) - radius
    assert np.sqrt((off**2).mean()) < 0.2 * max(spacing)
    assert np.abs(mesh.vertices.mean(axis=0) - center).max() < 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_surface_lies_where_the_mask_lies_for_any_orientation(seed):
    draw = np.random.default_rng(seed)
    spacing = tuple(draw.uniform(0.4, 4, 3))
    turn = Rotation.random(random_state=seed).as_matrix() * [1, 1, draw.choice([-1, 1])]
    mask = np.zeros((9, 14, 14), bool)
    mask[2:5, 3:8, 2:11] = True
    mask[5:7, 3:5, 2:7] = True  # no symmetry, so that a flip shows
    scan = Volume(mask, spacing, tuple(draw.uniform(-200, 200, 3)), tuple(turn.ravel()))
    mesh = surface(scan, smoothing=0)
    sound(mesh, scan)
    tree = KDTree(scan.points(np.argwhere(mask)))
    far = tree.query(mesh.vertices)[0]
    assert far.max() < np.linalg.norm(spacing), "no vertex lies farther from the mask than a voxel's diagonal"
    inside = KDTree(mesh.vertices).query(scan.points(np.argwhere(mask)))[0]
    assert inside.max() < 6 * max(spacing)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_thick_axis_may_be_any_axis_of_the_array(axis):
    mask = ball(9, grid_for(18, THICK), THICK)
    mask[:, : mask.shape[1] // 2] = False
    order = np.roll([0, 1, 2], axis)
    mesh = surface(Volume(mask.transpose(order), tuple(np.array(THICK)[order])))
    same = surface(Volume(mask, THICK))
    turned = same.vertices[:, ::-1][:, order][:, ::-1]  # (x, y, z) is (column, row, plane)
    assert KDTree(mesh.vertices).query(turned)[0].max() < 0.02


def test_the_same_mask_gives_the_same_bits():
    scan = Volume(ball(8, grid_for(16, THICK), THICK), THICK)
    first, second = surface(scan), surface(scan)
    assert first.vertices.tobytes() == second.vertices.tobytes() and first.faces.tobytes() == second.faces.tobytes()


# --- thick slices -------------------------------------------------------------------------------------


def slanted_cylinder(spacing, shift=0.6, radius=9.0, length=40.0):
    """A cylinder whose axis leans by ``shift`` mm a mm; gives the mask and the distance of points to it."""
    planes, rows, columns = positions(grid_for(length + 20, spacing), spacing)
    lean = np.cos(np.arctan(shift))

    def off(z, y, x):
        return np.hypot((x - shift * z) * lean, y) - radius

    return (off(planes, rows, columns) <= 0) & (np.abs(planes) <= length / 2), off


def test_thick_slices_give_no_stairs():
    mask, off = slanted_cylinder(THICK)
    scan = Volume(mask, THICK)
    mesh = surface(scan)
    sound(mesh, scan)
    middle = (np.array(scan.shape) - 1) / 2 * THICK
    x, y, z = (mesh.vertices - middle[::-1]).T
    side = np.abs(z) < 14  # away from the ends
    error = np.sqrt((off(z[side], y[side], x[side]) ** 2).mean())

    from skimage.measure import marching_cubes

    stairs = marching_cubes(mask.astype(np.float32), 0.5, spacing=THICK)[0] - middle
    stairs = stairs[np.abs(stairs[:, 0]) < 14]
    naive = np.sqrt((off(*stairs.T) ** 2).mean())
    assert error < 0.2
    assert error < 0.35 * naive


def test_thick_slices_of_a_real_bone_come_close_to_thin_ones(anatomy):
    femur = anatomy.with_array(anatomy.array == 5)
    fine = surface(femur, edge=0.7)
    thick = replace(femur, array=femur.array[2::6], spacing=(6 * femur.spacing[0], *femur.spacing[1:]))
    thick = replace(thick, origin=tuple(femur.points([[2, 0, 0]])[0]))
    mesh = surface(thick)
    sound(mesh, thick)
    off = KDTree(fine.vertices).query(mesh.vertices)[0]
    assert off.mean() < 0.5 and np.percentile(off, 95) < 1.2  # slices are 4.2 mm apart


def test_the_ends_lie_half_a_slice_beyond_the_last_slices():
    mask = np.zeros((9, 60, 60), bool)
    mask[3:6] = ball(12, (1, 60, 60), THICK)
    mesh = surface(Volume(mask, THICK))
    low, high = mesh.bounds[:, 2]
    assert low == pytest.approx(2.5 * 4, abs=0.4) and high == pytest.approx(5.5 * 4, abs=0.4)


def test_one_slice_alone_becomes_a_slab():
    mask = np.zeros((5, 40, 40), bool)
    mask[2] = ball(10, (1, 40, 40), THICK)
    scan = Volume(mask, THICK)
    mesh = surface(scan)
    sound(mesh, scan)
    assert np.ptp(mesh.bounds[:, 2]) == pytest.approx(4, abs=1)


# --- the border of the scan -----------------------------------------------------------------------------


def test_a_bone_cut_by_the_scan_is_closed_by_a_flat_face():
    shape = (12, 50, 50)
    scan = Volume(ball(18, shape, THICK, center=(-24, -15, 0)), THICK)
    assert scan.array[0].any() and scan.array[:, 0].any()
    mesh = surface(scan)
    sound(mesh, scan)
    assert mesh.bounds[0, 2] == pytest.approx(-0.5 * 4, abs=0.1)
    assert mesh.bounds[0, 1] == pytest.approx(-0.5 * 0.6, abs=0.1)
    cut = np.abs(mesh.vertices[:, 2] + 2) < 1e-9
    assert cut.sum() > 100, "a face, not an edge"
    assert mesh.volume == pytest.approx(np.count_nonzero(scan.array) * np.prod(THICK), rel=1e-3)


@pytest.mark.parametrize("radius", [10, 14, 18])
@pytest.mark.parametrize("smoothing", [0, 0.7, 2])
def test_no_cut_leaves_the_scan(radius, smoothing):
    shape = (12, 50, 50)
    scan = Volume(ball(radius, shape, THICK, center=(20, 12, -11)), THICK)
    mesh = surface(scan, smoothing=smoothing)
    sound(mesh, scan)
    first, last = scan.points(np.array([[-0.5] * 3, np.array(shape) - 0.5]))
    assert (mesh.vertices >= first - 1e-9).all() and (mesh.vertices <= last + 1e-9).all()


def test_the_cut_of_a_shaft_is_as_wide_as_the_shaft():
    scan = Volume(np.repeat(ball(12, (1, 50, 50), THICK), 6, axis=0), THICK)
    mesh = surface(scan)
    sound(mesh, scan)
    cut = mesh.vertices[np.abs(mesh.vertices[:, 2] + 2) < 0.1]
    wide = np.hypot(*(cut[:, :2] - 24.5 * 0.6).T).max()
    assert wide == pytest.approx(12, abs=0.4), "not rounded off: the bone goes on"


def test_a_mask_that_fills_the_scan_is_a_block():
    scan = Volume(np.ones((4, 12, 16), bool), SPACING)
    mesh = surface(scan)
    sound(mesh, scan)
    assert np.allclose(mesh.bounds, [[-0.55, -0.4, -1.5], [15.5 * 1.1, 11.5 * 0.8, 3.5 * 3]], atol=0.1)


# --- shapes that are hard -------------------------------------------------------------------------------


def plate(spacing, tilt):
    """A plate 2.5 mm thick."""
    planes, rows, columns = positions(grid_for(50, spacing), spacing)
    across = planes * np.cos(np.deg2rad(tilt)) + rows * np.sin(np.deg2rad(tilt))
    return (np.abs(across) < 1.25) & (planes**2 + rows**2 + columns**2 < 20**2)


@pytest.mark.parametrize("tilt", [0, 30, 60, 90])
def test_thin_plates_stay_whole(tilt):
    spacing = (0.8, 0.5, 0.5)
    scan = Volume(plate(spacing, tilt), spacing)
    assert sound(surface(scan), scan).parts == 1


@pytest.mark.parametrize("tilt", [20, 70, 90])
def test_thin_plates_in_thick_slices_keep_their_volume(tilt):
    scan = Volume(plate(THICK, tilt), THICK)
    sound(surface(scan), scan)


def test_all_islands_and_cavities_are_kept():
    shape = grid_for(50, (1.0, 1.0, 1.0))
    mask = (
        ball(8, shape, (1, 1, 1), (-14, 0, 0))
        | ball(6, shape, (1, 1, 1), (14, 10, 0))
        | ball(4, shape, (1, 1, 1), (14, -12, 8))
    )
    mask &= ~ball(3, shape, (1, 1, 1), (-14, 0, 0))
    scan = Volume(mask)
    report = sound(surface(scan), scan)
    assert (report.parts, report.cavities) == (3, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 9)])
def test_one_voxel_is_a_closed_surface(shape):
    mask = np.zeros(shape, bool)
    mask[tuple(n // 2 for n in shape)] = True
    scan = Volume(mask, THICK)
    sound(surface(scan), scan)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_any_mask_gives_a_closed_surface_of_its_volume(seed):
    from scipy.ndimage import gaussian_filter

    draw = np.random.default_rng(seed)
    spacing = tuple(draw.choice([0.5, 0.7, 1.0, 2.0, 4.0], 3))
    values = gaussian_filter(draw.standard_normal(draw.integers(4, 18, 3)), draw.uniform(1, 3))
    scan = Volume(values > np.quantile(values, draw.uniform(0.3, 0.95)), spacing)
    sound(surface(scan), scan)


@pytest.mark.parametrize("label", [2, 8])
def test_labels_of_the_sample_keep_their_volume(anatomy, label):
    sound(surface(anatomy, label), anatomy, label)


@pytest.mark.slow
@pytest.mark.parametrize("label", range(1, 11))
@pytest.mark.parametrize("every", [1, 3, 6])
def test_all_labels_of_the_sample_keep_their_volume_in_thin_and_thick_slices(anatomy, label, every):
    scan = replace(anatomy, array=anatomy.array[::every], spacing=(every * anatomy.spacing[0], *anatomy.spacing[1:]))
    sound(surface(scan, label), scan, label)


# --- parameters -----------------------------------------------------------------------------------------


def roughness(mesh, center):
    return np.std(np.linalg.norm(mesh.vertices - center, axis=1))


def test_smoothing_evens_out_and_does_not_shrink():
    draw = np.random.default_rng(3)
    spacing = (1.0, 0.6, 0.6)
    shape = grid_for(26, spacing)
    noisy = ball(10, shape, spacing) ^ (draw.random(shape) < 0.25) & ball(11, shape, spacing) & ~ball(9, shape, spacing)
    scan = Volume(noisy, spacing)
    center = scan.points([(np.array(shape) - 1) / 2])[0]
    rough = [roughness(surface(scan, smoothing=s), center) for s in (0.0, 0.7, 1.0)]
    assert rough[0] > 2 * rough[1] and rough[1] > 1.2 * rough[2]
    clean = Volume(ball(10, shape, spacing), spacing)
    for smoothing in (0.3, 1.0, 2.0):
        mesh = surface(clean, smoothing=smoothing)
        assert np.linalg.norm(mesh.vertices - center, axis=1).mean() == pytest.approx(10, abs=0.1)


def test_edge_sets_the_length_of_the_triangles_edges():
    scan = Volume(ball(12, grid_for(24, (1, 0.5, 0.5)), (1, 0.5, 0.5)), (1.0, 0.5, 0.5))
    for edge in (0.5, 1.0, 2.0):
        mesh = surface(scan, edge=edge)
        sound(mesh, scan)
        a, b = mesh.vertices[mesh.faces[:, 0]], mesh.vertices[mesh.faces[:, 1]]
        assert np.linalg.norm(a - b, axis=1).mean() == pytest.approx(0.8 * edge, rel=0.3)


def test_small_bones_get_finer_triangles_than_large_ones():
    spacing = (0.4, 0.2, 0.2)
    small, large = (Volume(ball(r, grid_for(2 * r, spacing), spacing), spacing) for r in (3, 10))
    meshes = [surface(v) for v in (small, large)]
    counts = [len(mesh.faces) / mesh.area for mesh in meshes]
    assert counts[0] > 1.5 * counts[1]


def test_reduction_takes_triangles_away():
    scan = Volume(ball(15, grid_for(30, THICK), THICK), THICK)
    whole, reduced = surface(scan), surface(scan, reduction=0.8)
    assert len(reduced.faces) == pytest.approx(0.2 * len(whole.faces), rel=0.05)
    sound(reduced, scan, within=0.03)


def test_recipes_see_the_parameters_of_the_signature():
    assert {name: (p.default, p.range.lower, p.range.upper, p.unit) for name, p in SURFACE_PARAMS.items()} == {
        "smoothing": (0.7, 0, 5, "mm"),
        "edge": (0.0, 0, 5, "mm"),
        "reduction": (0.0, 0, 0.99, ""),
    }
    assert all(p.doc for p in SURFACE_PARAMS.values())
    assert set(SURFACE_PARAMS) == set(inspect.signature(surface).parameters) - {"volume", "label"}


@pytest.mark.parametrize(
    "wrong, told",
    [
        (dict(smoothing=-1), "smoothing=-1 mm: expected 0 to 5 mm"),
        (dict(edge=6), "edge=6 mm"),
        (dict(reduction=1), "reduction=1: expected 0 to 0.99"),
        (dict(reduction=float("nan")), "reduction=nan"),
        (dict(label=9), "label 9 has no voxel; nothing to export"),
        (dict(), "labels 1, 2: say which one"),
    ],
)
def test_wrong_parameters_are_named(wrong, told):
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1], labels[2] = 1, 2
    with pytest.raises(InputError, match=told):
        surface(Volume(labels, SPACING), **wrong)


def test_an_empty_mask_is_refused():
    with pytest.raises(InputError, match="knee: the mask is empty; nothing to export"):
        surface(Volume(np.zeros((3, 4, 5), bool), SPACING, name="knee"))


def test_cells_that_would_fill_the_memory_are_refused():
    with pytest.raises(InputError, match=r"edge=0.1 mm: .* cells would need too much memory; choose 0\.\d or more"):
        surface(Volume(np.ones((100, 100, 100), bool), (1.0, 1.0, 1.0)), edge=0.1)
