"""Recipes: what is refused and how it is said, the flow of arrays, mask steps on label maps."""

import json

import numpy as np
import pytest
from scenes import SPACING, bones

import mrbone_nb as mb
from mrbone_nb import recipe as recipes
from mrbone_nb.recipe import Recipe, on_grid, parse_json, run_call
from mrbone_nb.step import STEPS, Call

SHAPE = (10, 40, 36)
GOOD = {"schema": 1, "calls": [{"step": "normalize", "params": {}}, {"step": "otsu"}]}


@pytest.fixture(scope="module")
def scene():
    return bones(SHAPE, SPACING)


@pytest.fixture(scope="module")
def scan(scene):
    return mb.Volume(scene.arrays["image"] * 300, spacing=SPACING, origin=(7, -8, 9), name="scene")


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def calls(*steps):
    return {"schema": 1, "calls": [{"step": name, "params": params} for name, params in steps]}


FAULTS = {
    "unknown step": (calls(("gausian", {})), ["gausian", "gaussian"]),
    "step is no text": ({"schema": 1, "calls": [{"step": ["gaussian"]}]}, ["unknown step"]),
    "unknown parameter": (calls(("gaussian", {"sgima": 1})), ["gaussian", "sgima", "sigma"]),
    "out of range": (calls(("gaussian", {"sigma": 7})), ["gaussian", "sigma=7", "mm", "0 to 5"]),
    "text for a number": (calls(("gaussian", {"sigma": "1"})), ["gaussian", "sigma='1'", "number"]),
    "list for a number": (calls(("gaussian", {"sigma": [1]})), ["gaussian", "sigma=[1]", "number"]),
    "true for a number": (calls(("gaussian", {"sigma": True})), ["gaussian", "sigma=True", "number"]),
    "null for a number": (calls(("gaussian", {"sigma": None})), ["gaussian", "sigma=None", "number"]),
    "fraction for a whole number": (calls(("n4_bias_correction", {"levels": 2.5})), ["levels=2.5", "whole"]),
    "no such choice": (calls(("otsu", {"polarity": "middle"})), ["otsu", "polarity='middle'", "bright"]),
    "list for a choice": (calls(("otsu", {"polarity": ["bright"]})), ["otsu", "polarity=", "bright"]),
    "number for a switch": (calls(("normalize", {"clip": 1})), ["normalize", "clip=1", "true or false"]),
    "NaN": ('{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": NaN}}]}', ["NaN"]),
    "infinity": ('{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": -Infinity}}]}', ["-Infinity"]),
    "1e999": ('{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": 1e999}}]}', ["1e999"]),
    "400 digits": (
        '{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": ' + "9" * 400 + "}}]}",
        ["999", "too large"],
    ),
    "5000 digits": ('{"schema": ' + "9" * 5000 + "}", ["999", "too large"]),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, ["50 levels"]),
    "deep objects": ('{"a":' * 60 + "1" + "}" * 60, ["50 levels"]),
    "huge file": (json.dumps(GOOD) + " " * 1_000_001, ["1000000"]),
    "another schema": ({**GOOD, "schema": 2}, ["schema 2", "schema 1"]),
    "no schema": ({"calls": GOOD["calls"]}, ["schema None"]),
    "no object": ([1, 2], ["object"]),
    "unknown entry": ({**GOOD, "code": "print(1)"}, ["code"]),
    "no calls": ({"schema": 1}, ["calls"]),
    "empty calls": ({"schema": 1, "calls": []}, ["calls"]),
    "calls are no list": ({"schema": 1, "calls": {"step": "otsu"}}, ["calls"]),
    "201 calls": ({"schema": 1, "calls": [{"step": "otsu"}] * 201}, ["calls", "200"]),
    "call is no object": ({"schema": 1, "calls": ["otsu"]}, ["call 1"]),
    "call without step": ({"schema": 1, "calls": [{"step": "otsu"}, {"params": {}}]}, ["call 2"]),
    "call with another entry": ({"schema": 1, "calls": [{"step": "otsu", "run": "x"}]}, ["call 1"]),
    "params are no object": ({"schema": 1, "calls": [{"step": "otsu", "params": [1]}]}, ["call 1"]),
    "unknown surface parameter": ({**GOOD, "surface": {"smothing": 1}}, ["surface", "smothing", "smoothing"]),
    "surface out of range": ({**GOOD, "surface": {"reduction": 5}}, ["surface", "reduction=5"]),
    "surface is no object": ({**GOOD, "surface": [1]}, ["surface"]),
    "unknown measure": ({**GOOD, "measures": ["weight"]}, ["weight", "volume"]),
    "measures are no list": ({**GOOD, "measures": "volume"}, ["measures"]),
    "measure is a list": ({**GOOD, "measures": [["volume"]]}, ["measure"]),
    "name is no text": ({**GOOD, "name": 3}, ["name"]),
    "name is long": ({**GOOD, "name": "x" * 81}, ["name"]),
    "name steers the terminal": ({**GOOD, "name": "a\x1b[31m"}, ["name"]),
    "name of a megabyte": (calls(("gaussian", {"s" * 900_000: 1})), ["gaussian", "sss", "it has sigma"]),
    "value of a megabyte": (
        calls(("otsu", {"polarity": "x" * 900_000})),
        ["otsu", "polarity", "expected one of 'bright'"],
    ),
    "no JSON": ("schema: 1", ["JSON", "line 1"]),
    "YAML with an object": ("!!python/object/apply:os.system ['true']", ["JSON"]),
    "empty": ("", ["JSON"]),
    "deep behind brackets in a text": ('{"name": "' + "]" * 99_999 + '", "calls": ' + "[" * 99_999, ["nested deeper"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_file_is_one_line_that_names_it(fault, tmp_path):
    data, words = FAULTS[fault]
    path = write(tmp_path / "mine.json", data)
    with pytest.raises(mb.InputError) as caught:
        Recipe.load(path)
    message = str(caught.value)
    assert message.startswith("mine.json")
    assert "\n" not in message and len(message) < 1600 and str(tmp_path) not in message
    for word in words:
        assert word in message


def test_a_pickle_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "r.json").write_bytes(b"\x80\x04\x95\xff\xfe.")
    with pytest.raises(mb.InputError, match="not a text file; expected JSON"):
        Recipe.load(tmp_path / "r.json")
    with pytest.raises(mb.InputError, match="no such recipe file or preset; presets are bright-marrow"):
        Recipe.load(tmp_path / "none.json")
    with pytest.raises(mb.InputError, match="unknown preset 'none'"):
        mb.preset("none")


def test_ordinary_numbers_are_read(tmp_path):
    path = write(
        tmp_path / "mine.json",
        '{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": 2}}, {"step": "otsu"}]}',
    )
    assert Recipe.load(path).calls[0].params == {"sigma": 2.0}
    assert parse_json('{"note": "' + "[" * 99 + r'\"[' + '"}', "x") == {"note": "[" * 99 + '"['}
    assert parse_json("[1, -2.5, 1e3, 123456789012345678901]", "x") == [1, -2.5, 1000.0, 123456789012345678901]


@pytest.mark.parametrize("name", mb.preset_names())
def test_presets_are_whole_and_survive_the_round_trip(name, tmp_path):
    first = mb.preset(name)
    again = Recipe.load(write(tmp_path / "copy.json", first.to_json()))
    assert again == first and again.name == name
    for call in first.to_dict()["calls"]:
        assert set(call["params"]) == set(STEPS[call["step"]].params)  # full values, not only changed ones
    assert first.to_dict()["surface"].keys() == recipes.SURFACE_PARAMS.keys()


def test_full_values_are_written_and_whole_numbers_become_floats():
    recipe = Recipe((Call("gaussian", {"sigma": 2}), Call("otsu")), name="mine")
    data = recipe.to_dict()
    assert data["calls"][0]["params"] == {"sigma": 2.0} and isinstance(data["calls"][0]["params"]["sigma"], float)
    assert Recipe.from_dict(data) == recipe
    assert str(recipe).splitlines() == ["mine:", "  1. gaussian(sigma=2.0)", "  2. " + repr(recipe.calls[1])]


def test_with_params_changes_every_call_of_the_step_and_nothing_else():
    recipe = Recipe((Call("median"), Call("gaussian"), Call("median"), Call("otsu")))
    other = recipe.with_params("median", radius=2)
    assert [c.params.get("radius") for c in other.calls] == [2.0, None, 2.0, None]
    assert recipe.calls[0].params["radius"] != 2.0
    with pytest.raises(mb.InputError, match="has no step 'watershed'"):
        recipe.with_params("watershed", sigma=1)
    with pytest.raises(mb.InputError, match="unknown parameter 'sigma'"):
        recipe.with_params("median", sigma=1)


def test_code_gives_the_same_as_running(scene, scan):
    recipe = Recipe((Call("normalize"), Call("watershed", {"sigma": 0.8}), Call("closing")))
    result = recipe.run(scan, seeds=scene.arrays["seeds"])
    places = {"mb": mb, "volume": scan, "seeds": scene.arrays["seeds"]}
    lines = recipe.code().split("\n")
    exec("\n".join(lines[:-1]), places)  # the last step runs label by label
    state = {"labels": places["labels"]}
    run_call(recipe.calls[-1], state, scan.spacing)
    assert np.array_equal(state["labels"], result.labels.array)
    assert lines[-1].startswith("mask = mb.closing(mask, spacing=volume.spacing, radius=")


def test_run_finds_the_bones_and_says_what_it_did(scene, scan):
    recipe = Recipe((Call("normalize"), Call("watershed")))
    seen = []
    result = recipe.run(scan, seeds=scene.arrays["seeds"], progress=lambda c: (seen.append(x.step) or x for x in c))
    truth = scene.arrays["labels"]
    assert result.present == [1, 2] and result.labels.same_grid(scan) and result.labels.array.dtype == np.uint8
    assert (truth[result.labels.array > 0] > 0).mean() > 0.5 and (result.labels.array[truth == 1] == 1).mean() > 0.9
    assert seen == ["normalize", "watershed"] and list(result.seconds) == ["1 normalize", "2 watershed"]
    assert np.array_equal(result.seeds.array, scene.arrays["seeds"])
    again = recipe.run(scan, seeds=scene.arrays["seeds"])
    assert np.array_equal(again.labels.array, result.labels.array)


def test_a_mask_recipe_gives_label_one_and_needs_no_strokes(scan):
    result = Recipe((Call("normalize"), Call("threshold", {"lower": 0.8}), Call("islands"))).run(scan)
    assert result.present == [1] and result.seeds is None


def test_the_flow_is_checked_before_the_first_step(scan, monkeypatch):
    monkeypatch.setattr(STEPS["normalize"], "function", lambda *a, **k: pytest.fail("a step ran"))
    with pytest.raises(mb.InputError, match="watershed needs seeds; give strokes with --seeds"):
        Recipe((Call("normalize"), Call("watershed"))).run(scan)
    with pytest.raises(mb.InputError, match="islands needs mask"):
        Recipe((Call("normalize"), Call("islands"))).run(scan)


def test_a_recipe_without_a_mask_is_refused(scan):
    with pytest.raises(mb.InputError, match="no step makes a mask or labels; the last gives gaussian"):
        Recipe((Call("normalize"), Call("gaussian"))).run(scan)


def test_seeds_of_another_grid_name_both_scans(scene, scan):
    moved = mb.Volume(scene.arrays["seeds"], spacing=SPACING, origin=(7, -8, 10), name="strokes")
    with pytest.raises(mb.InputError, match=r"seeds strokes: grid .*\(7, -8, 10\).*scan scene: .*\(7, -8, 9\)"):
        on_grid("seeds", moved, scan)
    with pytest.raises(mb.InputError, match="expected the scan's shape"):
        on_grid("seeds", scene.arrays["seeds"][1:], scan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s * 0, "no bone is marked"),
        (lambda s: np.where(s == 255, 255, 0), "no bone is marked"),
        (lambda s: s.astype(float) + 0.5, "whole numbers from 0 to 255"),
        (lambda s: s.astype(int) * 2, "found 0 to 510"),
        (lambda s: s.astype(int) - 1, "found -1 to 254"),
        (lambda s: s.astype(complex), "whole numbers"),
        (lambda s: s * np.nan, "whole numbers"),
    ],
)
def test_strokes_must_be_whole_numbers_with_a_bone(change, message, scene, scan):
    with pytest.raises(mb.InputError, match=message):
        on_grid("seeds", change(scene.arrays["seeds"]), scan)


