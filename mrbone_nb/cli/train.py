"""The verb ``train``, and ``segment`` with a model."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from .common import Answer, Parser, add_consent, columns, renamed, say, say_issue


def add_verbs(add: Callable[..., Parser]) -> None:
    """Add the verb of this family."""
    verb = add("train", train, "learn bones from scans with masks: 1 to 10 of one kind")
    verb.add_argument(
        "cases",
        nargs="+",
        metavar="CASES",
        help="a CSV table with the columns id, scan, truth and, if you like, seeds (paths from the table's folder); or "
        "folders, each with image.nii.gz or dicom/, truth.nii.gz and, if you like, strokes in seeds.nii.gz",
    )
    verb.add_argument("-o", "--output", required=True, metavar="MODEL", help="the model, a file that ends in .npz")
    verb.add_argument(
        "--names", action="append", default=[], metavar="1=femur,…", help="names of labels; 'right femur' has a side"
    )
    verb.add_argument("--no-score", action="store_true", help="leave out how scans do by trees that have not seen them")
    verb.add_argument("--no-strokes", action="store_true", help="do not learn how to go together with strokes")
    verb.add_argument("--effort", type=float, default=1.0, metavar="0.1…2", help="less is quicker, finds less (1)")
    verb.add_argument("--seed", type=int, default=0, metavar="N", help="of the random choice of voxels (0)")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    add_consent(verb)


def train(args: argparse.Namespace) -> Answer:
    """Learn from cases and write the model."""
    from .. import learn
    from ..files import check_writable

    path = Path(args.output)
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path.name}: expected the name of a model, which ends in .npz")
    check_writable(path.parent, [path.name], args.overwrite)
    cases, table = learn.read_cases(args.cases, accept=tuple(args.accept))
    for issue in (issue for case in cases for issue in case.scan.issues):
        say_issue(issue)
    table = renamed(table, args.names) if args.names else table
    words = dict(score=not args.no_score, strokes=not args.no_strokes, effort=args.effort, seed=args.seed)
    done = learn.train(cases, table, **words, say=say)
    model = done.model
    files = {"model": model.save(path, overwrite=args.overwrite)}
    titles = {number: label.title for number, label in model.table.items()}
    rows = [["Dice by trees that have not seen the scan:", *titles.values()]] if done.scores else []
    rows += [[name, *(f"{row[n]:.3f}" if n in row else "–" for n in titles)] for name, row in done.scores.items()]
    data = {"scans": len(cases), "labels": titles, "scores": done.scores, "sha256": model.sha256}
    return Answer(data, columns(rows), files=files)
