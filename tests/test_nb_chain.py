"""What panels compute: as much as is quick, nothing twice, no stale moves, and the bits of their recipe."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from typing import Annotated

from nbscene import LABELS, MASK, SEEDS, TABLE, VOLUME, shown, tuned

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb.chain import Runner, Start
from mrbone_nb.recipe import run_call
from mrbone_nb.step import STEPS, Image, Range, parameters_of, step

# --- what is computed ---------------------------------------------------------------------------------


class Slow(Runner):
    """A runner that says that the whole scan takes long."""

    def expected_seconds(self, calls):
        return 9.0


def slab_text(slab):
    return f"slices {slab[1]} to {slab[2]} alone" if slab[1] < slab[2] else f"slice {slab[1]} alone"


@pytest.mark.parametrize(
    ("name", "slab"),
    [
        ("gaussian", None),
        ("nonlocal_means", (0, 4, 4)),
        ("watershed", (0, 3, 5)),
        ("closing", (0, 2, 6)),
        ("n4_bias_correction", None),
    ],
)
def test_a_slow_step_answers_on_as_much_as_it_can(name, slab):
    panel = tuned(name, index=4).panel
    panel.preview.runner.__class__ = Slow
    calls = (mb.Call(name),)
    panel.tuned._runner._done.clear()
    assert panel.preview.live(calls) is (name != "n4_bias_correction")
    if panel.preview.live(calls):
        assert panel.preview.slab(calls) == slab
        panel._draw_live()
        assert ("whole scan" if slab is None else slab_text(slab)) in panel.note.value
        assert not panel.error.value
    else:
        before = panel.image.value
        panel.controls[0]["iterations"].value = 10
        assert "press" in panel.note.value and panel.image.value == before
        panel.whole.click()
        assert panel.note.value.find("computed on the whole scan") > 0


def test_a_preview_on_slices_draws_the_right_slice():
    panel = mb.tune("nonlocal_means", VOLUME, index=7).panel
    exact = shown(panel)
    panel.preview.runner.__class__ = Slow
    panel.tuned._runner._done.clear()
    panel._draw_live()
    assert "slice 7 alone" in panel.note.value
    assert np.abs(shown(panel) - exact)[60:].mean() < 12


def test_only_what_changed_runs_again(monkeypatch):
    ran = []
    monkeypatch.setattr("mrbone_nb.nb.chain.run_call", lambda call, *rest: (ran.append(call.step), run_call(call, *rest)))
    panel = mb.tune(["normalize", "gaussian", "threshold"], VOLUME)
    panel.result()
    assert ran == ["normalize", "gaussian", "threshold"]
    panel.set("threshold", lower=0.7).result()
    assert ran[3:] == ["threshold"]
    panel.set("gaussian", sigma=2.0).result()
    assert ran[4:] == ["gaussian", "threshold"]
    after = mb.tune("islands", panel)
    after.result()
    panel.result()
    assert ran[6:] == ["islands"]
    panel.set("normalize", upper=98.0)
    assert ran[7:] == []
    after.result()
    assert ran[7:] == ["normalize", "gaussian", "threshold", "islands"]


def test_stale_moves_are_dropped():
    async def drag():
        panel = mb.tune("gaussian", VOLUME).panel
        drawn = panel.drawn
        for k in range(40):
            panel.controls[0]["sigma"].value = k / 10
        assert panel.drawn == drawn, "nothing is computed while moves are coming in"
        assert panel.tuned.params == {"sigma": 3.9}, "but the newest value is known"
        await asyncio.sleep(0.2)
        return panel, panel.drawn - drawn

    panel, drawn = asyncio.run(drag())
    assert drawn == 1
    assert "sigma=3.9" in panel.code.value


def test_a_panel_says_that_one_before_it_changed():
    first = mb.tune("gaussian", VOLUME)
    second = mb.tune("threshold", first)
    third = mb.tune("islands", second)
    note = third.panel.note.value
    first.panel.controls[0]["sigma"].value = 4.0
    assert third.panel.note.value != note and "has changed" in third.panel.note.value
    third.panel.controls[0]["minimum"].value = 5.0
    assert "has changed" not in third.panel.note.value
    assert third.recipe().calls[0].params == {"sigma": 4.0}


# --- recipes ------------------------------------------------------------------------------------------


def chain():
    even = mb.tune(["normalize", "lowpass_bias_correction"], VOLUME)
    smooth = mb.tune("gaussian", even, sigma=0.4)
    grown = mb.tune(mb.preset("bright-marrow").calls[3:6], smooth, seeds=SEEDS, table=TABLE)
    return mb.tune(mb.preset("bright-marrow").calls[6:], grown)


def test_the_panels_make_the_preset_and_the_same_bits():
    last = chain()
    preset = mb.preset("bright-marrow")
    assert last.recipe().calls == preset.calls
    expected = preset.run(VOLUME, seeds=SEEDS)
    assert np.array_equal(last.result().array, expected.labels.array)
    again = last.run("mine")
    assert np.array_equal(again.labels.array, expected.labels.array) and again.recipe.name == "mine"
    assert last.result().array.max() == 2, "both bones"


def test_surface_and_measures_of_the_recipe_it_came_from_are_kept():
    mine = mb.Recipe((mb.Call("otsu"),), surface={"smoothing": 2.0}, measures=("volume",), name="mine")
    panel = mb.tune(mine.calls, VOLUME)
    assert panel.recipe(mine) == panel.run(mine).recipe == mine
    panel.set(polarity="dark")
    assert panel.recipe(mine) == mine.with_params("otsu", polarity="dark")
    assert panel.recipe("other").surface["smoothing"] != 2.0


def test_moves_of_sliders_reach_the_recipe():
    last = chain()
    last.source.panel.controls[0]["contrast"].value = 0.2
    last.panel.controls[6]["outward"].value = 3.0
    recipe = last.recipe()
    assert recipe.calls[3].params["contrast"] == 0.2 and recipe.calls[12].params["outward"] == 3.0
    assert np.array_equal(last.result().array, recipe.run(VOLUME, seeds=SEEDS).labels.array)


@pytest.mark.parametrize("given", [dict(mask=MASK), dict(labels=LABELS)], ids=["mask", "labels"])
def test_a_mask_to_start_from_gives_the_recipes_bits(given):
    last = mb.tune(["closing", "islands"], mb.tune("gaussian", VOLUME), **given)
    result = last.run()
    assert np.array_equal(result.labels.array, last.result().array.astype(np.uint8))
    assert ("# on each label" in last.code) == ("labels" in given)


def test_what_comes_too_late_for_the_recipe_is_refused():
    grown = mb.tune("watershed", VOLUME, seeds=SEEDS)
    with pytest.raises(InputError, match="seeds: give it before watershed"):
        mb.tune("islands", grown, seeds=SEEDS)
    with pytest.raises(InputError, match="mask: give it before watershed"):
        mb.tune("islands", grown, mask=MASK)


def test_given_probabilities_make_no_recipe():
    panel = tuned("most_likely")
    with pytest.raises(InputError, match="probability was given by hand"):
        panel.run()


def test_a_step_of_ones_own_can_be_tuned():
    @step
    def _brighten(image: Image, *, by: Annotated[float, Range(0, 2, 0.5)] = 1.0) -> Image:
        """Add a value.

        Parameters
        ----------
        by
            What is added.
        """
        return image + by

    try:
        panel = mb.tune("_brighten", VOLUME, by=0.5)
        assert np.allclose(panel.result().array, VOLUME.array + 0.5)
        assert panel.panel.controls[0]["by"].tooltip == "What is added (0 to 2)"
    finally:
        del STEPS["_brighten"]
    assert parameters_of(_brighten.function)["by"].default == 1.0


def test_a_start_knows_what_was_given():
    start = Start(VOLUME, {"seeds": SEEDS})
    assert start.slots() == {"image", "seeds"} == set(start.state()) and set(start.given()) == {"seeds"}