def test_strokes_without_everything_else_are_told_and_recorded(scene, scan):
    recipe, seeds = Recipe((Call("normalize"), Call("watershed"))), scene.arrays["seeds"]
    with pytest.warns(UserWarning, match=r"no stroke marks everything else \(255\)"):
        result = recipe.run(scan, seeds=np.where(seeds == 255, 0, seeds))
    assert result.labels.array.all() and "everything else" in result.notes[0]
    assert recipe.run(scan, seeds=seeds).notes == ()


def test_a_constant_scan_is_refused_where_gray_values_count(scan):
    flat = scan.with_array(np.full(scan.shape, 7.0))
    with pytest.raises(mb.InputError, match=r"scene: all voxels hold the same value \(7\)"):
        Recipe((Call("otsu"),)).run(flat)
    assert Recipe((Call("closing"),)).run(flat, labels=np.ones(flat.shape)).present == [1]


def test_a_mask_step_runs_on_every_label_as_if_alone():
    labels = np.zeros((3, 9, 20), np.uint8)
    labels[:, 2:7, 2:7], labels[:, 2:7, 12:18] = 1, 5
    labels[1, 4, 4] = labels[1, 4, 15] = 0
    state = {"labels": labels}
    run_call(Call("fill_holes", {"planes": "slices"}), state, (2, 1, 1))
    assert state["labels"][1, 4, 4] == 1 and state["labels"][1, 4, 15] == 5
    assert np.count_nonzero(state["labels"] != labels) == 2 and "mask" not in state


