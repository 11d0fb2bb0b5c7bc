"""Tuning without a browser: controls from signatures, values, pictures, code and errors."""

from __future__ import annotations

import base64
import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from nbscene import LABELS, MASK, SCENE, SEEDS, TABLE, VOLUME, opened, shown, tuned

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb.controls import tooltip_of, value_of
from mrbone_nb.recipe import run_call
from mrbone_nb.step import STEPS
from mrbone_nb.volume import Volume

EVERY_STEP = [pytest.param(s, id=name) for name, s in sorted(STEPS.items())]
each_step = pytest.mark.parametrize("step", EVERY_STEP)


# --- what is loaded ---------------------------------------------------------------------------------


def test_the_package_loads_no_widgets():
    names = ("ipywidgets", "anywidget", "IPython", "mrbone_nb.nb")
    code = f"import sys, mrbone_nb; print([m for m in {names} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_without_the_extra_one_line_says_what_to_install():
    code = "import sys; sys.modules['anywidget'] = None\nimport mrbone_nb as mb\ntry: mb.tune\nexcept ValueError as e: print(e)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "anywidget" in said and "pip install mrbone_nb[notebook]" in said


def test_every_public_name_can_be_had():
    for name in mb.__all__:
        assert getattr(mb, name) is not None
    assert callable(mb.extract_surface)


# --- every step -------------------------------------------------------------------------------------


@each_step
def test_every_control_moves_to_its_ends_and_gives_a_picture(step):
    panel = tuned(step).panel
    assert not panel.error.value
    for number, row in enumerate(panel.controls):
        for name, control in row.items():
            param = step.params[name]
            ends = param.choices or ((False, True) if param.kind is bool else (param.range.lower, param.range.upper))
            for end in (*ends, param.default):
                drawn = panel.drawn
                control.value = end
                assert panel.tuned.calls[number].params[name] == end
                assert panel.drawn > drawn or "Whole scan" in panel.note.value or control.value == panel.tuned.params[name]
                assert repr(end) in panel.tuned.code
    panel.whole.click()
    assert shown(panel).std() > 10


@each_step
def test_the_code_does_what_the_panel_does(step):
    panel = tuned(step)
    names = {**SCENE.arrays, "volume": VOLUME, "mb": mb, "image": VOLUME.array}
    exec(panel.code, names)
    result = panel.result()
    assert np.array_equal(names[step.output], result.array if isinstance(result, Volume) else result)


@each_step
def test_a_control_knows_unit_range_and_meaning(step):
    row = tuned(step).panel.controls[0]
    assert list(row) == list(step.params)
    for name, control in row.items():
        param = step.params[name]
        assert name in control.description and (not param.unit or f"({param.unit})" in control.description)
        assert param.doc.split(".")[0] in control.tooltip
        assert control.value == param.default
        if param.range:
            assert (control.min, control.max) == (param.range.lower, param.range.upper)


def test_no_parameter_of_a_step_is_hidden_by_an_argument_of_tune():
    own = set(inspect.signature(mb.tune).parameters)
    assert not {(s.name, p) for s in STEPS.values() for p in s.params if p in own}


def test_a_browsers_fuzz_is_not_taken_over():
    sigma = STEPS["gaussian"].params["sigma"]
    assert value_of(sigma, 0.1 + 0.2) == 0.3
    panel = tuned("gaussian").panel
    panel.controls[0]["sigma"].value = 0.1 + 0.2
    assert panel.tuned.params == {"sigma": 0.3}
    assert "0 to 5 mm" in tooltip_of(sigma)


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["gaussian", mb.gaussian, mb.Call("gaussian")], ids=["name", "step", "call"])
def test_a_step_is_named_in_three_ways(given):
    assert mb.tune(given, VOLUME, sigma=1.5).call == mb.Call("gaussian", {"sigma": 1.5})


def test_a_bare_array_needs_its_spacing():
    with pytest.raises(InputError, match="spacing: give"):
        mb.tune("gaussian", VOLUME.array)
    assert np.array_equal(
        mb.tune("gaussian", VOLUME.array, spacing=VOLUME.spacing).result().array, mb.tune("gaussian", VOLUME).result().array
    )
    with pytest.raises(InputError, match="the scan has its own"):
        mb.tune("gaussian", VOLUME, spacing=(1, 1, 1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(step="gausian"), "did you mean 'gaussian'"),
        (dict(step="gaussian", sigma=9), "sigma=9 mm: expected 0 to 5 mm"),
        (dict(step="gaussian", width=1), "unknown parameter 'width'"),
        (dict(step="random_walker"), "needs seeds; give seeds="),
        (dict(step="closing"), "needs mask; give mask="),
        (dict(step=[]), "no step"),
        (dict(step=["gaussian"], sigma=1), "give values with the calls"),
        (dict(step="gaussian", plane="frontal"), "plane='frontal'"),
        (dict(step="gaussian", index=9), "index=9: expected 0 to 8"),
        (dict(step="closing", mask=MASK, labels=LABELS), "either labels or mask"),
        (dict(step="closing", mask=MASK[:4]), "mask of shape"),
        (dict(step="most_likely", seeds=SEEDS, probability=np.zeros((3, 2, 2, 2))), "probability of shape"),
        (dict(step="gaussian", volume="knee"), "str: expected a Volume"),
    ],
)
def test_what_is_wrong_is_said_at_once(words, message):
    with pytest.raises(InputError, match=re.escape(message)):
        mb.tune(**{"volume": VOLUME, **words})


