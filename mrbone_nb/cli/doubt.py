"""The verbs that ask how good a result is without a truth: ``quality``, ``sensitivity``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..progress import progress
from .common import Answer, add_scan, columns, number_of, plain, read_map, read_scan, renamed, say
from .inputs import add_inputs, read_inputs
from .scans import expected_labels


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("quality", quality, "tell without a truth what is odd about each bone, and rank what to look at first")
    add_scan(verb)
    verb.add_argument("labels", metavar="LABELS", help="label map on the scan's grid")
    verb.add_argument("--seeds", metavar="S", help="the strokes: a quick second method is then run to compare with")
    verb.add_argument(
        "--other", action="append", default=[], metavar="MAP", help="label map of another method, to compare with"
    )
    verb.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="JSON",
        help="what --json printed for other scans: bones are then held against these (five or more of a kind)",
    )
    verb.add_argument("--marrow", choices=("auto", "bright", "dark"), default="auto", help="by default as the tags say")
    verb.add_argument(
        "--names", action="append", default=[], metavar="1=femur,…", help="names of labels; 'right femur' has a side"
    )

    about = "shake each parameter of a recipe, and show which ones move the bones, and where"
    verb = add("sensitivity", sensitivity, about)
    verb.add_argument("recipe", metavar="RECIPE", help="preset, recipe file, or auto (by the scan's tags)")
    add_inputs(verb)
    verb.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for two pictures, CSV and JSON")
    verb.add_argument(
        "--only", action="append", default=[], metavar="STEP[.PARAM],…", help="shake these alone, such as gaussian.sigma"
    )
    verb.add_argument("--by", choices=("value", "range", "step"), default="value", help="what the amount is a share of")
    verb.add_argument("--amount", type=float, metavar="N", help="0.2 of the value, 0.1 of the range, or 1 slider step")
    verb.add_argument("--label", metavar="N|NAME", help="the bone of the plot; by default the mean of all")


def quality(args: argparse.Namespace) -> Answer:
    """Measure and rank the bones of a label map."""
    from .. import rating

    against = [row for path in args.against for row in _rows_in(Path(path))]
    scan = read_scan(args)
    labels, table = read_map(args, args.labels, like=scan)
    table = renamed(table, args.names) if args.names else table
    seeds = read_map(args, args.seeds, like=scan)[0] if args.seeds else None
    others = [read_map(args, path, like=scan)[0] for path in args.other] or None
    words = {"seeds": seeds, "others": others, "against": against, "marrow": args.marrow}
    rows = rating.quality(scan, labels, table=table, **words)
    if not rows:
        raise InputError(f"{labels.name}: no voxel has a label; there is nothing to look at")
    cells = [[row.label, row.bone, f"{row.score:.0f}", "; ".join(row.findings) or "nothing odd"] for row in rows]
    text = columns([["label", "bone", "score", "findings, the worst first"], *cells])
    return Answer({"scan": scan.name, "bones": [row.as_dict() for row in rows]}, text)


def _rows_in(path: Path) -> list[Any]:
    """The rows of an earlier answer; what is not known of them stays unknown."""
    from ..rating import Quality
    from ..recipe import load_json

    data = load_json(path)
    bones = data.get("bones") if isinstance(data, dict) else None
    fields = Quality.__dataclass_fields__
    if not isinstance(bones, list) or not all(isinstance(b, dict) and {"label", "bone"} <= set(b) for b in bones):
        raise InputError(f"{path.name}: not an answer of `mrbone quality --json`")
    return [Quality(**{name: _known(value) for name, value in bone.items() if name in fields}) for bone in bones]


def _known(value: Any) -> Any:
    """Numbers that JSON could not hold are NaN again."""
    return float("nan") if value is None else value


def sensitivity(args: argparse.Namespace) -> Answer:
    """Shake the parameters of a recipe, and write pictures and tables."""
    from ..files import check_writable, make_folder, safe_name, write_text
    from ..outputs import save_image, save_picture
    from ..picture import contact_sheet
    from ..record import to_json
    from ..shaking import sensitivity as shake
    from ..tornado import tornado_picture

    given = read_inputs(args, args.recipe)
    stem, folder = f"{safe_name(given.scan.name)}_desc-sensitivity", Path(args.output)
    names = {"tornado": "tornado.png", "where": "where.png", "flips": "flips.nii.gz", "table": "table.csv"}
    files = {name: folder / f"{stem}_{end}" for name, end in names.items()} | {"data": folder / f"{stem}.json"}
    table = given.table.filled(expected_labels(given))
    label = None if args.label is None else number_of(args.label, table, "--label")
    check_writable(folder, [path.name for path in files.values()], args.overwrite)
    cut = (lambda v: v) if given.crop is None else (lambda v: v and v.crop(tuple(slice(*ends) for ends in given.crop)))
    scan, seeds, start = cut(given.scan), cut(given.seeds), cut(given.start)
    only = [name.strip() for text in args.only for name in text.split(",") if name.strip()]
    words = {"by": args.by, "amount": args.amount, "only": only, "progress": progress}
    found = shake(given.recipe, scan, seeds=seeds, labels=start, table=given.table, **words)
    for change in found.changes:
        if change.error:
            say(f"note: {change.name}={change.new!r} was left out: {change.error}")
    plot, sheet = tornado_picture(found, label), contact_sheet(scan, found.labels, heat=found.flips, table=found.table)
    make_folder(folder)
    for name, picture in (("tornado", plot), ("where", sheet)):
        save_picture(picture, files[name], overwrite=args.overwrite)
    save_image(found.flips.with_array(found.flips.array.astype(np.float32)), files["flips"], overwrite=args.overwrite)
    write_text(files["table"], found.to_csv(), args.overwrite)
    data = {
        "scan": given.scan.name,
        "recipe": given.recipe.to_dict(),
        "by": args.by,
        "amount": args.amount,
        "changes": len(found.changes),
        "parameters": [{"name": n, "mean_mm": max(c.mean_mm(label) for c in cs)} for n, cs in found.ranked(label)],
        "rows": found.rows(),
    }
    write_text(files["data"], to_json(plain(data)), args.overwrite)
    cells = [[row["name"], f"{row['mean_mm']:.3f} mm"] for row in data["parameters"]]
    return Answer(data, columns(cells), files=files)

