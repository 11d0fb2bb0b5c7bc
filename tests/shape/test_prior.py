"""A shape model as the memory of the elastic surface: eggs whose unseen half is known from the one that is seen."""

import numpy as np
import pytest
from solids import RADII, egg, grid, marrow_and_cortex, off

from mrbone_nb.errors import InputError
from mrbone_nb.mesh import Mesh
from mrbone_nb.shape import Evidence, Template, as_template, deform, fit_template, load_template, write_landmarks
from mrbone_nb.shape.crossing import crossing_faces
from mrbone_nb.shape.fill import inside_mesh
from mrbone_nb.shape.model import ShapeModel, build_model
from mrbone_nb.shape.modelfile import save_model
from mrbone_nb.shape.prior import Prior, check_weight
from mrbone_nb.shape.register import fit_rigid, moved

MIDDLE = (2.0, -1.0, 1.0)
TRUTH = egg(middle=MIDDLE)
SPREAD = np.random.default_rng(3).normal(0, (2.0, 1.5, 3.0), (12, 3))  # the truth is none of them
FAMILY = [egg((13.0, 12.0, 16.0) + by) for by in SPREAD]
TIPS = {"left": (0, 1), "right": (0, -1), "back": (1, 1), "front": (1, -1), "top": (2, 1), "bottom": (2, -1)}


def tips(radii, middle=(0.0, 0.0, 0.0)):
    """The six ends of an egg by name."""
    return {name: np.array(middle) + sign * radii[axis] * np.eye(3)[axis] for name, (axis, sign) in TIPS.items()}


MODEL = build_model(FAMILY, keep=0.999, name="egg", landmarks=tips((13.0, 12.0, 16.0) + SPREAD[0]))
MEAN = Mesh(MODEL.mean, MODEL.faces)


def noisy(part, rng, seen=lambda points: points[:, 2] < 6):
    """A probability with coarse noise, of which the top is not shown."""
    shown = seen(part.points(np.indices(part.shape).reshape(3, -1).T)).reshape(part.shape)
    inside = inside_mesh(TRUTH, part) + 0.2 * rng.standard_normal(part.shape)
    return part.with_array(np.where(shown, np.clip(inside, 0, 1), 0.5).astype(np.float32))


@pytest.mark.parametrize("spacing", [(1.2, 1.0, 1.0), (5.0, 1.0, 1.0)])
def test_what_is_hidden_goes_with_what_is_seen(spacing, rng):
    evidence = [Evidence(None, noisy(grid(spacing), rng))]
    start = Mesh(MEAN.vertices + MIDDLE, MEAN.faces)
    plain, whole = (deform(start, evidence, model=MODEL, model_weight=w) for w in (0, 1))
    assert np.array_equal(plain.vertices, deform(start, evidence).vertices)  # weight 0: a mere template
    assert off(whole) < 0.9 * off(plain)
    tops = [mesh.vertices[:, 2].max() for mesh in (plain, whole, TRUTH)]
    assert abs(tops[1] - tops[2]) < 0.85 * abs(tops[0] - tops[2])  # nobody showed it
    assert not len(crossing_faces(whole)) and np.array_equal(whole.faces, start.faces)


def test_the_last_level_leaves_the_space_of_the_model(rng):
    """A bump that no egg has is found all the same, though less of it the more the model weighs."""
    bump = TRUTH.vertices.copy()
    bump *= 1 + 0.25 * np.exp(-(((bump - bump[bump[:, 0].argmax()]) / 6) ** 2).sum(axis=1))[:, None]
    part = grid((1.2, 1.0, 1.0))
    seen = Evidence(None, part.with_array(inside_mesh(Mesh(bump, TRUTH.faces), part).astype(np.float32)))
    ends = [deform(TRUTH, [seen], model=MODEL, model_weight=w).vertices[:, 0].max() for w in (0, 1)]
    true, egg_end = bump[:, 0].max(), TRUTH.vertices[:, 0].max()
    assert egg_end + 0.5 * (true - egg_end) < ends[1] <= ends[0] + 0.1


