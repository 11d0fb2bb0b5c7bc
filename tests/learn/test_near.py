"""What the trees that hear strokes see near a voxel, and strokes that come with the masks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from learn_scene import blocks, written

from mrbone_nb import InputError
from mrbone_nb.learn import read_cases, train
from mrbone_nb.learn import training as module
from mrbone_nb.learn.near import beside, of_marrow, to_borders, to_strokes
from mrbone_nb.outputs import save_image
from mrbone_nb.phantom import simulated_strokes

SPACING = (5.0, 1.0, 1.0)


def test_distances_to_borders_are_in_mm_and_negative_inside():
    layers = np.zeros((3, 3, 40, 60), np.float32)
    layers[1, :, :, 20:30] = 1
    places = np.ravel_multi_index(([1] * 5, [20] * 5, [25, 20, 19, 9, 59]), layers.shape[1:])
    bone, nothing = to_borders(layers, SPACING, places)
    assert bone.tolist() == [-4.5, -0.5, 0.5, 10.5, 20.0] and set(nothing) == {20.0}


def test_distances_to_strokes_are_in_mm_whatever_the_planes():
    seeds = np.zeros((6, 40, 40), np.uint8)
    seeds[0], seeds[:, :, 0] = 7, 255
    places = np.ravel_multi_index(([0, 2, 5], [20] * 3, [20] * 3), seeds.shape)
    bone, lacking, other = to_strokes(seeds, (7, 8), SPACING, places)
    assert bone == pytest.approx([0, 10, 25], abs=1.5) and set(lacking) == {60.0}
    assert other == pytest.approx([20] * 3, abs=1.5)


def test_planes_beside_are_those_across_the_thickest_axis():
    field = np.indices((4, 3, 3))[0].astype(np.float32)
    places = np.ravel_multi_index(([0, 2], [1, 1], [1, 1]), field.shape)
    assert [column.tolist() for column in beside([field], SPACING, places)] == [[0, 1], [1, 3]]


def test_gray_is_told_in_parts_of_the_marrow_under_the_strokes():
    image, seeds = np.array([[[0.4, 0.8, 0.1]]]), np.array([[[0, 3, 255]]])
    assert of_marrow(image, seeds, np.arange(3)) == pytest.approx([0.5, 1.0, 0.125])


def test_strokes_beside_a_mask_are_read_and_learned_from(monkeypatch, tmp_path):
    small = {"ways": 4, "rounds": 4, "samples": 2000}
    monkeypatch.setattr(module, "PASSES", tuple(dataclasses.replace(p, around=1, **small) for p in module.PASSES))
    monkeypatch.setattr(module, "TOGETHER", dataclasses.replace(module.TOGETHER, around=1, **small))
    folders = [written(tmp_path / f"case{n}", blocks(n)) for n in (1, 2)]
    without, _ = read_cases(folders)
    save_image(simulated_strokes(blocks(1).truth, 20.0, seed=5), folders[0] / "seeds.nii.gz")
    table = tmp_path / "cases.csv"
    table.write_text(
        "id,scan,truth,seeds\n"
        "case1,case1/image.nii.gz,case1/truth.nii.gz,case1/seeds.nii.gz\n"
        "case2,case2/image.nii.gz,case2/truth.nii.gz,\n"
    )
    for sources in (folders, [table]):
        cases, _ = read_cases(sources)
        assert (cases[0].seeds.array == 255).any() and cases[1].seeds is None
    models = [train(some, score=False).model for some in (without, cases)]
    assert models[0].sha256 != models[1].sha256
    table.write_text(table.read_text().replace("case1/seeds", "lost/seeds"))
    with pytest.raises(InputError, match="no such file"):
        read_cases([table])


def test_strokes_of_bones_that_no_mask_shows_are_refused():
    cases = [blocks(1), blocks(2)]
    seeds = simulated_strokes(cases[0].truth, 12.0)
    strange = seeds.with_array(np.where(seeds.array == 1, 9, seeds.array))
    with pytest.raises(InputError, match=r"case blocks1: .*\[9\]"):
        train([dataclasses.replace(cases[0], seeds=strange), cases[1]])
