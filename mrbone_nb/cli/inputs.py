"""What a run begins with: scan, recipe, strokes, a label map to start from, names, and the box to work in."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..morphology import bounding_box, distance_inside
from ..recipe import Recipe, choose_preset, preset_names
from ..step import EVERYTHING_ELSE, find_step
from ..volume import Volume
from .common import add_scan, read_map, read_scan, renamed, say

Box = tuple[tuple[int, int], ...]
START_MARGIN = 3.0  # mm: how far inside and outside a label map its strokes lie
CROP_MARGIN = 20.0  # mm round the bone strokes with --crop auto


@dataclass(frozen=True)
class Inputs:
    """Hold all that a run needs, read and checked."""

    scan: Volume
    recipe: Recipe
    seeds: Volume | None
    start: Volume | None
    table: LabelTable
    crop: Box | None


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verbs that run a recipe."""
    add_scan(parser)
    parser.add_argument(
        "--seeds", metavar="S", help="strokes on the scan's grid: a label each, 255 for everything else"
    )
    parser.add_argument(
        "--start",
        metavar="MASK",
        help="label map or .seg.nrrd to start from: a recipe that needs strokes gets them from its eroded inside and "
        "its far outside (those of --seeds win); a recipe of clean-up steps takes its labels",
    )
    parser.add_argument(
        "--start-margin",
        type=float,
        metavar="MM",
        help=f"how far the border may move where strokes are made from --start ({START_MARGIN:g} mm)",
    )
    parser.add_argument(
        "--names", action="append", default=[], metavar="1=femur,…", help="names of labels; 'right femur' has a side"
    )
    parser.add_argument("--crop", metavar="BOX", help="auto, or z0:z1,y0:y1,x0:x1 in voxels: work in this box alone")
    parser.add_argument(
        "--margin",
        type=float,
        metavar="MM",
        help=f"round the strokes with --crop auto ({CROP_MARGIN:g} mm)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")


def refuse_idle(args: argparse.Namespace) -> None:
    """Refuse lengths that nothing would use, rather than let somebody believe that they did something."""
    if args.start_margin is not None and args.start is None:
        raise InputError("--start-margin: there is no --start to make strokes from; leave it out")
    if args.margin is not None and args.crop != "auto":
        raise InputError("--margin: goes with --crop auto alone; leave it out")


def read_inputs(args: argparse.Namespace, recipe: str) -> Inputs:
    """Read all that the arguments name, and say what was decided."""
    refuse_idle(args)
    if recipe != "auto":
        chosen = Recipe.load(recipe)  # first, since it is quick and often mistyped
    for name in ("seeds", "start"):
        path = getattr(args, name)
        if path is not None and not Path(path).is_file():
            raise InputError(f"--{name} {path}: no such file")
    scan = read_scan(args)
    if recipe == "auto":
        name, why = choose_preset(scan)
        say(f"recipe {name}: {why} (other recipes: {', '.join(n for n in preset_names() if n != name)})")
        chosen = Recipe.load(name)
    seeds, table = read_map(args, args.seeds, like=scan) if args.seeds else (None, LabelTable())
    start, names = read_map(args, args.start, like=scan) if args.start else (None, LabelTable())
    table = LabelTable({**names, **table})
    if seeds is not None and not any("seeds" in find_step(call.step).inputs for call in chosen.calls):
        raise InputError(
            f"--seeds: recipe {chosen.name} has no step that takes strokes; leave it out or choose another recipe"
        )
    if start is not None:
        seeds, start = place_start(chosen, seeds, start, args.start_margin)
    table = renamed(table, args.names) if args.names else table
    margin = CROP_MARGIN if args.margin is None else args.margin
    crop = parse_crop(args.crop, scan, seeds if seeds is not None else start, margin)
    return Inputs(scan, chosen, seeds, start, table, crop)


