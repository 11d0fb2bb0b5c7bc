"""The workbench without a browser: the bits it makes, its chain of steps, live pictures, errors."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from nbscene import GROW, LABELS, SEEDS, TABLE, VOLUME, opened

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb.bench import live as live_module
from mrbone_nb.nb.bench.rack import Rack
from mrbone_nb.recipe import run_call
from mrbone_nb.step import STEPS
from mrbone_nb.strokes import Stroke



def sliders(bench):
    return bench.panel.steps._rows[bench.rack.entries[bench.panel.live.chosen].call.step]


# --- the bits -----------------------------------------------------------------------------------------


def test_it_gives_the_bits_of_its_recipe(bench_of):
    bench = bench_of("bright-marrow")
    expected = mb.preset("bright-marrow").run(VOLUME, seeds=SEEDS)
    result = bench.run()
    assert np.array_equal(result.labels.array, expected.labels.array) and result.present == [1, 2]
    assert result.recipe == mb.preset("bright-marrow") and result.seeds.same_grid(VOLUME)
    assert list(result.seconds) == list(expected.seconds)
    assert not bench.stale and bench.result is result


def test_beside_the_session_it_gives_the_same_bits(bench_of):
    bench = bench_of("bright-marrow")
    job = bench.start()
    assert bench.runs.busy and job.apart and bench.runs.worker.pid != os.getpid()
    result = bench.wait(120)
    assert np.array_equal(result.labels.array, mb.preset("bright-marrow").run(VOLUME, seeds=SEEDS).labels.array)
    assert not bench.stale and not bench.runs.busy and len(result.seconds) == 15


def test_values_from_sliders_reach_the_result(bench_of):
    bench = bench_of()
    bench.panel.choose(1)
    sliders(bench)["sigma"].value = 2.5
    assert bench.calls[1] == mb.Call("gaussian", {"sigma": 2.5})
    bench.panel.choose(3)
    sliders(bench)["minimum"].value = 7.0
    recipe = bench.recipe("mine")
    assert recipe.name == "mine" and recipe.calls[3].params["minimum"] == 7.0
    assert np.array_equal(bench.run().labels.array, recipe.run(VOLUME, seeds=SEEDS).labels.array)


def test_the_code_that_is_shown_does_the_same(bench_of):
    bench = bench_of("bright-marrow").set("gaussian", sigma=1.5)
    scope = {"mb": mb, "volume": VOLUME, "seeds": SEEDS}
    exec(bench.code, scope)
    assert np.array_equal(scope["result"].labels.array, bench.run().labels.array)
    assert scope["recipe"] == bench.recipe() and bench.panel.code.text == bench.code == repr(bench)
    bench.panel.choose(6)
    assert bench.panel.call.text.startswith("mask = mb.islands(mask,") and "# on each label" in bench.panel.call.text
    assert mb.Recipe.from_dict(json.loads(bench.panel.json.text)) == bench.recipe()


def test_surface_and_measures_of_the_recipe_are_kept(bench_of):
    mine = mb.Recipe((mb.Call("otsu"),), surface={"smoothing": 2.0}, measures=("volume",), name="mine")
    bench = bench_of(mine)
    assert bench.recipe() == mine == bench.run().recipe
    bench.set("otsu", polarity="dark")
    assert bench.recipe().surface["smoothing"] == 2.0 and bench.recipe().name == "mine changed"
    scope = {"mb": mb, "volume": VOLUME}
    exec(bench.code, scope)
    assert scope["recipe"] == bench.recipe()


def test_only_what_changed_runs_again(bench_of, monkeypatch):
    ran = []
    monkeypatch.setattr("mrbone_nb.nb.chain.run_call", lambda call, *rest: (ran.append(call.step), run_call(call, *rest)))
    bench = bench_of()
    bench.run()
    assert ran == GROW
    bench.set("islands", minimum=3.0).run()
    assert ran[4:] == ["islands"]
    bench.view.add(Stroke.of(2, np.arange(400, 420)))
    assert bench.stale
    bench.run()
    assert ran[5:] == ["watershed", "islands"], "what ran without the strokes is kept"
    bench.switch("gaussian", False).run()
    assert ran[7:] == ["watershed", "islands"]
    bench.start()
    assert bench.wait(1) is bench.result and not bench.stale, "nothing is left to do"


# --- the chain ----------------------------------------------------------------------------------------


def test_steps_are_added_moved_switched_and_taken_away(bench_of):
    bench = bench_of(["gaussian", "threshold"])
    assert [c.step for c in bench.add("islands", minimum=5.0).calls] == ["gaussian", "threshold", "islands"]
    assert [c.step for c in bench.add("normalize", 0).calls][:2] == ["normalize", "gaussian"]
    bench.move("gaussian", 0).switch("threshold", False)
    assert [c.step for c in bench.calls] == ["gaussian", "normalize", "islands"]
    bench.remove("normalize").reset("islands")
    assert bench.rack.entries[-1].call == mb.Call("islands")
    assert [c.step for c in bench.undo().undo().undo().calls] == ["gaussian", "normalize", "threshold", "islands"]
    assert [c.step for c in bench.redo().calls] == ["gaussian", "normalize", "islands"]
    with pytest.raises(InputError, match="median: not among the steps here"):
        bench.set("median", size=3)
    with pytest.raises(InputError, match="step 9: expected 0 to 3"):
        bench.remove(9)


def test_moves_of_one_slider_are_one_change():
    rack = Rack([mb.Call("gaussian"), mb.Call("median")])
    for k in range(10):
        rack.set(0, {"sigma": k / 10})
    rack.set(1, {next(iter(STEPS["median"].params)): 2.0})
    assert rack.undo() and rack.calls[0].params["sigma"] == 0.9
    assert rack.undo() and rack.calls[0] == mb.Call("gaussian") and not rack.undo()
    assert rack.redo() and rack.calls[0].params["sigma"] == 0.9


def test_the_drop_down_offers_what_fits(bench_of):
    bench = bench_of(["gaussian", "watershed"])
    first = bench.rack.fitting(0, {"image", "seeds"})
    assert {"median", "otsu", "watershed"} <= set(first) and not {"islands", "most_likely"} & set(first)
    assert {"islands", "joint_smoothing"} <= set(bench.rack.fitting(1, {"image", "seeds"}))
    panel = bench.panel
    panel.choose(1)
    texts = [text for text, _ in panel.steps.choice.options]
    assert "clean up: islands" in texts and "filter: median" in texts
    panel.steps.choice.value = "islands"
    assert panel.steps.choice.tooltip == STEPS["islands"].summary
    panel.steps.add.click()
    assert [c.step for c in bench.calls] == ["gaussian", "watershed", "islands"] and panel.live.chosen == 2


def test_buttons_do_what_they_say(bench_of):
    bench = bench_of()
    panel, steps = bench.panel, bench.panel.steps
    panel.choose(1)
    sliders(bench)["sigma"].value = 3.0
    steps.default.click()
    assert bench.calls[1] == mb.Call("gaussian") and sliders(bench)["sigma"].value == bench.calls[1].params["sigma"]
    steps.up.click()
    assert [c.step for c in bench.calls][:2] == ["gaussian", "normalize"] and panel.live.chosen == 0
    assert steps.up.disabled and not steps.down.disabled
    steps.on.click()
    assert [c.step for c in bench.calls] == ["normalize", "watershed", "islands"]
    assert steps.on.description == "on" and "(off)" in steps.list.options[0]
    steps.away.click()
    assert len(bench.rack.entries) == 3
    panel.undo.click()
    assert len(bench.rack.entries) == 4
    panel.redo.click()
    assert len(bench.rack.entries) == 3
    panel.recipe.value = "dark-marrow"
    assert bench.calls == mb.preset("dark-marrow").calls


def test_auto_says_what_it_chose_or_that_it_cannot(bench_of):
    bright = mb.Volume(VOLUME.array, VOLUME.spacing, meta={"marrow": "bright", "marrow_why": "spin echo"})
    bench = bench_of("auto", bright)
    assert bench.calls == mb.preset("bright-marrow").calls and "spin echo" in bench.panel.note.value
    bench = bench_of("auto")
    assert bench.calls == () and "choose bright-marrow or dark-marrow" in bench.panel.note.value
    bench.panel.run.click()
    assert "no step is switched on" in bench.panel.error.value
    with pytest.raises(InputError, match="bright or dark"):
        bench.load("auto")
    with pytest.raises(InputError, match="no such recipe"):
        bench_of("no-such")


# --- live ---------------------------------------------------------------------------------------------


def sent(bench, monkeypatch):
    """What is sent to the view from now on: (map, first slice, array)."""
    found = []
    monkeypatch.setattr(bench.view, "show_slab", lambda name, array, axis, first, ends=None: found.append((name, first, array)))
    return found


def test_a_slow_step_is_previewed_on_the_slice_that_is_shown(bench_of, monkeypatch):
    bench = bench_of(["nonlocal_means"])
    monkeypatch.setattr(live_module, "LIVE_SECONDS", -1.0)
    panel = bench.panel
    found = sent(bench, monkeypatch)
    panel.choose(0)
    index = panel.live.index
    ((name, first, array),) = found
    assert (name, first, array.shape) == ("after", index, (1, *VOLUME.shape[1:]))
    exact = mb.STEPS["nonlocal_means"](VOLUME.array[index : index + 1], spacing=VOLUME.spacing)
    assert np.array_equal(array, exact) and "preview on slice" in panel.note.value
    turned = list(bench.view.position)
    turned[bench.view._turn.order.index(0)] += 1
    bench.view.position = turned
    assert found[-1][1] in (index - 1, index + 1), "it follows the slice"


def test_a_preview_begins_with_what_the_whole_scan_gave(bench_of, monkeypatch):
    bench = bench_of(["normalize", "median"])
    bench.runner.run(bench.calls[:1])
    whole = bench.runner.run(bench.calls[:1])["image"]
    monkeypatch.setattr(live_module, "LIVE_SECONDS", -1.0)
    panel, found = bench.panel, sent(bench, monkeypatch)
    panel.choose(1)
    index = panel.live.index
    assert np.array_equal(found[-1][2], mb.STEPS["median"](whole[index : index + 1], spacing=VOLUME.spacing))


def test_labels_and_pictures_are_shown_where_they_belong(bench_of, monkeypatch):
    bench = bench_of()
    bench.run()
    panel = bench.panel
    view = bench.view
    assert view.labels and not view.after and panel.mode.value == "result"
    found = sent(bench, monkeypatch)
    panel.choose(1)
    assert found[-1][0] == "after" and not view.labels and panel.mode.value == "step"
    panel.choose(3)
    name, first, array = found[-1]
    assert name == "labels" and np.array_equal(array, bench.result.labels.array[first : first + len(array)])
    panel.mode.value = "before"
    assert np.array_equal(found[-1][2], bench.runner.run(bench.calls[:3])["labels"][first : first + len(array)])
    panel.mode.value = "result"
    assert view.labels
    panel.choose(0)
    panel.mode.value = "before"
    assert not view.labels and "as it is" in panel.note.value


def test_probabilities_are_shown_as_how_likely_bone_is(bench_of, monkeypatch):
    bench = bench_of(["random_walker", "most_likely"])
    bench.run()
    panel, found = bench.panel, sent(bench, monkeypatch)
    panel.choose(0)
    name, first, array = found[-1]
    assert name == "after" and np.allclose(array, 1 - bench.runner.run(bench.calls[:1])["probability"][0][first : first + len(array)])


def test_stale_moves_are_dropped(bench_of):
    async def drag():
        bench = bench_of(["gaussian", "threshold"])
        panel = bench.panel
        panel.choose(0)
        await asyncio.sleep(0.2)
        drawn = panel.live.drawn
        for k in range(500):
            sliders(bench)["sigma"].value = k % 50 / 10
        assert panel.live.drawn == drawn, "nothing is computed while moves are coming in"
        assert bench.calls[0].params["sigma"] == 4.9, "but the newest value is known"
        await asyncio.sleep(0.2)
        return panel, panel.live.drawn - drawn

    panel, drawn = asyncio.run(drag())
    assert drawn == 1 and "sigma=4.9" in panel.call.text


def test_a_slow_whole_scan_step_is_computed_beside_and_the_newest_values_win(bench_of, monkeypatch):
    monkeypatch.setattr(live_module, "LIVE_SECONDS", -1.0)

    async def drag():
        bench = bench_of(["gaussian"])
        bench.panel.choose(0)
        for sigma in (1.0, 2.0, 3.0):
            sliders(bench)["sigma"].value = sigma
            await asyncio.sleep(0.05)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (bench.runner.up_to_date(bench.calls) and not bench.runs.busy):
            await asyncio.sleep(0.05)
        return bench

    bench = asyncio.run(drag())
    assert bench.runner.up_to_date((mb.Call("gaussian", {"sigma": 3.0}),)) and not bench.panel.error.value


def test_strokes_make_the_result_older_and_renew_the_picture(bench_of, monkeypatch):
    bench = bench_of(["watershed"])
    bench.run()
    panel = bench.panel
    panel.choose(0)
    drawn = panel.live.drawn
    bench.view.add(Stroke.of(1, np.arange(2000, 2040)))
    assert bench.stale and panel.live.drawn > drawn and "run again" in panel.progress.value
    assert (bench.seeds.array.reshape(-1)[2000:2040] == 1).all()
    bench.run()
    assert np.array_equal(bench.result.seeds.array, bench.view.array)
    panel.mode.value = "result"
    bench.view.undo()
    assert "older" in panel.note.value


def test_quick_chains_run_again_by_themselves_when_strokes_change(bench_of):
    async def paint():
        bench = bench_of(["watershed"])
        bench.panel  # noqa: B018  (the panel makes it live)
        bench.run()
        old = bench.result
        bench.view.add(Stroke.of(1, np.arange(2000, 2040)))
        end = time.monotonic() + 60
        while bench.result is old and time.monotonic() < end:
            await asyncio.sleep(0.05)
        return bench, old

    bench, old = asyncio.run(paint())
    assert bench.result is not old and not bench.stale


# --- errors -------------------------------------------------------------------------------------------


def test_errors_are_one_line_and_the_last_picture_stays(bench_of, monkeypatch):
    bench = bench_of()
    bench.run()
    panel = bench.panel
    panel.choose(3)
    shown = dict(panel.live._shown)
    bench.remove("watershed")
    assert "islands needs mask" in panel.error.value and panel.error.value.count("<div") == 1
    assert panel.live._shown == shown
    panel.undo.click()
    assert not panel.error.value

    def broken(*_):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr("mrbone_nb.nb.chain.run_call", broken)
    panel.choose(1)
    sliders(bench)["sigma"].value = 4.0
    assert "ValueError: first line" in panel.error.value and "second" not in panel.error.value


def test_without_strokes_it_says_what_is_missing(bench_of):
    bench = bench_of(seeds=None)
    assert bench.seeds is None
    bench.panel.run.click()
    assert "needs seeds" in bench.panel.error.value
    bench.view.add(Stroke.of(255, np.arange(100)))
    assert bench.seeds is None
    bench.view.add(Stroke.of(1, np.arange(2000, 2040)))
    assert bench.seeds is not None


# --- shown elsewhere -----------------------------------------------------------------------------------


def test_as_the_last_line_of_a_cell_it_stores_a_picture_and_the_code(bench_of):
    bench = bench_of("bright-marrow")
    bundle, _ = bench._repr_mimebundle_()
    assert bundle["text/plain"] == bench.code and "application/vnd.jupyter.widget-view+json" in bundle
    assert not bench.stale, "nobody watches: the recipe has run with its values"
    with_result = opened(base64.b64decode(bundle["image/png"]))
    plain = opened(base64.b64decode(mb.workbench(VOLUME, None, bones=TABLE, seeds=SEEDS)._repr_mimebundle_()[0]["image/png"]))
    assert with_result.shape == plain.shape and np.abs(with_result - plain).mean() > 0.5
    assert (LABELS > 0).any()


def test_what_cannot_be_a_workbench_is_refused(bench_of):
    with pytest.raises(InputError, match="expected a Volume"):
        mb.workbench(VOLUME.array)
    with pytest.raises(InputError, match="unknown step"):
        bench_of(["gausian"])
    with pytest.raises(InputError, match="sigma=9"):
        bench_of().set("gaussian", sigma=9.0)
