"""Runs of the workbench beside the session: the same bits, cancelled, broken; and what it saves."""

from __future__ import annotations

import os
import time
from typing import Annotated

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from nbscene import GROW, SEEDS, VOLUME

import mrbone_nb as mb
from mrbone_nb import background
from mrbone_nb.errors import InputError
from mrbone_nb.recipe import run_call
from mrbone_nb.step import STEPS, Image, Range, step
from mrbone_nb.strokes import Stroke
from mrbone_nb.volume import Volume


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def noisy(shape=(40, 160, 160)):
    """A scan on which a step takes a while."""
    return Volume(np.random.default_rng(0).random(shape, np.float32), (3, 1, 1), name="noisy")


# --- runs beside the session --------------------------------------------------------------------------


def test_cancel_ends_the_process_at_once_and_keeps_what_is_done(bench_of):
    bench = bench_of(["gaussian", "nonlocal_means", "otsu"], noisy(), seeds=None)
    bench.panel  # noqa: B018
    job = bench.start()
    end = time.monotonic() + 60
    while len(job.states) < 1 and time.monotonic() < end:
        time.sleep(0.01)
        bench.runs.drain()
    pid = bench.runs.worker.pid
    assert bench.panel.run.disabled and not bench.panel.stop.disabled
    assert "2 of 3: nonlocal_means" in bench.panel.progress.value or job.step == "gaussian"
    began = time.monotonic()
    bench.panel.stop.click()
    assert time.monotonic() - began < 1 and not alive(pid)
    assert not bench.runs.busy and bench.result is None and "cancelled" in bench.panel.progress.value
    assert bench.runner.up_to_date(bench.calls[:1]), "what was finished is kept"
    assert "✓ 1. gaussian" in bench.panel.steps.list.options
    bench.load(["gaussian", "otsu"]).start()
    assert bench.wait(60).present == [1], "and the next run has a new process"


def test_a_process_that_dies_is_one_line(bench_of):
    bench = bench_of(["nonlocal_means", "otsu"], noisy(), seeds=None)
    bench.start()
    end = time.monotonic() + 60
    while bench.runs.worker.pid is None and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(bench.runs.worker.pid, 9)
    bench.panel  # noqa: B018
    bench.wait(60)
    assert "has ended" in bench.panel.error.value and not bench.runs.busy


@pytest.fixture
def own_step():
    """A step that another process cannot load."""

    @step
    def _raise(image: Image, *, by: Annotated[float, Range(0, 2, 0.5)] = 1.0) -> Image:
        """Add a value.

        Parameters
        ----------
        by
            What is added.
        """
        time.sleep(0.2)
        return image + by

    _raise.function.__module__ = "__main__"
    yield "_raise"
    del STEPS["_raise"]


def test_a_step_of_this_session_runs_in_a_thread_and_says_so(bench_of, own_step):
    bench = bench_of([own_step, "otsu"])
    bench.panel  # noqa: B018
    assert not bench.start().apart and "Cancel waits for its end" in bench.panel.progress.value
    assert np.array_equal(bench.wait(60).labels.array, mb.STEPS["otsu"](VOLUME.array + 1).astype(np.uint8))
    bench.set(own_step, by=0.5).start()
    bench.cancel()
    assert not bench.runs.busy and bench.stale
    time.sleep(0.5)
    bench.runs.drain()
    assert bench.stale, "nothing comes after a cancel"


def test_strokes_that_change_during_a_run_leave_it_alone(bench_of):
    bench = bench_of()
    before = bench.view.array
    bench.start()
    bench.view.add(Stroke.of(2, np.arange(400, 440)))
    result = bench.wait(60)
    assert np.array_equal(result.seeds.array, before) and bench.stale
    assert np.array_equal(bench.run().labels.array, bench.recipe().run(VOLUME, seeds=bench.view.array).labels.array)


def test_the_worker_gives_the_bits_of_the_session():
    told = []
    worker = background.Worker(lambda number, event: told.append(event))
    calls = mb.preset("bright-marrow").calls
    assert worker.start(calls, {"image": VOLUME.array, "seeds": SEEDS}, VOLUME.spacing)
    end = time.monotonic() + 120
    while (not told or told[-1][0] not in ("done", "error")) and time.monotonic() < end:
        time.sleep(0.02)
    state = {"image": VOLUME.array, "seeds": SEEDS}
    news = [event[1] for event in told if event[0] == "state"]
    for call, (_, names, new, _) in zip(calls, news, strict=True):
        run_call(call, state, VOLUME.spacing)
        assert names == sorted(state)
        for name, array in new.items():
            assert np.array_equal(array, state[name]) and array.dtype == state[name].dtype
    worker.close()
    assert worker.pid is None


