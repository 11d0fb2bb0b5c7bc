"""The verbs on scans: ``inventory``, ``segment``, ``run``, ``replay``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..files import safe_path
from ..progress import progress
from ..recipe import Recipe, Result
from ..strokes import Strokes
from ..volume import Volume
from .common import Answer, add_scan, columns, read_map, read_recorded, read_scan, renamed, say
from .inputs import Inputs, add_inputs, cut_bones, read_inputs


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("inventory", inventory, "list what is in a folder, and what is wrong with it")
    verb.add_argument("folder", metavar="FOLDER", help="folder of DICOM files, archive, or an image file")

    verb = add("segment", segment, "make a label map on the scan's own grid")
    add_inputs(verb)
    verb.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="label map; the record and the strokes go beside it"
    )
    verb.add_argument(
        "--recipe", default="auto", metavar="NAME|FILE", help="preset, recipe file, or auto (by the scan's tags)"
    )

    verb.add_argument(
        "--model",
        metavar="MODEL",
        help="a model that `mrbone train` wrote, instead of a preset: finds its bones without strokes, or with --seeds "
        "together with them; "
        "--recipe is then one of clean-up steps",
    )

    verb = add("run", run, "make label map, record, models and a picture in a folder")
    verb.add_argument("recipe", metavar="RECIPE", help="preset, recipe file, or auto (by the scan's tags)")
    add_inputs(verb)
    verb.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the results")
    verb.add_argument("--formats", default="stl", metavar="stl,…", help="formats of the models: stl, ply, obj, glb")

    verb = add("replay", replay, "do again what a record says, and tell whether the same bits come out")
    verb.add_argument("record", metavar="RECORD", help="the *_record.json beside a result")
    add_scan(verb)
    verb.add_argument("--seeds", metavar="S", help="the strokes, if they no longer lie beside the record")
    verb.add_argument(
        "--start", metavar="MASK", help="the label map to start from, if it no longer lies beside the record"
    )
    verb.add_argument("-o", "--output", metavar="OUT", help="where to write the new label map")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def inventory(args: argparse.Namespace) -> Answer:
    """List what is in a folder."""
    from .. import intake

    found = intake.inventory(args.folder)
    if not found.rows:
        intake.read(args.folder)  # says what was looked for, and why there is nothing
    return Answer(found.to_dict(), str(found))


def segment(args: argparse.Namespace) -> Answer:
    """Make a label map on the scan's own grid, with its record and strokes beside it."""
    from .. import outputs

    if args.model is not None:
        return segment_by_model(args)
    given = read_inputs(args, args.recipe)
    words = dict(seeds=given.seeds is not None, start=given.start is not None, overwrite=args.overwrite)
    outputs.planned_beside(given.scan, args.output, **words)
    result = work(given)
    files = outputs.save_beside(result, args.output, table=given.table, start=given.start, overwrite=args.overwrite)
    return report(result, files)


def segment_by_model(args: argparse.Namespace) -> Answer:
    """Make a label map by a model."""
    from .. import learn, outputs

    for name in ("start", "start-margin", "crop", "margin"):
        if getattr(args, name.replace("-", "_")) is not None:
            raise InputError(f"--{name}: does not go with --model, which takes the whole scan; leave one of them out")
    model = learn.load_model(args.model)
    recipe = learn.CLEAN if args.recipe == "auto" else Recipe.load(args.recipe)
    scan = read_scan(args)
    seeds = None
    if args.seeds is not None:
        seeds, names = read_map(args, args.seeds, like=scan)
        named = [n for n in names if n in model.table and names[n] != LabelTable().filled([n])[n]]
        other = [n for n in named if names[n].title != model.table[n].title]
        if other and not args.names:
            theirs, ours = names[other[0]].title, model.table[other[0]].title
            raise InputError(f"--seeds: label {other[0]} is {theirs} there and {ours} in the model; renumber the strokes")
    outputs.planned_beside(scan, args.output, seeds=seeds is not None, start=True, overwrite=args.overwrite)
    result, start = learn.segment(model, scan, seeds=seeds, recipe=recipe)
    for note in result.notes:
        say(f"warning: {note}" if "unlike" in note else f"note: {note}")
    table = renamed(model.table, args.names) if args.names else model.table
    words = dict(table=table, start=start, overwrite=args.overwrite)
    return report(result, outputs.save_beside(result, args.output, **words))


def run(args: argparse.Namespace) -> Answer:
    """Make label map, record, models and a picture in a folder."""
    from .. import outputs

    formats = tuple(f.strip().lower().lstrip(".") for f in args.formats.split(",") if f.strip())
    given = read_inputs(args, args.recipe)
    expected = given.table.filled(expected_labels(given))
    words = dict(formats=formats, start=given.start is not None, overwrite=args.overwrite)
    outputs.planned(given.scan, args.output, expected, seeds=given.seeds is not None, **words)
    result = work(given)
    words["start"] = given.start
    return report(result, outputs.save(result, args.output, table=given.table, **words))


def expected_labels(given: Inputs) -> list[int]:
    """The labels that a result will have, as far as one can tell before the run."""
    marked = given.seeds if given.seeds is not None else given.start
    return [1] if marked is None else [int(n) for n in np.unique(marked.array) if 0 < n < 255]


