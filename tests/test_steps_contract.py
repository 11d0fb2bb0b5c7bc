"""What every step promises, whatever it computes; a new step is tested here without a new line."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import find_objects, maximum_filter, minimum_filter
from scenes import SPACING, bones, dice, halve, tiny

import mrbone_nb
from mrbone_nb.errors import InputError
from mrbone_nb.morphology import padded
from mrbone_nb.step import EVERYTHING_ELSE, SLOTS, STEPS

PACKAGE = Path(mrbone_nb.__path__[0])
for file in sorted(PACKAGE.rglob("*.py")):
    if re.search(r"^@step\b", file.read_text(encoding="utf-8"), re.M):
        importlib.import_module(".".join(("mrbone_nb", *file.relative_to(PACKAGE).with_suffix("").parts)))

SCENE = bones((8, 20, 18), (4.0, 2.0, 2.2))
EVERY_STEP = [pytest.param(step, id=name) for name, step in sorted(STEPS.items())]
EVERY_PARAM = [
    pytest.param(step, p, id=f"{name}-{p.name}") for name, step in sorted(STEPS.items()) for p in step.params.values()
]
each_step = pytest.mark.parametrize("step", EVERY_STEP)
each_param = pytest.mark.parametrize(("step", "param"), EVERY_PARAM)


def of_slot(*names):
    """The steps that take one of these slots."""
    return pytest.mark.parametrize("step", [s for s in EVERY_STEP if set(names) & set(s.values[0].inputs)])


def assert_fits(step, result, shape):
    """The result has the slot's dtype, the scan's grid, and finite values."""
    slot = SLOTS[step.output]
    assert result.dtype == slot.dtype
    assert result.ndim == slot.ndim and result.shape[-3:] == shape
    assert np.isfinite(result).all()


def test_there_are_steps():
    assert {"normalize", "watershed", "islands"} <= set(STEPS)


@each_step
def test_keeps_the_grid_and_leaves_its_input_alone(step):
    frozen = SCENE.like(np.copy)
    for array in frozen.arrays.values():
        array.flags.writeable = False
    result = frozen.run(step)
    assert_fits(step, result, SCENE.shape)
    for name, array in SCENE.arrays.items():
        assert np.array_equal(array, frozen.arrays[name])
        assert not np.may_share_memory(result, frozen.arrays[name])
    assert result.flags.writeable


@each_step
def test_gives_the_same_bits_twice(step):
    assert SCENE.run(step).tobytes() == SCENE.run(step).tobytes()


@each_step
def test_prints_nothing(step, capfd):
    SCENE.run(step)
    assert capfd.readouterr() == ("", "")  # of the libraries below Python too


@each_step
def test_runs_on_required_arrays_alone(step):
    optional = {name: None for name in step.inputs if name not in step.required}
    assert_fits(step, SCENE.run(step, **optional), SCENE.shape)


@each_step
def test_takes_arrays_in_order_too(step):
    words = {"spacing": SCENE.spacing} if step.uses_spacing else {}
    result = step(*(SCENE.arrays[name] for name in step.inputs), **words)
    assert np.array_equal(result, SCENE.run(step))


@each_step
def test_its_code_does_the_same(step):
    names = {"mb": SimpleNamespace(**STEPS), "scan": SimpleNamespace(spacing=SCENE.spacing), **SCENE.arrays}
    exec(step.code(volume="scan"), names)
    assert np.array_equal(names[step.output], SCENE.run(step))


@each_step
def test_output_values_make_sense(step):
    result = SCENE.run(step)
    if step.output == "labels":
        assert set(np.unique(result)) <= {0, 1, 2} and EVERYTHING_ELSE not in result
    if step.output == "probability":
        assert result.min() >= 0 and result.max() <= 1 + 1e-5


@each_param
def test_range_ends_and_choices_work(step, param):
    ends = param.choices or ((False, True) if param.kind is bool else (param.range.lower, param.range.upper))
    for value in ends:
        assert_fits(step, SCENE.run(step, **{param.name: value}), SCENE.shape)


@each_param
def test_outside_the_range_is_refused_in_words(step, param):
    if param.range:
        gap = param.range.step
        wrong = [param.range.lower - gap, param.range.upper + gap, np.nan, np.inf, True, "1", None]
        wrong += [] if param.kind is int else [np.nextafter(param.range.upper, np.inf)]
        wrong += [param.range.lower + 0.5] if param.kind is int else []
    else:
        wrong = ["no such choice", 7, None, [1], np.nan]
    for value in wrong:
        with pytest.raises(InputError) as caught:
            SCENE.run(step, **{param.name: value})
        plain = value.item() if isinstance(value, np.generic) else value
        start = f"{step.name}: {param.name}={plain!r}"
        assert str(caught.value).startswith(start)
        if param.range and isinstance(value, float) and np.isfinite(value):
            assert param.range.unit in str(caught.value)


@each_param
def test_defaults_are_allowed_values_of_the_right_type(step, param):
    assert param.check(param.default) == param.default
    assert type(param.default) is param.kind


@each_step
def test_refuses_unknown_words(step):
    with pytest.raises(InputError, match=f"{step.name}: unknown parameter 'sigmaa'"):
        SCENE.run(step, sigmaa=1)


@each_step
@pytest.mark.parametrize("shape", [(4,), (4, 4), (0, 4, 4), (1, 1, 2, 4, 4)])
def test_refuses_wrong_shapes(step, shape):
    name = step.required[0]
    with pytest.raises(InputError, match=re.escape(f"{step.name}: {name} of shape {shape}")):
        SCENE.run(step, **{name: np.zeros(shape, SLOTS[name].dtype)})


@each_step
def test_refuses_arrays_on_different_grids(step):
    for name in step.inputs[1:]:
        with pytest.raises(InputError, match=f"{step.name}: {name} of shape"):
            SCENE.run(step, **{name: SCENE.arrays[name][..., 1:]})


@each_step
def test_refuses_missing_arrays(step):
    for name in step.required:
        with pytest.raises(InputError, match=f"{step.name}: needs {name}"):
            SCENE.run(step, **{name: None})


@of_slot("image", "channels", "probability")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_refuses_what_is_no_number(step, value):
    name = next(n for n in step.inputs if SLOTS[n].dtype is np.float32)
    broken = SCENE.arrays[name].astype(np.float64)
    broken[..., 0, 0] = value
    with pytest.raises(InputError, match=f"{step.name}: {name} of shape .*: {broken[..., 0, 0].size} values"):
        SCENE.run(step, **{name: broken})


@of_slot("mask", "labels", "seeds")
@pytest.mark.parametrize("value", [np.nan, 0.5, -1, 256])
def test_refuses_labels_that_are_no_labels(step, value):
    name = next(n for n in step.inputs if SLOTS[n].dtype is not np.float32)
    broken = SCENE.arrays[name].astype(np.float64)
    broken[0, 0, 0] = value
    with pytest.raises(InputError, match=f"{step.name}: {name} of shape .* expected whole numbers"):
        SCENE.run(step, **{name: broken})


@pytest.mark.parametrize("step", [s for s in EVERY_STEP if s.values[0].uses_spacing])
def test_refuses_missing_or_absurd_spacing(step):
    not_three = [None, 1.0, (1, 1), (1, 1, 1, 1), "abc", (1, "b", 1)]
    not_a_length = [(1, wrong, 1) for wrong in (0, -1, np.nan, np.inf, 1e-9, 1e6)]
    for spacing in not_three + not_a_length:
        words = {name: SCENE.arrays[name] for name in step.inputs} | {"spacing": spacing}
        with pytest.raises(InputError, match=re.escape(f"{step.name}: spacing={spacing}: expected three")):
            step(**words)


@each_step
def test_takes_any_memory_order(step):
    turned = SCENE.like(lambda a: np.asfortranarray(a))
    flipped = SCENE.like(lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1])
    for scene in (turned, flipped):
        assert np.array_equal(scene.run(step), SCENE.run(step))


@each_step
@pytest.mark.parametrize("dtype", [np.float64, np.int16, ">i2", np.uint16])
def test_takes_any_number_type(step, dtype):
    whole = SCENE.like(lambda a: np.rint(a * 900).astype(a.dtype) if a.dtype == np.float32 else a)
    assert np.array_equal(whole.like(lambda a: a.astype(dtype)).run(step), whole.run(step))


@each_step
@pytest.mark.parametrize("value", [0, 0.3, 1, 40_000, -50])
def test_constant_image_is_no_trouble(step, value):
    flat = SCENE.like(lambda a: np.full_like(a, value) if a.dtype == np.float32 else a)
    result = flat.run(step)
    assert_fits(step, result, SCENE.shape)
    if step.output == "image" and step.name != "normalize":
        assert np.allclose(result, value, rtol=1e-4)


@each_step
def test_nearly_constant_image_is_no_trouble(step):
    def speck(array):
        if array.dtype != np.float32:
            return array
        flat = np.full_like(array, 40_000)
        flat[..., 3, 3, 3] = np.nextafter(np.float32(40_000), np.float32(np.inf))
        return flat

    assert_fits(step, SCENE.like(speck).run(step), SCENE.shape)


def marked(value):
    """The scene with the same mark everywhere."""
    full = SCENE.with_seeds(np.full_like(SCENE.arrays["seeds"], value))
    return full.like(lambda a: a if a.dtype == np.float32 else np.full_like(a, value))


@of_slot("mask", "labels", "seeds")
def test_nothing_marked_gives_nothing(step):
    result = marked(0).run(step)
    assert_fits(step, result, SCENE.shape)
    assert step.output not in ("mask", "labels") or not result.any()


@of_slot("mask", "labels", "seeds")
@pytest.mark.parametrize("value", [1, EVERYTHING_ELSE])
def test_everything_marked_is_no_trouble(step, value):
    result = marked(value).run(step)
    assert_fits(step, result, SCENE.shape)
    if step.output == "labels" and "image" in step.inputs:
        assert (result == (1 if value == 1 else 0)).all()


@pytest.mark.parametrize("step", [s for s in EVERY_STEP if "seeds" in s.values[0].inputs and s.values[0].output == "labels"])
def test_strokes_are_the_last_word(step):
    """Where strokes contradict the image, or the probability, they win."""
    seeds = SCENE.arrays["seeds"].copy()
    seeds[4, 8:12, 5:9], seeds[4, 14:16, 12:14], seeds[1, 0:3, 3:6] = 255, 1, 2
    result = SCENE.run(step, seeds=seeds)
    for number in (1, 2):
        assert (result[seeds == number] == number).all()
    assert not result[seeds == EVERYTHING_ELSE].any()


@of_slot("seeds")
@pytest.mark.parametrize("kept", [1, 2, EVERYTHING_ELSE])
def test_one_stroke_is_enough(step, kept):
    seeds = SCENE.arrays["seeds"]
    result = SCENE.with_seeds(np.where(seeds == kept, seeds, 0)).run(step)
    assert_fits(step, result, SCENE.shape)
    if step.output == "labels":
        given = np.unique(SCENE.arrays["labels"]) if "labels" in step.inputs else []
        assert set(np.unique(result)) <= {0, kept, *given} - {EVERYTHING_ELSE}


@pytest.mark.parametrize("step", [s for s in EVERY_STEP if s.values[0].reach is not None])
def test_looks_and_works_no_farther_than_it_says(step):
    assert {step.params[name].unit for name in step.reach} <= {"mm"}
    roomy = bones((20, 72, 70), (2.4, 0.7, 0.7))
    image, mask = roomy.arrays["image"], roomy.arrays["mask"] & (roomy.arrays["image"] < 0.92)  # with holes
    box = padded(find_objects(mask.astype(np.uint8))[0], step.margin(step.values({})), roomy.spacing, mask.shape)
    expected = np.zeros_like(mask)
    expected[box] = roomy.like(lambda a: a[box]).run(step, mask=mask[box])
    assert np.array_equal(roomy.run(step, mask=mask), expected)
    elsewhere = np.full_like(image, 0.3)
    elsewhere[box] = image[box]
    assert np.array_equal(roomy.run(step, mask=mask, image=elsewhere) if "image" in step.inputs else expected, expected)


@each_step
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 2, 2), (1, 5, 4), (3, 1, 4), (9, 2, 1)], ids=str)
def test_tiny_grids_are_no_trouble(step, shape):
    assert_fits(step, tiny(shape).run(step), shape)


@each_step
def test_one_plane_is_a_scan(step):
    plane = SCENE.like(lambda a: a[..., 3:4, :, :])
    plane = plane.with_seeds(plane.arrays["seeds"])
    result = plane.run(step)
    assert_fits(step, result, plane.shape)
    if step.output in ("mask", "labels") and SCENE.run(step).any():
        assert result.any()


COARSE, FINE = bones((16, 34, 34), (2.4, 1.2, 1.2)), bones((32, 68, 68), (1.2, 0.6, 0.6))
MM = [pytest.param(s.values[0], None, id=s.id) for s in EVERY_STEP]
MM += [pytest.param(*p.values, id=p.id) for p in EVERY_PARAM if p.values[1].unit == "mm"]


@pytest.mark.parametrize(("step", "param"), MM)
def test_means_the_same_in_mm_on_a_coarse_and_a_fine_grid(step, param):
    """With defaults, and with each length doubled: borders lie within one coarse voxel of each other."""
    words = {param.name: min(2 * param.default, param.range.upper)} if param else {}
    coarse, fine = COARSE.run(step, **words), FINE.run(step, **words)
    if step.output in ("mask", "labels"):
        for number in {*np.unique(coarse), *np.unique(fine)} - {0}:
            one, other = coarse == number, halve(fine == number) >= 0.5
            border = maximum_filter(other, 3) & ~minimum_filter(other, 3)
            assert ((one != other) & ~border).sum() <= 0.01 * other.sum()
            assert dice(one, other) > 0.75
    else:
        assert np.abs(coarse - halve(fine)).mean() < 0.009  # of a scan from 0 to 1; the two scans differ by 0.004


def description(step):
    """The docstring in parts: first line, text, and the sections by their names."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", inspect.getdoc(step.function), flags=re.M)
    first, _, text = parts[0].partition("\n")
    return first, text, dict(zip(parts[1::2], parts[2::2], strict=True))


