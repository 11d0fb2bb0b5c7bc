"""A notebook shared by the command line, opened with the network cut and no kernel: its boxes still work."""

from __future__ import annotations

import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import CHROMIUM
from test_views import DATA, check_models, check_slices, chromium, grab, page  # noqa: F401  (two of them are fixtures)

from mrbone_nb.cli import main

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]

BOX = """\
import ipywidgets as w
slices = mb.look(volume, labels, planes=("axial", "coronal"), scale=4)
bones = mb.view3d(volume, labels=labels)
w.VBox([w.HTML("<h3>A bone in a box</h3>"), w.FloatSlider(1.5, description="sigma"), slices, w.HBox([bones])])"""


def test_a_shared_notebook_works_with_the_network_cut(page, tmp_path):  # noqa: F811
    import nbformat
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(
        cells=[new_code_cell(code) for code in (DATA, BOX, "slices", "mb.tune('gaussian', volume)")]
    )
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    nbformat.write(notebook, tmp_path / "n.ipynb")
    assert main(["share", str(tmp_path / "n.ipynb"), "-o", str(tmp_path / "n.html")]) == 0
    page.context.set_offline(True)
    page.goto((tmp_path / "n.html").as_uri())
    page.wait_for_function("() => document.documentElement.dataset.mbReady", timeout=60_000)
    assert page.locator(".mb-view").count() == 3
    check_slices(page)
    check_models(page)
    text = page.inner_text("body")
    assert "A bone in a box" in text and "sigma: 1.5" in text
    assert "image = mb.gaussian(image, spacing=volume.spacing, sigma=0.7)" in text
    assert grab(page.locator("img").last).std() > 10, "a panel of sliders is shown by its picture"
    assert page.outside == [] and page.errors == []
