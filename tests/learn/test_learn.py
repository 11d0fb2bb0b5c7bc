"""Learning from masks: small knees teach, another one is found; files are data; a scan unlike them is told."""

from __future__ import annotations

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from learn_scene import GRID, blocks, written

from mrbone_nb import InputError, Volume
from mrbone_nb.learn import load_model, predict, read_cases, segment, train
from mrbone_nb.learn import training as module
from mrbone_nb.learn.frame import Frame, on_grid_of, pooled_labels
from mrbone_nb.learn.ready import as_scanned
from mrbone_nb.learn.trees import grow
from mrbone_nb.learn import atlas, together
from mrbone_nb.learn.atlas import RESOLUTION, Atlas, votes
from mrbone_nb.measure import dice
from mrbone_nb.phantom import knee, simulated_strokes


@pytest.fixture(scope="module")
def small():
    """Passes with few trees, so that a training takes seconds."""
    words = dict(ways=10, rounds=8, samples=3000)
    quick = tuple(dataclasses.replace(this, around=min(this.around, 2), **words) for this in module.PASSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PASSES", quick)
        patch.setattr(module, "TOGETHER", dataclasses.replace(module.TOGETHER, rounds=8, samples=3000))
        yield


@pytest.fixture(scope="module")
def trained(small):
    return train([blocks(seed) for seed in (1, 2, 3)])


# --- trees ----------------------------------------------------------------------------------------------


def rows_with_answers(rng, count=4000):
    rows = rng.normal(size=(count, 4)).astype(np.float32)
    return rows, (rows[:, 1] > 0.3).astype(int) + (rows[:, 2] > 0.8), np.arange(count) % 2


def test_trees_answer_as_the_library_that_grew_them(rng):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    from mrbone_nb.learn.trees import BINS, LEAVES, RATE, SMALLEST_LEAF

    rows, answers, parts = rows_with_answers(rng)
    trees = grow(rows, answers, 0 * parts, 3, rounds=10, balance=0, seed=0)
    words = dict(learning_rate=RATE, max_leaf_nodes=LEAVES, max_bins=BINS, min_samples_leaf=SMALLEST_LEAF)
    theirs = HistGradientBoostingClassifier(max_iter=10, l2_regularization=1.0, early_stopping=False, **words)
    with threadpool_limits(1, user_api="openmp"):
        expected = theirs.fit(rows, answers, sample_weight=np.ones(len(rows))).predict_proba(rows)
    assert np.allclose(trees.probability(rows), expected, atol=1e-5)


def test_a_part_is_judged_by_trees_that_have_not_seen_it(rng):
    rows, answers, parts = rows_with_answers(rng)
    wrong = np.where(parts == 0, 2 - answers, answers)  # part 0 teaches the opposite
    trees = grow(rows, wrong, parts, 3, rounds=10, balance=0, seed=0)
    assert (trees.probability(rows, part=0).argmax(axis=1) == answers).mean() > 0.95
    assert (trees.probability(rows, part=1).argmax(axis=1) == 2 - answers).mean() > 0.95


def test_a_class_that_no_row_has_is_unlikely(rng):
    rows, answers, parts = rows_with_answers(rng)
    found = grow(rows, answers * 2, parts, 5, rounds=5, balance=0.3, seed=0).probability(rows)
    assert found.shape == (len(rows), 5) and np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found[:, 1::2].max() < 0.01


# --- frames ---------------------------------------------------------------------------------------------


def test_axes_run_to_head_back_and_left_and_back_again():
    scan = blocks(1).scan
    turned = scan.reorient("LPS")
    assert (as_scanned(turned, scan) == scan.array).all()
    frame = Frame.of(turned, 1.8)
    assert frame.spacing == (2.0, 4.0, 2.0) and frame.image.shape == (40, 14, 30)


def test_a_block_has_the_label_that_fills_most_of_it():
    labels = np.array([[[5, 5, 5, 9, 0, 0, 0, 9]]], np.uint8)
    assert pooled_labels(labels, (5, 9), (1, 1, 2)).tolist() == [[[1, 0]]]


# --- training and asking --------------------------------------------------------------------------------


def test_another_scan_is_found_and_the_sides_are_told_apart(trained):
    new = blocks(9)
    result, start = segment(trained.model, new.scan)
    assert [dice(result.labels.array == n, new.truth.array == n) > 0.8 for n in (1, 2)] == [True, True]
    assert start.same_grid(new.scan) and trained.model.sha256 in " ".join(result.notes)
    assert not [note for note in result.notes if "unlike" in note]


def test_each_scan_is_scored_unseen(trained):
    assert list(trained.scores) == ["blocks1", "blocks2", "blocks3"]
    assert min(value for row in trained.scores.values() for value in row.values()) > 0.7


def test_the_same_bits_twice(small):
    first, second = (train([blocks(seed) for seed in (1, 2)], score=False).model for _ in range(2))
    assert first.sha256 == second.sha256


def test_one_scan_is_enough(small):
    model = train([blocks(1)]).model
    assert dice(predict(model, blocks(1).scan).labels.array == 1, blocks(1).truth.array == 1) > 0.8


def test_a_scan_unlike_those_of_training_is_told(trained):
    new = blocks(9).scan
    thick = Volume(new.array, (8.0, 2.0, 2.0), direction=new.direction)
    pale = new.with_array(new.array**3)
    axial = Volume(new.array, GRID)
    dark = dataclasses.replace(new, meta={"marrow": "dark"})
    said = [" ".join(predict(trained.model, scan).warnings) for scan in (thick, pale, axial, dark)]
    for words, text in zip(("voxels measure", "gray values", "slices are axial", "likely dark"), said, strict=True):
        assert words in text


def test_masks_on_other_grids_and_empty_ones_are_refused(small):
    case = blocks(1)
    with pytest.raises(InputError, match="another grid"):
        train([dataclasses.replace(case, truth=dataclasses.replace(case.truth, origin=(5.0, 0.0, 0.0)))])
    with pytest.raises(InputError, match="empty"):
        train([dataclasses.replace(case, truth=case.scan.with_array(np.zeros(case.scan.shape, np.uint8)))])
    with pytest.raises(InputError, match="0 cases"):
        train([])


# --- files ----------------------------------------------------------------------------------------------


def test_a_model_comes_back_from_its_file(trained, tmp_path):
    path = trained.model.save(tmp_path / "knee.npz")
    again = load_model(path)
    assert again.sha256 == trained.model.sha256
    new = blocks(9).scan
    assert (predict(again, new).labels.array == predict(trained.model, new).labels.array).all()
    with zipfile.ZipFile(path) as archive:
        assert b"blocks1" not in b"".join(archive.read(name) for name in archive.namelist())


def changed(path, **arrays):
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files} | arrays
    np.savez(path, **parts)
    return path


