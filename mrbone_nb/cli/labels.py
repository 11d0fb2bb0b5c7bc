"""The verb ``labels``: merge, split, rename, give sides, make strokes, and convert from format to format."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..bones import LAST, Label, LabelTable
from ..errors import InputError
from ..morphology import connected_parts
from ..step import EVERYTHING_ELSE
from ..volume import Volume
from .common import (
    Answer,
    add_choice,
    check_numbers,
    columns,
    number_of,
    numbers_in,
    parse_pairs,
    read_map,
    read_scan,
    renamed,
    say,
)


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    about = (
        "merge, split, mark, rename labels, give them sides (in this order), or convert a label map by the extension of OUT"
    )
    verb = add("labels", labels, about)
    verb.add_argument("mask", metavar="IN", help="label map")
    verb.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="label map: .nii.gz, .nrrd, .seg.nrrd, .mha, .dcm …"
    )
    verb.add_argument("--merge", action="append", default=[], metavar="1,2:3", help="make labels 1 and 2 label 3")
    verb.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="N|N:sides",
        help="make each connected part of label N a label, the largest keeps N; or by the patient's left and right",
    )
    verb.add_argument(
        "--everything-else",
        metavar="N|NAME",
        help=f"give this label the number {EVERYTHING_ELSE}, by which strokes mark what is no bone",
    )
    verb.add_argument(
        "--rename", action="append", default=[], metavar="1=femur,…", help="name labels; 'right femur' has a side"
    )
    verb.add_argument("--side", action="append", default=[], metavar="1=left,…", help="left, right or none")
    verb.add_argument("--scan", metavar="SCAN", help="the scan, which DICOM-SEG needs")
    add_choice(verb)
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")


def labels(args: argparse.Namespace) -> Answer:
    """Change a label map and its names, and write it."""
    from ..export import write_labels

    volume, table = read_map(args, args.mask)
    array = volume.array.copy()
    for text in args.merge:
        table = merge(array, table, text)
    for text in args.split:
        table = split(array, table, text, volume)
    if args.everything_else is not None:
        table = mark_everything_else(array, table, args.everything_else)
    table = renamed(table, args.rename, "--rename") if args.rename else table
    table = with_sides(table, args.side) if args.side else table
    scan = read_scan(args, args.scan) if args.scan else None
    changed = volume.with_array(array)
    table = table.filled(numbers_in(changed))
    path = write_labels(changed, args.output, table, scan=scan, overwrite=args.overwrite)
    counts = np.bincount(array.ravel(), minlength=256)
    rows = [
        {"label": n, "name": label.name, "side": label.side, "color": label.color, "voxels": int(counts[n])}
        for n, label in table.items()
    ]
    cells = [[r["label"], table[r["label"]].title, f"{r['voxels']} voxels"] for r in rows]
    others = int(counts[EVERYTHING_ELSE])
    cells += [[EVERYTHING_ELSE, "everything else", f"{others} voxels"]] if others else []
    return Answer({"labels": rows, "everything_else": others}, columns(cells), files={"labels": path})


def merge(array: np.ndarray, table: LabelTable, text: str) -> LabelTable:
    """Make several labels one, in place; it has the name of the new label, or of the first merged one with a name."""
    left, sign, right = text.partition(":")
    if not (sign and left.strip() and right.strip()):
        raise InputError(f"--merge {text!r}: expected OLD,OLD:NEW, such as 1,2:3")
    sources = [number_of(part.strip(), table, "--merge") for part in left.split(",")]
    target = _valid(number_of(right.strip(), table, "--merge"), f"--merge {text!r}")
    check_numbers(sources, [int(n) for n in np.unique(array) if n], f"--merge {text!r}")
    named = [table[n] for n in (target, *sources) if n in table]
    array[np.isin(array, sources)] = target
    rest = {n: label for n, label in table.items() if n not in sources}
    return LabelTable({**rest, **({target: named[0]} if named else {})})


def split(array: np.ndarray, table: LabelTable, text: str, volume: Volume) -> LabelTable:
    """Split a label, in place, into its connected parts or into the patient's left and right."""
    left, sign, how = text.partition(":")
    if sign and how.strip() not in ("parts", "sides"):
        raise InputError(f"--split {text!r}: expected N, N:parts or N:sides")
    number = number_of(left.strip(), table, "--split")
    check_numbers([number], [int(n) for n in np.unique(array) if n], f"--split {text!r}")
    parts, count = connected_parts(array == number, 26)
    if how.strip() == "sides":
        return _split_sides(array, table, number, parts, count, volume)
    if count == 1:
        say(f"note: label {number} is one connected part; nothing to split")
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable") + 1
    numbers = [number, *_free(array, table, count - 1)]
    for part, new in zip(order, numbers, strict=True):
        array[parts == part] = new
    whole = table.filled([number])[number]
    for rank, new in enumerate(numbers[1:], 2):
        table = _with_part(table, number, whole, new, Label(f"{whole.name} part {rank}", whole.side))
    return table


