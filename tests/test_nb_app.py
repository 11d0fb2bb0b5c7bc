"""The page without code, its parts played by hand, and the notebook that tells what was done."""

from __future__ import annotations

import socket
import sys

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("nbclient", reason="needs the extra `notebook`")

import nbformat
from nbclient import NotebookClient
from nbscene import SEEDS, TABLE, VOLUME

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb import app
from mrbone_nb.nb.retell import notebook_of, words_of
from mrbone_nb.outputs import save_image
from mrbone_nb.privacy import check_private
from mrbone_nb.strokes import Stroke

RECIPE = mb.Recipe(
    (mb.Call("normalize"), mb.Call("watershed", {"sigma": 0.8}), mb.Call("islands")),
    surface={"smoothing": 1.5},
    name="mine",
)


@pytest.fixture
def scans(tmp_path):
    """A folder with a scan."""
    folder = tmp_path / "scans"
    folder.mkdir()
    save_image(VOLUME.with_array(np.rint(VOLUME.array * 1000).astype(np.int16)), folder / "knee.nii.gz")
    return folder


def run(path):
    """Run a notebook with nobody looking, from where it lies."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    return notebook


def test_the_notebook_gives_the_same_bits(scans, tmp_path):
    scan = scans / "knee.nii.gz"
    volume = mb.read(scan)
    result = RECIPE.run(volume, seeds=SEEDS)
    words = {"scan": scan, "seeds": SEEDS, "table": TABLE, "output": "bones"}
    path = notebook_of(RECIPE, tmp_path / "told" / "done.ipynb", volume, **words)
    first = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        notebook_of(RECIPE, path, volume, **words)
    assert notebook_of(RECIPE, path, volume, **words, overwrite=True).read_bytes() == first
    assert check_private(path) == [] and b"../scans/knee.nii.gz" in first
    done = run(path)
    made = next((path.parent / "bones").glob("*_dseg.nii.gz"))
    labels, table = mb.read_labels(made, like=volume)
    assert np.array_equal(labels.array, result.labels.array) and result.labels.array.any()
    assert table[1].title == TABLE[1].title
    record = mb.load_record(next((path.parent / "bones").glob("*_record.json")))
    assert record["recipe"] == RECIPE.to_dict()
    assert any("image/png" in output.get("data", {}) for output in done.cells[-1].outputs)


def test_a_call_is_taken_apart():
    assert words_of("mb.read('a b', series='0a1b', echo=2, accept=('gap',))") == {
        "series": "0a1b", "echo": 2, "accept": ("gap",),
    }  # fmt: skip


def test_the_page_works_on_what_is_chosen_and_tells_it(scans, tmp_path):
    page = app.page(scans, tmp_path / "results")
    assert page.picker in page.children and page.bench.panel.widget in page._place.children
    assert not any(button.disabled for button in page._buttons)
    page.bones.value = "right femur, right tibia"
    assert [label.title for label in page.bench.table.values()][:2] == ["right femur", "right tibia"]
    page.bench.load(RECIPE)
    page._buttons[0].click()
    assert "seeds" in page._note.value and "#c00" in page._note.value, "what is lacking is said"
    for number in (1, 2, 255):
        page.bench.view.add(Stroke.of(number, np.flatnonzero(SEEDS == number)))
    page._buttons[0].click()
    assert page._note.value.count("Saved: ") == 1 and "_dseg.nii.gz" in page._note.value
    made = next((tmp_path / "results").glob("*_dseg.nii.gz"))
    before = mb.read_labels(made)[0].array
    made.unlink()
    page._buttons[1].click()
    assert ".ipynb" in page._note.value
    run(next((tmp_path / "results").glob("*.ipynb")))
    assert np.array_equal(mb.read_labels(made)[0].array, before)
    page.picker.set_trait("chosen", None)
    assert page.bench is None and all(button.disabled for button in page._buttons)


def test_what_goes_wrong_is_a_line(tmp_path):
    page = app.page(tmp_path / "gone")
    assert "gone" in page._note.value and "#c00" in page._note.value
    assert all(button.disabled for button in page._buttons)


def test_the_server_is_refused_what_it_cannot_do(tmp_path, monkeypatch):
    if not app.available():
        pytest.skip("voila is not installed")
    with pytest.raises(InputError, match="gone: no such file or folder"):
        app.serve(tmp_path / "gone")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="in use"):
            app.serve(tmp_path, port=busy.getsockname()[1])
    monkeypatch.setattr(app, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(InputError, match="did not start"):
        app.serve(tmp_path, browser=False)
    monkeypatch.setattr(app, "available", lambda: False)
    with pytest.raises(InputError, match="needs the package voila"):
        app.serve(tmp_path)
