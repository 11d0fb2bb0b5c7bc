"""The verbs for a paper: ``agree`` on two sets of results, ``diff`` of recipes, ``methods`` in words."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..agreement import Agreement, agree
from ..errors import InputError
from ..files import check_writable, make_folder, safe_name, write_atomic, write_text
from ..methods import methods_text, recipe_differences
from ..recipe import Recipe
from .common import Answer, columns, say

SHOWN = ("scans", "dice", "assd", "hd95", "volume_bias_mm3", "volume_lower_mm3", "volume_upper_mm3", "icc")


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("agree", compare_folders, "compare two folders of results: two recipes, two raters, two time points")
    verb.add_argument("a", metavar="DIR_A", help="label maps; they belong together by the names of files or folders")
    verb.add_argument("b", metavar="DIR_B", help="the others")
    verb.add_argument("-o", "--output", metavar="DIR", help="folder for tables and the Bland-Altman plot")
    verb.add_argument("--maps", action="store_true", help="also models colored by the distance from A to B (PLY)")
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")

    verb = add("diff", diff, "say in words how one recipe differs from another")
    verb.add_argument("a", metavar="RECIPE", help="a preset's name, a recipe file, or a record")
    verb.add_argument("b", metavar="RECIPE", help="the other")

    verb = add("methods", methods, "write the paragraph for a paper's methods section")
    verb.add_argument("source", metavar="RECORD|RECIPE", help="a *_record.json, a recipe file, or a preset's name")


def compare_folders(args: argparse.Namespace) -> Answer:
    """Compare results scan by scan, and write the tables and the plot."""
    found = agree(args.a, args.b)
    for line in found.missing:
        say(f"note: left out: {line}")
    summary = found.summary()
    files = _write(args, found, summary) if args.output else {}
    cells = [["", *SHOWN]] + [[row["bone"], *(_cell(row.get(name)) for name in SHOWN)] for row in summary]
    data = {"summary": summary, "pairs": [_plain(row) for row in found.rows()], "missing": list(found.missing)}
    return Answer(data, columns(cells), 0, files)


def _write(args: argparse.Namespace, found: Agreement, summary: list[dict[str, Any]]) -> dict[str, Path]:
    folder = Path(args.output)
    texts = {"pairs.csv": _table(found.rows()), "summary.csv": _table(summary)}
    check_writable(folder, [*texts, "volumes.png"], args.overwrite)
    make_folder(folder)
    files = {name: write_text(folder / name, text, args.overwrite) for name, text in texts.items()}
    try:
        from ..agreementplot import bland_altman_plot

        figure = bland_altman_plot(found, (Path(args.a).name, Path(args.b).name))
    except InputError as error:
        say(f"note: {error}")
    else:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=120)
        path, data = folder / "volumes.png", stream.getvalue()
        files[path.name] = write_atomic(path, lambda part: part.write_bytes(data), None, args.overwrite)
    return files | (_write_maps(args, found, folder) if args.maps else {})


def _write_maps(args: argparse.Namespace, found: Agreement, folder: Path) -> dict[str, Path]:
    """The bones of B, colored by their distance from those of A."""
    from ..agreement import surfaces_of
    from ..meshfile import write_values
    from ..shape.distance import distance_to_mesh

    make_folder(folder / "maps")
    files = {}
    for scan, bone, first, second, placed in surfaces_of(args.a, args.b):
        measured = distance_to_mesh(second, first, place=not placed)
        path = folder / "maps" / f"{safe_name(f'{scan}_{bone}')}.ply"
        files[path.name] = write_values(measured.mesh, path, measured.values, overwrite=args.overwrite)
    return files


def _table(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(row) for row in rows)
    return stream.getvalue()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without NaN, which JSON does not know."""
    return {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in row.items()}


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _recipe(source: str) -> Recipe:
    """A recipe by its name or file, or that of a record."""
    from ..record import load_record

    if source.endswith("_record.json"):
        return Recipe.from_dict(load_record(source)["recipe"], Path(source).name)
    return Recipe.load(source)


def diff(args: argparse.Namespace) -> Answer:
    """Say how two recipes differ."""
    lines = recipe_differences(_recipe(args.a), _recipe(args.b))
    return Answer({"differences": lines}, "\n".join(lines) or "no difference")


def methods(args: argparse.Namespace) -> Answer:
    """Write the paragraph."""
    from ..record import load_record

    source = load_record(args.source) if args.source.endswith("_record.json") else _recipe(args.source)
    text = methods_text(source)
    return Answer({"text": text}, text.rstrip())
