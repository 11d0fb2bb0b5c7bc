"""The verbs around notebooks."""

from __future__ import annotations

import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("nbconvert", reason="needs the extra `notebook`")

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def write(tmp_path):
    """Write a notebook of one cell that showed a label, and said something."""

    def write(said="done", name="n.ipynb", run=True, saved=True):
        view = new_output("display_data", {VIEW: {"model_id": "m"}, "text/plain": "a label"})
        outputs = [new_output("stream", name="stdout", text=said), view] if run else []
        cell = new_code_cell("print()", outputs=outputs, execution_count=1 if run else None)
        state = {"m": {"model_name": "LabelModel", "state": {"value": "kept text"}}} if saved else {}
        nbformat.write(new_notebook(cells=[cell], metadata={"widgets": {STATE: {"state": state}}}), tmp_path / name)
        return tmp_path / name

    return write


def test_a_notebook_is_shared_as_a_page(write, ok, mrbone):
    data, said = ok("share", write(), "-o", "page.html")
    assert data["files"]["page"] == "page.html" and data["findings"] == [] and said == ""
    assert 0.1 < data["megabytes"] < 1
    with open("page.html", encoding="utf-8") as file:
        assert "kept text" in file.read()
    code, out, _ = mrbone("share", write(), "-o", "page.html", "--overwrite", "--limit", "0.1")
    assert code == 1 and "larger than 0.1 MB; the largest parts are" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"said": "wrote /home/anna/scan.nii"}, "n.ipynb: cell 1 output 1: path: /home/anna/scan.nii: take it out, or"),
        ({"said": "anna@clinic.org /home/anna/x"}, "--accept e-mail-address,path"),
        ({"run": False}, "n.ipynb: it was not executed: run all its cells and save it, or `jupyter execute"),
        ({"saved": False}, "the views of cell 1 were not saved with it: in JupyterLab switch on"),
    ],
)
def test_what_should_not_be_shared_is_refused_in_one_line(write, bad, tmp_path, words, told):
    assert told in bad("share", write(**words), "-o", "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ({"said": "anna@clinic.org /home/anna/x"}, ["e-mail-address", "path"]),
        ({"run": False}, ["not-run"]),
        ({"saved": False}, ["pictures"]),
    ],
)
def test_what_is_accepted_by_name_is_shared_and_told(write, ok, words, names):
    data, _ = ok("share", write(**words), "-o", "page.html", "--accept", ",".join(names))
    assert data["accepted"] == names


def test_other_faults_are_told(write, bad, tmp_path):
    assert "no such notebook" in bad("share", "gone.ipynb", "-o", "page.html")
    assert "ends in .html" in bad("share", write(), "-o", "page.ipynb")
    (tmp_path / "broken.ipynb").write_text("{")
    assert "not a readable notebook" in bad("share", "broken.ipynb", "-o", "page.html")
    (tmp_path / "page.html").touch()
    assert "exists" in bad("share", write(), "-o", "page.html")


def test_the_app_says_what_it_cannot_open(bad):
    from mrbone_nb.nb import app

    told = bad("app", "gone", "--no-browser")
    assert ("gone: no such file or folder" if app.available() else "needs the package voila") in told