@each_step
def test_docstring_says_all(step):
    first, text, sections = description(step)
    assert first.endswith(".") and len(first) <= 110
    assert text.startswith("\n") and 1 <= len(re.findall(r"[.!?](?=\s|$)", text)) <= 3
    assert [name for name in sections if name in ("Parameters", "Returns", "Examples")] == [
        "Parameters",
        "Returns",
        "Examples",
    ]
    named = re.findall(r"^(\w[\w, ]*)$", sections["Parameters"], re.M)
    assert [n.strip() for line in named for n in line.split(",")] == list(inspect.signature(step.function).parameters)
    assert all(p.doc.endswith(".") and len(p.doc) > 10 for p in step.params.values())
    assert sections["Returns"].split("\n")[1].lower() == step.output
    assert ("(L, P, M, N)" if SLOTS[step.output].ndim == 4 else "(P, M, N)") in sections["Returns"]
    if "References" in sections:
        assert re.search(r"\(\d{4}\)", sections["References"])


@each_step
def test_example_in_the_docstring_runs(step):
    names = {"np": np, **STEPS}
    test = doctest.DocTestParser().get_doctest(step.__doc__, names, step.name, None, 0)
    assert test.examples
    doctest.DebugRunner().run(test)


@each_step
def test_says_how_it_can_be_previewed_and_what_it_needs(step):
    assert step.preview in ("volume", "roi", "slice", "none")
    assert 1 <= step.bytes_per_voxel <= 200
    assert step.summary == description(step)[0]
    assert step.name in repr(step) and step.output in repr(step)
    assert list(inspect.signature(step).parameters) == list(inspect.signature(step.function).parameters)
    assert not any(
        p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in inspect.signature(step.function).parameters.values()
    )


def test_scene_is_anisotropic():
    assert len(set(SPACING)) == 3 and SCENE.spacing[0] != SCENE.spacing[1] != SCENE.spacing[2]