def work(given: Inputs) -> Result:
    """Run the recipe, with the memory it needs said before and a bar while it works."""
    from ..record import run_cropped

    part = given.scan if given.crop is None else given.scan.crop(tuple(slice(*ends) for ends in given.crop))
    note = given.recipe.memory_note(part)
    if note:
        say(f"note: {note}")
    result = run_cropped(given.recipe, given.scan, given.crop, seeds=given.seeds, labels=given.start, progress=progress)
    cut = cut_bones(result.labels, given.crop, given.table)
    if cut:
        warning = (
            f"the crop may have cut {', '.join(cut)}: there the scan goes on beyond the box; "
            "take a larger --margin or --crop"
        )
        say(f"warning: {warning}")
        result = replace(result, notes=(*result.notes, warning))
    missing = sorted(set(expected_labels(given)) - set(result.present)) if given.seeds is not None else []
    if missing:
        titles = given.table.filled(missing)
        say(f"warning: no voxel is left of {', '.join(label.title for label in titles.values())}")
    return result


def report(result: Result, files: Mapping[str, Path]) -> Answer:
    """Tell what was found and where it lies; the code is 1 where a model could not be made."""
    from ..record import load_record

    found = load_record(files["record"])["outputs"]
    for title, reason in found["failed"].items():
        say(f"warning: no model of {title}: {reason}")
    rows = [
        [
            row["label"],
            f"{row['side']} {row['name']}".strip(),
            *(f"{row[k]:.0f} {unit}" for k, unit in MEASURED if k in row),
        ]
        for row in found["measures"]
    ]
    data = {
        "scan": result.volume.name,
        "recipe": result.recipe.name,
        "labels": found["measures"],
        "failed": found["failed"],
        "crop": result.crop,
        "notes": list(result.notes),
        "issues": [str(issue) for issue in result.volume.issues],
        "accepted": list(result.volume.accepted),
    }
    width = max(len(row) for row in rows)
    text = columns([row + [""] * (width - len(row)) for row in rows])
    return Answer(data, text, 1 if found["failed"] else 0, files)


MEASURED = (("volume_mm3", "mm³"), ("area_mm2", "mm²"))


def replay(args: argparse.Namespace) -> Answer:
    """Run a record's recipe again and compare the labels bit for bit."""
    from ..export import write_labels
    from ..record import load_record
    from ..record import replay as run_again
    from ..verify import changed_versions

    record = load_record(args.record)
    Recipe.from_dict(record["recipe"], Path(args.record).name)  # before the scan is read
    scan = read_recorded(args, record)
    beside = {name: _beside(args, record, name, scan) for name in ("seeds", "start")}
    if args.output is not None:
        _check_output(args, scan)
    words = {name: found[0] for name, found in beside.items()} | {"edits": _edits_beside(args, record, scan)}
    result, same = run_again(record, scan, **words, progress=progress)
    differ, table = _compare(args, record, result)
    table = LabelTable({**beside["start"][1], **beside["seeds"][1], **table})
    files = {}
    if args.output is not None:
        files["labels"] = write_labels(result.labels, args.output, table, scan=scan, overwrite=args.overwrite)
    changed = changed_versions(record)
    for line in [] if same else changed:
        say(f"note: {line}")
    voxels = scan.array.size
    if same:
        text = "the same bits"
    elif differ is None:
        text = "not the same: the labels differ; the recorded label map does not lie beside the record, so no count"
    else:
        text = f"not the same: {differ} of {voxels} voxels differ"
    return Answer(
        {"same": same, "differ": 0 if same else differ, "voxels": voxels, "changed": changed},
        text,
        0 if same else 1,
        files,
    )


def _check_output(args: argparse.Namespace, scan: Volume) -> None:
    """See before the run that the label map can be written."""
    from ..outputs import planned_beside

    files = planned_beside(scan, args.output, seeds=False, overwrite=True)
    taken = [files[name] for name in ("labels", "names") if name in files and files[name].exists()]
    if taken and not args.overwrite:
        raise InputError(f"{taken[0]}: exists already; give another name, or --overwrite")


def _edits_beside(args: argparse.Namespace, record: Mapping[str, Any], scan: Volume) -> Strokes | None:
    """Read what was changed by hand in the end; it lies beside the record."""
    from ..strokes import read_strokes

    entry = record["inputs"].get("edits")
    return None if entry is None else read_strokes(safe_path(Path(args.record).parent, entry["name"]), scan)


def _beside(
    args: argparse.Namespace, record: Mapping[str, Any], name: str, scan: Volume
) -> tuple[Volume | None, LabelTable]:
    """Read the strokes or the label map that a record began with; by default it lies beside the record."""
    entry, given = record["inputs"].get(name), getattr(args, name)
    if entry is None:
        if given is not None:
            raise InputError(f"--{name}: the record was made without; leave it out")
        return None, LabelTable()
    if given is None and entry.get("name") is None:
        raise InputError(f"the record does not name its {name}; give it with --{name}")
    path = Path(given) if given is not None else safe_path(Path(args.record).parent, entry["name"])
    if not path.is_file():
        raise InputError(f"{path}: no such file; the record needs its {name}: give it with --{name}")
    return read_map(args, path, like=scan)


def _compare(args: argparse.Namespace, record: Mapping[str, Any], result: Result) -> tuple[int | None, LabelTable]:
    """Count the voxels that differ from the label map beside the record, where it lies there unchanged."""
    from ..record import file_sha256
    from ..verify import recorded_labels

    outputs = record["outputs"]
    name = outputs["labels"].get("name")
    if name is None or not (path := safe_path(Path(args.record).parent, name)).is_file():
        return None, LabelTable()
    if file_sha256(path) != outputs.get("files", {}).get(name):
        say(f"note: {path.name} is not the label map of the record any more")
        return None, LabelTable()
    labels, table = recorded_labels(path, outputs["labels"], result.volume)
    return int(np.count_nonzero(labels.array != result.labels.array)), table
