"""The reference of all steps, as data, as text and as Markdown; read from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import replace
from typing import Any

from ..step import STEPS, Param, Step, find_step

# What a reader looks for, in the order of a recipe: title, what it gives, which steps belong there.
GROUPS = (
    ("Filters", "image → image", lambda s: s.output == "image"),
    ("Masks", "image → mask", lambda s: s.output == "mask" and "mask" not in s.required),
    (
        "Labels",
        "image and strokes → labels, or the probability of each",
        lambda s: s.output in ("labels", "probability"),
    ),
    ("Clean-up", "mask → mask; on a label map, label by label", lambda s: s.output == "mask" and "mask" in s.required),
    ("Others", "anything else", lambda s: s.output not in ("image", "mask", "labels", "probability")),
)
LIVE = {
    "volume": "the whole volume",
    "roi": "a region of interest",
    "slice": "the current slice",
    "none": "nothing: too slow, press run",
}


def grouped() -> list[tuple[str, str, list[Step]]]:
    """Give all steps in groups, by name, without empty groups."""
    found = [(title, gives, [s for _, s in sorted(STEPS.items()) if fits(s)]) for title, gives, fits in GROUPS]
    return [group for group in found if group[2]]


def sections(step: Step) -> dict[str, str]:
    """Part a numpydoc docstring: the text before any heading under "", the others under their headings."""
    text = inspect.cleandoc(step.__doc__ or "")
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.M)
    return {"": parts[0].strip()} | {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def describe(step: Step) -> dict[str, Any]:
    """Give what is known of a step as plain data."""
    return {
        "step": step.name,
        "inputs": list(step.inputs),
        "output": step.output,
        "summary": step.summary,
        "preview": step.preview,
        "bytes_per_voxel": step.bytes_per_voxel,
        "params": [
            {
                "name": p.name,
                "type": p.kind.__name__,
                "unit": p.unit,
                "range": [p.range.lower, p.range.upper] if p.range else None,
                "choices": list(p.choices),
                "default": p.default,
                "meaning": p.doc,
            }
            for p in step.params.values()
        ],
    }


def overview() -> str:
    """List all steps with their summaries, for a terminal."""
    width = max(map(len, STEPS))
    lines = []
    for title, gives, steps in grouped():
        lines += [f"{title} ({gives})"] + [f"  {s.name:<{width}}  {s.summary}" for s in steps] + [""]
    return "\n".join(lines + ["`mrbone steps NAME` tells more about one."])


def details(name: str) -> str:
    """Tell all about one step, for a terminal."""
    step = find_step(name)
    parts = sections(step)
    lines = [f"{step.name}: {' + '.join(step.inputs)} → {step.output}", "", parts[""], ""]
    for p in step.params.values():
        lines += textwrap.wrap(
            f"{p.name} = {_value(p.default)}  ({allowed(p)})  {p.doc}", 100, subsequent_indent="    "
        )
    lines += ["", f"Live preview: {LIVE[step.preview]}."]
    lines += [f"{title}: {parts[title]}" for title in ("Notes", "References") if title in parts]
    return "\n".join([*lines, "", step.code()])


def markdown() -> str:
    """Write the page on all steps, docs/steps.md."""
    lines = [
        "# Steps",
        "",
        "Made by `mrbone steps --markdown` from the signatures and docstrings of the steps; do not edit.",
        "",
        "Each step is a plain function: `mb.gaussian(image, spacing=volume.spacing, sigma=1.0)`. In a recipe it is a",
        'line, `{"step": "gaussian", "params": {"sigma": 1.0}}`, and on the command line',
        "`mrbone apply gaussian IN OUT --param sigma=1.0`. Lengths are in mm and mean the same on thick and on thin",
        "slices. *Live preview* is the largest piece that answers a slider at once.",
        "",
    ]
    for title, gives, steps in grouped():
        names = ", ".join(f"[{s.name}](#{s.name})" for s in steps)
        lines.append(f"- **{title}** ({gives}): {names}")
    for title, gives, steps in grouped():
        lines += ["", f"## {title}", "", f"{gives[0].upper()}{gives[1:]}.", ""]
        lines += "\n\n".join(_entry(step) for step in steps).split("\n")
    return "\n".join(lines) + "\n"


def _entry(step: Step) -> str:
    """The Markdown of one step."""
    parts = sections(step)
    lines = [f"### {step.name}", "", _flow(parts[""]), ""]
    if step.params:
        lines += ["| parameter | default | range | unit | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{p.name}` | {_value(p.default)} | {allowed(p, unit=False)} | {p.unit} | {_cell(p.doc)} |"
            for p in step.params.values()
        ]
        lines.append("")
    inputs = ", ".join(f"`{name}`" for name in step.inputs)
    memory = f"Memory: {step.bytes_per_voxel:g} bytes a voxel."
    lines.append(f"From {inputs} to `{step.output}`. Live preview: {LIVE[step.preview]}. {memory}")
    lines += [f"\n{title}: {_flow(parts[title])}" for title in ("Notes", "References") if title in parts]
    return "\n".join(lines)


def allowed(param: Param, unit: bool = True) -> str:
    """Say which values a parameter takes, with or without the unit."""
    if param.range:
        whole = "whole number, " if param.kind is int else ""
        return f"{whole}{param.range if unit else replace(param.range, unit='')}"
    return ", ".join(map(_value, param.choices)) if param.choices else "true, false"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _flow(text: str) -> str:
    """Paragraphs in one line each; `name` stays code, other signs of Markdown stay signs."""
    return "\n\n".join(_cell(" ".join(p.split())) for p in re.split(r"\n\s*\n", text))


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, also in a table; what stands between backticks stays code."""
    pieces = re.split(r"(``?[^`]+``?)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<>\[\]])", r"\\\1", p) for p in pieces).replace("|", "\\|")
