"""An executed notebook as one HTML file that needs no kernel and no network: slices scroll, bones turn."""

from __future__ import annotations

import copy
import html
import json
import re
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text
from .widgettree import Tree

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
OUTSIDE = re.compile(  # tags that would fetch something
    r"<(?:script|link)\b[^>]*(?:src|href)\s*=\s*[\"']?(?:https?:)?//[^>]*>(?:\s*</script\s*>)?", re.IGNORECASE
)


def write_html(notebook: Any, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write an executed notebook as a page that works from a file, offline, with nothing else beside it.

    Slices scroll and models turn, also within boxes, with the values of the controls beside them as text. A panel
    of sliders alone is shown by its picture and its code, since moving them would need the kernel.

    Parameters
    ----------
    notebook
        As read by nbformat and executed, or the path of such a file.
    path
        Where the page goes.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The path.
    """
    return write_text(path, page_of(read_notebook(notebook)), overwrite)


def read_notebook(notebook: Any) -> Any:
    """Read a notebook from its path; one that is read already is taken as it is."""
    import nbformat

    if not isinstance(notebook, (str, Path)):
        return notebook
    if not Path(notebook).is_file():
        raise InputError(f"{notebook}: no such notebook")
    try:
        return nbformat.read(notebook, as_version=4)
    except Exception as error:  # nbformat raises many kinds on files that are none
        raise InputError(f"{notebook}: not a readable notebook ({type(error).__name__})") from None


def page_of(notebook: Any) -> str:
    """Give an executed notebook as the text of a page; the notebook stays as it is."""
    from nbconvert import HTMLExporter

    notebook = copy.deepcopy(notebook)
    tree = Tree(notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {}))
    for _, output in widget_outputs(notebook):
        _replace(output["data"], tree)
    # Formulas are none of ours; the addresses are emptied so that a page never asks for them.
    page, _ = HTMLExporter(mathjax_url="", require_js_url="").from_notebook_node(notebook)
    page = OUTSIDE.sub("", page)
    end = page.rindex("</body>")
    return page[:end] + _scripts(tree.modules) + page[end:]


def widget_outputs(notebook: Any) -> list[tuple[int, Any]]:
    """Give all outputs that show a widget, each with the number of its cell, from 1."""
    cells = ((number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code")
    return [(number, output) for number, cell in cells for output in cell.outputs if VIEW in output.get("data", {})]


def unsaved(notebook: Any) -> list[int]:
    """Give the numbers of the cells that show a widget whose state the notebook does not hold."""
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    return sorted({n for n, output in widget_outputs(notebook) if output["data"][VIEW].get("model_id") not in states})


def not_run(notebook: Any) -> list[int]:
    """Give the numbers of the cells with code that were not run."""
    cells = ((number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code")
    return [n for n, cell in cells if cell.source.strip() and cell.execution_count is None and not cell.outputs]


def weights(notebook: Any) -> list[tuple[int, int, str]]:
    """Give bytes, number and a few words of each cell, the heaviest first: what makes a page large."""
    tree = Tree(notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}))
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        size, about = 0, ""
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            size += len(json.dumps(output))
            if VIEW in data:
                about = str(data.get("text/plain", "")).split("\n")[0][:60]
                size += len(tree.html(data[VIEW]["model_id"]))
        found.append((size, number, about))
    return sorted(found, key=lambda each: (-each[0], each[1]))


def _replace(data: dict[str, Any], tree: Tree) -> None:
    """Put HTML of our own in place of a widget: views that start by themselves, or a picture with its text."""
    model = data.pop(VIEW)["model_id"]
    picture, text = data.pop("image/png", None), data.get("text/plain", "")
    still = f'<img alt="{html.escape(text, quote=True)}" src="data:image/png;base64,{picture}">' if picture else ""
    still = data.pop("text/html", "") or still  # a view that has a table of its own for where no script runs
    still = f'<div class="mb-still">{still}</div>' if still else ""
    if model in tree and (tree.has_views(model) or not still):
        data["text/html"] = f'<div class="mb-box">{still}{tree.html(model)}</div>'
    else:
        data["text/html"] = f'{still}<pre style="font-family:monospace">{html.escape(text)}</pre>'


def _scripts(modules: dict[str, str]) -> str:
    """The front ends, and what starts them."""
    if not modules:
        return ""
    start = (Path(__file__).parent / "static" / "page.js").read_text(encoding="utf-8")
    for code in (*modules.values(), start):
        if "</script" in code.lower():
            raise InputError("a front end holds a closing script tag and cannot be put into a page")
    kept = [f'<script type="text/plain" id="{name}">{code}</script>' for name, code in modules.items()]
    return "\n".join([*kept, f'<script type="module">{start}</script>', ""])
