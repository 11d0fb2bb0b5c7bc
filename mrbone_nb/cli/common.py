"""What all verbs share: arguments, reading what the user names, and saying things in one line."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..bones import Label, LabelTable, split_side
from ..errors import InputError
from ..step import EVERYTHING_ELSE
from ..volume import Volume


KEY = 8  # characters of a series' hash that name it in an inventory


class Parser(argparse.ArgumentParser):
    """A parser whose faults are one line, like every other fault."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **words)

    def error(self, message: str) -> None:
        """Raise the fault instead of printing a page of usage."""
        raise InputError(f"{message} (`{self.prog} --help` tells more)")


@dataclass(frozen=True)
class Answer:
    """Hold what a verb found: plain data for ``--json``, text for people, and the exit code."""

    data: Any
    text: str = ""
    code: int = 0
    files: Mapping[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"{name}: {path}" for name, path in self.files.items())]).strip("\n")


def emit(answer: Answer, as_json: bool) -> None:
    """Print an answer on the standard output."""
    if not as_json:
        print("\n".join(printable(line) for line in str(answer).split("\n")))
        return
    data = answer.data
    if answer.files:
        data = {**data, "files": {name: str(path) for name, path in answer.files.items()}}
    print(json.dumps(plain(data), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows; numbers that are not finite become null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def printable(text: str) -> str:
    """Text from files must not steer the terminal: control characters become question marks."""
    return "".join(c if c.isprintable() else "?" for c in text)


def one_line(text: object) -> str:
    """A message in one line, whatever is quoted in it."""
    return printable(" ".join(str(text).split()))


def say(text: object) -> None:
    """Tell something that is not the answer itself, on the error stream."""
    print(one_line(text), file=sys.stderr)


def add_scan(parser: argparse.ArgumentParser, name: str = "scan") -> None:
    """Add the scan and the choice of a series in it; a ``name`` with dashes makes it an option."""
    parser.add_argument(name, metavar=name.strip("-").upper(), help="folder of DICOM files, archive, or an image file")
    add_choice(parser)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a series, and the consent to its doubts."""
    parser.add_argument(
        "--series", metavar="ID", help="series by its UID, key or number, as `mrbone inventory` lists them"
    )
    parser.add_argument("--echo", type=int, metavar="N", help="echo by its DICOM number")
    add_consent(parser)


def add_consent(parser: argparse.ArgumentParser) -> None:
    """Add the consent to named doubts."""
    parser.add_argument(
        "--accept", action="append", default=[], metavar="NAME", help="accept a named doubt, such as gap"
    )


def read_scan(args: argparse.Namespace, path: str | None = None) -> Volume:
    """Read the scan that the arguments name, and say what is doubtful about it."""
    from .. import intake

    scan = intake.read(path or args.scan, series=args.series, echo=args.echo, accept=tuple(args.accept))
    if not isinstance(scan, Volume):
        raise InputError(f"{path or args.scan}: its slices make no stack; this verb needs a volume")
    for issue in scan.issues:
        say_issue(issue)
    return scan


def read_recorded(args: argparse.Namespace, record: Mapping[str, Any]) -> Volume:
    """Read the scan of a record: the recorded series, echo and consents, where the arguments name no others."""
    wanted = record["inputs"]["scan"]
    args.accept = args.accept or [str(name) for name in record.get("accepted", [])]
    if args.series is None and args.echo is None and wanted.get("series"):
        chosen = argparse.Namespace(**{**vars(args), "series": str(wanted["series"])[:KEY], "echo": wanted.get("echo")})
        try:
            return read_scan(chosen)
        except InputError:
            pass  # the scan was converted or re-sent: take it as it is, its voxels are compared later
    return read_scan(args)


def read_map(args: argparse.Namespace, path: str | Path, like: Volume | None = None) -> tuple[Volume, LabelTable]:
    """Read a label map or strokes; on its own (not on a scan's grid) its doubts are said, or refused until accepted."""
    from ..export import read_labels
    from ..files import refuse_blocked

    labels, table = read_labels(path, like=like, accept=tuple(args.accept))
    if like is None:
        for issue in labels.issues:
            say_issue(issue)
        refuse_blocked(labels)
    return labels, table


def say_issue(issue: str) -> None:
    """Tell what is doubtful about a file; notes only inform."""
    say(issue if str(issue).startswith("note") else f"warning: {issue}")


def parse_pairs(texts: list[str], option: str, example: str, sign: str = "=") -> list[tuple[str, str]]:
    """Part "1=femur,2=tibia" (or several such texts) into pairs."""
    pairs = []
    for item in (i for text in texts for i in text.split(",")):
        left, found, right = item.partition(sign)
        if not (found and left.strip() and right.strip()):
            raise InputError(f"{option} {item!r}: expected {example}")
        pairs.append((left.strip(), right.strip()))
    return pairs


def number_of(text: str, table: LabelTable, where: str) -> int:
    """Give the number of a label that is named by number, name or side and name."""
    if re.fullmatch(r"[0-9]{1,3}", text):
        return int(text)
    wanted = text.strip().lower()
    found = [n for n, label in table.items() if wanted in (label.title.lower(), label.name.lower())]
    if len(found) != 1:
        known = ", ".join(f"{n} {label.title}" for n, label in table.items()) or "no names"
        raise InputError(f"{where}: {text!r} names {len(found)} labels; there are {known}")
    return found[0]


def renamed(table: LabelTable, texts: list[str], option: str = "--names") -> LabelTable:
    """Give other names to labels, from "1=femur" or "1=right femur"; colors stay."""
    labels = dict(table)
    for key, title in parse_pairs(texts, option, "NUMBER=NAME, such as 1=femur"):
        number = number_of(key, table, option)
        name, side = split_side(title)
        old = table.filled([number])[number]
        labels[number] = Label(name, side or old.side, old.color)
    return LabelTable(labels)


def numbers_in(labels: Volume) -> list[int]:
    """The labels of a map; strokes of everything else are none."""
    return [int(n) for n in np.unique(labels.array) if 0 < n < EVERYTHING_ELSE]


def check_numbers(numbers: list[int], there: list[int], where: str) -> None:
    """Make sure that labels exist in a map."""
    for number in numbers:
        if number not in there:
            raise InputError(f"{where}: no voxel has label {number}; there are {', '.join(map(str, there)) or 'none'}")


def columns(rows: list[list[Any]], indent: str = "  ") -> str:
    """Lay out rows in columns of equal width."""
    if not rows:
        return ""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    return "\n".join(indent + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
