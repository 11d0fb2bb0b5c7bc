"""Pictures: the patient the right way round, in true proportions, with outlines that cover no more than the label."""

import itertools
import time

import numpy as np
import pytest
from scenes import SPACING, ball

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.picture import contact_sheet, slice_picture, window_of
from mrbone_nb.views import PLANES, letters, view_of

TITLE = 20  # pixels above the slice
RED = LabelTable({1: Label("femur", "left", "#ff0000"), 2: Label("tibia", "", "#00ff00")})
# How x, y, z (LPS) change in the picture: which grows to the right, and which grows downward, and how.
DOWN = {"axial": (1, 1), "coronal": (2, -1), "sagittal": (2, -1)}
RIGHT = {"axial": (0, 1), "coronal": (0, 1), "sagittal": (1, 1)}
ACROSS = {"axial": 2, "coronal": 1, "sagittal": 0}


def directions():
    """All 48 ways in which array axes can run along the patient's."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = signs
            yield matrix


def turned(matrix, degrees=(12, -9, 15)):
    """The same, a little oblique."""
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (k for k in range(3) if k != axis)
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def gray(shape=(6, 30, 40), value=100.0, **words):
    return mb.Volume(np.full(shape, value, np.float32), **{"spacing": SPACING, **words})


def content(picture):
    """The slice itself, without the title above and the names below."""
    return np.asarray(picture)[TITLE:]


@pytest.mark.parametrize("oblique", [False, True])
def test_every_scan_stands_head_up_with_the_right_side_on_the_left(oblique):
    for matrix in directions():
        matrix = turned(matrix) if oblique else matrix
        volume = gray((5, 6, 7), direction=tuple(matrix.ravel()))
        places = volume.points(np.argwhere(np.ones(volume.shape))).reshape(*volume.shape, 3)
        for plane in PLANES[1:]:
            view = view_of(volume, plane)
            for axis, (world, sign) in ((0, DOWN[plane]), (1, RIGHT[plane])):
                shown = view.take(places[..., world], 2)
                assert (np.diff(shown, axis=axis) * sign > 0).all()
            assert {view.axis, view.down, view.right} == {0, 1, 2}
            sides = "".join(side[0] for side in view.sides(volume).values())
            assert sides == {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}[plane]
            first, last = (view.take(places[..., ACROSS[plane]], k).mean() for k in (0, 1))
            steps = np.abs(last - first)
            assert steps > 0.8 * volume.spacing[view.axis]
        native = view_of(volume, "native")
        assert native.axis == 0 and native == view_of(volume, native.name)


@pytest.mark.parametrize("plane", PLANES)
def test_proportions_are_those_of_the_patient(plane):
    volume = gray((7, 50, 40), spacing=(4.0, 0.5, 0.7))
    view = view_of(volume, plane)
    mm = [volume.shape[a] * volume.spacing[a] for a in (view.right, view.down)]
    for zoom in (None, 1, 2.5):
        height, width, _ = content(slice_picture(volume, plane=plane, zoom=zoom)).shape
        assert width / height == pytest.approx(mm[0] / mm[1], rel=0.03)
        if zoom:
            assert width == round(mm[0] / min(volume.spacing[view.right], volume.spacing[view.down]) * zoom)


def test_a_slice_shows_its_own_voxels():
    array = np.zeros((3, 20, 30), np.float32)
    array[1, 4, 25] = 100
    volume = mb.Volume(array, (3, 1, 1), direction=(0, 0, 1, 1, 0, 0, 0, -1, 0))  # sagittal, rows to the foot
    picture = content(slice_picture(volume, index=1, zoom=4, window=(0, 100)))[..., 0]
    assert view_of(volume) == view_of(volume, "sagittal")
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert (row // 4, column // 4) == (4, 25)
    other = content(slice_picture(volume, index=0, zoom=4, window=(0, 100)))[..., 0]
    assert other.max() < picture.max()


def test_gray_values_are_the_same_in_all_slices(rng):
    array = rng.uniform(0, 1000, (8, 60, 60)).astype(np.float32)
    array[2], array[5] = 500, 500
    array[5, 3, 3] = 1000  # must not darken the rest of its slice
    volume = mb.Volume(array)
    one, two = (content(slice_picture(volume, index=k, zoom=1))[22, 40] for k in (2, 5))
    assert (one == two).all() and 100 < one[0] < 155
    lower, upper = window_of(volume)
    assert 0 <= lower < 50 and 950 < upper <= 1000


def test_odd_values_do_no_harm():
    for array in (np.zeros((3, 4, 5)), np.full((3, 4, 5), np.nan), np.full((1, 1, 1), 7), np.ones((2, 3, 4), bool)):
        lower, upper = window_of(mb.Volume(array))
        assert np.isfinite([lower, upper]).all() and lower < upper
        assert slice_picture(mb.Volume(array)).mode == "RGB"
    array = np.full((3, 4, 5), 10.0)
    array[0, 0, 0] = np.inf
    assert window_of(mb.Volume(array)) == (10.0, 11.0)


@pytest.mark.parametrize("zoom", [1, 3])
def test_an_outline_is_the_inner_border_in_the_color_of_the_table(zoom):
    volume = gray((1, 80, 80), spacing=(1, 1, 1))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 25:55, 20:40] = 1
    labels[0, 25:55, 40:60] = 2
    picture = content(slice_picture(volume, labels, table=RED, zoom=zoom, window=(0, 200)))[: 80 * zoom]
    shown = np.kron(labels[0], np.ones((zoom, zoom), np.uint8))
    red, green = ((picture == color).all(axis=2) for color in ((255, 0, 0), (0, 255, 0)))
    width = 1 if zoom == 1 else 2
    for seen, number in ((red, 1), (green, 2)):
        block = shown == number
        core = np.zeros_like(block)
        rows, columns = (np.flatnonzero(block.any(axis=a)) for a in (1, 0))
        core[rows[0] + width : rows[-1] + 1 - width, columns[0] + width : columns[-1] + 1 - width] = True
        assert np.array_equal(seen, block & ~core)
    plain = content(slice_picture(volume, zoom=zoom, window=(0, 200)))[: 80 * zoom]
    assert (picture[shown == 0] == plain[shown == 0]).all()


def test_a_veil_covers_the_whole_label_and_lets_the_gray_through():
    volume = gray((1, 80, 80), spacing=(1, 1, 1))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 20:60, 20:60] = 1
    words = dict(table=RED, zoom=1, window=(0, 200))
    veil = content(slice_picture(volume, labels, outline=False, **words))[25:55, 25:55].astype(int)
    plain = content(slice_picture(volume, **words))[25:55, 25:55].astype(int)
    assert (veil[..., 0] > plain[..., 0]).all() and (veil[..., 1] < plain[..., 1]).all() and (veil > 0).all()


def test_strokes_are_shown_in_their_labels_color_and_the_rest_in_gray():
    volume = gray((1, 40, 40), value=0, spacing=(1, 1, 1))
    seeds = np.zeros(volume.shape, np.uint8)
    seeds[0, 10:13, 14:30], seeds[0, 25:28, 14:30] = 2, 255
    picture = content(slice_picture(volume, seeds=seeds, table=RED, zoom=1)).astype(int)
    bone, rest = picture[11, 25], picture[26, 25]
    assert bone[1] > 150 and bone[0] == bone[2] == 0
    assert rest[0] == rest[1] == rest[2] > 100


def test_names_stand_below_only_where_their_label_is_seen():
    volume = gray((3, 60, 60), spacing=(1, 1, 1))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 30:40, 30:40] = 1
    with_name, without = (np.asarray(slice_picture(volume, labels, index=k, table=RED)) for k in (0, 1))
    assert with_name.shape[0] > without.shape[0] and with_name.shape[1] == without.shape[1]
    below = with_name[without.shape[0] :]
    assert (below == (255, 0, 0)).all(axis=2).sum() > 50
    assert not (without == (255, 0, 0)).all(axis=2).any()


def test_many_names_wrap_and_unnamed_labels_keep_their_color_from_slice_to_slice():
    volume = gray((2, 64, 64), spacing=(1, 1, 1))
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 0, :30] = np.arange(1, 31)
    labels[1, 30:40, 30:40] = 7
    many, one = (np.asarray(slice_picture(volume, labels, index=k, zoom=2, outline=False)) for k in (0, 1))
    assert many.shape[0] > one.shape[0] + 100
    patch = one[one.shape[0] - 12, 10]
    assert (many[128 + TITLE :] == patch).all(axis=2).sum() > 50


def test_the_default_slice_is_the_fullest_one():
    volume = gray((9, 30, 30))
    labels, seeds = np.zeros(volume.shape, np.uint8), np.full(volume.shape, 255, np.uint8)
    labels[6, 5:20, 5:20], labels[2, 5, 5] = 1, 1
    seeds[7, 4, 4] = 1

    def same(picture, index, **words):
        return np.array_equal(np.asarray(picture), np.asarray(slice_picture(volume, index=index, **words)))

    assert same(slice_picture(volume, labels), 6, labels=labels)
    assert same(slice_picture(volume, seeds=seeds), 7, seeds=seeds)  # 255 is no bone
    assert same(slice_picture(volume), 4) and not same(slice_picture(volume), 5)
    assert same(slice_picture(volume, index=-1), 8)


@pytest.mark.parametrize(
    ("way", "text"),
    [((1, 0, 0), "L"), ((-1, 0, 0), "R"), ((0, 1, 0), "P"), ((0, -1, 0), "A"), ((0, 0, 1), "S"), ((0, 0, -1), "I")]
    + [((0, -0.8, 0.6), "AS"), ((0.2, 0.1, -0.97), "I"), ((-0.7, 0.5, 0.5), "RP")],
)
def test_edges_are_named_after_the_patient(way, text):
    assert letters(way) == text


def test_letters_and_title_follow_the_geometry():
    """Two scans whose arrays are the same but who lie the other way round must not look alike."""
    one = gray((5, 60, 60), spacing=(3, 1, 1))
    moved = gray((5, 60, 60), spacing=(3, 1, 1), origin=(0, 0, 50))
    assert not np.array_equal(np.asarray(slice_picture(one))[:TITLE], np.asarray(slice_picture(moved))[:TITLE])
    oblique = gray((5, 60, 60), spacing=(3, 1, 1), direction=tuple(turned(np.eye(3), (30, 0, 0)).ravel()))
    assert not np.array_equal(content(slice_picture(one)), content(slice_picture(oblique)))


def test_the_title_tells_number_and_place():
    volume = gray((5, 60, 60), spacing=(3, 1, 1), origin=(-29.5, -29.5, -10))  # the middle lies at x = y = 0
    assert picture_title(volume, "axial", 2) == "axial slice 2 (0 to 4),  I 4.0 mm"
    assert picture_title(volume, "axial", 4) == "axial slice 4 (0 to 4),  S 2.0 mm"
    assert picture_title(volume, "sagittal", 0) == "sagittal slice 0 (0 to 59),  R 29.5 mm"
    assert picture_title(volume, "coronal", 59) == "coronal slice 59 (0 to 59),  P 29.5 mm"


def picture_title(volume, plane, index):
    return view_of(volume, plane).title(volume, index)


def test_a_contact_sheet_holds_every_slice():
    volume = gray((7, 20, 20), spacing=(1, 1, 1))
    labels = np.zeros(volume.shape, np.uint8)
    labels[:, 8:12, 8:12] = 1
    labels[3] = 0

    def tiles(**words):
        sheet = content(contact_sheet(volume, labels, table=RED, tile=100, columns=3, **words))
        grid = [(r, c) for r in range(sheet.shape[0] // 100) for c in range(3)]
        red = (sheet == (255, 0, 0)).all(axis=2)
        return [bool(red[r * 100 + 30 : r * 100 + 70, c * 100 + 30 : c * 100 + 70].any()) for r, c in grid]

    assert tiles() == [True, True, True, False, True, True, True, False, False]
    assert tiles(every=3) == [True, False, True]
    assert contact_sheet(volume, labels, tile=100, columns=50).width == 700


def test_a_long_scan_becomes_a_sheet_of_forty_at_most():
    volume = gray((161, 8, 8), spacing=(1, 1, 1))
    sheet = contact_sheet(volume, tile=32)
    assert (sheet.width // 32) * ((sheet.height - TITLE) // 32) in range(33, 50)


FAULTS = [
    (dict(plane="oblique"), "plane='oblique': expected one of native"),
    (dict(index=6), "index=6: expected 0 to 5"),
    (dict(index=-7), "index=-7: expected 0 to 5"),
    (dict(zoom=0), "zoom=0"),
    (dict(zoom=-1), "zoom=-1"),
    (dict(zoom=float("nan")), "zoom=nan"),
    (dict(zoom=1e9), "zoom=1000000000.0: makes a picture of"),
    (dict(labels=np.zeros((5, 30, 40))), "labels of shape"),
    (dict(labels=np.full((6, 30, 40), 256)), "labels: values from 256 to 256"),
    (dict(seeds=np.full((6, 30, 40), -1)), "seeds: values from -1"),
    (dict(labels=gray(origin=(0, 0, 1))), "labels scan: not on the grid of scan"),
]


@pytest.mark.parametrize(("words", "message"), FAULTS)
def test_wrong_input_is_named(words, message):
    with pytest.raises(mb.InputError, match=message.replace("(", r"\(")):
        slice_picture(gray(), **words)


@pytest.mark.parametrize("words", [dict(every=0), dict(every=7), dict(columns=0), dict(tile=0), dict(tile=5000)])
def test_a_sheet_with_wrong_numbers_is_refused(words):
    with pytest.raises(mb.InputError, match=f"{next(iter(words))}=.*expected 1 to"):
        contact_sheet(gray(), **words)


def test_drawing_changes_nothing_and_is_quick():
    shape, spacing = (60, 384, 384), (1.0, 0.4, 0.4)
    volume = mb.Volume(np.random.default_rng(1).normal(size=shape).astype(np.float32), spacing)
    labels = ball(11, shape, spacing).astype(np.uint8) * 3
    before, marks = volume.array.copy(), labels.copy()
    times = []
    for k in range(6):
        started = time.perf_counter()
        slice_picture(volume, labels, index=27 + k)
        times.append(time.perf_counter() - started)
    assert np.array_equal(volume.array, before) and np.array_equal(labels, marks)
    assert min(times) < 0.1  # 20 ms on an idle machine