def test_damaged_models_are_refused(trained, tmp_path):
    path = trained.model.save(tmp_path / "knee.npz")
    with np.load(path) as stored:
        left, about = stored["left_0"].copy(), json.loads(stored["about"].tobytes())
    left[0] = 10**6  # a child beyond the tree
    with pytest.raises(InputError, match="trees are damaged"):
        load_model(changed(path, left_0=left))
    about["schema"] = 99
    with pytest.raises(InputError, match="schema 99"):
        load_model(changed(path, about=np.frombuffer(json.dumps(about).encode(), np.uint8)))
    with pytest.raises(InputError, match="not a model"):
        load_model(changed(path, about=np.array([{"code": 1}], dtype=object)))
    (tmp_path / "text.npz").write_bytes(b"text")
    with pytest.raises(InputError, match="not a model"):
        load_model(tmp_path / "text.npz")


def test_cases_are_read_from_folders_and_tables(tmp_path):
    folders = [written(tmp_path / f"case{n}", blocks(n)) for n in (1, 2)]
    table = tmp_path / "cases.csv"
    lines = (f"{f.name},{f.name}/image.nii.gz,{f.name}/truth.nii.gz\n" for f in folders)
    table.write_text("id,scan,truth\n" + "".join(lines))
    for sources in (folders, [table]):
        cases, _ = read_cases(sources)
        assert [case.name for case in cases] == ["case1", "case2"]
        assert (cases[0].truth.array == blocks(1).truth.array).all()
    (folders[0] / "truth.nii.gz").unlink()
    with pytest.raises(InputError, match="no truth.nii.gz"):
        read_cases(folders)
    table.write_text("id,scan\n")
    with pytest.raises(InputError, match="no column truth"):
        read_cases([table])


# --- atlases --------------------------------------------------------------------------------------------


def test_an_atlas_is_pulled_over_a_scan_with_another_field_of_view():
    first, second = (knee("t1", size=64, spacing=(4.0, 2.0, 2.0), seed=seed) for seed in (1, 2))
    size = second[0].shape
    scan, truth = (second[place].crop((slice(3, size[0]), slice(8, size[1]), slice(0, size[2] - 6))) for place in (0, 1))
    frames = [Frame.of(volume.reorient("LPS"), RESOLUTION) for volume in (first[0], scan)]
    small = [dataclasses.replace(frame, image=frame.image / 1000) for frame in frames]
    layers = votes(small[1], [Atlas.of(small[0], first[1].reorient("LPS").array, (1, 2))], 3)
    right = pooled_labels(truth.reorient("LPS").array, (1, 2), layers.shape[1:])
    assert layers.sum(axis=0) == pytest.approx(np.ones(layers.shape[1:]), abs=1e-4)
    for place in (1, 2):
        assert dice(layers.argmax(axis=0) == place, right == place) > 0.85


