"""Doubt, consensus, places to look at, and a user who corrects them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelmaps import OBLIQUE
from scenes import ball, dice

import mrbone_nb as mb
from mrbone_nb import InputError, Volume
from mrbone_nb import phantom as ph
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.consensus import consensus, disagreement, probability_of, uncertainty, where_to_look

SHAPE, SPACING = (16, 60, 50), (3.0, 0.8, 1.1)
TABLE = LabelTable({1: Label("femur", "left"), 4: Label("tibia")})


def volume(array, **facts):
    place = {"spacing": SPACING, "origin": (5.0, -9.0, 80.0), "direction": OBLIQUE}
    return Volume(np.asarray(array, np.uint8), **{**place, **facts})


def layers(*values):
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("measure", ["entropy", "margin"])
def test_uncertainty_of_known_values(measure):
    assert uncertainty(layers(1, 0, 0), measure).item() == 0
    assert uncertainty(layers(1 / 3, 1 / 3, 1 / 3), measure).item() == pytest.approx(1, abs=1e-6)
    assert uncertainty(layers(0, 0, 0), measure).item() == 1
    assert uncertainty(layers(2, 0, 0), measure).item() == 0  # scaled to a sum of 1
    assert uncertainty(layers(0.7, 0.2, 0.1)).item() == pytest.approx(0.5)
    half = -(0.5 * np.log(0.5) * 2) / np.log(3)
    assert uncertainty(layers(0.5, 0.5, 0), "entropy").item() == pytest.approx(half)


@given(arrays(np.float32, (3, 2, 3, 2), elements=st.floats(0, 1, width=32)))
def test_uncertainty_lies_between_0_and_1_and_does_not_know_the_order(probability):
    for measure in ("entropy", "margin"):
        found = uncertainty(probability, measure)
        assert found.shape == (2, 3, 2) and found.min() >= 0 and found.max() <= 1
        assert np.allclose(found, uncertainty(probability[::-1], measure), atol=1e-5)


def test_majority_takes_the_most_frequent_label():
    maps = [volume(np.full(SHAPE, n)) for n in (1, 4, 4)]
    assert (consensus(maps, "majority").array == 4).all()
    assert np.allclose(disagreement(maps), 1 / 3)
    assert (disagreement(maps[1:]) == 0).all()


def test_a_tie_goes_to_the_nearest_decided_label():
    one, two = np.zeros(SHAPE), np.zeros(SHAPE)
    one[:, :20], two[:, :24] = 1, 1  # in rows 20 to 23, bone against background
    both = consensus([volume(one), volume(two)], "majority")
    assert (both.array[:, :22] == 1).all() and (both.array[:, 22:] == 0).all()
    assert both.same_grid(volume(one))


def test_a_tie_that_no_neighbor_settles_is_background():
    one, two = (np.full(SHAPE, n) for n in (1, 4))
    assert not consensus([volume(one), volume(two)], "majority").array.any()
    assert not consensus([volume(0 * one)] * 2).array.any()


def faulty(truth, rng, share):
    """The truth with noise at the border: a user with a shaky hand."""
    out = truth.copy()
    noise = rng.random(truth.shape) < share
    out[noise] = np.roll(truth, 3, axis=1)[noise]
    return out


@pytest.mark.parametrize("method", ["staple", "majority"])
def test_consensus_is_better_than_each(method, rng):
    truth = 1 * ball(12, SHAPE, SPACING, (0, -8, 0)) + 4 * ball(8, SHAPE, SPACING, (0, 14, 0))
    maps = [faulty(truth, rng, 0.4) for _ in range(5)]
    found = consensus([volume(m) for m in maps], method).array
    for n in (1, 4):
        assert dice(found == n, truth == n) > max(dice(m == n, truth == n) for m in maps)


def test_staple_trusts_the_good_ones_more(rng):
    truth = 1 * ball(12, SHAPE, SPACING)
    good = [faulty(truth, rng, 0.05) for _ in range(2)]
    bad = [1 * ball(5, SHAPE, SPACING, (s, 0, 0)) for s in (-4, 4)]
    maps = [volume(m) for m in (*good, *bad)]
    staple, majority = (consensus(maps, m).array == 1 for m in ("staple", "majority"))
    assert dice(staple, truth == 1) > dice(majority, truth == 1) + 0.02


@given(st.permutations(range(3)), st.integers(0, 99))
def test_the_order_of_the_maps_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    maps = [volume(rng.choice([0, 1, 4], (3, 4, 5))) for _ in range(3)]
    shuffled = [maps[k] for k in order]
    assert np.array_equal(consensus(maps, "majority").array, consensus(shuffled, "majority").array)
    assert np.array_equal(disagreement(maps), disagreement(shuffled))


def doubtful():
    """A bone whose border is blurred, with a patch in slice 9 that could be bone."""
    bone = ball(12, SHAPE, SPACING, (0, -6, 0))
    probability = np.stack([1 - 0.95 * bone, 0.95 * bone, 0 * bone]).astype(np.float32)
    patch = np.zeros(SHAPE, bool)
    patch[9, 45:53, 20:29] = True
    probability[:, patch] = np.array([0.52, 0.03, 0.45])[:, None]
    thin = np.zeros(SHAPE, bool)
    thin[4, 10:50, 5] = True  # as large, but a line
    probability[:, thin] = np.array([0.5, 0.5, 0])[:, None]
    labels = volume(bone.astype(np.uint8))
    return labels, probability, patch


def test_the_largest_patch_of_doubt_comes_first():
    labels, probability, patch = doubtful()
    places = where_to_look(labels, probability=probability, bones=[1, 4], table=TABLE)
    first = places[0]
    middle = labels.points([np.argwhere(patch).mean(axis=0)])[0]
    assert first.slice == 9 and np.linalg.norm(first.position - middle) < 4
    assert (first.now, first.suggested, first.label, first.bone) == (0, 4, 4, "tibia")
    assert first.area_mm2 == pytest.approx(patch.sum() * 0.8 * 1.1, rel=0.05)
    assert [p.score for p in places] == sorted((p.score for p in places), reverse=True)
    assert places[1].slice == 4 and places[1].score < first.score / 1.5
    assert str(first).startswith("tibia: slice 9 at (")


def test_places_are_apart_and_few():
    labels, probability, _ = doubtful()
    for apart, n in ((5.0, 50), (20.0, 50), (20.0, 2)):
        places = where_to_look(labels, probability=probability, bones=[1, 4], apart=apart, n=n)
        at = np.array([p.position for p in places])
        gaps = np.linalg.norm(at[:, None] - at[None], axis=-1)[~np.eye(len(at), dtype=bool)]
        assert len(places) <= n and gaps.min() >= apart


def test_nothing_in_doubt_gives_no_place():
    labels, _, _ = doubtful()
    sure = np.stack([labels.array == 0, labels.array == 1]).astype(np.float32)
    assert where_to_look(labels, probability=sure) == []
    assert where_to_look(labels, others=[labels, labels]) == []


def test_other_maps_tell_where_to_look():
    labels, _, patch = doubtful()
    other = labels.array.copy()
    other[patch] = 4
    cut = labels.array.copy()
    cut[6:8, :26] = 0
    places = where_to_look(labels, others=[labels.with_array(other)] * 2 + [labels.with_array(cut)])
    assert [(p.slice, p.suggested) for p in places] == [(9, 4)]
    (hole, *_) = where_to_look(labels, others=[labels.with_array(cut)])
    assert hole.slice in (6, 7) and (hole.now, hole.suggested, hole.bone) == (1, 255, "label 1")
    assert "everything else" in str(hole)


@pytest.fixture(scope="module")
def knee():
    body = ph.knee_body(size=56, shape="parametric")
    scan, truth = ph.scan(body, "t1", spacing=(4.0, 2.0, 2.0))
    return scan, truth, ph.simulated_strokes(truth, every_mm=24)


def test_five_corrections_help(knee):
    """A user goes where the map points to, five times; the bones get better."""
    scan, truth, seeds = knee
    recipe = mb.preset("bright-marrow").with_params("random_walker", resolution=3.0)
    scores = []
    for number in range(6):
        labels = recipe.run(scan, seeds=seeds).labels
        scores.append(np.mean([dice(labels.array == n, truth.array == n) for n in ph.KNEE]))
        if number < 5:
            place = where_to_look(labels, probability=probability_of(recipe, scan, seeds), n=1)[0]
            before, seeds = seeds, ph.corrective_stroke(truth, labels, place, seeds)
            new = (seeds.array != before.array).nonzero()
            assert set(new[0]) <= {place.slice}
            assert (seeds.array[new] == np.where(truth.array[new] == 0, 255, truth.array[new])).all()
    assert scores[-1] > scores[0] + 0.02


def test_a_right_place_is_confirmed(knee):
    _, truth, seeds = knee
    place = where_to_look(truth, others=[truth.with_array(0 * truth.array)], n=1)[0]
    more = ph.corrective_stroke(truth, truth, place, seeds).array
    added = (more != seeds.array).nonzero()
    assert 0 < len(added[0]) < 30 and (more[added] == truth.array[added]).all()


def test_probability_needs_a_step_that_gives_one(knee):
    scan, _, seeds = knee
    with pytest.raises(InputError, match="no step gives a probability"):
        probability_of(mb.Recipe((mb.Call("normalize"), mb.Call("watershed"))), scan, seeds)
    found = probability_of(mb.preset("bright-marrow"), scan, seeds)
    assert found.shape == (5, *scan.shape)


def test_errors_say_what_is_wrong():
    labels, probability, _ = doubtful()
    other = volume(np.zeros(SHAPE), spacing=(1, 1, 1))
    for call, words in (
        (lambda: uncertainty(np.zeros((1, 2, 2, 2))), "two layers or more"),
        (lambda: uncertainty(-np.ones((2, 2, 2, 2))), "expected 0 to 1"),
        (lambda: uncertainty(np.ones((2, 2, 2, 2)), "range"), "measure='range'"),
        (lambda: consensus([labels]), "1 label map given"),
        (lambda: consensus([labels, other]), "different grids"),
        (lambda: consensus([labels, labels], "mean"), "method='mean'"),
        (lambda: consensus([labels, volume(np.full(SHAPE, 255))]), "0 to 254"),
        (lambda: where_to_look(labels), "give probability or others"),
        (lambda: where_to_look(labels, others=[other]), "different grids"),
        (lambda: where_to_look(labels, probability=probability), "name the bones"),
        (lambda: where_to_look(labels, others=[labels], n=0), "n=0"),
    ):
        with pytest.raises(InputError, match=words):
            call()
