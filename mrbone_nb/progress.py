"""Show how far long work has come: a bar on a terminal, a line of text in a notebook, nothing in a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
WIDTH = 24  # characters of the bar
BAR = f"{{percentage:3.0f}}%|{{bar:{WIDTH}}}| {{n_fmt}}/{{total_fmt}}  {{elapsed}}  {{desc}}"


def progress(items: Iterable[Item], *, total: int | None = None) -> Iterator[Item]:
    """Hand on items one by one and show how many are done.

    The bar names the item in work and goes when all is done. It is drawn on the error stream of a
    terminal or as an output of a notebook's cell, and nowhere else.

    Parameters
    ----------
    items
        Anything to loop over; the calls of a recipe are shown by the names of their steps.
    total
        How many there are, where `items` cannot tell.

    Yields
    ------
    object
        The items.
    """
    total = len(items) if total is None and isinstance(items, Sequence) else total
    if in_notebook():
        return _in_cell(items, total)
    return _on_terminal(items, total) if sys.stderr.isatty() else iter(items)


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel; IPython is looked at only where it runs already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _on_terminal(items: Iterable[Item], total: int | None) -> Iterator[Item]:
    """A bar of tqdm on the error stream."""
    from tqdm import tqdm

    width, height = shutil.get_terminal_size()  # some terminals do not tell theirs: then 80 by 24
    with tqdm(total=total, leave=False, file=sys.stderr, ncols=width, nrows=height, bar_format=BAR) as bar:
        for item in items:
            bar.set_description_str(name_of(item))
            yield item
            bar.update()


def _in_cell(items: Iterable[Item], total: int | None) -> Iterator[Item]:
    """A line of text that is written over, without widgets, so that a saved notebook stays clean."""
    from IPython.display import display

    started = time.monotonic()
    line = display({"text/plain": ""}, raw=True, display_id=True)
    try:
        for done, item in enumerate(items):
            text = _line(done, total, name_of(item), time.monotonic() - started)
            line.update({"text/plain": text}, raw=True)
            yield item
    finally:
        line.update({"text/plain": ""}, raw=True)


def _line(done: int, total: int | None, name: str, seconds: float) -> str:
    """One line: bar, count, seconds, what is in work."""
    filled = round(WIDTH * done / total) if total else 0
    return f"{'█' * filled}{'░' * (WIDTH - filled)} {done}/{total or '?'}  {seconds:.0f} s  {name}".rstrip()


def name_of(item: Any) -> str:
    """Give what a bar says of an item: the step of a call, a text, or the name of a file."""
    name = getattr(item, "step", None) or getattr(item, "name", None) or (item if isinstance(item, str) else "")
    return name if isinstance(name, str) else ""