def place_start(
    recipe: Recipe, seeds: Volume | None, start: Volume, margin: float | None = None
) -> tuple[Volume | None, Volume | None]:
    """Decide what a label map to start from is for this recipe: strokes, or its labels.

    A recipe that needs strokes gets them from the map; strokes of the user win over those. Else the
    first step that takes a mask gets the labels.
    """
    calls = [find_step(call.step) for call in recipe.calls]
    if any("seeds" in step.required for step in calls):
        margin = START_MARGIN if margin is None else margin
        made = seeds_from_labels(start, margin)
        say(f"strokes made from {start.name}: {margin:g} mm inside each label and as far outside all of them")
        if seeds is None:
            return made, None
        return seeds.with_array(np.where(seeds.array > 0, seeds.array, made.array)), None
    if margin is not None:
        raise InputError(f"--start-margin: recipe {recipe.name} takes the labels of --start as they are; leave it out")
    first = next((step for step in calls if {"mask", "labels"} & {*step.inputs, step.output}), None)
    if first is None or not {"mask", "labels"} & set(first.inputs):
        raise InputError(f"--start: recipe {recipe.name} makes its own mask and does not begin with one; leave it out")
    return seeds, start


def seeds_from_labels(labels: Volume, margin: float = START_MARGIN) -> Volume:
    """Make strokes from a label map: each label's inside, and everything else well outside.

    Parameters
    ----------
    labels
        A label map, (P, M, N).
    margin
        Distance of the strokes from the labels' borders in mm; what is thinner keeps its middle.

    Returns
    -------
    Volume
        Strokes, uint8: the labels, and 255 for everything else.
    """
    if not 0 <= margin < float("inf"):
        raise InputError(f"--start-margin {margin}: expected a number of mm from 0")
    seeds = np.zeros(labels.shape, np.uint8)
    for number in (int(n) for n in np.unique(labels.array) if n not in (0, EVERYTHING_ELSE)):
        inside = labels.array == number
        depth = distance_inside(inside, labels.spacing)
        seeds[inside & (depth >= min(margin, 0.6 * float(depth.max())))] = number
    if not seeds.any():
        raise InputError(f"{labels.name}: no label to start from; the map is empty")
    outside = labels.array == 0
    seeds[outside & (distance_inside(outside, labels.spacing) > margin)] = EVERYTHING_ELSE
    seeds[labels.array == EVERYTHING_ELSE] = EVERYTHING_ELSE
    return labels.with_array(seeds)


def parse_crop(text: str | None, scan: Volume, marked: Volume | None, margin: float) -> Box | None:
    """Give the box to work in, (start, stop) for plane, row and column."""
    if text is None:
        return None
    if text == "auto":
        if not 0 <= margin < float("inf"):
            raise InputError(f"--margin {margin}: expected a number of mm from 0")
        if marked is None:
            raise InputError("--crop auto: needs strokes or a label map to go round; give --seeds or --start")
        bones = (marked.array > 0) & (marked.array != EVERYTHING_ELSE)
        box = tuple((s.start, s.stop) for s in bounding_box(bones, margin, scan.spacing))
        say(f"cropped to {','.join(f'{a}:{b}' for a, b in box)}, {margin:g} mm round the strokes")
        return box
    found = re.fullmatch(",".join([r"(\d{0,6}):(\d{0,6})"] * 3), text.replace(" ", ""))
    if not found:
        raise InputError(f"--crop {text!r}: expected auto, or z0:z1,y0:y1,x0:x1 in voxels, such as 0:20,50:200,:")
    ends = found.groups()
    box = tuple((int(ends[2 * k] or 0), int(ends[2 * k + 1] or n)) for k, n in enumerate(scan.shape))
    if any(not 0 <= a < b <= n for (a, b), n in zip(box, scan.shape, strict=True)):
        raise InputError(f"--crop {text!r}: expected boxes inside the scan's {' × '.join(map(str, scan.shape))} voxels")
    return box


def cut_bones(labels: Volume, crop: Box | None, table: LabelTable) -> list[str]:
    """Name the bones that end at a face of the box where the scan goes on: the box may have cut them."""
    if crop is None:
        return []
    found: dict[int, None] = {}
    for axis, ((start, stop), n) in enumerate(zip(crop, labels.shape, strict=True)):
        for index in ([start] if start > 0 else []) + ([stop - 1] if stop < n else []):
            found |= {int(v): None for v in np.unique(np.take(labels.array, index, axis)) if v}
    titles = table.filled(found)
    return [titles[number].title for number in sorted(found)]
