"""The default path on the real knee: its bones against outlines drawn by eye, and the same bits twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import polygon2mask

import mrbone_nb as mb
from mrbone_nb.export import read_labels
from mrbone_nb.measure import dice

TOP = Path(__file__).parents[1]
KNEE = TOP / "data_samples" / "knee_t2map"
OUTLINES = json.loads((TOP / "tests" / "golden" / "knee_t2map_outlines.json").read_text(encoding="utf-8"))
LEAST = {1: 0.965, 2: 0.95, 3: 0.93, 4: 0.945}  # measured 0.972, 0.958, 0.933, 0.956; the outlines are good to 1-2 pixels
VOLUMES = {1: 191.7, 2: 134.9, 3: 18.2, 4: 14.2}  # cm³, of the result that was looked at slice by slice


@pytest.fixture(scope="module")
def scan():
    return mb.read(KNEE / "dicom", echo=1)


@pytest.fixture(scope="module")
def result(scan):
    seeds, _ = read_labels(KNEE / "seeds.nii.gz", like=scan)
    return mb.preset(mb.choose_preset(scan)[0]).run(scan, seeds=seeds)


@pytest.mark.parametrize("label", LEAST)
def test_bones_agree_with_outlines_drawn_by_eye(result, label):
    drawn = [o for o in OUTLINES["outlines"] if o["label"] == label]
    reference = np.stack([polygon2mask(result.labels.shape[1:], o["points"]) for o in drawn])
    found = np.stack([result.labels.array[o["slice"]] == label for o in drawn])
    assert dice(found, reference) >= LEAST[label]


@pytest.mark.parametrize("label", VOLUMES)
def test_nothing_leaks(result, label):
    cm3 = (result.labels.array == label).sum() * np.prod(result.labels.spacing) / 1000
    assert cm3 == pytest.approx(VOLUMES[label], rel=0.03)


def test_outlines_see_a_bone_that_is_one_pixel_too_small(result):
    from mrbone_nb.morphology import erode

    femur = result.labels.array == 1
    drawn = [o for o in OUTLINES["outlines"] if o["label"] == 1]
    reference = np.stack([polygon2mask(femur.shape[1:], o["points"]) for o in drawn])
    planes = [o["slice"] for o in drawn]
    thin = erode(femur, 1.9, result.labels.spacing)
    assert dice(thin[planes], reference) < LEAST[1] < dice(femur[planes], reference)


def test_twice_the_same_bits(scan, result):
    again = result.recipe.run(scan, seeds=result.seeds)
    assert np.array_equal(again.labels.array, result.labels.array)