def test_an_error_in_the_worker_is_one_line():
    told = []
    worker = background.Worker(lambda number, event: told.append(event))
    worker.start([mb.Call("otsu")], {"image": np.full_like(VOLUME.array, np.nan)}, VOLUME.spacing)
    end = time.monotonic() + 60
    while (not told or told[-1][0] != "error") and time.monotonic() < end:
        time.sleep(0.02)
    worker.close()
    assert told[-1][0] == "error" and "\n" not in told[-1][1] and "NaN" in told[-1][1]


# --- what leaves it -----------------------------------------------------------------------------------


def test_it_saves_what_replays_to_the_same_bits(bench_of, tmp_path):
    bench = bench_of("bright-marrow").set("gaussian", sigma=0.6)
    bench.view.add(Stroke.of(1, np.arange(2000, 2004)))
    with pytest.raises(InputError, match="run first"):
        bench.save(tmp_path)
    bench.run()
    files = bench.save(tmp_path, formats=("stl", "ply"), masks=(".nrrd", ".seg.nrrd"))
    names = {path.name for path in files.values()}
    assert {"knee_desc-bone_dseg.nii.gz", "knee_desc-bone_dseg.seg.nrrd", "knee_desc-bone_dseg.nrrd"} <= names
    strokes = mb.read_strokes(files["strokes"], VOLUME)
    assert np.array_equal(strokes.array(SEEDS), bench.view.array)
    seeds, _ = mb.read_labels(files["seeds"], like=VOLUME)
    _, same = mb.replay(mb.load_record(files["record"]), VOLUME, seeds=seeds)
    assert same
    for what in ("labels", "labels .nrrd", "labels .seg.nrrd"):
        assert np.array_equal(mb.read_labels(files[what])[0].array, bench.result.labels.array)
    with pytest.raises(InputError, match="already"):
        bench.save(tmp_path, formats=("stl", "ply"), masks=(".nrrd",))
    bench.save(tmp_path, formats=("stl", "ply"), masks=(".nrrd",), overwrite=True)


def test_the_export_panel_saves_and_says_what_is_wrong(bench_of, tmp_path):
    bench = bench_of()
    export = bench.panel.export
    export.folder.value = str(tmp_path / "out")
    export.go.click()
    assert "role='alert'" in export.line.value and "run first" in export.line.value
    bench.run()
    export.ticks["glb"].value = export.ticks[".seg.nrrd"].value = True
    export.go.click()
    assert "role='status'" in export.line.value and "knee_desc-bone_record.json" in export.line.value
    assert list((tmp_path / "out").glob("*.glb")) and list((tmp_path / "out").glob("*.seg.nrrd"))
    export.go.click()
    assert "already" in export.line.value
    export.overwrite.value = True
    export.go.click()
    assert "role='status'" in export.line.value


def test_a_scan_with_a_fault_is_saved_only_where_that_was_accepted(bench_of, tmp_path):
    volume = mb.Volume(VOLUME.array, VOLUME.spacing, meta={"blocking": ("gap",)})
    bench = bench_of(GROW, volume)
    bench.run()
    with pytest.raises(InputError, match="gap"):
        bench.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_recipes_go_to_files_and_come_back(bench_of, tmp_path):
    bench = bench_of(file=tmp_path / "strokes.json").set("gaussian", sigma=2.5)
    part = bench.panel.file
    assert part.path.value == str(tmp_path / "strokes_recipe.json")
    part.save()
    assert mb.Recipe.load(part.path.value).calls == bench.calls
    bench.load("dark-marrow")
    part.load()
    assert bench.calls[1].params["sigma"] == 2.5
    save = part.box.children[2].children[0]
    save.click()
    assert "exists already" in part.line.value
    part.path.value = str(tmp_path / "none.json")
    part.box.children[2].children[1].click()
    assert "no such recipe file" in part.line.value and bench.calls[1].params["sigma"] == 2.5
    (tmp_path / "none.json").write_text('{"schema": 1, "calls": [{"step": "gaussian", "params": {"sigma": -1}}]}')
    part.box.children[2].children[1].click()
    assert "sigma=-1" in part.line.value


def test_doubtful_places_are_listed_and_a_click_goes_there(bench_of):
    bench = bench_of("bright-marrow").set("gaussian", sigma=1.0)
    doubts = bench.panel.doubts
    doubts.box.children[0].click()
    assert "press Run first" in doubts.line.value
    bench.run()
    doubts.box.children[0].click()
    assert len(doubts.places) == len(doubts.list.options) > 0
    doubts.list.index = 0
    text, position = doubts.places[0]
    here = bench.view._turn.scan.points([bench.view.position])[0]
    assert np.abs(here - position).max() <= max(VOLUME.spacing) and text[:9] in doubts.line.value


def test_the_bones_turn_and_follow_the_result(bench_of):
    bench = bench_of()
    bones = bench.panel.bones
    assert bones.box.children == ()
    bench.run()
    assert [name for name, _, _ in bones.view.scene.surfaces()] == ["right femur", "right tibia"]
    data, view = bones.view.data, bones.view
    bench.set("gaussian", sigma=3.0).run()
    assert bones.view is view and view.data != data