def test_the_prior_trusts_what_it_is_told(rng):
    """Vertices without trust may lie anywhere: pose and shape come from the others."""
    there = moved(fit_rigid(MEAN.vertices, MEAN.vertices), TRUTH.vertices)
    trusted = there[:, 2] < 6
    spoiled = np.where(trusted[:, None], there, there + (0, 0, 3.0))
    prior = Prior(MODEL, Mesh(spoiled, MODEL.faces))
    for _ in range(15):
        found = prior.nearest(spoiled, trusted.astype(float))
    assert off(Mesh(found, MODEL.faces)) < 0.3 and np.abs(prior.weights).max() <= 3
    far = Prior(MODEL, MEAN)
    for _ in range(10):
        far.nearest(3 * MEAN.vertices, np.ones(len(MEAN.vertices)))
    assert np.abs(far.weights).max() == 3  # never beyond what eggs look like


def test_a_stack_is_fitted_by_control_points_and_three_landmarks(rng):
    scan = marrow_and_cortex(TRUTH, grid((5.0, 1.0, 1.0), half=26.0), rng, noise=0.12)
    given = {name: point + rng.normal(0, 1.0, 3) for name, point in tips(RADII, MIDDLE).items()}
    for names in (list(TIPS), ["left", "front", "top"]):
        points = {name: given[name] for name in names}
        plain, whole = (fit_template(scan, MODEL, points, model_weight=w) for w in (0.0, None))
        assert off(whole.mesh) < off(plain.mesh) and off(whole.mesh) < 0.6 and whole.route == plain.route
    assert np.array_equal(whole.mesh.vertices, fit_template(scan, MODEL, points).mesh.vertices)


# --- models as templates ------------------------------------------------------------------------------------


def test_landmarks_are_carried_to_the_mean_and_into_the_file(tmp_path):
    size = MODEL.mean.max(axis=0)
    for name, point in tips(size).items():
        assert MODEL.landmarks[name] == pytest.approx(point, abs=0.05), name
    middle = build_model(FAMILY, landmarks={"middle": (0, 0, 0)}).landmarks["middle"]
    assert middle == pytest.approx((0, 0, 0), abs=0.1)
    path = save_model(MODEL, tmp_path / "egg.npz")
    path.rename(tmp_path / "egg.model")  # known by what it holds
    found = load_template(tmp_path / "egg.model")
    assert found.name == "egg" and found.model.count == MODEL.count and list(found.landmarks) == list(TIPS)
    assert found.landmarks.array() == pytest.approx(MODEL.landmarks.array())


def test_a_model_file_without_landmarks_takes_those_beside(tmp_path):
    bare = ShapeModel(MODEL.mean, MODEL.faces, MODEL.modes, MODEL.variances, MODEL.recipe)
    save_model(bare, tmp_path / "egg.npz")
    with pytest.raises(InputError, match=r"egg\.npz: its landmarks are missing; expected egg\.json beside"):
        load_template(tmp_path / "egg.npz")
    with pytest.raises(InputError, match="egg: a shape model without landmarks"):
        as_template(bare)
    write_landmarks(MODEL.landmarks, tmp_path / "egg.json")
    assert load_template(tmp_path / "egg.npz").landmarks.array() == pytest.approx(MODEL.landmarks.array(), abs=1e-3)


def test_the_model_of_the_other_side():
    other = as_template(MODEL).mirrored()
    assert other.mesh.volume == pytest.approx(MEAN.volume) and other.model.landmarks["left"][0] < 0
    assert np.allclose(other.mirrored().model.modes, MODEL.modes)


def test_weights_that_make_no_sense_are_told():
    plain = Template(MEAN, MODEL.landmarks, "plain")
    with pytest.raises(InputError, match=r"model_weight=0\.5: the template is no shape model"):
        fit_template(grid((4, 1, 1)), plain, {}, model_weight=0.5)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="expected 0 .* to 1"):
            check_weight(MODEL, wrong)
    with pytest.raises(InputError, match="4 vertices|vertices"):
        deform(egg(subdivisions=2), [], model=MODEL)
