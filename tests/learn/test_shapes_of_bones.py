"""Shape models in learning: bones that vary are fitted, cut ones too, and what no bone is like is mended."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_scene import blocks

from mrbone_nb import InputError
from mrbone_nb.learn import load_model, shapes, train
from mrbone_nb.learn import training as module
from mrbone_nb.learn.atlas import Atlas
from mrbone_nb.learn.shapes import Shape, distances, fields_of, held, shapes_of
from mrbone_nb.measure import dice

SPACING, GRID = (4.0, 5.0, 4.0), (32, 20, 24)
MIDDLE = np.array([62.0, 48.0, 46.0])


def long_bone(length, width, shift=(0, 0, 0), grid=GRID):
    """An ellipsoid whose length and width, in mm, vary on their own."""
    at = np.indices(grid).astype(float) * np.reshape(SPACING, (3, 1, 1, 1))
    away = (at - np.reshape(MIDDLE + shift, (3, 1, 1, 1))) / np.reshape([length, width, width], (3, 1, 1, 1))
    return ((away**2).sum(axis=0) < 1).astype(np.uint8)


def atlas_of(labels):
    return Atlas(np.zeros_like(labels), labels, SPACING)


def layers_of(mask):
    return np.stack([mask == 0, mask > 0]).astype(np.float32)


@pytest.fixture(scope="module")
def family():
    random = np.random.default_rng(0)
    bones = [long_bone(random.uniform(30, 50), random.uniform(14, 22), random.uniform(-8, 8, 3)) for _ in range(6)]
    return shapes_of([fields_of(atlas_of(bone), 1) for bone in bones])


def test_a_bone_that_was_not_seen_is_fitted_where_it_lies(family):
    bone = long_bone(44, 15, (10, -8, 6))
    away = distances(family, layers_of(bone), SPACING)[0]
    assert dice(away < 0, bone > 0) > 0.93
    assert away.max() == 20 and np.abs(away[(bone > 0) & (away > 0)]).max(initial=0) < 4


def test_a_bone_that_the_scan_cuts_is_fitted_to_what_is_there(family):
    bone = long_bone(44, 20)[14:]
    assert dice(distances(family, layers_of(bone), SPACING)[0] < 0, bone > 0) > 0.9


def test_islands_far_off_and_holes_deep_inside_are_mended_and_the_rest_stays(family):
    bone = long_bone(44, 20)
    away = distances(family, layers_of(bone), SPACING)
    said = layers_of(bone) * 0.8 + 0.1
    broken = said.copy()
    hole, island = (slice(15, 17), slice(9, 11), slice(11, 13)), (slice(0, 2), slice(0, 3), slice(0, 3))
    for place in (hole, island):
        broken[(slice(None), *place)] = broken[(slice(None, None, -1), *place)]
    mended = held(broken, away).argmax(axis=0)
    assert (broken.argmax(axis=0) != bone).sum() > 20
    assert mended[island].max() == 0 and mended[hole].min() == 1
    assert dice(mended == 1, bone > 0) > 0.99 and held(said, away).sum(axis=0) == pytest.approx(np.ones(GRID))


def test_what_is_not_seen_is_far_and_a_bone_without_shape_is_left_alone(family):
    nothing = np.zeros((3, *GRID), np.float32)
    nothing[0] = 1
    away = distances((*family, None), nothing, SPACING)
    assert (away[0] == shapes.FAR).all() and (away[1] == 0).all()
    assert (held(nothing, away) == nothing).all()


def test_two_scans_make_no_shape():
    fields = [fields_of(atlas_of(long_bone(40, width)), 2) for width in (16, 20)]
    assert shapes_of(fields) == (None, None)
    assert shapes_of(fields, least=2)[0].modes.shape[0] == 1


def test_shapes_are_learned_with_three_scans_and_kept_in_the_file(monkeypatch, tmp_path):
    quick = tuple(dataclasses.replace(this, ways=4, around=1, rounds=4, samples=2000) for this in module.PASSES)
    monkeypatch.setattr(module, "PASSES", quick)
    said = []
    cases = [blocks(seed) for seed in (1, 2, 3)]
    assert train(cases[:2], score=False, strokes=False, say=said.append).model.shapes == ()
    assert any("shapes: left out" in line for line in said)
    done = train(cases, score=False, strokes=False, say=said.append)
    assert len(done.model.shapes) == 2 and set(done.shapes) == {"blocks1", "blocks2", "blocks3"}
    path = done.model.save(tmp_path / "m.npz")
    assert load_model(path).sha256 == done.model.sha256
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    for broken in (parts["shape_0"][:1], parts["shape_0"] * np.float16(np.nan)):
        np.savez(tmp_path / "broken.npz", **parts | {"shape_0": broken})
        with pytest.raises(InputError, match="damaged"):
            load_model(tmp_path / "broken.npz")


def test_a_shape_from_a_file_is_checked():
    mean = np.zeros((2, 3, 4), np.float16)
    assert Shape.checked(mean, mean[None], [1, 2, 3]).spacing == (1.0, 2.0, 3.0)
    for bad in ((mean, mean, [1, 2, 3]), (mean, mean[None], [1, 0, 3]), (mean.astype("f4"), mean[None], [1, 2, 3])):
        with pytest.raises(ValueError, match="shape"):
            Shape.checked(*bad)
