"""Slices of a body: where they lie, what a voxel shows, the same bits twice."""

import numpy as np
import pytest
from bodies import CLEAN, TILTED, made_of, sphere
from scipy import ndimage as ndi

from mrbone_nb import phantom as ph
from mrbone_nb.phantom import scanner
from mrbone_nb.phantom.tissue import CODES, Sequence, signal_tables


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


def test_another_seed_is_another_coil(small_knee):
    one, two, other = (ph.scan(small_knee, noise=0.0, bias=0.5, seed=s).volume.array for s in (4, 4, 5))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("sequence", list(ph.SEQUENCES))
def test_same_seed_same_bits(sequence, small_knee):
    one, two, other = (ph.scan(small_knee, sequence, seed=s, motion=0.5).volume.array for s in (4, 4, 5))
    assert one.dtype == np.float32
    assert one.tobytes() == two.tobytes()
    assert not np.array_equal(one, other)
    assert np.isfinite(one).all() and one.min() >= 0


def test_simulate_builds_and_scans_a_label_map():
    labels, _ = sphere(15.0)
    volume, truth = ph.simulate(labels, {1: "bone"}, "t1", spacing=(3.0, 1.6, 2.0), noise=0.0, bias=0.0)
    assert truth.spacing == (3.0, 1.6, 2.0)
    assert (truth.array == 1).sum() * 9.6 == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.03)
    deep = ndi.binary_erosion(truth.array == 1, iterations=2)
    assert volume.array[deep].mean() == pytest.approx(sum(signal_tables("t1"))[CODES["marrow"]], rel=0.12)


def test_standard_planes_are_right_handed():
    for axes in scanner.PLANES.values():
        assert np.allclose(axes.T @ axes, np.eye(3))
        assert np.linalg.det(axes) == pytest.approx(1)
