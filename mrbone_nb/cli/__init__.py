"""The command line: ``mrbone VERB …``, the same as ``python -m mrbone_nb VERB …``."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from ..errors import InputError
from . import agreement, batch, doubt, fit, fuse, labels, masks, notebook, scans, steps, train, trust
from .common import Answer, Parser, emit, one_line, say

FAMILIES = (scans, steps, masks, labels, train, fit, fuse, batch, doubt, agreement, trust, notebook)
BAD_INPUT, INTERNAL, INTERRUPTED = 2, 3, 130
EPILOG = """exit codes: 0 done; 1 done, but not as hoped (a replay or a file differs, a model failed, something
private found); 2 something given is wrong, said in one line; 3 a fault of the program; 130 interrupted"""


def parser() -> Parser:
    """Build the parser with all verbs."""
    top = Parser(
        prog="mrbone", description="Segment bone in MR scans. Research only: not a medical device.", epilog=EPILOG
    )
    top.add_argument("--version", action="version", version=f"mrbone_nb {__version__}")
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = top.add_subparsers(metavar="VERB", required=True, dest="verb")

    def add(name: str, run: object, about: str) -> Parser:
        verb = verbs.add_parser(name, parents=[common], help=about, description=about[0].upper() + about[1:] + ".")
        verb.set_defaults(run=run)
        return verb

    for family in FAMILIES:
        family.add_verbs(add)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit code.

    Parameters
    ----------
    argv
        The words after ``mrbone``; by default those of the process.

    Returns
    -------
    int
        0 done, 1 not as hoped, 2 bad input, 3 internal fault, 130 interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console that lacks a sign shows its code instead of failing
            stream.reconfigure(errors="backslashreplace")
    try:
        args = parser().parse_args(argv)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *place, **more: say(f"warning: {message}")
            answer: Answer = args.run(args)
        emit(answer, args.json)
        sys.stdout.flush()
        return answer.code
    except SystemExit as ending:  # --help and --version
        return int(ending.code or 0)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in argv:
            import traceback

            traceback.print_exc()
        code, text = explain(error)
        verb = next((word for word in argv[:1] if not word.startswith("-")), "")
        print(one_line(f"mrbone {verb}".strip() + f": {text}"), file=sys.stderr)
        return code


def explain(error: BaseException) -> tuple[int, str]:
    """Give the exit code and the one line for an error."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted; files that were there before are as they were"
    if isinstance(error, InputError):
        return BAD_INPUT, as_options(str(error))
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename is not None else ""
        return BAD_INPUT, f"{what}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return BAD_INPUT, "the memory does not suffice; crop the scan (--crop) or resample it to a coarser spacing"
    return INTERNAL, f"a fault of the program, please report it: {type(error).__name__}: {error} (--debug shows where)"


def as_options(text: str) -> str:
    """Turn the words of a Python call in a message into those of the command line."""
    text = text.replace("allow it to be overwritten", "allow it with --overwrite").replace("leave out echo=", "leave out --echo")
    return re.sub(r"\b(series|echo|accept|only)=(?=[\w'])", r"--\1 ", text)
