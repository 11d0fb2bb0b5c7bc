"""Sensitivity: a parameter that matters, one that does not, and where the bone moves."""

import csv
import io
import math

import numpy as np
import pytest
from scenes import SPACING, bones, distance_to

import mrbone_nb as mb
from mrbone_nb import Call, InputError, Recipe, Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.shaking import sensitivity, shaken_values
from mrbone_nb.step import STEPS
from mrbone_nb.tornado import tornado_picture

GRID = (24, 70, 50)
RADIUS = 10.0


def cone():
    """A ball that is brighter the nearer to its middle: 1 at the middle, 0.5 at its border of 10 mm."""
    far = distance_to((0, 0, 0), GRID, SPACING)
    return Volume((1 - far / (2 * RADIUS)).astype(np.float32), SPACING, name="cone")


TOY = Recipe([Call("threshold", {"lower": 0.5}), Call("islands", {"minimum": 100.0})], name="toy")
TABLE = LabelTable({1: Label("femur", "left"), 2: Label("tibia")})


def test_a_parameter_that_matters_and_one_that_does_not():
    found = sensitivity(TOY, cone(), by="step", amount=5)
    lower = [c for c in found.changes if c.param == "lower"]
    tick = STEPS["threshold"].params["lower"].range.step
    assert [c.new for c in lower] == pytest.approx([0.5 - 5 * tick, 0.5 + 5 * tick])
    moved = 5 * tick * 2 * RADIUS  # mm by which the border moves
    for change, sign in zip(lower, (1, -1), strict=True):
        (effect,) = change.effects
        assert effect.mean_mm == pytest.approx(moved, abs=0.8)
        volumes = [4 / 3 * np.pi * r**3 for r in (RADIUS, RADIUS + sign * moved)]
        assert effect.volume_mm3 == pytest.approx(volumes[1] - volumes[0], rel=0.15)
        assert 0 < effect.dice < 1 and effect.hd95_mm >= effect.mean_mm
    rest = [c for c in found.changes if c.step == "islands"]
    assert rest and all(e.mean_mm == 0 and e.dice == 1 for c in rest for e in c.effects)
    assert found.ranked()[0][0] == "1 threshold.lower"


def test_flips_lie_in_the_shell_that_moves():
    volume = cone()
    found = sensitivity(TOY, volume, only=["threshold.lower"], amount=0.2)
    far = distance_to((0, 0, 0), GRID, SPACING)
    count = (far > 8) & (far <= 12)  # lower 0.4 and 0.6
    assert found.flips.array.dtype == np.uint16 and found.flips.same_grid(volume)
    assert np.array_equal(found.flips.array > 0, count)
    assert found.flips.array.max() == 1
    more = sensitivity(TOY, volume, only=["threshold"], amount=0.2)  # the upper value lies above all gray values
    assert len(more.changes) > len(found.changes) and np.array_equal(more.flips.array, found.flips.array)


def test_it_equals_running_the_recipe_anew():
    scene = bones((12, 40, 36), SPACING)
    volume, seeds = Volume(scene.arrays["image"], SPACING), scene.arrays["seeds"]
    recipe = Recipe([Call("normalize"), Call("gaussian", {"sigma": 0.5}), Call("watershed"), Call("closing")])
    found = sensitivity(recipe, volume, seeds=seeds, table=TABLE, only=["gaussian", "watershed", "closing"])
    base = recipe.run(volume, seeds=seeds).labels
    assert np.array_equal(found.labels.array, base.array)
    flips = np.zeros(volume.shape, int)
    for change in found.changes:
        labels = recipe.with_params(change.step, **{change.param: change.new}).run(volume, seeds=seeds).labels
        flips += labels.array != base.array
        rows = {row.label_a: row for row in mb.compare(base, labels)}
        for effect in change.effects:
            assert effect.dice == pytest.approx(rows[effect.label].dice, abs=1e-6)
            assert effect.mean_mm == pytest.approx(rows[effect.label].assd_mm, abs=1e-4)
            assert effect.hd95_mm == pytest.approx(rows[effect.label].hd95_mm, abs=1e-4)
    assert np.array_equal(found.flips.array, flips) and flips.max() > 0
    assert {e.bone for c in found.changes for e in c.effects} == {"left femur", "tibia"}
    again = sensitivity(recipe, volume, seeds=seeds, table=TABLE, only=["gaussian", "watershed", "closing"])
    assert again.changes == found.changes


def test_only_what_changes_runs_anew(monkeypatch):
    import mrbone_nb.shaking as module

    ran, real = [], module.run_call
    monkeypatch.setattr(module, "run_call", lambda call, *more: ran.append(call.step) or real(call, *more))
    calls = [Call("normalize"), Call("gaussian"), Call("threshold", {"lower": 0.5}), Call("islands")]
    found = sensitivity(Recipe(calls), cone(), only=["islands"])
    assert ran.count("normalize") == ran.count("gaussian") == 2  # once for the recipe as it is, once on the way
    assert ran.count("islands") == 1 + len(found.changes)


