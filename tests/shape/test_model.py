"""Shape models of a family whose shapes are known."""

import json
import os

import numpy as np
import pytest
from boneshapes import cut_flat, knob, motion

from mrbone_nb import InputError, Volume
from mrbone_nb.mesh import Mesh
from mrbone_nb.phantom import similar_bones
from mrbone_nb.shape.closest import Surface
from mrbone_nb.shape.correspond import correspond
from mrbone_nb.shape.pointfit import fit_points
from mrbone_nb.shape.imagefit import fit_image
from mrbone_nb.shape.model import ShapeModel, build_model, project, shape
from mrbone_nb.shape.modelfile import load_model, save_model
from mrbone_nb.shape.register import fit_rigid, moved

FAMILY = similar_bones(knob(3), 24, seed=1)
UNSEEN, SEEN = FAMILY[:2], FAMILY[2:]
MODEL = build_model(SEEN, keep=0.995)


def apart(one, other):
    """Mean distance between two surfaces, both ways."""
    ways = ((one, other), (other, one))
    return np.mean([np.abs(Surface(a).nearest(b.vertices).distances).mean() for a, b in ways])


def test_the_family_differs_as_it_says():
    lengths = [np.ptp(mesh.vertices[:, 2]) for mesh in FAMILY]
    assert 0.03 < np.std(lengths) / np.mean(lengths) < 0.1
    assert np.array_equal(similar_bones(knob(3), 2, seed=1)[1].vertices, FAMILY[1].vertices)
    with pytest.raises(InputError, match="count=0"):
        similar_bones(knob(2), 0)


def test_modes_are_orthonormal_and_sorted():
    flat = MODEL.modes.reshape(MODEL.count, -1)
    assert np.allclose(flat @ flat.T, np.eye(MODEL.count), atol=1e-8)
    assert (np.diff(MODEL.variances) <= 0).all() and MODEL.shares.sum() == pytest.approx(1)
    assert 5 <= MODEL.count <= 12  # the family has nine ways to vary
    assert MODEL.recipe["meshes"] == 22


def test_pose_is_no_mode():
    turned = [Mesh(moved(motion(k), mesh.vertices), mesh.faces) for k, mesh in enumerate(SEEN)]
    assert np.allclose(build_model(turned, keep=0.995).variances, MODEL.variances, rtol=1e-3)


def test_weights_make_shapes_and_shapes_their_projection():
    mesh = shape(MODEL, [1.5, -1])
    first, second = (MODEL.variances[k] ** 0.5 * MODEL.modes[k] for k in (0, 1))
    expected = MODEL.mean + 1.5 * first - second
    assert np.allclose(mesh.vertices, expected) and np.array_equal(shape(MODEL).vertices, MODEL.mean)
    there = moved(motion(2), mesh.vertices)
    assert np.abs(project(MODEL, there) - there).max() < 0.05


