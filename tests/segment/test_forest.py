"""A forest that learns from strokes: what it must not see, and what it adds to the walk."""

import numpy as np
import pytest

import mrbone_nb as mb
from mrbone_nb import phantom as ph
from mrbone_nb.errors import InputError
from mrbone_nb.measure import dice
from mrbone_nb.segment.features import features
from mrbone_nb.segment.forest import FOLDS, folds, unseen_walks
from mrbone_nb.segment.walker import random_walker, seed_labels

SPACING = (3.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def knee():
    body = ph.knee_body(size=64, shape="parametric")
    scan, truth = ph.scan(body, "t1", spacing=(5.0, 2.0, 2.0), plane="sagittal")
    return scan, truth, ph.simulated_strokes(truth, every_mm=16)


def striped():
    """Strokes of two bones in four planes, and of everything else beside them."""
    seeds = np.zeros((7, 20, 20), np.uint8)
    for plane in (0, 2, 4, 6):
        seeds[plane, 5, 3:8] = 1
        seeds[plane, 14, 3:8] = 2
        seeds[plane, 5, 12:15] = 255
    return seeds


def test_strokes_of_a_plane_and_bone_stay_in_one_fold():
    seeds = striped()
    fold = folds(seeds)
    assert np.array_equal(fold > 0, seeds > 0) and set(np.unique(fold)) == set(range(FOLDS + 1))
    for plane in (0, 2, 4, 6):
        for label in (1, 2):
            assert len(np.unique(fold[plane][seeds[plane] == label])) == 1
        assert (fold[plane][seeds[plane] == 255] == fold[plane, 5, 3]).all(), "with the bone that is near"
    assert [int(fold[plane, 5, 3]) for plane in (0, 2, 4, 6)] == [1, 2, 3, 1]


def test_no_walk_knew_the_stroke_that_it_is_asked_about():
    seeds = striped()
    image = np.random.default_rng(0).random(seeds.shape, np.float32)
    walk = {"contrast": 0.3, "likeness": 0.0}
    stroke = (slice(None), 2, 5, slice(3, 8))
    found = unseen_walks(image, seeds, SPACING, walk)[stroke]
    fold = folds(seeds)
    rest = np.where(fold == fold[2, 5, 3], 0, seeds)
    assert not rest[stroke[1:]].any()
    assert np.array_equal(found, random_walker(image, rest, spacing=SPACING, **walk)[stroke])
    own = random_walker(image, seeds, spacing=SPACING, **walk)[stroke]
    assert own[1].min() > 0.8 and found[1].max() < own[1].max()


def test_features_say_the_same_on_a_finer_grid():
    coarse = np.zeros((4, 40, 40), np.float32)
    coarse[:, 10:30, 12:28] = 1
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
    at = np.ravel_multi_index((2, 20, 20), coarse.shape), np.ravel_multi_index((2, 40, 40), fine.shape)
    one = features(coarse, (3.0, 1.0, 1.0), np.array([at[0]]))[0]
    other = features(fine, (3.0, 0.5, 0.5), np.array([at[1]]))[0]
    assert one.shape == other.shape == (len(one),) and np.isfinite(one).all()
    assert np.abs(one - other)[:-3].max() < 0.12 and np.allclose(one[-3:], other[-3:])


def test_the_forest_helps_where_strokes_are_far_apart(knee):
    scan, truth, seeds = knee
    walk = mb.Recipe(tuple(mb.Call(s) for s in ("normalize", "random_walker", "most_likely")))
    grown = mb.Call("stroke_forest", {"trees": 40})
    both = mb.Recipe((*walk.calls[:2], grown, walk.calls[2]))
    score = [
        np.mean([dice(recipe.run(scan, seeds=seeds).labels.array == n, truth.array == n) for n in ph.KNEE])
        for recipe in (walk, both)
    ]
    assert score[1] > score[0] + 0.01


def test_strokes_and_what_is_certain_stay(knee):
    scan, _, seeds = knee
    image = mb.normalize(scan.array)
    before = random_walker(image, seeds.array, spacing=scan.spacing)
    after = mb.stroke_forest(image, seeds.array, before, spacing=scan.spacing)
    assert np.array_equal(mb.stroke_forest(image, seeds.array, before, spacing=scan.spacing, share=0), before)
    assert np.allclose(after.sum(axis=0), 1, atol=1e-4)
    kept = (before.max(axis=0) > 0.91) | (seeds.array > 0)  # on this grid nothing is pooled
    assert np.array_equal(after[:, kept], before[:, kept]) and (after != before).any()


def test_a_bone_that_is_marked_in_one_plane_keeps_its_probability(knee):
    scan, _, seeds = knee
    planes = np.flatnonzero((seeds.array == 3).any(axis=(1, 2)))
    once = seeds.array.copy()
    once[once == 3] = 0
    once[planes[len(planes) // 2]] = seeds.array[planes[len(planes) // 2]]
    image = mb.normalize(scan.array)
    before = random_walker(image, once, spacing=scan.spacing)
    after = mb.stroke_forest(image, once, before, spacing=scan.spacing, trees=20)
    mine = seed_labels(once).index(3)
    likely = before[1:].argmax(axis=0) == mine - 1
    assert np.array_equal(after[:, likely], before[:, likely]) and (after != before).any()


def test_layers_that_do_not_fit_the_strokes_are_refused():
    image, seeds = np.zeros((7, 20, 20), np.float32), striped()
    with pytest.raises(InputError, match="probability has 2 layers; expected 3"):
        mb.stroke_forest(image, seeds, np.zeros((2, 7, 20, 20), np.float32), spacing=SPACING)
