"""A text to copy: folded away or not, with a button that puts it on the clipboard."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets


class CodeBox(anywidget.AnyWidget):
    """Show a text under a title, with a button that copies it."""

    _esm = Path(__file__).parents[1] / "static" / "code.js"
    title = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    unfolded = traitlets.Bool(True).tag(sync=True)