def test_projection_is_a_prior(rng):
    """Noise goes, and what no bone looks like is drawn back."""
    true = UNSEEN[0].vertices
    noisy = true + rng.normal(0, 2, true.shape)
    assert np.linalg.norm(project(MODEL, noisy) - true, axis=1).mean() < 0.5
    far = shape(MODEL, [9.0]).vertices
    assert np.abs(project(MODEL, far) - shape(MODEL, [3.0]).vertices).mean() < 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_a_tenth_of_the_points_anywhere_is_enough(seed, rng):
    true = Mesh(moved(motion(seed + 20), UNSEEN[seed].vertices), UNSEEN[seed].faces)
    few = true.vertices[rng.choice(len(true.vertices), len(true.vertices) // 10, replace=False)]
    fit = fit_points(MODEL, few)
    assert apart(fit.mesh, true) < 0.3 and fit.rms_mm < 0.5 and np.abs(fit.weights).max() <= 3
    assert np.allclose(moved(fit.matrix, shape(MODEL, fit.weights).vertices), fit.mesh.vertices)


def test_a_part_is_completed():
    """The upper half is given; the lower is what goes with it."""
    true = UNSEEN[0]
    upper = true.vertices[true.vertices[:, 2] > 0]
    fit = fit_points(MODEL, upper[::3], start=np.eye(4))
    assert apart(fit.mesh, true) < 0.5 < apart(shape(MODEL), true)


def test_noisy_points_stay_near_the_mean_when_told_so(rng):
    points = UNSEEN[0].vertices[::20] + rng.normal(0, 2, UNSEEN[0].vertices[::20].shape)
    tight, loose = (fit_points(MODEL, points, start=np.eye(4), noise=n).weights for n in (20.0, 0.2))
    assert np.linalg.norm(tight) < np.linalg.norm(loose)


def test_fit_to_an_image():
    """A bright bone in the dark, on anisotropic voxels."""
    from mrbone_nb.phantom import label_meshes

    low, spacing = UNSEEN[1].vertices.min(axis=0) - 12, (2.5, 0.9, 1.1)
    size = np.ceil((np.ptp(UNSEEN[1].vertices, axis=0) + 24) / spacing[::-1]).astype(int)
    grid = Volume(np.zeros(size[::-1], np.uint8), spacing, tuple(low))
    bright = label_meshes({1: UNSEEN[1]}, grid).array
    volume = grid.with_array(bright.astype(np.float32))
    start = np.eye(4)
    start[:3, 3] = UNSEEN[1].vertices.mean(axis=0) - MODEL.mean.mean(axis=0) + [2, -1, 2]
    fit = fit_image(MODEL, volume, start, edge="falling")
    assert apart(fit.mesh, UNSEEN[1]) < 0.4
    inverse = fit_image(MODEL, volume.with_array(1 - volume.array), start, edge="rising")
    assert np.allclose(inverse.mesh.vertices, fit.mesh.vertices, atol=0.05)
    with pytest.raises(InputError, match="edge='up'"):
        fit_image(MODEL, volume, start, edge="up")
    start[0, 3] += 5000
    with pytest.raises(InputError, match="does it lie in the scan"):
        fit_image(MODEL, volume, start)


def test_a_template_follows_another_bone():
    """Known correspondence: the template's vertices come to lie where they belong, and on the surface."""
    template, target = SEEN[0], UNSEEN[0]
    there = Mesh(moved(motion(4), target.vertices), target.faces)
    found = correspond(template, there)
    assert np.array_equal(found.faces, template.faces)
    assert np.abs(Surface(there).nearest(found.vertices).distances).mean() < 0.05
    before = moved(fit_rigid(template.vertices, there.vertices), template.vertices)
    still, now = (np.linalg.norm(points - there.vertices, axis=1).mean() for points in (before, found.vertices))
    assert now < 0.85 * still


def test_what_a_target_does_not_show_moves_along():
    target = cut_flat(UNSEEN[0], -12.0)
    found = correspond(SEEN[0], target, start=np.eye(4))
    assert np.ptp(found.vertices[:, 2]) > 0.9 * np.ptp(UNSEEN[0].vertices[:, 2])  # not pressed flat
    shown = UNSEEN[0].vertices[:, 2] > 0
    assert np.abs(Surface(target).nearest(found.vertices[shown]).distances).mean() < 0.1


def test_models_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="of 2 meshes: expected 3 or more"):
        build_model(SEEN[:2])
    with pytest.raises(InputError, match="mesh 1: other vertices or faces"):
        build_model([SEEN[0], knob(2), SEEN[1]])
    with pytest.raises(InputError, match="no variation"):
        build_model([SEEN[0]] * 3)
    with pytest.raises(InputError, match="keep=2"):
        build_model(SEEN, keep=2)
    with pytest.raises(InputError, match="numbers at most"):
        shape(MODEL, np.ones(99))
    with pytest.raises(InputError, match=r"points of shape \(3, 3\)"):
        project(MODEL, np.eye(3))
    with pytest.raises(InputError, match="6 or more"):
        fit_points(MODEL, np.eye(3))
    with pytest.raises(InputError, match="variances above 0"):
        ShapeModel(MODEL.mean, MODEL.faces, MODEL.modes, -MODEL.variances)


def test_files_hold_the_model(tmp_path):
    path = save_model(MODEL, tmp_path / "knob.npz")
    again = load_model(path)
    assert np.allclose(again.mean, MODEL.mean, atol=1e-4) and np.allclose(again.modes, MODEL.modes, atol=1e-6)
    assert dict(again.recipe) == dict(MODEL.recipe)
    with pytest.raises(InputError, match="exists|there already"):
        save_model(MODEL, path)
    with pytest.raises(InputError, match="are .npz files"):
        save_model(MODEL, tmp_path / "knob.bin")


class Trap:
    """What a hostile file would run."""

    def __reduce__(self):
        return os.mkdir, ("trap",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 2; this program reads 1: update it"),
        ({"kind": "something"}, "not a shape model"),
        ({"unit": "m"}, "unit 'm'"),
    ],
)
def test_other_files_are_refused_in_words(change, said, tmp_path):
    path = save_model(MODEL, tmp_path / "a.npz")
    with np.load(path) as held:
        arrays = dict(held)
    about = json.loads(str(arrays.pop("about"))) | change
    np.savez(path, about=np.array(json.dumps(about)), **arrays)
    with pytest.raises(InputError, match=said):
        load_model(path)


def test_files_run_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    about = {"kind": "mrbone_nb shape model", "version": 1, "unit": "mm", "space": "LPS"}
    np.savez("evil.npz", about=np.array(json.dumps(about)), mean=np.array([Trap()], object))
    for name in ("evil.npz", "none.npz"):
        with pytest.raises(InputError):
            load_model(name)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match="not a shape model"):
        load_model("torn.npz")
    assert not (tmp_path / "trap").exists()