def test_values_set_from_python_move_the_controls():
    panel = mb.tune(["gaussian", "threshold"], VOLUME)
    drawn = panel.panel.drawn
    panel.set("threshold", lower=0.6, upper=1.0)
    assert panel.panel.controls[1]["lower"].value == 0.6
    assert panel.panel.drawn == drawn + 1, "one picture for both values"
    assert panel.set(0, sigma=2.0).calls[0].params == {"sigma": 2.0}
    assert panel.params == {"lower": 0.6, "upper": 1.0} and panel.call == panel.calls[-1]
    with pytest.raises(InputError, match="not in this panel"):
        panel.set("otsu", polarity="dark")
    with pytest.raises(InputError, match=r"sigma=7"):
        panel.set(0, sigma=7)
    assert panel.calls[0].params == {"sigma": 2.0}


# --- pictures and lines -------------------------------------------------------------------------------


def test_the_picture_follows_the_slider_and_the_slice():
    panel = mb.tune("gaussian", VOLUME, sigma=0.0).panel
    first = shown(panel)
    half = first.shape[1] // 2
    left, right = first[60:-60, 10 : half - 10], first[60:-60, half + 14 : -6]
    assert np.abs(left - right[:, : left.shape[1]]).mean() < 2, "sigma 0 changes nothing"
    panel.controls[0]["sigma"].value = 5.0
    second = shown(panel)
    assert np.abs(second[:, :half] - first[:, :half]).max() == 0, "before stays"
    assert np.abs(second[:, half:] - first[:, half:]).mean() > 3, "after is smoother"
    panel.slice.value = 1
    assert np.abs(shown(panel)[:, :half] - first[:, :half]).mean() > 3


def test_outlines_and_strokes_are_drawn_in_the_tables_colors():
    panel = mb.tune(["random_walker", "most_likely"], VOLUME, seeds=SEEDS, table=TABLE).panel
    picture = shown(panel)
    half = picture.shape[1] // 2
    red = np.all(picture == [228, 26, 28], axis=2)
    assert red[60:-40, half:].sum() > 20, "the outline after"
    veiled = (picture[..., 0] > picture[..., 1] + 60) & (picture[..., 0] > picture[..., 2] + 60)
    assert veiled[60:-40, :half].sum() > 20, "the stroke before"


def test_probability_is_shown_as_gray():
    panel = mb.tune("random_walker", VOLUME, seeds=SEEDS, index=4).panel
    middle = shown(panel)[60:-60]
    assert middle[:, middle.shape[1] // 2 :].max() > 240
    assert panel.tuned.result().shape == (3, *VOLUME.shape)


@pytest.fixture
def fussy(monkeypatch):
    """Smoothing that refuses large values in a message of two lines."""

    def run(call, *rest):
        if call.params["sigma"] > 3:
            raise InputError("sigma: too wide\nfor this scan")
        run_call(call, *rest)

    monkeypatch.setattr("mrbone_nb.nb.chain.run_call", run)


def test_an_error_is_one_line_and_the_picture_stays(fussy):
    panel = mb.tune("gaussian", VOLUME).panel
    before = panel.image.value
    panel.controls[0]["sigma"].value = 4.0
    assert re.search(r"role='alert'.*>sigma: too wide<", panel.error.value)
    assert panel.image.value == before
    assert "sigma=4.0" in panel.code.value
    panel.controls[0]["sigma"].value = 2.0
    assert panel.error.value == "" and panel.image.value != before


def test_a_preset_that_cannot_work_shows_the_slice_and_the_line(fussy):
    panel = mb.tune("gaussian", VOLUME, sigma=4.0)
    assert panel._repr_mimebundle_()[0]["image/png"]
    assert "too wide" in panel.panel.error.value and shown(panel.panel).std() > 10
    with pytest.raises(InputError):
        panel.result()


def test_any_error_is_one_line(monkeypatch):
    panel = mb.tune("gaussian", VOLUME).panel
    monkeypatch.setattr(panel.preview, "draw", lambda *_: 1 / 0)
    panel.controls[0]["sigma"].value = 2.0
    assert "ZeroDivisionError: division by zero" in panel.error.value


def test_text_is_escaped():
    panel = mb.tune("threshold", VOLUME).panel
    panel._say(InputError("<script>alert(1)</script>"))
    assert "<script>" not in panel.error.value


def test_headless_it_shows_picture_and_call():
    bundle, _ = mb.tune("gaussian", VOLUME, sigma=0.4)._repr_mimebundle_()
    assert bundle["text/plain"] == "image = mb.gaussian(image, spacing=volume.spacing, sigma=0.4)"
    assert opened(base64.b64decode(bundle["image/png"])).shape[1] > 600
    assert "application/vnd.jupyter.widget-view+json" in bundle
