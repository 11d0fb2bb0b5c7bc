"""The verbs around notebooks: ``share`` one as a page, and ``app``, a page without code."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from ..privacy import Finding, check_private
from .common import Answer, add_consent, say

LIMIT = 15.0  # MB that most mail programs let through
PICTURES, UNRUN = "pictures", "not-run"  # what may be accepted beside what check-private finds
SHOWN = 5  # findings, or heavy cells, that are named


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("share", share, "write an executed notebook as one page that needs neither kernel nor network")
    verb.add_argument("notebook", metavar="NOTEBOOK", help="an .ipynb that was run and saved")
    verb.add_argument("-o", "--output", required=True, metavar="FILE.html", help="where the page goes")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    verb.add_argument(
        "--scan", action="append", default=[], metavar="SCAN", help="DICOM whose personal tags are looked for too"
    )
    verb.add_argument(
        "--limit",
        type=float,
        default=LIMIT,
        metavar="MB",
        help=f"say what is large above this size (default {LIMIT:g})",
    )
    add_consent(verb)

    verb = add("app", app, "open a page without code in the browser: choose a series, work on it, save")
    verb.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="where the scans are (default: here)")
    verb.add_argument(
        "-o", "--output", default="results", metavar="DIR", help="folder for what is saved (default results)"
    )
    verb.add_argument("--port", type=int, metavar="N", help="port on this machine; by default a free one")
    verb.add_argument("--no-browser", action="store_true", help="only say the address")


def app(args: argparse.Namespace) -> Answer:
    """Serve the page until it is interrupted."""
    from ..nb.app import serve

    url = serve(args.folder, args.output, port=args.port, browser=not args.no_browser, say=say)
    return Answer({"url": url})


def share(args: argparse.Namespace) -> Answer:
    """Check and write a notebook; the code is 1 where the page is larger than was wished."""
    from ..nb.share import page_of, read_notebook, weights

    path = Path(args.output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"-o {path.name}: expected a name that ends in .html")
    notebook = read_notebook(args.notebook)
    accepted = {_name(word) for text in args.accept for word in text.split(",")}
    _check_state(notebook, Path(args.notebook).name, accepted)
    findings = _check_privacy(args.notebook, args.scan, accepted)
    page = page_of(notebook)
    write_text(path, page, args.overwrite)
    size, views = len(page.encode()) / 1e6, page.count('class="mb-view"')
    lines = [f"{size:.1f} MB, {views} views that work by themselves; no kernel and no network needed"]
    heavy = [(bytes_ / 1e6, cell, about) for bytes_, cell, about in weights(notebook)[:SHOWN] if bytes_ > 50_000]
    if size > args.limit:
        lines.append(f"larger than {args.limit:g} MB; the largest parts are:")
        lines += [f"  {mb:6.1f} MB  cell {cell}  {about}".rstrip() for mb, cell, about in heavy]
    data = {
        "megabytes": size,
        "views": views,
        "accepted": sorted({_name(f.kind) for f in findings} | (accepted & {PICTURES, UNRUN})),
        "findings": [asdict(f) for f in findings],
        "cells": [{"cell": cell, "megabytes": mb} for mb, cell, _ in heavy],
    }
    return Answer(data, "\n".join(lines), 1 if size > args.limit else 0, {"page": path})


def _name(kind: str) -> str:
    """The name under which a kind of finding is accepted."""
    return kind.strip().lower().replace(" ", "-")


def _check_state(notebook: Any, name: str, accepted: set[str]) -> None:
    """Refuse a notebook whose page would be empty, and say what to do."""
    from ..nb.share import not_run, unsaved

    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    missing, run = not_run(notebook), f"run all its cells and save it, or `jupyter execute --inplace {name}`"
    if cells and len(missing) == len(cells) and UNRUN not in accepted:
        raise InputError(f"{name}: it was not executed: {run}; --accept {UNRUN} shares it without results")
    if missing:
        say(f"warning: {_cells(missing)} of {name} not run; the page shows the code alone")
    lost = unsaved(notebook)
    if lost and PICTURES not in accepted:
        raise InputError(
            f"{name}: the views of {_cells(lost)} were not saved with it: in JupyterLab switch on Settings, Save "
            f"Widget State Automatically, then {run}; --accept {PICTURES} shows pictures instead"
        )


def _check_privacy(path: str, scans: Sequence[str], accepted: set[str]) -> list[Finding]:
    """Refuse a notebook with something private in it; give what was accepted."""
    found = check_private(path, scans=scans)
    refused = [finding for finding in found if _name(finding.kind) not in accepted]
    if refused:
        named = "; ".join(f"{f.place}: {f.kind}: {f.text}" for f in refused[:SHOWN])
        more = f"; and {len(refused) - SHOWN} more (`mrbone check-private` lists all)" if len(refused) > SHOWN else ""
        kinds = ",".join(sorted({_name(f.kind) for f in refused}))
        raise InputError(f"{Path(path).name}: {named}{more}: take it out, or share it knowingly with --accept {kinds}")
    return found


def _cells(numbers: list[int]) -> str:
    return ("cell " if len(numbers) == 1 else "cells ") + ", ".join(map(str, numbers))
