"""A step's signature is its only description: what is read from it, checked against it, and written from it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.step import STEPS, Call, Image, Mask, Param, Range, Seeds, Spacing, Step, find_step, parameters_of, step


def blend(
    image: Image,
    seeds: Seeds | None = None,
    *,
    spacing: Spacing,
    width: Annotated[float, Range(0, 5, 0.1, "mm")] = 1,
    rounds: Annotated[int, Range(1, 9)] = 3,
    mode: Literal["near", "far"] = "near",
    connectivity: Literal[6, 18, 26] = 6,
    invert: bool = False,
) -> Image:
    """Blend.

    Text.

    Parameters
    ----------
    image
        Gray values.
    width, rounds
        How wide, and
        how often.
    mode
        Which way.
    invert
        Whether to turn around.

    Returns
    -------
    Image
        Blended.
    """
    return image + width if seeds is None else np.where(seeds > 0, width, image)


BLEND = Step(blend, "roi", 8)
WIDTH, ROUNDS, MODE, CONNECTIVITY, INVERT = BLEND.params.values()
IMAGE = np.zeros((1, 2, 3), np.float32)


def test_signature_and_docstring_are_read():
    assert WIDTH == Param("width", float, 1, Range(0, 5, 0.1, "mm"), (), "How wide, and how often.")
    assert ROUNDS == Param("rounds", int, 3, Range(1, 9), (), "How wide, and how often.")
    assert MODE == Param("mode", str, "near", None, ("near", "far"), "Which way.")
    assert CONNECTIVITY == Param("connectivity", int, 6, None, (6, 18, 26), "")
    assert INVERT == Param("invert", bool, False, None, (), "Whether to turn around.")
    assert (BLEND.inputs, BLEND.required, BLEND.output) == (("image", "seeds"), ("image",), "image")
    assert (BLEND.uses_spacing, BLEND.summary, WIDTH.unit, MODE.unit) == (True, "Blend.", "mm", "")
    assert list(parameters_of(blend, skip=("mode", "invert"))) == ["width", "rounds", "connectivity"]


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Range(0, 5, 0.1, "mm"), "0 to 5 mm"),
        (Range(-0.5, 0.5, 0.01), "-0.5 to 0.5"),
        (Range(0, 100_000, 10, "mm³"), "0 to 100000 mm³"),
    ],
)
def test_range_reads_as_text(bounds, text):
    assert str(bounds) == text


@pytest.mark.parametrize(
    ("param", "value", "result"),
    [
        (WIDTH, 2, 2.0),
        (WIDTH, np.float32(0.5), 0.5),
        (WIDTH, np.int64(5), 5.0),
        (ROUNDS, 4.0, 4),
        (ROUNDS, np.uint8(9), 9),
        (MODE, "far", "far"),
        (MODE, np.str_("far"), "far"),
        (CONNECTIVITY, 26.0, 26),
        (CONNECTIVITY, np.int16(18), 18),
        (INVERT, np.True_, True),
    ],
)
def test_check_gives_the_parameters_own_type(param, value, result):
    checked = param.check(value)
    assert checked == result and type(checked) is type(result)


@pytest.mark.parametrize(
    ("param", "value", "message"),
    [
        (WIDTH, -1.0, "width=-1.0 mm: expected 0 to 5 mm"),
        (WIDTH, 5.000001, "width=5.000001 mm: expected 0 to 5 mm"),
        (WIDTH, True, "width=True: expected a number from 0 to 5 mm"),
        (WIDTH, np.True_, "width=True: expected a number"),
        (WIDTH, "2", "width='2': expected a number"),
        (WIDTH, None, "width=None: expected a number"),
        (WIDTH, np.nan, "width=nan: expected a number"),
        (WIDTH, -np.inf, "width=-inf: expected a number"),
        (WIDTH, 2 + 0j, "width=(2+0j): expected a number"),
        (WIDTH, [1], "width=[1]: expected a number"),
        (WIDTH, np.array([1.0, 2.0]), "width=array([1., 2.]): expected a number"),
        (ROUNDS, 2.5, "rounds=2.5: expected a whole number from 1 to 9"),
        (ROUNDS, 10**400, "rounds=1000000000"),
        (MODE, "middle", "mode='middle': expected one of 'near', 'far'"),
        (MODE, ["near"], "mode=['near']: expected one of"),
        (MODE, np.array(["near", "far"]), "mode=array("),
        (CONNECTIVITY, 8, "connectivity=8: expected one of 6, 18, 26"),
        (CONNECTIVITY, "6", "connectivity='6': expected one of"),
        (INVERT, 1, "invert=1: expected true or false"),
        (INVERT, "yes", "invert='yes': expected true or false"),
    ],
)
def test_check_quotes_what_it_refuses(param, value, message):
    with pytest.raises(InputError) as caught:
        param.check(value)
    assert str(caught.value).startswith(message) and len(str(caught.value)) < 200


def test_true_is_not_the_choice_one():
    with pytest.raises(InputError, match="level=True"):
        Param("level", int, 1, None, (1, 2)).check(True)


@pytest.mark.parametrize(
    ("param", "text", "result"),
    [
        (WIDTH, "2.5", 2.5),
        (WIDTH, " 1e-1 ", 0.1),
        (ROUNDS, "4", 4),
        (MODE, "far", "far"),
        (CONNECTIVITY, "26", 26),
        (INVERT, "Yes", True),
        (INVERT, "0", False),
    ],
)
def test_parse_reads_text(param, text, result):
    value = param.parse(text)
    assert value == result and type(value) is type(result)


@pytest.mark.parametrize(
    ("param", "text", "message"),
    [
        (WIDTH, "wide", "width='wide': expected a number from 0 to 5 mm"),
        (WIDTH, "", "width='': expected a number"),
        (WIDTH, "nan", "width=nan: expected a number"),
        (WIDTH, "7", "width=7.0 mm: expected 0 to 5 mm"),
        (ROUNDS, "1.5", "rounds=1.5: expected a whole number"),
        (MODE, "Far", "mode='Far': expected one of"),
        (INVERT, "maybe", "invert='maybe': expected true or false"),
    ],
)
def test_parse_quotes_what_it_refuses(param, text, message):
    with pytest.raises(InputError) as caught:
        param.parse(text)
    assert str(caught.value).startswith(message)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_check_takes_exactly_what_lies_in_the_range(value):
    if 0 <= value <= 5:
        assert WIDTH.check(value) == WIDTH.parse(repr(value)) == value
    else:
        with pytest.raises(InputError, match="width"):
            WIDTH.check(value)


@st.composite
def calls(draw):
    """Any call with any allowed values."""
    chosen = draw(st.sampled_from(sorted(STEPS.values(), key=lambda s: s.name)))
    values = {}
    for name, p in chosen.params.items():
        if p.choices or p.kind is bool:
            values[name] = draw(st.sampled_from(p.choices or (False, True)))
        else:
            draw_number = st.integers if p.kind is int else st.floats
            values[name] = draw(draw_number(p.range.lower, p.range.upper))
    return Call(chosen.name, values)


@given(calls())
def test_repr_of_a_call_is_the_python_call(call):
    makers = {name: lambda _name=name, **params: Call(_name, params) for name in STEPS}
    assert eval(repr(call), makers) == call


@given(calls())
def test_a_call_survives_as_text(call):
    params = STEPS[call.step].params
    again = {k: v if isinstance(v, str) else params[k].parse(repr(v)) for k, v in call.params.items()}
    assert Call(call.step, again) == call


def test_call_holds_all_values_and_is_checked():
    assert Call("gaussian") == Call("gaussian", {"sigma": 0.7})
    assert repr(Call("gaussian", {"sigma": 1})) == "gaussian(sigma=1.0)"
    assert Call("gaussian").code("knee") == "image = mb.gaussian(image, spacing=knee.spacing, sigma=0.7)"
    with pytest.raises(InputError, match="gaussian: sigma=9 mm: expected 0 to 5 mm"):
        Call("gaussian", {"sigma": 9})
    with pytest.raises(InputError, match="gaussian: unknown parameter 'sigmma'; it has sigma"):
        Call("gaussian", {"sigmma": 1})
    with pytest.raises(AttributeError):
        Call("gaussian").step = "median"


def test_code_names_optional_arrays():
    code = BLEND.code({"rounds": 2}, "knee")
    assert code == (
        "image = mb.blend(image, seeds=seeds, spacing=knee.spacing, width=1.0, rounds=2, mode='near', "
        "connectivity=6, invert=False)"
    )


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [("gausian", "'gaussian'"), ("water_shed", "'watershed'"), ("ISLANDS", None), ("", None), (7, None), (None, None), ([], None)],
)
def test_unknown_step_names_the_nearest(wrong, hint):
    with pytest.raises(InputError, match="unknown step") as caught:
        find_step(wrong)
    assert f"did you mean {hint}" in str(caught.value) if hint else "mean" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_package_gives_the_steps_by_name():
    assert find_step("gaussian") is STEPS["gaussian"] is mb.gaussian
    assert "gaussian" in dir(mb)


def test_arrays_by_order_and_by_name():
    seeds = np.array([[[1, 0, 0], [0, 0, 255]]], np.uint8)
    expected = [[[2, 0, 0], [0, 0, 2]]]
    assert BLEND(IMAGE, seeds, spacing=(1, 1, 1), width=2).tolist() == expected
    assert BLEND(seeds=seeds, image=IMAGE, spacing=(1, 1, 1), width=2).tolist() == expected
    assert BLEND(IMAGE, seeds=None, spacing=(1, 1, 1), width=2).max() == 2


def test_arrays_are_counted():
    with pytest.raises(InputError, match="blend: 3 arrays given; it takes image, seeds"):
        BLEND(IMAGE, IMAGE, IMAGE, spacing=(1, 1, 1))
    with pytest.raises(InputError, match="blend: image given twice"):
        BLEND(IMAGE, image=IMAGE, spacing=(1, 1, 1))
    with pytest.raises(InputError, match="blend: needs image"):
        BLEND(spacing=(1, 1, 1))


def test_a_step_never_hands_its_own_input_back():
    same, turned = Step(_unchanged, "volume", 4), Step(_turned, "volume", 4)
    assert not np.may_share_memory(same(IMAGE), IMAGE)
    assert same(IMAGE[:, ::-1]).flags.c_contiguous and turned(IMAGE).flags.c_contiguous
    assert same(IMAGE, spacing=(1, 1, 1)).tolist() == IMAGE.tolist()  # a step without lengths ignores the spacing


def _unchanged(image: Image) -> Image:
    """Change nothing."""
    return image


def _turned(image: Image) -> Image:
    """Give a view of a new array."""
    return (image + 1)[:, ::-1]


def test_bad_definitions_are_refused():
    def without_default(image: Image, *, width: Annotated[float, Range(0, 1)]) -> Mask:
        """Do."""

    def gaussian(image: Image) -> Image:
        """Have a name that is taken."""

    with pytest.raises(TypeError, match="width of a step needs a default"):
        Step(without_default, "volume", 4)
    with pytest.raises(TypeError, match="two steps are called gaussian"):
        step(gaussian)


def test_message_of_a_wrong_array_says_what_was_expected():
    for array, message in [
        (np.zeros((2, 2)), r"blend: image of shape \(2, 2\): expected \(planes, rows, columns\)"),
        (IMAGE.astype(complex), "values of type complex128; expected real numbers"),
        (np.full((1, 2, 3), "a"), "expected real numbers"),
        (np.full((1, 2, 3), None), "expected real numbers"),
    ]:
        with pytest.raises(InputError, match=message):
            BLEND(array, spacing=(1, 1, 1))
    with pytest.raises(InputError, match="seeds of shape .*: values from 0 to 300; expected whole numbers from 0 to 255"):
        BLEND(IMAGE, np.array([[[0, 1, 300], [0, 0, 0]]]), spacing=(1, 1, 1))
