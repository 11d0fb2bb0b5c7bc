"""Painting without a browser: what its front end would say, and what Python makes of it."""

from __future__ import annotations

import gzip
import itertools
import json

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from nbscene import LABELS, SCENE, SEEDS, TABLE, VOLUME

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb.turned import Turned
from mrbone_nb.strokes import Stroke
from mrbone_nb.volume import Volume

SHAPE = VOLUME.shape
BONES = ("right femur", "left tibia")


def oblique(axes):
    """A small scan of counting numbers whose array runs along other axes, and a little oblique."""
    scan = Volume(np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6), (3, 1, 0.5), (5, 6, 7))
    turn = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])
    scan = scan.reorient(axes)
    return Volume(scan.array, scan.spacing, scan.origin, tuple((turn @ np.reshape(scan.direction, (3, 3))).ravel()))


ORDERS = ["".join(p) for p in itertools.product("LR", "AP", "SI")] + ["SLP", "PIR", "ASL", "IRA"]


@pytest.mark.parametrize("axes", ORDERS)
def test_what_is_turned_comes_back(axes):
    scan = oblique(axes)
    turn = Turned(scan)
    assert (turn.array(scan.array) == scan.reorient("LPS").array).all()
    own = np.array([0, 7, 50, 119])
    numbers = turn.numbers(own, scan.shape)
    assert (turn.array(scan.array).ravel()[numbers] == scan.array.ravel()[own]).all()
    assert (turn.own(numbers, scan.shape) == own).all()
    for axis in range(3):
        some = np.take(scan.array, [1, 2], axis)
        at, first = turn.slab(axis, 1, 2)
        assert (turn.array(some) == np.take(turn.array(scan.array), [first, first + 1], at)).all()


class Page:
    """The front end's part: what it says of strokes, and what it hears."""

    def __init__(self, view):
        self.view, self.heard = view, []
        view.send = lambda message, buffers=None: self.heard.append((message, buffers))

    def say(self, *buffers, **message):
        self.view._handle_custom_msg(message, list(buffers))

    def draw(self, label, own_voxels):
        voxels = self.view._turn.numbers(np.asarray(own_voxels), SHAPE).astype("<u4")
        self.say(memoryview(voxels.tobytes()), kind="stroke", label=label, how={"tool": "brush", "radius": 2})

    def sent(self, name):
        """A map as a page that opens now would get it."""
        packed = self.view.get_state()[name]
        return np.frombuffer(gzip.decompress(packed), np.uint8).reshape(self.view.shape)


def test_strokes_come_back_as_seeds():
    view = mb.paint(VOLUME, BONES)
    page, counts = Page(view), []
    view.observe(lambda change: counts.append(change["new"]), "edits")
    page.draw(1, [100, 101, 5])
    page.draw(255, [7, 8])
    flat = view.array.ravel()
    assert np.flatnonzero(flat).tolist() == [5, 7, 8, 100, 101] and flat[100] == 1 and flat[7] == 255
    assert counts == [1, 2] and page.heard == []
    assert (page.sent("seeds") == view._turn.array(view.array)).all(), "a page that opens later shows them too"
    assert [n["name"] for n in view.names.values()] == ["right femur", "left tibia", "everything else"]
    assert (np.asarray(view) == view.array).all() and view.result.same_grid(VOLUME)


def test_undo_and_redo_keep_in_step():
    view = mb.paint(VOLUME, BONES)
    page = Page(view)
    for k in range(60):
        page.draw(1 + k % 2, [k, k + 1])
    all_of_it = view.array
    for _ in range(60):
        page.say(kind="undo", here=True)
    assert not view.array.any() and len(view.strokes) == 0
    page.say(kind="undo", here=True)
    for _ in range(60):
        page.say(kind="redo", here=True)
    assert (view.array == all_of_it).all() and page.heard == []
    view.undo()  # from Python: the page is told
    ((message, buffers),) = page.heard
    assert message["becomes"] == "undone"
    back = view._turn.own(np.frombuffer(buffers[0], "<u4"), SHAPE)
    assert (view.array.ravel()[back] == np.frombuffer(buffers[1], np.uint8)).all()
    page.draw(2, [500])
    view.redo()
    assert len(view.strokes) == 60, "a new stroke ends what could be done again"


def test_a_file_keeps_the_strokes(tmp_path):
    path = tmp_path / "knee_strokes.json"
    page = Page(mb.paint(VOLUME, BONES, file=path))
    page.draw(1, [100, 101])
    assert len(json.loads(path.read_text())["strokes"]) == 1
    page.say(kind="undo", here=True)
    assert json.loads(path.read_text())["strokes"] == []
    page.draw(2, [100, 102])
    again = mb.paint(VOLUME, BONES, file=path)
    assert np.flatnonzero(again.array).tolist() == [100, 102] and again.table[2].title == "left tibia"
    assert (Page(again).sent("seeds") == again._turn.array(again.array)).all()
    assert (mb.read_labels(path, like=VOLUME)[0].array == again.array).all()


