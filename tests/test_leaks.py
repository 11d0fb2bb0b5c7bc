"""Leaks in constructed bones are found at their place; sound bones give nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelmaps import OBLIQUE
from scenes import ball, positions

import mrbone_nb as mb
from mrbone_nb import InputError, Volume
from mrbone_nb.bones import Label, LabelTable, find_bone
from mrbone_nb.export import read_labels
from mrbone_nb.leaks import check_leaks
from mrbone_nb.priors import PRIORS
from mrbone_nb.tighten import tightened

SHAPE, SPACING = (40, 80, 60), (1.0, 0.5, 0.8)
KNEE = Path(__file__).parents[1] / "data_samples" / "knee_t2map"


def placed(mask, **facts):
    """A label map in an oblique place, so that positions must be in LPS mm."""
    place = {"spacing": SPACING, "origin": (12.0, -30.0, 45.0), "direction": OBLIQUE}
    return Volume(np.asarray(mask).astype(np.uint8), **{**place, **facts})


def two_balls(neck_mm, second=5.5, gap=True):
    """A ball of 9 mm and a smaller one, joined by a bar along the rows."""
    z, y, x = positions(SHAPE, SPACING)
    bar = (np.hypot(z, x) <= neck_mm / 2) & (y > -6) & (y < 12)
    return ball(9, SHAPE, SPACING, (0, -8, 0)) | ball(second, SHAPE, SPACING, (0, 11, 0)) | (bar & gap)


def where(mm):
    """LPS mm of a place given in mm from the middle of the grid."""
    index = np.array(mm) / SPACING + (np.array(SHAPE) - 1) / 2
    return placed(np.zeros(SHAPE)).points([index])[0]


@pytest.mark.parametrize("mask", [ball(9, SHAPE, SPACING), ball(3, SHAPE, SPACING), np.zeros(SHAPE, bool)])
def test_a_sound_bone_gives_nothing(mask):
    assert check_leaks(placed(mask)) == []


def test_a_leak_through_a_neck_of_2_mm_is_found():
    (leak,) = check_leaks(placed(two_balls(2.0)))
    assert (leak.kind, leak.label, leak.bone, leak.unit) == ("neck", 1, "label 1", "mm³")
    assert leak.neck_mm == pytest.approx(2.0, abs=0.7)
    # The waist lies between the balls: from 1 mm to 5.5 mm behind the middle.
    assert np.linalg.norm(leak.position - where((0, 3.25, 0))) < 4
    assert set(leak.slices) <= {18, 19, 20, 21}
    assert leak.size == pytest.approx(4 / 3 * np.pi * 5.5**3, rel=0.1)
    assert "add a stroke of everything else" in leak.advice and any(f"slice {k}" in leak.advice for k in leak.slices)
    assert str(leak).startswith("label 1: ")


def test_thick_necks_and_small_blobs_are_left_alone():
    assert check_leaks(placed(two_balls(6.0))) == []
    assert check_leaks(placed(two_balls(2.0, second=4.0))) == []
    assert check_leaks(placed(two_balls(4.0)), neck=5.0)[0].kind == "neck"


def test_a_plate_is_no_neck():
    """Two thick rims joined by a thin sheet, as the wing of the ilium, are one bone."""
    z, y, x = positions(SHAPE, SPACING)
    plate = (np.abs(z) < 1.1) & (np.abs(x) < 18) & (np.abs(y) < 12)
    rims = (np.hypot(z, np.abs(y) - 12) < 5) & (np.abs(x) < 18)
    assert check_leaks(placed(plate | rims)) == []


def test_what_the_user_marked_is_no_leak():
    mask = two_balls(2.0)
    both = placed(ball(2, SHAPE, SPACING, (0, 11, 0)) | ball(2, SHAPE, SPACING, (0, -8, 0)))
    assert check_leaks(placed(mask), seeds=both) == []
    assert check_leaks(placed(two_balls(0, gap=False)), seeds=both) == []


def test_the_body_is_the_part_that_carries_the_strokes():
    (leak,) = check_leaks(placed(two_balls(2.0)), seeds=placed(ball(2, SHAPE, SPACING, (0, 11, 0))))
    assert leak.size == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.1)


def test_parts_apart_are_found():
    (leak,) = check_leaks(placed(two_balls(0, gap=False)))
    assert leak.kind == "parts"
    assert np.linalg.norm(leak.position - where((0, 11, 0))) < 1
    assert leak.size == pytest.approx(4 / 3 * np.pi * 5.5**3, rel=0.1)


def shaft(radius_at):
    """A bar along the planes to the lower border, its radius in mm by the plane."""
    _, y, x = positions(SHAPE, SPACING)
    radius = np.array([radius_at(k) for k in range(SHAPE[0])])[:, None, None]
    return (np.hypot(y, x) <= radius) & (np.arange(SHAPE[0])[:, None, None] < 34)


def test_a_shaft_that_leaves_the_scan_is_no_leak():
    assert check_leaks(placed(shaft(lambda k: 8.0))) == []
    assert check_leaks(placed(shaft(lambda k: 5 + 0.2 * k))) == []
    sideways = np.swapaxes(shaft(lambda k: 8.0), 0, 1)
    assert check_leaks(placed(sideways, spacing=(0.5, 1.0, 0.8))) == []


def test_a_flood_along_the_border_is_found():
    (leak,) = check_leaks(placed(shaft(lambda k: 14.0 if k < 2 else 6.0)))
    assert leak.kind == "border" and leak.slices == (0,) and leak.unit == "mm²"
    assert leak.size == pytest.approx(np.pi * (14**2 - 6**2), rel=0.06)


def test_a_sudden_slice_is_found():
    (leak,) = check_leaks(placed(shaft(lambda k: 14.0 if 20 <= k < 23 else 6.0)))
    assert leak.kind == "jump" and leak.slices == (20, 21, 22)
    assert leak.size == pytest.approx(np.pi * (14**2 - 6**2), rel=0.06)
    assert any(f"everything else on slice {k}" in leak.advice for k in leak.slices)


def test_a_slice_that_lacks_the_bone_is_found():
    (leak,) = check_leaks(placed(shaft(lambda k: 2.0 if k == 20 else 8.0)))
    assert leak.kind == "gap" and leak.slices == (20,)
    recipe = mb.preset("bright-marrow")
    assert tightened(recipe, [leak]) is recipe  # it would only get worse
    assert "add a stroke of it on slice 20" in leak.advice


def lunate(radius, center=(0, 0, 0)):
    return placed(ball(radius, SHAPE, SPACING, center)), LabelTable({1: Label("lunate", "left")})


def test_size_is_held_against_adults():
    assert check_leaks(*lunate(8.0)) == []
    kinds = {leak.kind for leak in check_leaks(*lunate(15.0))}
    assert kinds == {"volume", "extent"}
    small = check_leaks(*lunate(4.0))
    assert [leak.kind for leak in small] == ["small", "small"]
    assert all("less than" in leak.finding and "of the bone" in leak.advice for leak in small)
    assert all("doi:10.1016/j.jhsa.2004.08.012" in leak.finding for leak in small)
    assert check_leaks(lunate(4.0)[0]) == []  # a bone without a name


def test_a_bone_cut_by_the_scan_has_no_lower_limit():
    assert check_leaks(*lunate(4.0, (0, -18, 0))) == []
    assert {leak.kind for leak in check_leaks(*lunate(15.0, (0, -14, 0)))} >= {"volume"}


def test_every_range_names_a_known_bone_and_a_source():
    for name, prior in PRIORS.items():
        assert find_bone(name).name == name
        for limits in (prior.length_mm, prior.volume_mm3):
            assert limits is None or 0 <= limits[0] < limits[1]
        assert prior.source.startswith("10.")


@settings(max_examples=15)
@given(st.floats(4, 12), st.tuples(*[st.floats(0.6, 3)] * 3), st.integers(0, 2))
def test_balls_and_bars_never_leak(radius, spacing, axis):
    shape = [int(2 * radius / s) + 5 for s in spacing]
    z = positions(shape, spacing)
    far = sum(p**2 for a, p in enumerate(z) if a != axis or radius < 8)
    assert check_leaks(Volume((far <= radius**2).astype(np.uint8), spacing)) == []


def test_the_sample_knee_has_no_leak():
    scan = mb.read(KNEE / "dicom", echo=1)
    seeds, _ = read_labels(KNEE / "seeds.nii.gz", like=scan)
    labels = mb.preset("bright-marrow").run(scan, seeds=seeds).labels
    table = LabelTable({1: Label("femur"), 2: Label("tibia"), 3: Label("patella"), 4: Label("fibula")})
    assert check_leaks(labels, table) == []


def test_tighter_settings_hold_the_leak():
    """Marrow leaks through a gap of the cortex into fat as bright as itself."""
    shape, spacing = (24, 60, 44), (1.5, 0.8, 1.0)
    z, y, x = positions(shape, spacing)
    bone, fat = ball(10, shape, spacing, (0, -10, 0)), y > 2
    cortex = ball(11.5, shape, spacing, (0, -10, 0)) & ~bone
    image = np.where(fat, 0.8, 0.4) * (1 - 0.75 * cortex) + 0.4 * bone
    scan = Volume(image.astype(np.float32), spacing)
    labels = (bone | ball(6.5, shape, spacing, (0, 10, 0)) | ((np.hypot(z, x) <= 1.3) & (np.abs(y) < 8))).astype(
        np.uint8
    )
    leaks = check_leaks(scan.with_array(labels))
    assert [leak.kind for leak in leaks] == ["neck"]
    recipe = tightened(mb.preset("bright-marrow"), leaks)
    before, after = ({c.step: c.params for c in r.calls} for r in (mb.preset("bright-marrow"), recipe))
    assert after["random_walker"]["contrast"] < before["random_walker"]["contrast"]
    assert after["most_likely"]["certainty"] > before["most_likely"]["certainty"]
    steps = [call.step for call in recipe.calls]
    assert steps.index("opening") == steps.index("islands") - 1
    cut = mb.Recipe(tuple(c for c in recipe.calls if c.step in ("opening", "islands")))
    mended = cut.run(scan, labels=labels).labels
    assert check_leaks(mended) == []
    assert 0.85 < (mended.array > 0).sum() / bone.sum() < 1.05
    again = tightened(recipe, leaks)
    assert [c.step for c in again.calls].count("opening") == 1
    assert mb.Recipe.from_dict(again.to_dict()).calls == again.calls


def test_what_cannot_be_tightened_says_so():
    (leak,) = check_leaks(placed(two_balls(0, gap=False)))
    recipe = mb.Recipe((mb.Call("fill_holes"),))
    assert tightened(recipe, []) is recipe
    with pytest.raises(InputError, match="no setting that holds leaks back"):
        tightened(recipe, [leak])
    (neck,) = check_leaks(placed(two_balls(2.0)))
    assert [c.step for c in tightened(recipe, [neck]).calls] == ["fill_holes", "opening", "islands"]


def test_errors_name_the_value():
    with pytest.raises(InputError, match="neck=-1"):
        check_leaks(placed(two_balls(2.0)), neck=-1)
    with pytest.raises(InputError, match="float"):
        check_leaks(Volume(np.zeros((3, 3, 3))))
    with pytest.raises(InputError, match="different grids"):
        check_leaks(placed(two_balls(2.0)), seeds=replace(placed(two_balls(2.0)), spacing=(2, 2, 2)))
