"""Agreement of two sets of results: figures of the literature, folders of label maps, and recipes in words."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import bones

import mrbone_nb as mb
from mrbone_nb.agreementplot import bland_altman_plot
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.errors import InputError
from mrbone_nb.export import write_labels
from mrbone_nb.volume import Volume

TABLE = LabelTable({1: Label("femur", "left"), 2: Label("tibia", "left")})
PEAK_FLOW_A = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
PEAK_FLOW_B = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_example_of_bland_and_altman():
    """The Wright and mini Wright peak flow meters of the paper: bias -2.1, SD 38.8, limits -79.7 to 75.5 l/min."""
    found = mb.bland_altman(PEAK_FLOW_B, PEAK_FLOW_A)
    assert (found.n, round(found.bias, 1), round(found.sd, 1)) == (17, -2.1, 38.8)
    assert found.lower == pytest.approx(-79.7, abs=1.7) and found.upper == pytest.approx(75.5, abs=1.7)  # 2 SD there
    assert (found.bias_low, found.bias_high) == (pytest.approx(-22.0, abs=0.2), pytest.approx(17.8, abs=0.2))


def test_icc_is_that_of_its_definition():
    """By hand, of mean squares; a constant difference lowers agreement, a common scatter does not."""
    a = np.array([9.0, 6, 8, 7, 10, 6])
    b = np.array([2.0, 1, 4, 1, 5, 2])
    pairs = np.stack([a, b], 1)
    n, k = pairs.shape
    rows = k * pairs.mean(1).var() * n / (n - 1)
    columns = n * ((pairs.mean(0) - pairs.mean()) ** 2).sum()
    rest = ((pairs - pairs.mean(1, keepdims=True) - pairs.mean(0) + pairs.mean()) ** 2).sum() / (n - 1)
    found = mb.icc(a, b)
    assert found.value == pytest.approx((rows - rest) / (rows + rest + 2 * (columns - rest) / n))
    assert found.low < found.value < found.high
    assert mb.icc(a, a).value == 1 and mb.icc(a, a + 5).value < 0.3
    assert np.isnan(mb.icc([1, 1, 1], [1, 1, 1]).value)


def test_icc_covers_the_truth():
    """The 95 % interval holds the true value in about 95 of 100 experiments."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(300):
        subject = rng.normal(0, 2, 30)
        one, two = (subject + rng.normal(0, 1, 30) for _ in range(2))
        found = mb.icc(one, two)
        inside += found.low <= 4 / 5 <= found.high
    assert 0.91 <= inside / 300 <= 0.985


@pytest.mark.parametrize("function", [mb.bland_altman, mb.icc])
def test_too_few_values_are_refused(function):
    with pytest.raises(InputError, match="2 pairs of values: at least 3"):
        function([1, 2, float("nan")], [1, 2, 3])
    with pytest.raises(InputError, match="same things in the same order"):
        function([1, 2, 3], [1, 2])


def written(folder, change=lambda labels, k: labels, count=3, spacing=(4.0, 2.0, 2.2)):
    """Label maps of some scans, one a folder."""
    for k in range(count):
        labels = bones((9 + k, 24, 22), spacing).arrays["labels"].astype(np.uint8)
        place = folder / f"scan{k}"
        place.mkdir(parents=True)
        volume = Volume(change(labels, k), spacing)
        write_labels(volume, place / f"k{k}_dseg.nii.gz", TABLE)
        write_labels(volume, place / f"k{k}_seeds.nii.gz", TABLE)
    return folder


def shaved(labels, k):
    """The first bone without its first slice."""
    labels, first = labels.copy(), np.flatnonzero((labels == 1).any(axis=(1, 2)))[0]
    labels[first][labels[first] == 1] = 0
    return labels


