"""Saved widgets as HTML: views of anywidgets that start by themselves, boxes around them, everything else as text."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

OWN = ("_esm", "_css", "layout", "comm", "tabbable", "tooltip")  # traits of every widget, not of a view
LINK = "IPY_MODEL_"
STAND_IN = "mb-stand-in"  # the class of a view that is hidden only while another, which needs a kernel, is shown
ROWS = ("HBoxModel",)
SECRET = ("PasswordModel", "FileUploadModel")
EMPTY: Mapping[str, Any] = {"Int": 0, "Float": 0.0, "Bounded": 0, "Checkbox": False, "ToggleButtonModel": False}


class Tree:
    """Turn the saved state of a notebook's widgets into HTML, each model once."""

    def __init__(self, states: Mapping[str, Any]) -> None:
        self._states = states
        self._places: dict[str, str] = {}
        self.modules: dict[str, str] = {}  # front ends, by the name under which the page holds them
        self._written: set[str] = set()
        self.views = 0

    def __contains__(self, model: str) -> bool:
        return model in self._states

    def has_views(self, model: str) -> bool:
        """Tell whether an anywidget is shown in it."""
        return any("_esm" in self._state(m) for m in self._shown(model))

    def html(self, model: str, above: tuple[str, ...] = ()) -> str:
        """Give a widget, with all that is shown in it; ``above`` are the boxes around it."""
        kind, state = self._kind(model), self._state(model)
        if "_esm" in state:
            return self._view(model)
        if "children" in state:
            return self._box(model, kind, state, (*above, model))
        if kind in ("HTMLModel", "HTMLMathModel"):
            return f"<div>{state.get('value', '')}</div>"
        if kind == "LabelModel":
            return f"<div>{html.escape(str(state.get('value', '')))}</div>"
        if kind == "ImageModel":
            return self._image(model, state)
        if kind == "OutputModel":
            return "".join(map(_output, state.get("outputs", [])))
        return _row(kind, state)

    # --- what there is -------------------------------------------------------------------------------

    def _kind(self, model: str) -> str:
        saved = self._states.get(model, {})
        return str(saved.get("model_name") or saved.get("state", {}).get("_model_name", ""))

    def _state(self, model: str) -> Mapping[str, Any]:
        return self._states.get(model, {}).get("state", {})

    def _buffers(self, model: str) -> dict[str, str]:
        return {b["path"][0]: b["data"] for b in self._states[model].get("buffers", [])}

    def _children(self, model: str) -> list[str]:
        """The models in a box that are shown; of a stack, the chosen one."""
        state = self._state(model)
        found = [str(child).removeprefix(LINK) for child in state.get("children", [])]
        if self._kind(model) == "StackModel":
            chosen = state.get("selected_index")
            found = found[chosen : chosen + 1] if isinstance(chosen, int) else []
        return [child for child in found if child in self._states and not self._hidden(child)]

    def _hidden(self, model: str) -> bool:
        state = self._state(model)
        layout = self._state(str(state.get("layout", "")).removeprefix(LINK))
        return layout.get("display") == "none" and STAND_IN not in state.get("_dom_classes", [])

    def _shown(self, model: str, above: tuple[str, ...] = ()) -> Iterator[str]:
        yield model
        for child in self._children(model):
            if child not in above:
                yield from self._shown(child, (*above, model))

    # --- what is written -----------------------------------------------------------------------------

    def _view(self, model: str) -> str:
        """A view that starts by itself; its state is written where it is shown first."""
        self.views += 1
        place, first = self._places.get(model, ""), ""
        if not place:
            place = self._places[model] = f"mb-{len(self._places)}"
            state = self._state(model)
            code, style = state["_esm"], state.get("_css") or ""
            name = "mb-module-" + hashlib.sha256(code.encode()).hexdigest()[:12]
            self.modules[name] = code
            buffers, blocks = self._blocks(model)
            kept = {
                "model": model,
                "module": name,
                "state": {k: v for k, v in state.items() if k not in OWN and not k.startswith("_")},
                "buffers": buffers,
                "style": style,
            }
            packed = json.dumps(kept).replace("<", "\\u003c")
            first = f'{blocks}\n<script type="application/json" id="{place}">{packed}</script>'
        return f'<div class="mb-view" data-state="{place}"></div>{first}'

    def _blocks(self, model: str) -> tuple[dict[str, str], str]:
        """Names of a view's binary data, and those that are not in the page yet: several views may show one scan."""
        names, blocks = {}, ""
        for trait, data in self._buffers(model).items():
            name = names[trait] = "mb-data-" + hashlib.sha256(data.encode()).hexdigest()[:24]
            if name not in self._written:
                self._written.add(name)
                blocks += f'\n<script type="text/plain" id="{name}">{html.escape(data)}</script>'
        return names, blocks

    def _box(self, model: str, kind: str, state: Mapping[str, Any], above: tuple[str, ...]) -> str:
        """A box as rows or columns; the pages of tabs and accordions below each other, with their titles."""
        titles = state.get("titles") or []
        parts = []
        for number, child in enumerate(self._children(model)):
            if child in above:  # a damaged state may run in a circle
                continue
            inner = self.html(child, above)
            title = titles[number] if kind in ("TabModel", "AccordionModel") and number < len(titles) else ""
            parts.append((f"<h4>{html.escape(str(title))}</h4>" if title else "") + inner)
        across = "row;flex-wrap:wrap" if kind in ROWS else "column"
        return f'<div style="display:flex;gap:4px 12px;flex-direction:{across}">{"".join(parts)}</div>'

    def _image(self, model: str, state: Mapping[str, Any]) -> str:
        data = self._buffers(model).get("value")
        if not data:
            return ""
        kind = html.escape(str(state.get("format") or "png"), quote=True)
        return f'<img alt="" style="max-width:100%" src="data:image/{kind};base64,{data}">'


def _row(kind: str, state: Mapping[str, Any]) -> str:
    """What a control was set to, as text; buttons and what says nothing fall away."""
    if kind in SECRET or kind == "ButtonModel" or kind.startswith(("Layout", "Link", "DirectionalLink")):
        return ""
    value = state.get("value", next((v for start, v in EMPTY.items() if kind.startswith(start)), None))
    choices, index = state.get("_options_labels"), state.get("index")
    if choices:
        picked = index if isinstance(index, (list, tuple)) else [index]
        value = [choices[k] for k in picked if isinstance(k, int) and 0 <= k < len(choices)]
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    if value is None or isinstance(value, Mapping):
        return ""
    value = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    name = str(state.get("description") or "").rstrip(":")
    return f'<div class="mb-row">{html.escape(f"{name}: {value}" if name else str(value))}</div>'


def _output(output: Mapping[str, Any]) -> str:
    """What a cell within a widget gave: a picture or text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="" style="max-width:100%" src="data:image/png;base64,{data["image/png"]}">'
    text = output.get("text") or (data.get("text/plain", "") if "text/html" not in data else "")
    text = "".join(text) if isinstance(text, list) else str(text)
    return f"<pre>{html.escape(text)}</pre>" if text.strip() else ""
