"""Write docs/steps.md, the page on all steps, from their signatures and docstrings."""

from pathlib import Path

import mrbone_nb  # noqa: F401  (registers all steps)
from mrbone_nb.cli.reference import markdown

PAGE = Path(__file__).parents[1] / "docs" / "steps.md"

if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(markdown(), encoding="utf-8", newline="\n")
