"""The verbs that check: ``verify`` a result against its record, ``check-private`` before sharing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

from .common import Answer, add_choice, columns, read_recorded


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("verify", verify, "tell whether scan, recipe, strokes, label map and files are those of a record")
    verb.add_argument("record", metavar="RECORD", help="the *_record.json beside a result")
    verb.add_argument(
        "--scan", metavar="SCAN", help="the scan; without it, it and the label maps' places are not checked"
    )
    add_choice(verb)

    verb = add("check-private", check_private, "look for personal data and machine paths in what is to be shared")
    verb.add_argument("path", metavar="NOTEBOOK|FOLDER", help="a file, or a folder with all that is in it")
    verb.add_argument(
        "--scan", action="append", default=[], metavar="SCAN", help="DICOM whose personal tags are looked for too"
    )


def verify(args: argparse.Namespace) -> Answer:
    """Recompute the hashes of all that a record names; the code is 1 where one differs or is missing."""
    from ..record import load_record
    from ..verify import verify as verify_record

    record = load_record(args.record)
    checks = verify_record(args.record, read_recorded(args, record) if args.scan else None)
    same = all(check.state == "same" for check in checks)
    text = columns([[check.state, check.what, check.detail] for check in checks], indent="")
    verdict = "all as recorded" if same else "not all as recorded"
    return Answer({"same": same, "checks": [asdict(c) for c in checks]}, f"{text}\n{verdict}", 0 if same else 1)


def check_private(args: argparse.Namespace) -> Answer:
    """Name what should not be shared; the code is 1 where something was found."""
    from ..privacy import check_private as findings_in

    found = findings_in(args.path, scans=args.scan)
    text = "\n".join(map(str, found)) or "nothing found (a help, not a proof)"
    return Answer({"findings": [asdict(finding) for finding in found]}, text, 1 if found else 0)
