"""The verb on many scans: ``batch``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..errors import InputError
from ..progress import progress
from .common import Answer, add_consent, say


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("batch", batch, "run a recipe over many scans, each in a process of its own; run again to resume")
    verb.add_argument("table", metavar="COHORT.csv", help="id, scan and any of seeds, series, echo, recipe, truth, step.param")
    verb.add_argument("recipe", metavar="RECIPE", help="a preset's name, a recipe file, or auto: by each scan's tags")
    verb.add_argument("-o", "--output", metavar="DIR", help="folder of the results")
    verb.add_argument("--dry-run", action="store_true", help="only look at the table, and say what is wrong")
    verb.add_argument("--skip-bad", action="store_true", help="run the other scans where the table has bad rows")
    verb.add_argument("--workers", type=int, metavar="N", help="scans at a time (as processors and memory allow)")
    verb.add_argument("--memory", type=float, metavar="GB", help="what a scan may need, to choose how many go at a time (2)")
    verb.add_argument("--scheduler", metavar="tcp://…", help="a Dask scheduler that runs already")
    verb.add_argument("--formats", default="", metavar="stl,…", help="models to write: stl, ply, obj, glb (none)")
    verb.add_argument("--no-picture", action="store_true", help="no picture of all slices for each scan")
    add_consent(verb)


def batch(args: argparse.Namespace) -> Answer:
    """Run a cohort, or look at its table alone."""
    from .. import cohort

    found = cohort.read_cohort(args.table, args.recipe)
    data = {"ready": [row.id for row in found.rows], "wrong": found.wrong}
    if args.dry_run:
        return Answer(data, str(found), 1 if found.wrong else 0)
    if args.output is None:
        raise InputError("-o DIR: say where the results go")
    if found.wrong and not args.skip_bad:
        lines = "; ".join(f"{name}: {why}" for name, why in found.wrong.items())
        raise InputError(f"{len(found.wrong)} rows are wrong ({lines}); mend them, or run the others with --skip-bad")
    if args.workers is not None and args.workers < 1:
        raise InputError(f"--workers {args.workers}: expected 1 or more")
    formats = tuple(f.strip().lower().lstrip(".") for f in args.formats.split(",") if f.strip())
    try:
        result = cohort.batch(
            args.table, args.recipe, args.output, workers=args.workers, memory_gb=args.memory, scheduler=args.scheduler,
            formats=formats, picture=not args.no_picture, accept=tuple(args.accept), progress=progress,
        )  # fmt: skip
    except KeyboardInterrupt:
        say("interrupted: what is finished is kept; run the same command again to go on")
        raise
    facts = {"done": [a["id"] for a in result.answers if a["status"] == "done"], "failed": result.failed}
    files = {name: result.folder / name for name in ("cohort.csv", "cohort.json")}
    return Answer(facts, str(result), 1 if result.failed else 0, files)