def test_given_strokes_are_kept_too_and_stay(tmp_path):
    path = tmp_path / "new folder" / "knee.json"
    view = mb.paint(VOLUME, BONES, seeds=SEEDS, file=path)
    page = Page(view)
    assert (view.array == SEEDS).all() and not path.exists()
    page.draw(1, [0, 1])
    page.say(kind="undo", here=True)
    page.say(kind="undo", here=False)
    assert (view.array == SEEDS).all() and (mb.read_strokes(path).array() == SEEDS).all()
    page.draw(1, [0, 1])
    assert (mb.paint(VOLUME, BONES, seeds=SEEDS, file=path).array == view.array).all()


def test_painted_strokes_are_taken_as_seeds():
    view = mb.paint(VOLUME, BONES, seeds=SEEDS)
    recipe = mb.Recipe((mb.Call("watershed", {}),))
    assert np.array_equal(recipe.run(VOLUME, seeds=view).labels.array, recipe.run(VOLUME, seeds=SEEDS).labels.array)
    assert mb.tune("watershed", VOLUME, seeds=view).result().array.any()


def test_between_painted_slices_the_kernel_fills():
    view = mb.paint(VOLUME, BONES)
    page = Page(view)
    plane = SHAPE[1] * SHAPE[2]
    square = (np.arange(3)[:, None] * SHAPE[2] + np.arange(3)).ravel()
    page.draw(1, square)
    page.draw(1, square + 2 * plane)
    page.say(kind="between", label=1, axis=view._turn.order.index(0))
    assert np.flatnonzero(view.array[1]).tolist() == square.tolist()
    assert page.heard[-1][0]["becomes"] == "new" and view.strokes.done[-1].how["tool"] == "fill between"
    page.say(kind="between", label=2, axis=0)
    assert page.heard[-1][0]["kind"] == "say" and "paint the label on two slices" in page.heard[-1][0]["text"]


def test_a_mask_is_mended_and_the_mending_can_be_made_again(tmp_path):
    path = tmp_path / "mended.json"
    view = mb.edit(VOLUME, LABELS, table=TABLE, file=path)
    page = Page(view)
    hole = np.flatnonzero(LABELS == 1)[:5]
    page.draw(0, hole)
    assert (view.array.ravel()[hole] == 0).all() and (view.array != LABELS).sum() == 5
    assert (mb.edit(VOLUME, LABELS, table=TABLE, file=path).array == view.array).all()
    assert (mb.read_strokes(path, VOLUME).array(LABELS) == view.array).all()
    assert view.painted == "labels" and "255" not in view.names


def test_what_is_drawn_is_changed_by_strokes_alone():
    view = mb.paint(VOLUME, BONES)
    view.show(LABELS)
    assert (np.frombuffer(gzip.decompress(view.labels), np.uint8) > 0).sum() == (LABELS > 0).sum()
    with pytest.raises(InputError, match="change them with strokes"):
        view.show(seeds=SEEDS)
    view.add(Stroke.of(1, [3]))
    assert view.array.ravel()[3] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"bones": "femur"}, "give a list of names"),
        ({"bones": ()}, "0 names; expected 1 to 254"),
        ({"file": "strokes.nii"}, "kept in a .json file"),
        ({"labels": np.ones((2, 2, 2))}, "expected the scan's shape"),
        ({"scale": 99}, "expected 0.1 to 20"),
    ],
)
def test_wrong_words_are_said(words, message):
    with pytest.raises(InputError, match=message):
        mb.paint(VOLUME, **({"bones": BONES} | words))


def test_slices_that_are_asked_for_come_as_pictures(monkeypatch):
    from mrbone_nb.nb import sliceview

    monkeypatch.setattr(sliceview, "MANY", 10)
    monkeypatch.setattr(sliceview, "someone_watches", lambda: True)
    view = mb.look(VOLUME)
    page = Page(view)
    assert view.codec == "stream" and not view.image
    page.say(kind="want", slices=[2, 0])
    (message, pictures) = page.heard[0]
    assert message == {"kind": "slices", "slices": [2, 0]} and all(p[:2] == b"\xff\xd8" for p in pictures)
    page.say(kind="value", position=[1, 2, 3])
    assert page.heard[1][0]["value"] == pytest.approx(float(view._turn.array(VOLUME.array)[1, 2, 3]))


def test_some_slices_are_sent_alone():
    view = mb.look(VOLUME, LABELS)
    page = Page(view)
    view.show_slab("other", LABELS[3:5], 0, 3)
    ((message, (data,)),) = page.heard
    axis, first = view._turn.slab(0, 3, 2)
    assert (message["axis"], message["first"], message["count"]) == (axis, first, 2)
    whole = view._turn.array(LABELS)
    assert data == np.ascontiguousarray(np.take(whole, [first, first + 1], axis)).tobytes()
    view.show_slab("after", SCENE.arrays["image"][3:5], 0, 3)
    assert len(page.heard[1][1][0]) == len(data)