def test_a_lost_bone_and_a_value_that_cannot_run_are_told():
    found = sensitivity(Recipe([Call("threshold", {"lower": 0.9})]), cone(), by="range", amount=0.3)
    gone = next(c for c in found.changes if c.param == "lower" and c.new > 0.9)
    assert gone.effects[0].mean_mm == math.inf and gone.effects[0].dice == 0 and gone.effects[0].volume_mm3 < 0
    assert tornado_picture(found).size[0] > 0
    tight = Recipe([Call("threshold", {"lower": 0.5, "upper": 0.55})])
    failed = [c for c in sensitivity(tight, cone(), by="range").changes if c.error]
    assert all(not c.effects for c in failed)


@pytest.mark.parametrize(
    ("step", "param", "value", "by", "amount", "expected"),
    [
        ("gaussian", "sigma", 0.5, "value", 0.2, [0.4, 0.6]),
        ("gaussian", "sigma", 0.1, "value", 0.2, [0.0, 0.2]),  # at least one slider step
        ("gaussian", "sigma", 0.0, "value", 0.2, [0.1]),  # not below the range
        ("gaussian", "sigma", 2.0, "range", 0.1, [1.5, 2.5]),
        ("gaussian", "sigma", 2.0, "step", 3, [1.7, 2.3]),
        ("gaussian", "sigma", 5.0, "step", 1, [4.9]),
        ("watershed", "relief", "gradient", "value", 0.2, ["darkness", "brightness"]),
        ("normalize", "clip", False, "value", 0.2, [True]),
        ("stroke_forest", "trees", 100, "value", 0.2, [80, 120]),
        ("islands", "connectivity", 6, "value", 0.2, [18, 26]),
    ],
)
def test_how_far_a_value_is_shaken(step, param, value, by, amount, expected):
    found = shaken_values(STEPS[step].params[param], value, by, amount)
    assert found == expected and all(type(a) is type(b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", STEPS)
def test_every_shaken_value_is_allowed(name):
    for param in STEPS[name].params.values():
        for by in ("value", "range", "step"):
            for value in shaken_values(param, param.default, by):
                assert param.check(value) == value != param.default


def test_what_is_refused():
    with pytest.raises(InputError, match="only='gaussian'"):
        sensitivity(TOY, cone(), only=["gaussian"])
    with pytest.raises(InputError, match="amount=0"):
        sensitivity(TOY, cone(), amount=0)
    with pytest.raises(InputError, match="by='luck'"):
        sensitivity(TOY, cone(), by="luck")
    found = sensitivity(TOY, cone(), only=["threshold.lower"])
    with pytest.raises(InputError, match="label=7"):
        tornado_picture(found, label=7)
    with pytest.raises(InputError, match="top=0"):
        tornado_picture(found, top=0)


def test_table_and_pictures():
    volume = cone()
    found = sensitivity(TOY, volume, table=TABLE, progress=lambda changes: list(changes))
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == len(found.rows()) == len(found.changes)
    assert rows[0]["step"] == "threshold" and rows[0]["bone"] == "left femur"
    picture = np.asarray(mb.tornado_picture(found, label=1))
    blue, orange = (np.all(picture == color, axis=2) for color in ((0, 114, 178), (213, 94, 0)))
    middle = np.flatnonzero(orange.any(axis=0)).min()
    assert np.flatnonzero(blue.any(axis=0)).max() <= middle + 1
    lower = [c.mean_mm(1) for c in found.changes if c.param == "lower"]
    widths = [np.count_nonzero(side.any(axis=0)) for side in (blue, orange)]
    assert widths[0] / widths[1] == pytest.approx(lower[0] / lower[1], abs=0.05)
    assert mb.tornado_picture(found, top=1).size[1] == picture.shape[0]  # one parameter alone moves it


def test_a_heat_map_is_drawn_where_it_is():
    volume = cone().with_array(np.full(GRID, 100, np.float32))
    heat = np.zeros(GRID, np.uint16)
    heat[5, 10:20, 10:20], heat[5, 30:40, 10:20] = 2, 8
    picture = np.asarray(mb.slice_picture(volume, heat=heat)).astype(int)  # the slice with most of it is shown
    warm = picture[..., 0] - picture[..., 2] > 30
    assert warm.any()
    red = (picture[..., 0] > 150) & (picture[..., 1] < 90)
    assert 0 < red.sum() < warm.sum()
    assert np.asarray(mb.contact_sheet(volume, heat=heat)).shape[2] == 3
    assert np.array_equal(mb.slice_picture(volume, index=0), mb.slice_picture(volume, index=0, heat=0 * heat))
    with pytest.raises(InputError, match="heat of shape"):
        mb.slice_picture(volume, heat=heat[1:])
    with pytest.raises(InputError, match="numbers from 0"):
        mb.slice_picture(volume, heat=heat - 1.0)