def test_folders_are_compared_scan_by_scan(tmp_path):
    a, b = written(tmp_path / "a"), written(tmp_path / "b", shaved, count=4)
    found = mb.agree(a, b)
    assert found.bones() == ["left femur", "left tibia"] and found.missing == ("scan3 (only in B)",)
    femur, tibia = found.summary()
    assert tibia["dice"] == 1 and tibia["assd"] == 0 and tibia["volume_bias_mm3"] == 0
    assert femur["scans"] == 3 and femur["dice"] < 1
    row = next(p for p in found.pairs if p.bone == "left femur")
    assert row.volume_b < row.volume_a and femur["volume_bias_mm3"] < 0
    axes = bland_altman_plot(found).axes
    assert [axis.get_title() for axis in axes] == ["left femur (n = 3)", "left tibia (n = 3)"]
    assert mb.agree(a, a).summary()[0]["icc"] == 1


def test_other_grids_are_compared_by_surfaces(tmp_path):
    a = written(tmp_path / "a", count=1)
    (tmp_path / "b" / "scan0").mkdir(parents=True)
    labels = mb.read_labels(a / "scan0" / "k0_dseg.nii.gz")[0]
    moved = Volume(labels.array, labels.spacing, tuple(np.add(labels.origin, 7)))
    write_labels(moved, tmp_path / "b" / "scan0" / "k0_dseg.nii.gz", TABLE)
    for row in mb.agree(a, tmp_path / "b").pairs:
        assert row.assd < 0.1 and np.isnan(row.dice) and "other grid" in row.note and row.volume_a == row.volume_b


def test_what_does_not_belong_together_is_said(tmp_path):
    a = written(tmp_path / "a", count=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no label map"):
        mb.agree(a, tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder"):
        mb.agree(a, tmp_path / "none")
    (tmp_path / "c").mkdir()
    (a / "scan0").rename(tmp_path / "c" / "other")
    with pytest.raises(InputError, match="name files or folders alike"):
        mb.agree(tmp_path / "c", written(tmp_path / "d", count=1))


# --- words -----------------------------------------------------------------------------------------------


def test_recipes_differ_in_words():
    call = mb.Call
    a = mb.Recipe((call("normalize"), call("gaussian", {"sigma": 1.0}), call("watershed")))
    b = mb.Recipe((call("normalize", {"upper": 98.0}), call("watershed"), call("islands")), surface={"smoothing": 1.0})
    lines = mb.recipe_differences(a, b)
    assert lines[0] == "normalize: upper 99.0 % becomes 98.0 %" and lines[1] == "gaussian: left out"
    assert lines[2].startswith("islands(") and lines[2].endswith(": added after watershed")
    assert lines[3] == "surface smoothing: 0.7 becomes 1.0"
    assert mb.recipe_differences(a, a) == []


@pytest.mark.parametrize("name", mb.preset_names())
def test_the_methods_paragraph_names_every_step_and_paper(name):
    recipe = mb.preset(name)
    text = mb.methods_text(recipe)
    paragraph, _, papers = text.partition("\n\n")
    assert all(f"({n}) {call.step.replace('_', ' ')}, to " in paragraph for n, call in enumerate(recipe.calls, 1))
    cited = {int(n) for group in __import__("re").findall(r"\[([\d, ]+)\]", paragraph) for n in group.split(",")}
    lines = papers.strip().splitlines()
    assert cited == set(range(1, len(lines) + 1)) and all("doi:10." in line for line in lines)


def test_the_paragraph_of_a_record_tells_versions_and_strokes(tmp_path):
    scene = bones((6, 24, 22), (4.0, 2.0, 2.2))
    scan = Volume(scene.arrays["image"], scene.spacing, name="knee")
    recipe = mb.Recipe((mb.Call("watershed"),), name="quick")
    result = recipe.run(scan, seeds=scene.arrays["seeds"])
    record = mb.load_record(mb.save(result, tmp_path, formats=(), picture=False)["record"])
    text = mb.methods_text(record)
    assert "Python 3." in text and "scikit-image" in text and "strokes drawn by hand" in text and "“quick”" in text
