"""Recipes in words: a paragraph for the methods section of a paper, and how one recipe differs from another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from . import __version__
from .recipe import Recipe
from .step import Call, find_step

KNOWN = {"SimpleITK": "SimpleITK", "scikit-image": "scikit-image", "numpy": "NumPy", "scipy": "SciPy"}


def methods_text(source: Recipe | Mapping[str, Any]) -> str:
    """Write what was done, in order, with every value that matters and the papers behind the steps.

    Parameters
    ----------
    source
        A recipe, or a record as `load_record` reads it, which tells the versions, too.

    Returns
    -------
    str
        A paragraph and its references, numbered as they occur. Read it before you print it: it says how the labels
        were made, not whether they are right.
    """
    record = source if isinstance(source, Mapping) else None
    recipe = Recipe.from_dict(record["recipe"], "record") if record is not None else source
    papers: list[str] = []
    steps = [f"({number}) {_sentence(call, papers)}" for number, call in enumerate(recipe.calls, 1)]
    how = f"by the recipe “{recipe.name}”{_strokes(record, recipe)}"
    head = f"Bones were segmented with mrbone_nb {_version(record)} {how}. "
    text = head + f"Its steps were: {'; '.join(steps)}." + _outputs(record, recipe)
    return text + "\n\n" + "\n".join(f"[{n}] {paper}" for n, paper in enumerate(papers, 1)) + "\n" * bool(papers)


def _version(record: Mapping[str, Any] | None) -> str:
    """The version, with those of Python and of the libraries where a record tells them."""
    found = record.get("versions") if record is not None else None
    if not isinstance(found, Mapping):
        return __version__
    others = [f"{name} {found[key]}" for key, name in KNOWN.items() if key in found]
    python = f"Python {found['python']}" if "python" in found else ""
    return f"{found.get('mrbone_nb', __version__)} ({', '.join(t for t in (python, *others) if t)})"


def _strokes(record: Mapping[str, Any] | None, recipe: Recipe) -> str:
    """Whether strokes were drawn, and what was changed by hand."""
    needs = any("seeds" in find_step(call.step).required for call in recipe.calls)
    drawn = record is not None and "seeds" in record["inputs"] or record is None and needs
    text = " from strokes drawn by hand inside each bone and around it" if drawn else ""
    mended = record is not None and "edits" in record["inputs"]
    return text + (", and mended by hand afterwards" if mended else "")


def _sentence(call: Call, papers: list[str]) -> str:
    """A step in words, with its values and the numbers of its papers."""
    step = find_step(call.step)
    summary = step.summary.rstrip(".")
    values = [f"{name} {_value(call.params[name])}{f' {p.unit}' if p.unit else ''}" for name, p in step.params.items()]
    cited = []
    for paper in references(step.__doc__ or ""):
        if paper not in papers:
            papers.append(paper)
        cited.append(papers.index(paper) + 1)
    words = f"{step.name.replace('_', ' ')}, to {summary[0].lower()}{summary[1:]}"
    inner = f" ({', '.join(values)})" if values else ""
    return words + inner + (f" [{', '.join(map(str, cited))}]" if cited else "")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def references(docstring: str) -> list[str]:
    """The papers that a docstring names, one a line."""
    part = re.search(r"References\n\s*-{4,}\n(.*?)(?:\n\s*\n|\Z)", docstring, re.S)
    if part is None:
        return []
    lines = " ".join(line.strip() for line in part.group(1).splitlines())
    papers = [re.sub(r"^[\s;,.]*(\([^)]*\)[\s;,.]*)?", "", paper) for paper in re.findall(r".*?doi:\S+", lines)]
    return [paper.rstrip(";,. ") for paper in papers]


def _outputs(record: Mapping[str, Any] | None, recipe: Recipe) -> str:
    surface = ", ".join(f"{name} {_value(value)}" for name, value in recipe.surface.items())
    text = " Surfaces were traced from the label maps in scanner coordinates" + (f" ({surface})." if surface else ".")
    if record is None:
        return text
    return text + f" The record with SHA-256 of inputs and outputs has the recipe {record['recipe_sha256'][:12]}."


# --- differences -------------------------------------------------------------------------------------------


def recipe_differences(a: Recipe, b: Recipe) -> list[str]:
    """Say in words how one recipe differs from another; nothing where they are the same.

    Parameters
    ----------
    a, b
        The recipes, as the first and the second are called in the lines.

    Returns
    -------
    list of str
        A line a change.

    Examples
    --------
    >>> from mrbone_nb.step import Call
    >>> one, two = (Recipe((Call("gaussian", {"sigma": s}),)) for s in (1.0, 1.5))
    >>> recipe_differences(one, two)
    ['gaussian: sigma 1.0 mm becomes 1.5 mm']
    """
    lines = []
    blocks = SequenceMatcher(None, [c.step for c in a.calls], [c.step for c in b.calls], autojunk=False).get_opcodes()
    for kind, i, j, k, m in blocks:
        if kind == "equal":
            for one, two in zip(a.calls[i:j], b.calls[k:m], strict=True):
                lines += _changed_values(one, two)
            continue
        after = f" after {a.calls[i - 1].step}" if i else " at the start"
        lines += [f"{call.step}: left out" for call in a.calls[i:j]]
        lines += [f"{call!r}: added{after}" for call in b.calls[k:m]]
    surface = [(name, a.surface.get(name), b.surface.get(name)) for name in sorted({*a.surface, *b.surface})]
    return lines + [f"surface {name}: {one} becomes {two}" for name, one, two in surface if one != two]


def _changed_values(one: Call, two: Call) -> list[str]:
    units = {name: f" {p.unit}" if p.unit else "" for name, p in find_step(one.step).params.items()}
    changed = [name for name in one.params if one.params[name] != two.params[name]]
    return [f"{one.step}: {n} {one.params[n]}{units[n]} becomes {two.params[n]}{units[n]}" for n in changed]
