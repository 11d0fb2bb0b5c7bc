"""Simulated MR: the physics against numbers worked out by hand, the truth against geometry."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import trimesh
from scipy import ndimage as ndi

from mrbone_nb import InputError, Volume
from mrbone_nb import phantom as ph
from mrbone_nb.mesh import Mesh
from mrbone_nb.phantom import joints, scanner, tissue
from mrbone_nb.phantom.artifacts import add_motion, add_noise, coil
from mrbone_nb.phantom.fields import interpolate
from mrbone_nb.phantom.tissue import CODES, Sequence, pool_signal, signal_tables

CLEAN = dict(noise=0.0, bias=0.0, blur=0.0, shift=0.0)  # a scanner that adds nothing
TILTED = (0.96, 0.0, 0.28, 0.0, 1.0, 0.0, -0.28, 0.0, 0.96)


def made_of(codes, spacing=(1.0, 1.0, 1.0), truth=None, **place):
    """A body of given tissues without texture."""
    grid = Volume(np.asarray(codes, np.uint8), spacing, **place)
    bones = np.zeros(grid.shape, np.uint8) if truth is None else np.asarray(truth, np.uint8)
    return ph.Body(grid, grid.with_array(bones), np.ones(grid.shape, np.float32))


def sphere(radius, shape=(40, 60, 50), spacing=(1.5, 0.8, 1.0), center=None, **place):
    """A label map with one ball, by default in the middle; center in mm."""
    grid = Volume(np.zeros(shape, np.uint8), spacing, **place)
    middle = grid.points([(np.array(shape) - 1) / 2])[0] if center is None else np.array(center)
    index = np.argwhere(np.ones(shape, bool))
    inside = np.linalg.norm(grid.points(index) - middle, axis=1) <= radius
    return grid.with_array(inside.reshape(shape).astype(np.uint8)), middle


@pytest.fixture(scope="module")
def small_knee():
    return ph.knee_body(size=56)


@pytest.fixture(scope="module")
def knee():
    return ph.knee_body(size=96)


# --- signal ---------------------------------------------------------------------------------------


def test_spin_echo_by_hand():
    # (1 - exp(-500/1000)) * exp(-20/100) = 0.393469 * 0.818731
    assert pool_signal(1000, 100, Sequence("spin echo", tr=500, te=20)) == pytest.approx(0.322145, abs=1e-6)


def test_spoiled_gradient_echo_by_hand():
    # flip 60: sin 0.866025, cos 0.5; E1 = exp(-0.1) = 0.904837; decay exp(-10/50) * exp(-10 ms * 10/s)
    # 0.866025 * 0.095163 / (1 - 0.452419) * 0.818731 * 0.904837
    one = pool_signal(1000, 50, Sequence("gradient echo", tr=100, te=10, flip=60), dephasing=10)
    assert one == pytest.approx(0.111496, abs=1e-6)


def test_inversion_recovery_by_hand():
    # |1 - 2 exp(-0.2) + exp(-4)| * exp(-0.3) = |1 - 1.637462 + 0.018316| * 0.740818
    one = pool_signal(1000, 100, Sequence("inversion recovery", tr=4000, te=30), ti=200)
    assert one == pytest.approx(0.458674, abs=1e-6)


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_stir_nulls_fat_at_a_clinical_inversion_time(field):
    stir = tissue.SEQUENCES["stir"]
    assert 150 < tissue.inversion_time(stir, field) < 270
    assert ph.tissue_signal("fat", stir, field)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("t1", "t2"), [(1240.0, 36.9), (371.0, 133.0), (3620.0, 767.0)])
def test_dess_equals_the_bloch_equations(t1, t2):
    """Step 240 isochromats, dephased evenly over one turn, through pulses until nothing changes."""
    dess = tissue.SEQUENCES["dess"]
    flip, turn = np.deg2rad(dess.flip), np.exp(1j * np.linspace(0, 2 * np.pi, 240, endpoint=False))
    e1, e2 = np.exp(-dess.tr / t1), np.exp(-dess.tr / t2)
    plus, along = np.zeros(240, complex), np.ones(240)
    for _ in range(int(8 * t1 / dess.tr)):
        y = plus.imag * np.cos(flip) + along * np.sin(flip)
        before, along = plus, along * np.cos(flip) - plus.imag * np.sin(flip)
        after = before.real + 1j * y
        plus, along = after * turn * e2, 1 + (along - 1) * e1
    fid, echo = abs(after.mean()) * np.exp(-dess.te / t2), abs(plus.mean()) * np.exp(dess.te / t2)
    assert pool_signal(t1, t2, dess) == pytest.approx(fid + echo, rel=2e-3)


@pytest.mark.parametrize("field", [1.5, 3.0])
@pytest.mark.parametrize("sequence", ["t1", "pd", "t2", "gre", "fat"])
def test_marrow_is_bright_where_fat_is_kept(sequence, field):
    total = dict(zip(CODES, sum(signal_tables(sequence, field)), strict=True))
    assert total["fat"] > total["marrow"] > 1.5 * total["muscle"]
    assert total["cortex"] < 0.05 * total["marrow"]
    assert max(total["fat"], total["muscle"], total["marrow"], total["cartilage"]) == pytest.approx(1000)


@pytest.mark.parametrize("field", [1.5, 3.0])
@pytest.mark.parametrize("sequence", ["pdfs", "t2fs", "stir", "dess", "water"])
def test_marrow_is_dark_where_fat_is_taken_out(sequence, field):
    total = dict(zip(CODES, sum(signal_tables(sequence, field)), strict=True))
    assert total["marrow"] < 0.6 * total["muscle"]
    assert total["cartilage"] > 2 * total["marrow"] > 2 * total["cortex"]


def test_fluid_is_bright_on_t2_and_dark_on_t1():
    t1, t2 = (dict(zip(CODES, sum(signal_tables(s)), strict=True)) for s in ("t1", "t2"))
    assert t2["fluid"] > 4 * t2["muscle"]
    assert t1["fluid"] < t1["muscle"]


def test_in_a_dixon_scan_water_and_fat_make_the_whole():
    water, fat = (np.array(ph.tissue_signal("marrow", s)) for s in ("water", "fat"))
    both = ph.tissue_signal("marrow", Sequence("gradient echo", tr=6, te=2.4, flip=10))
    assert water[1] == fat[0] == 0
    assert water + fat == pytest.approx(np.array(both))


# --- anatomy --------------------------------------------------------------------------------------


def test_truth_is_the_label_map_and_its_volume_that_of_the_ball():
    labels, _ = sphere(18.0)
    body = ph.build_body(labels.with_array(labels.array * 9), {9: "bone"})
    voxel = np.prod(labels.spacing)
    assert np.array_equal(body.bones.array, labels.array * 9)
    assert (body.bones.array == 9).sum() * voxel == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.01)


def test_cortex_lies_inside_the_bone_and_has_its_thickness():
    labels, _ = sphere(18.0, spacing=(1.5, 0.5, 0.5), shape=(40, 100, 100))
    for thickness in (1.5, 3.0):
        body = ph.build_body(labels, {1: "bone"}, cortex=thickness)
        codes = body.tissue.array
        assert not (codes[labels.array == 0] == CODES["cortex"]).any()
        marrow = (codes == CODES["marrow"]).sum() * np.prod(labels.spacing)
        radius = (marrow / (4 / 3 * np.pi)) ** (1 / 3)
        assert 18 - radius == pytest.approx(thickness, abs=0.3)


def test_cortex_of_two_numbers_is_thicker_on_the_shaft(knee):
    femur = knee.bones.array == 1
    shell = femur & (knee.tissue.array == CODES["cortex"])
    z = knee.tissue.points(np.argwhere(femur))[:, 2]
    joint, shaft = z.min() + 25, z.max() - 25
    at = knee.tissue.points(np.argwhere(shell))[:, 2]
    end_share = (at < joint).sum() / (z < joint).sum()
    shaft_share = (at > shaft).sum() / (z > shaft).sum()
    assert shaft_share > 1.5 * end_share > 0.05


def test_without_flesh_there_is_air():
    labels, _ = sphere(10.0)
    body = ph.build_body(labels, {1: "bone"}, flesh=None)
    assert set(np.unique(body.tissue.array)) == {CODES["air"], CODES["cortex"], CODES["marrow"]}


def test_layers_lie_in_order_from_air_to_bone():
    labels, middle = sphere(14.0, shape=(60, 130, 110))
    body = ph.build_body(labels, {1: "bone"}, flesh=ph.Flesh(margin=(22.0, 22.0)))
    _, row, column = np.rint(labels.index([middle])[0]).astype(int)
    line = body.tissue.array[:, row, column].tolist()
    first = [line.index(CODES[name]) for name in ("air", "skin", "fat", "muscle", "cortex", "marrow")]
    assert first == sorted(first)


def test_named_tissues_are_kept_and_bones_only_make_the_truth():
    array = np.zeros((12, 20, 20), np.uint8)
    array[2:9, 4:16, 3:9], array[2:9, 4:16, 10:13] = 3, 8
    body = ph.build_body(Volume(array), {3: "bone", 8: "cartilage"})
    assert (body.tissue.array[array == 8] == CODES["cartilage"]).all()
    assert set(np.unique(body.bones.array)) == {0, 3}


def test_cartilage_appears_only_where_bones_face_each_other():
    x = np.arange(90) * 0.7
    array = np.zeros((30, 40, 90), np.uint8)
    array[8:22, 10:30, (x > 8) & (x < 28)], array[8:22, 10:30, (x > 32) & (x < 55)] = 1, 2
    body = ph.build_body(Volume(array, (0.7,) * 3), {1: "bone", 2: "bone"})
    place = body.tissue.points(np.argwhere(body.tissue.array == CODES["cartilage"]))[:, 0]
    assert len(place) > 1000
    assert 22 < place.min() < place.max() < 38
    assert np.isin(body.tissue.array[15, 20, (x > 28.7) & (x < 31.3)], [CODES["cartilage"], CODES["fluid"]]).all()


def test_bright_fat_lies_on_thin_cortex_somewhere(knee):
    """Else no method could leak, and the phantom would be too easy."""
    codes = knee.tissue.array
    marrow = np.isin(codes, [CODES["marrow"], CODES["scar"]])
    near = ndi.binary_dilation(marrow, iterations=2)
    assert (near & (codes == CODES["fat"])).sum() > 200


def test_meshes_fill_as_much_as_they_enclose():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=12.0)
    ball.apply_translation([3.3, -2.1, 5.7])
    grid = Volume(np.zeros((40, 44, 50), np.uint8), (1.1, 0.8, 0.9), (-24.0, -20.0, -9.0), TILTED)
    filled = ph.label_meshes({4: Mesh(ball.vertices, ball.faces)}, grid)
    index = np.argwhere(filled.array == 4)
    assert len(index) * np.prod(grid.spacing) == pytest.approx(ball.volume, rel=0.01)
    assert grid.points(index).mean(axis=0) == pytest.approx([3.3, -2.1, 5.7], abs=0.1)


def test_an_open_mesh_is_refused():
    box = trimesh.creation.box([10, 10, 10])
    with pytest.raises(InputError, match="label 2"):
        ph.label_meshes({2: Mesh(box.vertices, box.faces[:-1])}, Volume(np.zeros((9, 9, 9)), origin=(-4.0, -4.1, -4.2)))


def test_interpolation_of_a_linear_field_is_exact():
    coarse = Volume(np.zeros((5, 6, 7)), (2.0, 3.0, 2.5), (1.0, 2.0, 3.0), TILTED)
    fine = Volume(np.zeros((9, 19, 16)), (1.0, 0.75, 0.9), tuple(coarse.points([[0, 0.2, 0.1]])[0]), TILTED)
    field = coarse.points(np.argwhere(np.ones(coarse.shape, bool))).reshape(*coarse.shape, 3)
    want = fine.points(np.argwhere(np.ones(fine.shape, bool))).reshape(*fine.shape, 3)
    for axis in range(3):
        assert np.allclose(interpolate(field[..., axis], coarse, fine), want[..., axis], atol=1e-4)


LITERS = {  # of each bone, the least and the most that is human within the field of view
    "knee": {1: (0.10, 0.30), 2: (0.08, 0.25), 3: (0.01, 0.03), 4: (0.004, 0.02)},
    "hip": {1: (0.12, 0.30), 2: (0.15, 0.40)},
    "shoulder": {1: (0.08, 0.25), 2: (0.05, 0.13)},
}


@pytest.mark.parametrize("joint", LITERS)
def test_ready_made_joints_have_whole_bones_of_human_size(joint, knee):
    body = knee if joint == "knee" else {"hip": ph.hip_body, "shoulder": ph.shoulder_body}[joint](size=96)
    assert set(np.unique(body.bones.array)) == {0, *LITERS[joint]}
    for number, (low, high) in LITERS[joint].items():
        bone = body.bones.array == number
        pieces, _ = ndi.label(bone)
        assert np.bincount(pieces[bone]).max() > 0.995 * bone.sum(), number
        assert low < bone.sum() * np.prod(body.bones.spacing) / 1e6 < high, number
    beside = ndi.binary_dilation(body.bones.array == 1)
    assert not (beside & (body.bones.array == 2)).any(), "a joint has a gap"


@pytest.mark.skipif(not joints._SAMPLE.is_file(), reason="installed without data_samples")
def test_the_sample_knee_keeps_every_voxel_of_its_bones():
    original = sitk.GetArrayFromImage(sitk.ReadImage(joints._SAMPLE))
    labels = joints._sample_knee(None).array
    for old, new in {5: 1, 6: 2, 7: 3, 8: 4}.items():
        assert np.array_equal(labels == new, original == old)


def test_without_the_sample_the_parametric_knee_steps_in(monkeypatch, tmp_path):
    monkeypatch.setattr(joints, "_SAMPLE", tmp_path / "none.nrrd")
    with pytest.raises(InputError, match="parametric"):
        ph.knee_body(shape="sample")
    monkeypatch.setattr(joints, "_sample_knee", None)
    monkeypatch.setattr(joints, "_step", lambda longest, size: longest / 40)
    assert set(np.unique(ph.knee_body(size=40).bones.array)) == {0, 1, 2, 3, 4}


# --- scanner --------------------------------------------------------------------------------------


def test_a_voxel_shows_the_share_of_each_tissue_in_it():
    codes = np.full((12, 8, 8), CODES["cortex"])
    codes[:5] = CODES["muscle"]  # the second slice of 3 mm holds muscle in two of three parts
    image, _ = ph.scan(made_of(codes), "t1", spacing=(3.0, 1.0, 1.0), **CLEAN)
    muscle, cortex = (sum(ph.tissue_signal(n, "t1")) for n in ("muscle", "cortex"))
    scale = image.array[0, 4, 4] / muscle
    assert image.shape == (4, 8, 8)
    assert image.array[1, 4, 4] == pytest.approx(scale * (2 * muscle + cortex) / 3, rel=1e-4)
    assert image.array[2, 4, 4] == pytest.approx(scale * cortex, abs=1e-3)


def test_truth_of_a_thick_slice_is_what_fills_most_of_it():
    truth = np.zeros((9, 6, 6))
    truth[:4], truth[4:8] = 1, 2  # slices of 3: 1 1 1 | 1 2 2 | 2 2 0
    _, seen = ph.scan(made_of(truth, truth=truth), spacing=(3.0, 1.0, 1.0), **CLEAN)
    assert seen.array[:, 3, 3].tolist() == [1, 2, 2]


def test_slices_cover_the_body_with_the_wanted_spacing():
    body = made_of(np.ones((20, 30, 25)), (1.0, 2.0, 1.2), origin=(5.0, -4.0, 9.0))
    for plane, size in (("axial", (5, 40, 20)), ("coronal", (15, 13, 20)), ("sagittal", (7, 13, 40))):
        image, truth = ph.scan(body, plane=plane, spacing=(4.0, 1.5, 1.5), **CLEAN)
        assert image.spacing == (4.0, 1.5, 1.5)
        assert image.shape == size
        assert image.same_grid(truth)
        middle = image.points([(np.array(image.shape) - 1) / 2])[0]
        assert middle == pytest.approx(body.tissue.points([[9.5, 14.5, 12]])[0])


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (25.0, 0.0), (15.0, -20.0)])
def test_oblique_slices_show_the_anatomy_where_it_is(tilt):
    labels, middle = sphere(
        9.0, (50, 60, 56), (0.8, 0.7, 0.6), center=(12.3, 24.0, 21.5), origin=(-4.0, 2.0, 1.0), direction=TILTED
    )
    codes = np.where(labels.array, CODES["fat"], CODES["air"])
    body = made_of(codes, labels.spacing, labels.array, origin=labels.origin, direction=TILTED)
    image, truth = ph.scan(body, "t1", plane="coronal", tilt=tilt, spacing=(2.0, 1.0, 1.0), **CLEAN)
    index = np.argwhere(truth.array == 1)
    assert truth.points(index).mean(axis=0) == pytest.approx(middle, abs=0.15)
    weights = image.array[image.array > 0]
    place = np.average(image.points(np.argwhere(image.array > 0)), axis=0, weights=weights)
    assert place == pytest.approx(middle, abs=0.15)
    assert len(index) * 2.0 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.03)


def test_chemical_shift_moves_fat_along_the_rows_and_leaves_water():
    codes = np.zeros((3, 20, 60))
    codes[:, 4:9, 20:30], codes[:, 12:17, 20:30] = CODES["fat"], CODES["fluid"]
    body = made_of(codes, (2.0, 1.0, 0.5))
    quiet = {**CLEAN, "shift": 3.0}
    moved, still = ph.scan(body, "pd", **quiet).volume.array, ph.scan(body, "pd", **CLEAN).volume.array

    def middle(image, rows):
        return np.average(np.arange(60) * 0.5, weights=image[1, rows].sum(axis=0))

    share = ph.TISSUES["fat"].fat
    fat = signal_tables("pd")[1][CODES["fat"]] / sum(t[CODES["fat"]] for t in signal_tables("pd"))
    assert share > 0.9
    assert middle(moved, slice(4, 9)) - middle(still, slice(4, 9)) == pytest.approx(3.0 * fat, abs=0.01)
    assert np.array_equal(moved[:, 12:17], still[:, 12:17])


def test_chemical_shift_follows_from_field_and_bandwidth():
    body = made_of(np.ones((2, 4, 4)), (1.0, 1.0, 0.5))
    narrow = Sequence("spin echo", tr=600, te=12, bandwidth=125)
    for field in (1.5, 3.0):
        image, _ = ph.scan(body, narrow, field=field)
        # 3.5 ppm of 42.577 MHz/T: 149 Hz a tesla, over 125 Hz a pixel of 0.5 mm
        assert image.meta["fat_shift_mm"] == pytest.approx(149.02 * field / 125 * 0.5, rel=1e-3)


def test_noise_is_rician():
    codes = np.zeros((20, 64, 64))
    codes[:, :, 32:] = CODES["fat"]
    image, _ = ph.scan(made_of(codes), "t1", **{**CLEAN, "noise": 0.05})
    air, fat = image.array[..., :32], image.array[..., 33:]
    assert air.mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(50 * np.sqrt(2 - np.pi / 2), rel=0.02)
    assert fat.std() == pytest.approx(50, rel=0.02)
    assert fat.mean() == pytest.approx(np.sqrt(1000**2 + 50**2), rel=0.002)  # the bias of a magnitude, at high signal


def test_no_noise_leaves_the_signal(rng):
    image = rng.random((2, 3, 4), dtype=np.float32)
    assert np.array_equal(add_noise(image, 0.0, rng), image)


def test_the_coil_is_smooth_and_keeps_its_bounds():
    grid = Volume(np.zeros((20, 60, 50), np.uint8), (4.0, 2.0, 2.0))
    gain = coil(grid, grid, 0.5, np.random.default_rng(1))
    assert 1 / 1.5 * 0.99 <= gain.min() < 0.75 and 1.3 < gain.max() <= 1.5 * 1.01
    for axis, step in enumerate(grid.spacing):
        assert np.abs(np.diff(gain, axis=axis)).max() / step < 0.03  # a change per mm
    assert np.array_equal(coil(grid, grid, 0.0, np.random.default_rng(1)), np.ones(grid.shape))


def test_motion_makes_ghosts_at_the_period_and_keeps_the_energy():
    image = np.zeros((1, 120, 8), np.float32)
    image[0, 56:64] = 100
    moved = add_motion(image, 1.0, 1.0, period=12)
    assert (moved**2).sum() == pytest.approx((image**2).sum(), rel=1e-4)
    ghost, quiet = moved[0, 66:74].mean(), moved[0, 100:116].mean()  # the ghost lies 120 / 12 = 10 rows away
    assert ghost > 4 and ghost > 4 * quiet
    assert np.allclose(add_motion(image, 1.0, 0.0), image, atol=1e-3)


def test_metal_voids_the_signal_nearby_and_more_in_gradient_echoes():
    body = made_of(np.full((21, 61, 61), CODES["fat"]), origin=(-30.0, -30.0, -10.0))
    metal = ph.Metal((0.0, 0.0, 0.0), 4.0, 30.0)
    lost = {}
    for name in ("t1", "gre"):
        with_metal, without = (ph.scan(body, name, metal=m, **CLEAN).volume.array for m in (metal, None))
        assert (with_metal[10, 28:33, 28:33] == 0).all()
        far = np.s_[:, :6, :6]
        assert with_metal[far] == pytest.approx(without[far], rel=0.03)
        lost[name] = (with_metal < 0.3 * without).sum()
    assert lost["gre"] > 1.2 * lost["t1"] > 1.2 * 4 / 3 * np.pi * 4**3


def test_radial_slices_share_their_axis(small_knee):
    center, axis = np.array([2.0, 4.0, 1.0]), np.array([0.1, -0.2, 0.97])
    slices = ph.scan_radial(
        small_knee, "pdfs", center=tuple(center), axis=tuple(axis), slices=5, spacing=(2.0, 1.0, 1.0), noise=0.0
    )
    normals = np.array([np.reshape(s.volume.direction, (3, 3))[:, 2] for s in slices])
    turned = np.rad2deg(np.arccos(np.clip(np.abs(normals @ normals[0]), 0, 1)))
    assert turned == pytest.approx([0, 36, 72, 72, 36], abs=1e-3)
    for volume, truth in slices:
        along = center + np.outer([-40.0, 0.0, 25.0], axis / np.linalg.norm(axis))
        index = volume.index(along)
        assert index[:, 0] == pytest.approx([0, 0, 0], abs=1e-9)
        assert index[:, 2] == pytest.approx([(volume.shape[2] - 1) / 2] * 3, abs=1e-9)
        assert index[0, 1] > index[2, 1]  # the axis runs up the slice
        assert volume.same_grid(truth)
    # On the axis all slices see the same anatomy through the same coil; the voxels there lie half a mm off it.
    columns = np.array([s.volume.array[0, :, 69:71].mean(axis=1) for s in slices])
    inside = columns.min(axis=0) > 50
    assert inside.sum() > 60
    assert np.median(columns.std(axis=0)[inside] / columns.mean(axis=0)[inside]) < 0.1


def test_scans_of_one_body_lie_in_one_frame(small_knee):
    t1, pdfs = (ph.scan(small_knee, s, noise=0.0, bias=0.0) for s in ("t1", "pdfs"))
    assert t1.volume.same_grid(pdfs.volume)
    assert np.array_equal(t1.truth.array, pdfs.truth.array)
    marrow, muscle = (small_knee.tissue.array == CODES[n] for n in ("marrow", "muscle"))
    marrow, muscle = (ndi.binary_erosion(m) for m in (marrow, muscle))
    for scan, brighter in ((t1, marrow), (pdfs, muscle)):
        darker = marrow if brighter is muscle else muscle
        assert np.median(scan.volume.array[brighter]) > 1.5 * np.median(scan.volume.array[darker])


def test_the_scan_tells_how_bright_marrow_is(small_knee):
    for name, marrow in {"t1": "bright", "stir": "dark", "water": "dark", "fat": "bright"}.items():
        meta = ph.scan(small_knee, name).volume.meta
        assert (meta["modality"], meta["marrow"], meta["fat_suppressed"]) == ("MR", marrow, marrow == "dark")


@pytest.mark.parametrize("sequence", list(ph.SEQUENCES))
def test_same_seed_same_bits(sequence, small_knee):
    one, two, other = (ph.scan(small_knee, sequence, seed=s, motion=0.5).volume.array for s in (4, 4, 5))
    assert one.dtype == np.float32
    assert one.tobytes() == two.tobytes()
    assert not np.array_equal(one, other)
    assert np.isfinite(one).all() and one.min() >= 0


def test_the_same_knee_is_built_twice():
    one, two, other = (ph.knee("t1", size=32, seed=s) for s in (1, 1, 2))
    assert one.volume.array.tobytes() == two.volume.array.tobytes()
    assert one.truth.array.tobytes() == two.truth.array.tobytes()
    assert not np.array_equal(one.volume.array, other.volume.array)


@pytest.mark.parametrize("make", [ph.hip, ph.shoulder])
def test_the_other_joints_scan_in_one_call(make):
    volume, truth = make("pdfs", size=48, spacing=(8.0, 4.0, 4.0))
    assert volume.spacing == (8.0, 4.0, 4.0)
    assert volume.same_grid(truth)
    assert set(np.unique(truth.array)) == {0, 1, 2}


def test_simulate_builds_and_scans_a_label_map():
    labels, _ = sphere(15.0)
    volume, truth = ph.simulate(labels, {1: "bone"}, "t1", spacing=(3.0, 1.6, 2.0), noise=0.0, bias=0.0)
    assert truth.spacing == (3.0, 1.6, 2.0)
    assert (truth.array == 1).sum() * 9.6 == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.03)
    deep = ndi.binary_erosion(truth.array == 1, iterations=2)
    assert volume.array[deep].mean() == pytest.approx(sum(signal_tables("t1"))[CODES["marrow"]], rel=0.12)


# --- strokes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [6.0, 15.0])
def test_strokes_lie_inside_their_bone_and_some_slices_apart(every, small_knee):
    truth = ph.scan(small_knee, spacing=(3.0, 1.5, 1.5)).truth
    seeds = ph.simulated_strokes(truth, every).array
    for number in ph.KNEE:
        drawn = seeds == number
        assert drawn.any(), ph.KNEE[number]
        assert (truth.array[drawn] == number).all()
        assert drawn.sum() < 0.1 * (truth.array == number).sum()
        planes = np.flatnonzero(drawn.any(axis=(1, 2)))
        assert (np.diff(planes) % round(every / 3.0) == 0).all()
    elsewhere = seeds == 255
    away = ndi.distance_transform_edt(truth.array == 0, sampling=truth.spacing)
    assert elsewhere.any() and away[elsewhere].min() > 1.4
    assert set(np.unique(seeds)) == {0, 1, 2, 3, 4, 255}


def test_strokes_are_the_same_for_the_same_seed(small_knee):
    one, two, other = (ph.simulated_strokes(small_knee.bones, 9.0, seed=s).array for s in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


# --- DICOM ----------------------------------------------------------------------------------------


def test_dicom_comes_back_where_it_was(small_knee, tmp_path):
    volume, _ = ph.scan(small_knee, "pdfs", plane="coronal", tilt=(12.0, -7.0), spacing=(3.3, 1.2, 1.7))
    files = ph.write_dicom(volume, tmp_path, gap=0.3, seed=2)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(f) for f in files])
    back = Volume.from_sitk(reader.Execute())
    assert back.shape == volume.shape
    assert np.abs(back.corners() - volume.corners()).max() < 1e-4
    assert np.abs(back.array - volume.array).max() <= 0.5


def test_dicom_tags_say_what_was_simulated(small_knee, tmp_path):
    want = {
        "pdfs": ("SE", "FS", 30.0, 3000.0),
        "t1": ("SE", "", 12.0, 600.0),
        "stir": (["SE", "IR"], "", 35.0, 4000.0),
        "gre": ("GR", "", 4.6, 30.0),
    }
    found = {}
    for series, (name, (kind, options, te, tr)) in enumerate(want.items(), 1):
        volume, _ = ph.scan(small_knee, name, spacing=(20.0, 4.0, 3.0), field=1.5)
        head = found[name] = pydicom.dcmread(ph.write_dicom(volume, tmp_path / name, series=series, gap=2.0)[1])
        assert head.ScanningSequence == kind and (head.get("ScanOptions") or "") == options
        assert (head.EchoTime, head.RepetitionTime, head.MagneticFieldStrength) == (te, tr, 1.5)
        assert (head.SliceThickness, head.SpacingBetweenSlices) == (18.0, 20.0)
        assert list(head.PixelSpacing) == [4.0, 3.0]
        assert head.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        assert str(head.PatientName) == "PHANTOM" and head.InstanceNumber == 2
    assert 150 < found["stir"].InversionTime < 220
    assert len({f.SeriesInstanceUID for f in found.values()}) == 4
    assert len({f.StudyInstanceUID for f in found.values()}) == len({f.FrameOfReferenceUID for f in found.values()}) == 1


def test_dicom_of_one_seed_is_written_twice_the_same(small_knee, tmp_path):
    volume, _ = ph.scan(small_knee, spacing=(30.0, 5.0, 5.0))
    one, two, other = (ph.write_dicom(volume, tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert [f.read_bytes() for f in one] == [f.read_bytes() for f in two]
    assert pydicom.dcmread(one[0]).StudyInstanceUID != pydicom.dcmread(other[0]).StudyInstanceUID


def test_radial_slices_make_one_dicom_series(small_knee, tmp_path):
    slices = ph.scan_radial(small_knee, center=(0.0, 0.0, 0.0), slices=4, spacing=(3.0, 4.0, 4.0))
    files = ph.write_dicom([s.volume for s in slices], tmp_path)
    heads = [pydicom.dcmread(f) for f in files]
    assert len({h.SeriesInstanceUID for h in heads}) == 1
    assert len({h.SOPInstanceUID for h in heads}) == 4
    for head, (volume, _) in zip(heads, slices, strict=True):
        axes = np.reshape(volume.direction, (3, 3))
        assert np.array(head.ImageOrientationPatient, float) == pytest.approx(axes[:, :2].T.ravel(), abs=1e-8)
        assert np.array(head.ImagePositionPatient, float) == pytest.approx(volume.origin, abs=1e-8)


# --- what is refused ------------------------------------------------------------------------------

BOX = Volume(np.ones((4, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ph.tissue_signal("honey"), "'honey'"),
        (lambda: ph.tissue_signal("fat", "t9"), "'t9'.*stir"),
        (lambda: ph.tissue_signal("fat", "t1", 7.0), "7.0 T"),
        (lambda: ph.build_body(BOX, {}), r"labels \[1\]"),
        (lambda: ph.build_body(BOX, {1: "wood"}), "'wood'"),
        (lambda: ph.build_body(BOX, {1: "bone"}, cortex=-1.0), "cortex=-1.0 mm"),
        (lambda: ph.build_body(BOX.with_array(BOX.array * 0.5), {1: "bone"}), "whole numbers"),
        (lambda: ph.scan(made_of(BOX.array), plane="diagonal"), "'diagonal'"),
        (lambda: ph.scan(made_of(BOX.array), noise=-0.1), "noise=-0.1"),
        (lambda: ph.scan(made_of(BOX.array), spacing=(1.0, 0.0, 1.0)), "spacing"),
        (lambda: ph.scan_radial(made_of(BOX.array), center=(0, 0, 0), axis=(0, 0, 0)), "axis"),
        (lambda: ph.knee_body(size=3), "size=3"),
        (lambda: ph.knee_body(shape="round"), "'round'"),
        (lambda: ph.simulated_strokes(BOX, 0.0), "every_mm=0.0"),
        (lambda: ph.simulated_strokes(BOX.with_array(BOX.array * 255)), "255"),
        (lambda: ph.write_dicom([], "nowhere"), "no scan"),
        (lambda: ph.write_dicom(BOX.with_array(BOX.array * -1.0), "nowhere"), "-1"),
        (lambda: ph.write_dicom(BOX, "nowhere", gap=1.0), "gap=1.0"),
    ],
)
def test_errors_quote_what_was_given(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_standard_planes_are_right_handed():
    for axes in scanner.PLANES.values():
        assert np.allclose(axes.T @ axes, np.eye(3))
        assert np.linalg.det(axes) == pytest.approx(1)
