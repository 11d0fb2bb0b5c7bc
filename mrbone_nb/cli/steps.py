"""The verbs on steps and recipes: ``steps``, ``presets``, ``apply``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import memory
from ..bones import LabelTable
from ..errors import InputError
from ..export import write_labels
from ..files import check_writable
from ..labelfile import SUFFIXES, suffix_of
from ..outputs import IMAGES
from ..recipe import on_grid, preset, preset_names, run_call
from ..step import STEPS, Call, Step, find_step
from ..volume import Volume
from . import reference
from .common import Answer, add_choice, numbers_in, read_map, read_scan, say


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("steps", steps, "list the steps, or tell all about one")
    verb.add_argument("name", nargs="?", metavar="NAME", help="one step")
    verb.add_argument("--markdown", action="store_true", help="write the page docs/steps.md")

    add("presets", presets, "list the recipes that come with the package")

    verb = add("apply", apply, "run one step on a file")
    verb.add_argument("step", metavar="STEP", help="as `mrbone steps` lists them")
    verb.add_argument("scan", metavar="IN", help="the scan; for a step that takes a mask alone, the mask or label map")
    verb.add_argument("output", metavar="OUT", help="file for the result; its extension says the format")
    verb.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter")
    verb.add_argument("--seeds", metavar="S", help="strokes on the scan's grid, where the step takes them")
    verb.add_argument("--mask", metavar="M", help="mask or label map on the scan's grid, where the step takes one")
    add_choice(verb)
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")


def steps(args: argparse.Namespace) -> Answer:
    """List the steps, or tell all about one."""
    if args.name is not None:
        if args.markdown:
            raise InputError("--markdown: makes the page on all steps; leave out the name")
        return Answer(reference.describe(find_step(args.name)), reference.details(args.name))
    data = [reference.describe(STEPS[name]) for name in sorted(STEPS)]
    return Answer(data, reference.markdown().rstrip("\n") if args.markdown else reference.overview())


def presets(args: argparse.Namespace) -> Answer:
    """List the recipes that come with the package."""
    recipes = [preset(name) for name in preset_names()]
    return Answer([recipe.to_dict() for recipe in recipes], "\n\n".join(map(str, recipes)))


def apply(args: argparse.Namespace) -> Answer:
    """Run one step on a file; on a label map, a mask step runs label by label."""
    step = find_step(args.step)
    call = _call(step, args.param)
    from_image = "image" in step.inputs
    takes = {"seeds": "seeds" in step.inputs, "mask": from_image and "mask" in step.inputs}
    if not set(step.inputs) <= {"image", "mask", "seeds"} or step.output not in ("image", "mask", "labels"):
        raise InputError(
            f"{step.name}: takes {', '.join(step.inputs)} and gives {step.output}: use it from Python or in a recipe"
        )
    for option, wanted in takes.items():
        if wanted != (getattr(args, option) is not None) and (not wanted or option in step.required):
            raise InputError(f"--{option}: {step.name} {'needs it' if wanted else 'has no use for it; leave it out'}")
    _check_output(step, args)
    base, state, table = _arrays(args, from_image)
    say_memory(step, base)
    run_call(call, state, base.spacing)
    made = state.get(step.output) if step.output == "image" else state.get("labels", state.get("mask"))
    result = base.with_array(made)
    data = {"step": call.step, "params": dict(call.params)}
    if step.output == "image":
        from ..outputs import save_image

        return Answer(data, repr(call), files={"image": save_image(result, args.output, overwrite=args.overwrite)})
    scan = base if from_image else None
    path = write_labels(result, args.output, table, scan=scan, overwrite=args.overwrite)
    return Answer(data | {"present": numbers_in(result)}, repr(call), files={"labels": path})


def _call(step: Step, texts: list[str]) -> Call:
    """Read ``name=value`` texts as the parameters of a step."""
    params = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in step.params:
            raise InputError(
                f"--param {text!r}: expected NAME=VALUE; {step.name} has {', '.join(step.params) or 'no parameter'}"
            )
        try:
            params[name] = step.params[name].parse(value)
        except InputError as error:
            raise InputError(f"{step.name}: {error}") from None
    return Call(step.name, params)


def _check_output(step: Step, args: argparse.Namespace) -> None:
    """See before the work that the result can be written."""
    path, suffix = Path(args.output), suffix_of(args.output)
    known = IMAGES if step.output == "image" else (*SUFFIXES, ".dcm")
    if suffix not in known:
        raise InputError(f"{path.name}: expected a name that ends in {', '.join(known)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; create it first")
    check_writable(path.parent, [path.name], args.overwrite)


def _arrays(args: argparse.Namespace, from_image: bool) -> tuple[Volume, dict[str, np.ndarray], LabelTable]:
    """Read what the step works on: the grid, the arrays by slot, and the names of labels."""
    if not from_image:
        base, table = read_map(args, args.scan)
        return base, {"labels": base.array}, table
    base, table = read_scan(args), LabelTable()
    state = {"image": base.array}
    for option, slot in (("seeds", "seeds"), ("mask", "labels")):
        path = getattr(args, option)
        if path is not None:
            marked, names = read_map(args, path, like=base)
            state[slot] = on_grid(slot, marked, base)
            table = LabelTable({**table, **names})
    return base, state, table


def say_memory(step: Step, volume: Volume) -> None:
    """Say how much memory a step needs, if much; refuse where there is not enough."""
    note = memory.check((step.bytes_per_voxel + 8) * volume.array.size, step.name)
    if note:
        say(f"note: {note}")
