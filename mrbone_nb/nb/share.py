"""An executed notebook as one HTML file that needs no kernel and no network: slices scroll, bones turn."""

from __future__ import annotations

import copy
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_text

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
OWN = ("_esm", "_css", "layout", "comm", "tabbable", "tooltip")  # traits of every widget, not of a view
OUTSIDE = re.compile(  # tags that would fetch something
    r"<(?:script|link)\b[^>]*(?:src|href)\s*=\s*[\"']?(?:https?:)?//[^>]*>(?:\s*</script\s*>)?", re.IGNORECASE
)


def write_html(notebook: Any, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write an executed notebook as a page that works from a file, offline, with nothing else beside it.

    Slices scroll and models turn; a panel of sliders is shown by its picture and its code, since moving
    them would need the kernel.

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
    import nbformat
    from nbconvert import HTMLExporter

    if isinstance(notebook, (str, Path)):
        if not Path(notebook).is_file():
            raise InputError(f"{notebook}: no such notebook")
        notebook = nbformat.read(notebook, as_version=4)
    notebook = copy.deepcopy(notebook)
    states = notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    modules: dict[str, str] = {}
    for number, output in enumerate(_widget_outputs(notebook)):
        _replace(output["data"], states, modules, f"mb-{number}")
    # Formulas are none of ours; the addresses are emptied so that a page never asks for them.
    page, _ = HTMLExporter(mathjax_url="", require_js_url="").from_notebook_node(notebook)
    page = OUTSIDE.sub("", page)
    end = page.rindex("</body>")
    return write_text(path, page[:end] + _scripts(modules) + page[end:], overwrite)


def _widget_outputs(notebook: Any) -> list[Any]:
    """All outputs that show a widget."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [output for cell in cells for output in cell.outputs if VIEW in output.get("data", {})]


def _replace(data: dict[str, Any], states: dict[str, Any], modules: dict[str, str], place: str) -> None:
    """Put HTML of our own in place of a widget: a view that starts by itself, or a picture with its text."""
    model = data.pop(VIEW)["model_id"]
    picture, text = data.pop("image/png", None), data.get("text/plain", "")
    still = f'<img alt="{html.escape(text, quote=True)}" src="data:image/png;base64,{picture}">' if picture else ""
    still = data.pop("text/html", "") or still  # a view that has a table of its own for where no script runs
    saved = states.get(model, {})
    code = saved.get("state", {}).get("_esm")
    if code is None:
        data["text/html"] = f'{still}<pre style="font-family:monospace">{html.escape(text)}</pre>'
        return
    name = "mb-module-" + hashlib.sha256(code.encode()).hexdigest()[:12]
    modules[name] = code
    state = {
        "model": model,
        "module": name,
        "state": {k: v for k, v in saved["state"].items() if k not in OWN and not k.startswith("_")},
        "buffers": {b["path"][0]: b["data"] for b in saved.get("buffers", [])},
    }
    packed = json.dumps(state).replace("<", "\\u003c")
    data["text/html"] = (
        f'<div class="mb-view" data-state="{place}">{still}</div>\n'
        f'<script type="application/json" id="{place}">{packed}</script>'
    )


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
