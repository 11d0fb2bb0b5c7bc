"""What somebody did with buttons and sliders, told as a notebook that does the same."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..bones import LabelTable
from ..export import write_labels
from ..files import check_writable, make_folder, write_text
from ..recipe import Recipe, on_grid
from ..volume import Volume


def notebook_of(
    recipe: Recipe,
    path: Path | str,
    volume: Volume,
    *,
    scan: Path | str,
    words: Mapping[str, Any] | None = None,
    seeds: Volume | np.ndarray | None = None,
    labels: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    output: str = "results",
    overwrite: bool = False,
) -> Path:
    """Write a notebook that reads the scan and the strokes, runs the recipe, shows the bones and saves them.

    Run as it is, from where it lies, it gives the same label map, bit for bit. Strokes, and labels to start from,
    are written beside it.

    Parameters
    ----------
    recipe
        The calls with the values that were set.
    path
        Where the notebook goes, an ``.ipynb``.
    volume
        The scan, as it was read.
    scan
        Where it was read from; in the notebook stands the way there from the notebook's folder.
    words
        What else was said to `read`: ``series``, ``echo``, ``accept``.
    seeds, labels
        Strokes, and a label map to start from, on the scan's grid.
    table
        Names and colors of the labels.
    output
        Folder for the results, seen from the notebook.
    overwrite
        Whether files that are there may be replaced.

    Returns
    -------
    Path
        The path.
    """
    import nbformat

    path, table = Path(path), table or LabelTable()
    maps = {"seeds": seeds, "labels": labels}
    maps = {name: volume.with_array(on_grid(name, m, volume)) for name, m in maps.items() if m is not None}
    files = {name: path.with_name(f"{path.stem}_{name}.nii.gz") for name in maps}
    check_writable(path.parent, [path.name, *(file.name for file in files.values())], overwrite)
    make_folder(path.parent)
    for name, file in files.items():
        write_labels(maps[name], file, table, overwrite=overwrite)
    names = {name: file.name for name, file in files.items()}
    cells = _cells(recipe, _way(scan, path.parent), dict(words or {}), names, output)
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=spec)
    return write_text(path, nbformat.writes(notebook) + "\n", overwrite)


def words_of(call: str) -> dict[str, Any]:
    """Give the named arguments of a Python call, such as the series in that of a picker."""
    return {word.arg: ast.literal_eval(word.value) for word in ast.parse(call, mode="eval").body.keywords}


def _way(scan: Path | str, folder: Path) -> str:
    """The way from a folder to a scan; all of it where they lie on different drives."""
    try:
        return Path(os.path.relpath(scan, folder)).as_posix()
    except ValueError:
        return Path(scan).resolve().as_posix()


def _cells(recipe: Recipe, scan: str, words: dict[str, Any], files: dict[str, str], output: str) -> list[Any]:
    """The cells, a step each."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    given = {"scan": scan, **words, **files, "output": output}
    parameters = new_code_cell("\n".join(f"{name} = {value!r}" for name, value in given.items()))
    parameters.metadata["tags"] = ["parameters"]
    about = (
        "# What was done\n\nMade from what was set by hand. Run from top to bottom, from the folder where it lies, it "
        "gives the same label map. For research only: not a medical device."
    )
    cells = [new_markdown_cell(about), new_code_cell("import mrbone_nb as mb"), parameters]
    for title, code in _told(recipe, words, files):
        cells += [new_markdown_cell(f"## {title}"), new_code_cell(code)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same notebook twice is the same file
    return cells


def _told(recipe: Recipe, words: dict[str, Any], files: dict[str, str]) -> list[tuple[str, str]]:
    """Title and code of each part."""
    read = ", ".join(["scan", *(f"{name}={name}" for name in words)])
    parts = [("Scan", f"volume = mb.read({read})\nmb.look(volume)")]
    names = "names" if files else "None"
    for name in files:
        shown = f"{name}={name}_map" if name == "seeds" else f"{name}_map"
        code = f"{name}_map, names = mb.read_labels({name}, like=volume)\nmb.look(volume, {shown}, table=names)"
        parts.append(({"seeds": "Strokes", "labels": "Labels to start from"}[name], code))
    given = "".join(f", {name}={name}_map" for name in files)
    return [
        *parts,
        ("Recipe", code_of(recipe)),
        ("Result", f"result = recipe.run(volume{given})\nmb.look(volume, result.labels, table={names})"),
        ("Files", f"files = mb.save(result, output, table={names}, overwrite=True)\nprint(*files.values(), sep='\\n')"),
        ("Models", f"mb.view3d(result.labels, table={names}, settings=recipe.surface)"),
    ]


def code_of(recipe: Recipe) -> str:
    """Give the Python that makes a recipe, with every value."""
    calls = "".join(f"        mb.Call({call.step!r}, {dict(call.params)!r}),\n" for call in recipe.calls)
    rest = f"    surface={dict(recipe.surface)!r},\n    measures={recipe.measures!r},\n    name={recipe.name!r},\n"
    return f"recipe = mb.Recipe(\n    calls=(\n{calls}    ),\n{rest})"