@pytest.mark.parametrize("pixel", [0.35, 0.4, 0.5, 0.7, 0.9, 2.0])
def test_grids_of_all_passes_nest(pixel):
    shape, spacing = (9, 61, 50), (4.0, pixel, pixel)
    x = np.broadcast_to(np.arange(shape[1], dtype=np.float32)[:, None] * pixel, shape)
    volume = Volume(np.ascontiguousarray(x), spacing, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
    coarse, fine = (Frame.of(volume.with_array(x + 1), resolution) for resolution in (RESOLUTION, 0.9))
    back = on_grid_of(fine, coarse.image[None])[0]
    inner = slice(8, 24)
    assert np.abs(back - fine.image)[:, inner].max() < 0.01


def test_the_shift_does_not_depend_on_the_size_of_the_scans():
    first, _ = knee("t1", size=64, spacing=(4.0, 2.0, 2.0), seed=1)
    gray = np.clip(first.array / 1000, 0, 1.5).astype(np.float32)
    whole, part = (atlas._image(a, first.spacing) for a in (gray, gray[6:, :, 12:]))
    assert atlas._shift(part, whole) == pytest.approx([24.0, 0.0, 24.0], abs=4.0)
    assert atlas._shift(whole, part) == pytest.approx([-24.0, 0.0, -24.0], abs=4.0)


def test_an_atlas_from_a_file_is_checked():
    image = np.zeros((2, 3, 4), np.uint8)
    assert Atlas.checked(image, image, [1, 2, 3], 2).spacing == (1.0, 2.0, 3.0)
    for bad in ((image, image[:1], [1, 2, 3]), (image, image + 9, [1, 2, 3]), (image, image, [1, 0, 3])):
        with pytest.raises(ValueError, match="atlas|spacing"):
            Atlas.checked(*bad, 2)


# --- strokes and model together -------------------------------------------------------------------------


def test_strokes_and_model_together_are_as_good_as_a_model_that_is_right(trained):
    """That they are better where it is wrong, the notebook's test sees on a knee."""
    case = blocks(9)
    seeds = simulated_strokes(case.truth, 12.0)
    alone, both = (predict(trained.model, case.scan, seeds=s).labels.array for s in (None, seeds))
    mean = [np.mean([dice(found == n, case.truth.array == n) for n in (1, 2)]) for found in (alone, both)]
    assert mean[1] > mean[0] - 0.005 and mean[1] > 0.98
    marked = seeds.array > 0
    assert np.array_equal(both[marked], np.where(seeds.array == 255, 0, seeds.array)[marked])


def test_a_bone_without_strokes_is_the_models(trained):
    case = blocks(9)
    seeds = simulated_strokes(case.truth, 12.0)
    some = seeds.with_array(np.where(seeds.array == 2, 0, seeds.array))
    alone, both = (predict(trained.model, case.scan, seeds=s).labels.array for s in (None, some))
    assert dice(both == 2, alone == 2) > 0.99 and dice(both == 1, case.truth.array == 1) > 0.9


def test_a_label_that_one_case_lacks_does_not_spoil_the_model(small, tmp_path):
    cases = [blocks(1), blocks(2)]
    cases[1] = dataclasses.replace(cases[1], truth=cases[1].truth.with_array(np.minimum(cases[1].truth.array, 2) % 2))
    done = train(cases, strokes=False)
    assert set(done.scores["blocks1"]) == {1, 2} and set(done.scores["blocks2"]) == {1}
    assert load_model(done.model.save(tmp_path / "m.npz")).sha256 == done.model.sha256


def test_a_recipe_that_draws_anew_is_refused(trained):
    case = blocks(9)
    seeds = simulated_strokes(case.truth, 12.0)
    with pytest.raises(InputError, match="draws from strokes anew"):
        segment(trained.model, case.scan, seeds=seeds, recipe=together.preset("bright-marrow"))


def test_strokes_that_the_model_cannot_hear_are_refused(trained):
    case = blocks(9)
    seeds = simulated_strokes(case.truth, 12.0)
    with pytest.raises(InputError, match=r"labels \[7\]"):
        predict(trained.model, case.scan, seeds=seeds.with_array(np.where(seeds.array == 2, 7, seeds.array)))
    with pytest.raises(InputError, match="255"):
        predict(trained.model, case.scan, seeds=seeds.with_array(np.where(seeds.array == 255, 0, seeds.array)))
    deaf = dataclasses.replace(trained.model, together=None, strokes=None)
    with pytest.raises(InputError, match="learned without strokes"):
        predict(deaf, case.scan, seeds=seeds)


def test_polarity_is_seen_in_the_masks():
    case = blocks(1)
    assert together.recipe_of([case.scan], [case.truth]).name == "bright-marrow"
    dark = case.scan.with_array(1.2 - case.scan.array)
    assert together.recipe_of([dark], [case.truth]).name == "dark-marrow"


def test_a_mask_with_255_is_refused():
    case = blocks(1)
    strange = dataclasses.replace(case, truth=case.truth.with_array(np.where(case.truth.array == 2, 255, case.truth.array)))
    with pytest.raises(InputError, match="holds 255"):
        train([strange, blocks(2)])
