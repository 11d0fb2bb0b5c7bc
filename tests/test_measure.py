"""Measures against brute force on anisotropic grids, and against cases worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SPACING, ball
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

from mrbone_nb import InputError, Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.measure import area_mm2, assd, boundary, compare, dice, hd95, volume_mm3


def brute_force(a, b, spacing):
    """ASSD and HD95 by the definition alone: boundary voxels with scipy, nearest ones with a tree."""
    sides = []
    for mask in (a, b):
        edge = mask & ~binary_erosion(mask)  # 6 neighbors; beyond the array is outside
        sides.append(np.argwhere(edge) * spacing)
    ab = KDTree(sides[1]).query(sides[0])[0]
    ba = KDTree(sides[0]).query(sides[1])[0]
    return (ab.sum() + ba.sum()) / (len(ab) + len(ba)), max(np.percentile(ab, 95), np.percentile(ba, 95))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_distances_agree_with_brute_force(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    spacing = data.draw(st.tuples(*[st.sampled_from([0.3, 0.625, 1.0, 4.0])] * 3))
    draw = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    a, b = (draw.random(shape) < draw.uniform(0.05, 0.95) for _ in range(2))
    if not (a.any() and b.any()):
        return
    expected = brute_force(a, b, spacing)
    assert assd(a, b, spacing) == pytest.approx(expected[0], abs=1e-4)
    assert hd95(a, b, spacing) == pytest.approx(expected[1], abs=1e-4)


def test_distances_of_solid_shapes_far_apart_agree_with_brute_force():
    shape = (16, 40, 36)
    a = ball(9, shape, SPACING, center=(-6, -4, -5))
    b = ball(7, shape, SPACING, center=(8, 6, 7)) | ball(3, shape, SPACING, center=(-14, 10, 0))
    expected = brute_force(a, b, SPACING)
    assert (assd(a, b, SPACING), hd95(a, b, SPACING)) == pytest.approx(expected, abs=1e-4)


def test_two_voxels_by_hand():
    a, b = np.zeros((2, 5, 4, 6), bool)
    a[1, 1, 1] = b[2, 1, 4] = True  # one plane and three columns apart
    expected = math.hypot(3.0, 3 * 1.1)
    assert assd(a, b, SPACING) == pytest.approx(expected)
    assert hd95(a, b, SPACING) == pytest.approx(expected)
    assert dice(a, b) == 0


def test_dice_by_hand():
    a, b = np.zeros((2, 1, 1, 10), bool)
    a[..., :4] = b[..., 2:8] = True
    assert dice(a, b) == pytest.approx(2 * 2 / (4 + 6))
    assert dice(a, a) == 1


def test_a_shifted_box_by_hand():
    a, b = np.zeros((2, 9, 9, 9), bool)
    a[2:5, 2:5, 2:5] = True
    b[2:5, 2:5, 3:6] = True  # one column further: 1.1 mm
    # Each has 26 boundary voxels, all but the middle. Nine lie one column before the other box; the
    # middle of the far face is inside the other box, one row (0.8 mm) from its boundary.
    assert boundary(a).sum() == boundary(b).sum() == 26
    assert assd(a, b, SPACING) == pytest.approx(2 * (9 * 1.1 + 0.8) / 52)
    assert hd95(a, b, SPACING) == pytest.approx(1.1)


def test_the_scans_edge_counts_as_boundary():
    assert boundary(np.ones((3, 3, 3), bool)).sum() == 26
    assert boundary(np.ones((1, 4, 4), bool)).all()


def test_boundary_uses_six_neighbors():
    mask = np.ones((5, 5, 5), bool)
    mask[0, 0, 0] = False  # a corner neighbor of [1, 1, 1]
    assert not boundary(mask)[1, 1, 1]
    mask[0, 1, 1] = False  # a face neighbor
    assert boundary(mask)[1, 1, 1]


@pytest.mark.parametrize("empty", ["first", "second"])
def test_one_side_empty(empty):
    full, none = np.ones((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
    a, b = (none, full) if empty == "first" else (full, none)
    assert dice(a, b) == 0
    assert math.isnan(assd(a, b, SPACING)) and math.isnan(hd95(a, b, SPACING))


def test_both_sides_empty():
    none = np.zeros((2, 3, 4), bool)
    assert math.isnan(dice(none, none)) and math.isnan(assd(none, none, SPACING))


def test_hd95_is_the_larger_direction():
    a, b = np.zeros((2, 1, 1, 60), bool)
    a[..., :40] = b[..., :40] = True
    b[..., 50:60] = True  # only b has the far part
    assert hd95(a, b, (1, 1, 1)) == pytest.approx(np.percentile([0.0] * 40 + list(range(11, 21)), 95))
    assert hd95(b, a, (1, 1, 1)) == hd95(a, b, (1, 1, 1))


def test_masks_of_other_shapes_are_refused():
    for measure in (dice, lambda a, b: assd(a, b, SPACING), lambda a, b: hd95(a, b, SPACING)):
        with pytest.raises(InputError, match=r"\(2, 3, 4\) and \(2, 3, 5\)"):
            measure(np.ones((2, 3, 4), bool), np.ones((2, 3, 5), bool))


def test_volume_and_area_of_a_ball():
    shape, spacing, radius = (30, 60, 60), (1.0, 0.5, 0.5), 10
    mask = ball(radius, shape, spacing)
    assert volume_mm3(mask, spacing) == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.01)
    assert area_mm2(Volume(mask, spacing)) == pytest.approx(4 * math.pi * radius**2, rel=0.03)


# --- label maps ---------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    """Two maps: label 1 equal, label 2 of the first is 5 of the second, 3 only here, 7 only there."""
    a, b = np.zeros((2, 4, 8, 8), np.uint8)
    a[0], b[0] = 1, 1
    a[1, :4], b[1, :5] = 2, 5
    a[2], b[3] = 3, 7
    return Volume(a, SPACING, name="mine"), Volume(b, SPACING, name="truth")


def by_name(rows):
    return {row.name: row for row in rows}


def test_labels_are_paired_by_number(pair):
    rows = by_name(compare(*pair))
    assert set(rows) == {"label 1", "label 2", "label 3", "label 5", "label 7"}
    assert rows["label 1"].dice == 1 and rows["label 1"].assd_mm == 0 and rows["label 1"].note == ""
    assert rows["label 3"].dice == 0 and math.isnan(rows["label 3"].hd95_mm)
    assert rows["label 3"].note == "empty in the second" and rows["label 7"].note == "empty in the first"
    assert rows["label 1"].volume_a_mm3 == pytest.approx(64 * 3.0 * 0.8 * 1.1)


def test_labels_are_paired_as_the_map_says(pair):
    rows = compare(*pair, map={2: 5})
    assert [(r.label_a, r.label_b) for r in rows] == [(2, 5)]
    assert rows[0].dice == pytest.approx(2 * 32 / (32 + 40))
    with pytest.raises(InputError, match="map 9:8"):
        compare(*pair, map={9: 8})


def test_labels_are_paired_by_name_and_side_where_both_have_one(pair):
    mine = LabelTable({1: Label("patella"), 2: Label("Femur", "left")})
    true = LabelTable({5: Label("femur", "left"), 7: Label("femur", "right"), 1: Label("patella")})
    rows = {(r.label_a, r.label_b): r for r in compare(*pair, names_a=mine, names_b=true)}
    assert set(rows) == {(1, 1), (2, 5), (3, None), (None, 7)}
    assert rows[2, 5].name == "left Femur" and rows[None, 7].name == "right femur"


def test_the_same_number_with_other_names_is_not_the_same_bone(pair):
    rows = compare(*pair, names_a=LabelTable({1: Label("femur")}), names_b=LabelTable({1: Label("tibia")}))
    assert (1, 1) not in {(r.label_a, r.label_b) for r in rows}


def test_a_label_taken_by_name_is_not_taken_by_number_too(pair):
    rows = compare(*pair, names_a=LabelTable({2: Label("femur")}), names_b=LabelTable({1: Label("femur")}))
    pairs = [(r.label_a, r.label_b) for r in rows]
    assert (2, 1) in pairs and (1, None) in pairs
    assert len({b for _, b in pairs if b}) == len([b for _, b in pairs if b])


def test_gray_images_are_refused(pair):
    with pytest.raises(InputError, match="mine: values of type float32"):
        compare(pair[0].with_array(pair[0].array.astype(np.float32)), pair[1])


def test_masks_compare_as_label_one(pair):
    mask = pair[0].with_array(pair[0].array == 1)
    (row,) = compare(mask, mask)
    assert (row.label_a, row.label_b, row.dice) == (1, 1, 1)


def test_a_row_is_a_dictionary(pair):
    row = compare(*pair)[0].as_dict()
    assert row["name"] == "label 1" and row["dice"] == 1


def test_other_grids_are_refused_by_name(pair):
    moved = Volume(pair[1].array, SPACING, origin=(0, 0, 0.01), name="truth")
    with pytest.raises(InputError, match="mine and truth lie on different grids"):
        compare(pair[0], moved)
