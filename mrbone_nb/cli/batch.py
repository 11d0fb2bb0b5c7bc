"""The verb on many scans: ``batch``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..errors import InputError
from .common import Answer, add_consent, say


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("batch", batch, "run a recipe over many scans, each in a process of its own; run again to resume")
    verb.add_argument("table", metavar="COHORT.csv", help="id, scan and any of seeds, series, echo, recipe, truth, step.param")
    verb.add_argument("recipe", metavar="RECIPE", help="preset, recipe file, model (.npz), or auto: by each scan's tags")
    verb.add_argument("-o", "--output", metavar="DIR", help="folder of the results")
    verb.add_argument("--dry-run", action="store_true", help="read all scans, say all that is wrong, and run nothing")
    verb.add_argument("--skip-bad", action="store_true", help="run the other scans where rows of the table are wrong")
    verb.add_argument("--workers", type=int, metavar="N", help="scans at a time (as processors and memory allow)")
    verb.add_argument("--memory", type=float, metavar="GB", help="what a scan may take; one that takes more is ended")
    verb.add_argument("--scheduler", metavar="tcp://…", help="a Dask scheduler that runs already")
    verb.add_argument("--formats", default="", metavar="stl,…", help="models to write: stl, ply, obj, glb (none)")
    verb.add_argument("--no-picture", action="store_true", help="no picture of all slices for each scan")
    verb.add_argument("--no-report", action="store_true", help="no page that shows all results")
    add_consent(verb)


def batch(args: argparse.Namespace) -> Answer:
    """Run a cohort, or only look at it."""
    from .. import cohort

    if args.output is None and not args.dry_run:
        raise InputError("-o DIR: say where the results go")
    formats = tuple(f.strip().lower().lstrip(".") for f in args.formats.split(",") if f.strip())
    try:
        result = cohort.batch(
            args.table, args.recipe, args.output, workers=args.workers, memory_gb=args.memory, scheduler=args.scheduler,
            dry_run=args.dry_run, skip_bad=args.skip_bad, formats=formats, picture=not args.no_picture,
            report=not args.no_report, accept=tuple(args.accept),
        )  # fmt: skip
    except cohort.CohortFaults as error:
        for fault in error.look.faults:
            say(f"warning: {fault}")
        raise InputError(_short(error.look, args.table)) from None
    except KeyboardInterrupt:
        say("interrupted: what is finished is kept; run the same command again to go on")
        raise
    if isinstance(result, cohort.Look):
        data = {"ready": [j["id"] for j in result.jobs], "done": [j["id"] for j in result.done], "wrong": result.wrong}
        return Answer(data | {"faults": list(map(str, result.faults))}, str(result), 1 if result.faults else 0)
    done = [a["id"] for a in result.answers if a["status"] == "done"]
    files = {name: path for name in ("cohort.csv", "cohort.json", "report.html") if (path := result.folder / name).exists()}
    facts = {"done": done, "failed": result.failed, "flagged": result.flagged}
    return Answer(facts, str(result), 1 if result.failed else 0, files)


def _short(look: object, table: str) -> str:
    """One line after the list of faults."""
    if any(fault.line == 1 for fault in look.faults):
        return f"{table}: the header is wrong; nothing was started"
    if not look.jobs and not look.done:
        return f"{table}: no scan can be run"
    wrong, rows = look.counts
    return f"{table}: {wrong} of {rows} rows {'is' if wrong == 1 else 'are'} wrong; mend them, or add --skip-bad"