def test_contested_voxels_go_to_the_nearest_label_and_none_steals():
    labels = np.zeros((1, 1, 9), np.uint8)
    labels[0, 0] = [1, 0, 0, 0, 0, 0, 2, 2, 0]
    state = {"labels": labels, "image": np.zeros(labels.shape, np.float32)}
    shell = Call("cortical_shell", {"thickness": 8, "upper": 0.5, "smoothing": 0})
    run_call(shell, state, (1, 1, 1))  # all is dark: each label would take everything
    assert state["labels"][0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_no_label_takes_what_another_had_even_if_that_one_lets_go():
    labels = np.ones((1, 7, 7), np.uint8)
    labels[0, 3, 3] = 2
    state = {"labels": labels}
    run_call(Call("median_smoothing", {"size": 3}), state, (1, 1, 1))  # drops the lone voxel, and would fill it with 1
    assert state["labels"][0, 3, 3] == 0 and state["labels"][0, 3, 2] == 1


@pytest.mark.parametrize(("spacing", "winner"), [((1, 4, 1), 1), ((4, 1, 1), 2)])
def test_nearness_is_measured_in_mm(spacing, winner):
    labels = np.zeros((3, 3, 1), np.uint8)
    labels[0, 0], labels[2, 2] = 1, 2
    state = {"labels": labels, "image": np.zeros(labels.shape, np.float32)}
    run_call(Call("cortical_shell", {"thickness": 8, "upper": 0.5, "smoothing": 0}), state, spacing)
    assert state["labels"][2, 0, 0] == winner  # two voxels from either


def test_a_mask_replaces_the_labels_and_the_other_way_round(scene):
    state = dict(image=scene.arrays["image"], seeds=scene.arrays["seeds"], labels=scene.arrays["labels"])
    run_call(Call("threshold", {"lower": 0.5}), state, SPACING)
    assert "labels" not in state and state["mask"].dtype == bool
    run_call(Call("watershed"), state, SPACING)
    assert "mask" not in state and state["labels"].dtype == np.uint8


def test_preset_is_chosen_from_the_tags_and_says_why(scan):
    def choose(**meta):
        return mb.choose_preset(mb.Volume(scan.array, name="scene", meta=meta))

    assert choose(modality="ct") == ("ct", "the scan is a CT")
    assert choose(modality="MR", marrow="bright", marrow_why="short TE") == (
        "bright-marrow",
        "marrow is likely bright: short TE",
    )
    assert choose(marrow="dark")[0] == "dark-marrow"
    with pytest.raises(mb.InputError, match="scene: .*choose bright-marrow or dark-marrow as the recipe"):
        choose(modality="MR")


def test_memory_is_said_before_the_run_and_a_run_that_does_not_fit_is_refused(scene, scan, monkeypatch):
    recipe = Recipe((Call("normalize"), Call("watershed")), name="mine")
    assert recipe.memory_note(scan) == ""
    monkeypatch.setattr("mrbone_nb.memory.SAY_ABOVE", 1000)
    assert recipe.memory_note(scan).startswith("mine needs about 0.0 GB")
    assert recipe.run(scan, seeds=scene.arrays["seeds"]).notes == (recipe.memory_note(scan),)
    monkeypatch.setattr("mrbone_nb.memory.available", lambda: 1000)
    with pytest.raises(mb.InputError, match="mine needs about .* are free: crop the scan"):
        recipe.run(scan, seeds=scene.arrays["seeds"])
