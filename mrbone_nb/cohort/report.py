"""The report on a cohort: one page that needs neither network nor anything beside it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from ..recipe import load_json
from .part import PART
from .result import columns

STATIC = Path(__file__).parent / "static"
MESH = Path(__file__).parents[1] / "nb" / "static" / "mesh.js"  # read as text, to go into the page
BUDGET = 37e6  # bytes of pictures and models in a page; what is beyond stays out
LEFT_OUT = "Pictures and models of this scan are left out, to keep the page small; its folder has them."
SAID = ("id", "status", "error", "label", "name", "side", "flags", "notes", "recipe", "tries")  # not figures
WHOLE = ("seconds", "peak_mb")  # figures of a scan, not of a bone
TITLES = {  # title, unit, factor, digits
    "volume_mm3": ("Volume", "cm³", 1e-3, 2),
    "area_mm2": ("Area", "cm²", 1e-2, 1),
    "dice": ("Dice", "0 to 1", 1, 3),
    "assd_mm": ("ASSD", "mm", 1, 2),
    "hd95_mm": ("HD95", "mm", 1, 2),
    "seconds": ("Time", "s", 1, 1),
    "peak_mb": ("Memory", "MB", 1, 0),
}
UNITS = {"mm3": "mm³", "mm2": "mm²", "mm": "mm", "percent": "%", "deg": "°", "s": "s"}


def write_report(folder: Path | str) -> Path:
    """Write ``report.html`` into a folder of results, from what lies there.

    Parameters
    ----------
    folder
        Where `batch` wrote ``cohort.csv``, ``cohort.json`` and a folder for each scan.

    Returns
    -------
    Path
        The page: a table to sort and filter, with pictures and turning models of each scan.

    Raises
    ------
    InputError
        There is no cohort.
    """
    folder = Path(folder)
    record = load_cohort(folder)
    with (folder / "cohort.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    scans = _scans(rows, record)
    texts = _add_parts(scans, folder)
    data = {
        "table": record["table"],
        "recipe": _recipe_name(record["recipe"]),
        "time": record["time"],
        "made": _made(record),
        "columns": [_column(name) for name in columns(rows) if name not in SAID and any(row.get(name) for row in rows)],
        "scans": scans,
        "left_out": LEFT_OUT,
    }
    page = (STATIC / "report.html").read_text(encoding="utf-8")
    parts = "".join(f'<script type="application/json" id="part-{k}">{_inert(text)}</script>\n' for k, text in texts.items())
    for mark, text in (
        ("/*STYLE*/", (STATIC / "report.css").read_text(encoding="utf-8")),
        ("/*SCRIPT*/", (STATIC / "report.js").read_text(encoding="utf-8")),
        ("/*MESH*/", MESH.read_text(encoding="utf-8")),
        ("<!--PARTS-->", parts),
        ("/*DATA*/", _inert(json.dumps(data, ensure_ascii=False, allow_nan=False))),
    ):
        before, _, after = page.partition(mark)
        page = before + text + after
    return write_text(folder / "report.html", page, overwrite=True)


def load_cohort(folder: Path) -> dict[str, Any]:
    """Read the record of a cohort."""
    path = folder / "cohort.json"
    if not path.is_file() or not (folder / "cohort.csv").is_file():
        raise InputError(f"{folder}: no cohort.json and cohort.csv there; run a batch first")
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("kind") != "mrbone_nb cohort":
        raise InputError(f"{path}: not the record of a cohort")
    return record


def _scans(rows: list[dict[str, str]], record: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry a scan, with a row for each bone; figures as numbers."""
    scans: dict[str, dict[str, Any]] = {}
    for row in rows:
        facts = record["scans"].get(row["id"], {})
        shared = {name: row[name] for name in ("id", "status", "error", "recipe", "tries", "flags", "notes")}
        shared |= {name: _number(row[name]) for name in WHOLE}
        shared |= {"key": facts.get("key"), "recipe_sha256": facts.get("recipe_sha256"), "resumed": facts.get("resumed")}
        scan = scans.setdefault(row["id"], {**shared, "rows": []})
        if row["label"]:
            figures = {name: _number(value) for name, value in row.items() if name not in (*SAID, *WHOLE)}
            scan["rows"].append({"label": row["label"], "name": row["name"], "side": row["side"], **figures})
    return list(scans.values())


def _add_parts(scans: list[dict[str, Any]], folder: Path) -> dict[int, str]:
    """Give each scan its thumbnail and colors; gives the texts of pictures and models, as long as there is room."""
    texts, used = {}, 0
    for k in sorted(range(len(scans)), key=lambda k: (not scans[k]["flags"], k)):
        scan = scans[k]
        try:
            part = load_json(folder / scan["id"] / PART) if scan["status"] == "done" else None
        except InputError:
            part = None
        if part is None:
            continue
        scan["thumb"] = part.pop("thumb")
        for row in scan["rows"]:
            row["color"] = part["colors"].get(row["label"])
        text = json.dumps(part)
        used += len(text)
        if used <= BUDGET:
            texts[k] = text
    return texts


def _number(text: str) -> float | str | None:
    """A figure of the table: a number where it is one."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return text or None
    return value if math.isfinite(value) else None


def _column(name: str) -> dict[str, Any]:
    """How a column is titled, in which unit, and with how many digits."""
    stem, _, suffix = name.rpartition("_")
    plain = (stem or name).replace("_", " ").capitalize() if suffix in UNITS else name.replace("_", " ").capitalize()
    title, unit, scale, digits = TITLES.get(name, (plain, UNITS.get(suffix, "") if stem else "", 1, 3))
    full = f"{title} ({unit})" if unit else title
    return {"key": name, "title": full, "scale": scale, "digits": digits, "whole": name in WHOLE}


def _made(record: dict[str, Any]) -> list[list[str]]:
    """How the cohort was made, as pairs of what and how."""
    recipe = record["recipe"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        ["table", f"{record['table']['name']}, SHA-256 {record['table']['sha256']}"],
        ["recipe", _recipe_name(recipe)],
        ["steps", _steps(recipe)],
        ["run", f"{record['time']}, {record['seconds']} s, {record['threads']} thread a scan, {record['machine']}"],
        ["versions", versions],
        ["each scan", "its folder holds the label map, the record with all values and hashes, and done.json"],
    ]


def _recipe_name(recipe: Any) -> str:
    return str(recipe.get("name", "recipe")) if isinstance(recipe, dict) else str(recipe)


def _steps(recipe: Any) -> str:
    if not isinstance(recipe, dict):
        return ""
    return "; ".join(
        f"{call['step']}({', '.join(f'{k}={v}' for k, v in call['params'].items())})" for call in recipe.get("calls", [])
    )


def _inert(text: str) -> str:
    """JSON that nothing in it can end the element it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
