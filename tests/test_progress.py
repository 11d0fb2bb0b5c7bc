"""Progress: seen on a terminal and in a notebook, nowhere else, and gone afterwards."""

import io
import sys
import types

import pytest

from mrbone_nb.progress import in_notebook, name_of, progress
from mrbone_nb.step import Call

CALLS = (Call("normalize"), Call("gaussian"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_pipe_gets_nothing(capsys):
    assert not in_notebook() and list(progress(CALLS)) == list(CALLS)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_goes(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(CALLS)) == list(CALLS)
    shown = terminal.getvalue()
    assert "normalize" in shown and "gaussian" in shown and "1/2" in shown
    assert shown.split("\r")[-1].strip() == "" and shown.split("\r")[-2].strip() == "" and "\n" not in shown
    assert capsys.readouterr().out == ""


class Line:
    """What IPython's display gives for an output that can be changed."""

    def __init__(self, data):
        self.seen = [data["text/plain"]]

    def update(self, data, raw):
        assert raw
        self.seen.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    """A kernel, as far as progress looks at it; gives the outputs that are made."""
    lines = []
    shell = types.SimpleNamespace(kernel=object())
    package = types.ModuleType("IPython")
    package.get_ipython = lambda: shell
    display = types.ModuleType("IPython.display")
    display.display = lambda data, raw, display_id: lines.append(Line(data)) or lines[-1]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return types.SimpleNamespace(lines=lines, shell=shell)


def test_a_notebook_gets_a_line_that_goes(notebook):
    before = set(sys.modules)
    assert in_notebook() and list(progress(CALLS)) == list(CALLS)
    (line,) = notebook.lines
    assert line.seen[0] == line.seen[-1] == ""
    assert line.seen[1].endswith("normalize") and " 0/2 " in line.seen[1] and " 1/2 " in line.seen[2]
    assert not {name for name in set(sys.modules) - before if "widgets" in name}


def test_the_line_goes_when_the_work_fails(notebook):
    bar = progress(iter(CALLS))
    next(bar)
    assert " 0/? " in notebook.lines[0].seen[-1]
    bar.close()
    assert notebook.lines[0].seen[-1] == ""


def test_ipython_in_a_terminal_is_no_notebook(notebook):
    del notebook.shell.kernel
    assert not in_notebook()


def test_items_are_named():
    named = types.SimpleNamespace(name="knee")
    assert [name_of(item) for item in (CALLS[0], "text", named, 3)] == ["normalize", "text", "knee", ""]
