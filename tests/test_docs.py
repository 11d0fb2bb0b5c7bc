"""docs/steps.md is what `mrbone steps --markdown` writes, and holds every step and parameter."""

import re
from pathlib import Path

import pytest

from mrbone_nb.cli import main, reference
from mrbone_nb.step import STEPS, Range, Step, step

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "steps.md").read_text(encoding="utf-8")


def test_the_page_is_fresh(capsys):
    assert main(["steps", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE, "make it again: python tools/make_docs.py"


def test_every_step_stands_there_once_in_a_group():
    headings = re.findall(r"^### (\w+)$", PAGE, re.M)
    assert sorted(headings) == sorted(STEPS)
    assert sorted(name for _, _, steps in reference.grouped() for name in (s.name for s in steps)) == sorted(STEPS)
    for name in STEPS:
        assert f"[{name}](#{name})" in PAGE


@pytest.mark.parametrize("name", STEPS)
def test_an_entry_tells_all_about_its_step(name):
    found = STEPS[name]
    entry = PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]
    assert reference._flow(found.summary) in entry
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", entry, re.M)
    assert [row[0] for row in rows] == list(found.params)
    for _, cells in rows:
        default, bounds, _unit, meaning = re.split(r"(?<!\\)\|", cells)
        assert default.strip() and bounds.strip() and meaning.strip()
    assert f"to `{found.output}`" in entry and "Live preview: " in entry
    for doi in re.findall(r"doi:\S+", found.__doc__):
        assert doi.split("<")[0].rstrip(".,") in entry


def test_signs_of_markdown_in_a_docstring_stay_signs(monkeypatch):
    monkeypatch.setattr("mrbone_nb.step.STEPS", {})

    def odd(image, *, level=1.0):
        """Mark a|b where x*y > 1 and _z_ is `p|q*`.

        Parameters
        ----------
        image
            Gray.
        level
            From |a| to [b].
        """

    from typing import Annotated

    from mrbone_nb.step import Image

    odd.__annotations__ = {"image": Image, "level": Annotated[float, Range(0, 2, 1, "mm")], "return": Image}
    made = step(odd)
    assert isinstance(made, Step)
    entry = reference._entry(made)
    assert r"Mark a\|b where x\*y \> 1 and \_z\_ is `p\|q*`." in entry
    assert r"| `level` | 1 | 0 to 2 | mm | From \|a\| to \[b\]. |" in entry


def test_what_a_parameter_takes_is_told_in_words():
    def said(name, param, **words):
        return reference.allowed(STEPS[name].params[param], **words)

    assert said("gaussian", "sigma") == "0 to 5 mm" and said("gaussian", "sigma", unit=False) == "0 to 5"
    assert said("n4_bias_correction", "levels").startswith("whole number, 1 to ")
    assert said("normalize", "clip") == "true, false"
    assert said("islands", "connectivity") == "6, 18, 26"