def _with_part(table: LabelTable, number: int, whole: Label, new: int, part: Label) -> LabelTable:
    """Add a part of a label to the table, in a color that no other has."""
    named = {**table, number: whole}
    color = LabelTable(named).filled([new])[new].color
    return LabelTable({**named, new: replace(part, color=color)})


def _split_sides(
    array: np.ndarray, table: LabelTable, number: int, parts: np.ndarray, count: int, volume: Volume
) -> LabelTable:
    """Give the connected parts to the side on which their middle lies; the right side keeps the number."""
    indices = np.argwhere(parts > 0)
    x = volume.points(indices)[:, 0]  # grows to the patient's left
    owner = parts[tuple(indices.T)]
    middles = np.bincount(owner, weights=x, minlength=count + 1)[1:] / np.bincount(owner, minlength=count + 1)[1:]
    is_left = np.concatenate([[False], middles > (x.min() + x.max()) / 2])
    if is_left[1:].all() or not is_left[1:].any():
        raise InputError(f"--split {number}:sides: its {count} connected parts do not lie on two sides")
    (new,) = _free(array, table, 1)
    array[is_left[parts]] = new
    whole = table.filled([number])[number]
    return _with_part(table, number, replace(whole, side="right"), new, Label(whole.name, "left"))


def _free(array: np.ndarray, table: LabelTable, count: int) -> list[int]:
    """Numbers that neither a voxel nor a name has yet."""
    used = {*np.unique(array).tolist(), *table}
    free = [n for n in range(1, LAST + 1) if n not in used][:count]
    if len(free) < count:
        raise InputError(
            f"--split: would make {count} more labels and {len(free)} numbers are free; drop small islands first"
        )
    return free


def mark_everything_else(array: np.ndarray, table: LabelTable, text: str) -> LabelTable:
    """Turn a label, in place, into the strokes of everything else, which need no name."""
    number = number_of(text.strip(), table, "--everything-else")
    check_numbers([number], [int(n) for n in np.unique(array) if n], f"--everything-else {text}")
    array[array == number] = EVERYTHING_ELSE
    return LabelTable({n: label for n, label in table.items() if n != number})


def with_sides(table: LabelTable, texts: list[str]) -> LabelTable:
    """Give labels their sides, from "1=left"."""
    result = dict(table)
    for key, side in parse_pairs(texts, "--side", "NUMBER=left, right or none"):
        number = _valid(number_of(key, table, "--side"), "--side")
        old = table.filled([number])[number]
        result[number] = Label(old.name, "" if side == "none" else side, old.color)
    return LabelTable(result)


def _valid(number: int, where: str) -> int:
    if not 1 <= number <= LAST:
        raise InputError(f"{where}: label {number}; expected 1 to {LAST}")
    return number
