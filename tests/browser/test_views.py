"""The notebook's views in a real browser: live in JupyterLab, and in a page without kernel and network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import BROWSER, CHROMIUM, KNOWN, Lab, page_of
from pixels import changes, grab, middle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]

DATA = """\
import numpy as np, mrbone_nb as mb
z, y, x = np.ogrid[:12, :64, :64]
far = np.hypot(y - 32, x - 32) + 3 * abs(z - 6)
image = np.where(far < 20, 0.9, 0.3) + 0.02 * z + 0.05 * np.sin(x / 2.0)
volume = mb.Volume(image.astype("float32"), (4.0, 0.8, 0.8))
labels = (far < 20).astype("uint8") + (far < 8)
"""
LOOK = "slices = mb.look(volume, labels, planes=('axial', 'coronal'), scale=4)\nslices"
MODELS = "models = mb.view3d(volume.with_array(labels))\nmodels"
JPEG = "import mrbone_nb.nb.sliceview as s\ns.MANY = 100\nmb.look(volume, planes=('axial',), scale=4)"
TUNE = "tuned = mb.tune('gaussian', volume, sigma=0.0)\ntuned"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as play:
        yield play.chromium


@pytest.fixture
def page(chromium):
    browser = chromium.launch(**BROWSER)
    yield page_of(browser)
    browser.close()


def page_with(cells, path):
    """Run cells in a kernel and write them as a page."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    import mrbone_nb as mb

    notebook = new_notebook(cells=[new_code_cell(code) for code in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return mb.write_html(notebook, path).as_uri()


def check_slices(page):
    """Slices scroll by wheel and key, planes are linked, labels can be hidden."""
    view = page.locator(".mb-slices[data-ready]").first
    view.wait_for(timeout=60_000)
    axial, coronal = view.locator(".mb-axial"), view.locator(".mb-coronal")
    box = coronal.bounding_box()
    assert (round(box["width"]), round(box["height"])) == (round(64 * 0.8 * 4), 12 * 4 * 4), "true proportions"
    before = grab(axial)
    page.mouse.move(*middle(axial))
    page.mouse.wheel(0, 100)
    assert changes(axial, before, 0.3), "the wheel does nothing"
    text = view.inner_text()
    view.focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(300)
    assert view.inner_text() != text, "the arrow keys do nothing"
    before = grab(coronal)
    x, y = middle(axial)
    page.mouse.click(x, y + 60)
    assert changes(coronal, before, 0.3), "the planes are not linked"
    before = grab(axial)
    view.locator("label", has_text="label 1").locator("input").click()
    assert changes(axial, before, 0.1), "the label is still there"


def check_models(page):
    """The models are there and turn, by mouse and by key."""
    mesh = page.locator(".mb-mesh[data-ready]").first
    mesh.wait_for(timeout=60_000)
    x, y = middle(mesh)
    before = grab(mesh)
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 50, "the view is blank"
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(10):
        page.mouse.move(x + 12 * k, y + 8 * k)
    page.mouse.up()
    assert changes(mesh, before), "the mouse does not turn it"
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    assert np.abs(grab(mesh) - before).mean() < 1, "Home does not go back"
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert changes(mesh, before), "the keys do not turn it"


def test_a_page_works_without_kernel_and_network(page, tmp_path):
    page.goto(page_with((DATA, LOOK, MODELS, JPEG, TUNE), tmp_path / "page.html"))
    page.wait_for_function("() => document.documentElement.dataset.mbReady", timeout=60_000)
    check_slices(page)
    check_models(page)
    packed, jpeg = (page.locator(".mb-axial").nth(k) for k in (0, 1))
    page.locator(".mb-slice-axial").first.evaluate("(e) => { e.value = 6; e.oninput(); }")
    page.locator(".mb-slice-axial").nth(1).evaluate("(e) => { e.value = 6; e.oninput(); }")
    for name in ("label 1", "label 2"):
        page.locator("label", has_text=name).locator("input").first.uncheck()
    page.wait_for_timeout(300)
    size = packed.bounding_box()["width"] // 8  # a corner, away from the cross
    corners = [grab(view)[int(size) : int(2 * size), int(size) : int(2 * size)] for view in (packed, jpeg)]
    assert np.abs(corners[0] - corners[1]).mean() < 6, "JPEG slices look like the others"
    still = page.locator("img").last
    assert still.bounding_box()["width"] > 500 and grab(still).std() > 10
    assert "image = mb.gaussian(image, spacing=volume.spacing, sigma=0.0)" in page.inner_text("body")
    assert page.outside == [] and page.errors == []


def test_a_page_without_webgl_shows_the_picture(chromium, tmp_path):
    browser = chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"])
    page = page_of(browser)
    page.goto(page_with((DATA, MODELS), tmp_path / "page.html"))
    page.wait_for_function("() => document.documentElement.dataset.mbReady", timeout=60_000)
    assert "no WebGL 2" in page.inner_text("body")
    assert grab(page.locator("img").last).std() > 10
    browser.close()


def test_in_jupyterlab_sliders_change_the_picture_and_the_code(page):
    with Lab([DATA, LOOK, MODELS, TUNE, "pass"]) as lab:
        lab.run(page)
        check_slices(page)
        check_models(page)
        for view, code in (
            (".mb-axial", "slices.show(3 * (labels == 0))"),
            (".mb-mesh", "models.show(volume.with_array(labels == 2))"),
        ):
            before = grab(page.locator(view).first)
            lab.ask(page, code)
            middle(page.locator(view).first)
            assert changes(page.locator(view).first, before), code
        cell = page.locator(".jp-CodeCell").nth(3)
        picture = cell.locator(".jp-OutputArea img").first
        middle(picture)
        before = grab(picture)
        cell.locator(".noUi-handle").first.focus()
        page.keyboard.press("End")
        assert changes(picture, before), "the slider does nothing"
        page.wait_for_timeout(500)
        assert "sigma=5.0" in cell.inner_text()
        assert lab.ask(page, "print(tuned.call)") == "gaussian(sigma=5.0)"
        drawn = int(lab.ask(page, "print(tuned.panel.drawn)"))
        cell.locator(".noUi-handle").first.focus()
        for _ in range(60):
            page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(2000)
        value, count = lab.ask(page, "print(tuned.params['sigma'], tuned.panel.drawn)").split()
        assert value == "0.0" and 0 < int(count) - drawn <= 60
        before = grab(picture)
        cell.locator(".noUi-handle").nth(1).focus()
        page.keyboard.press("Home")
        assert changes(picture, before, 0.3), "the slice slider does nothing"
        assert [text for text in page.outside + page.errors if KNOWN not in text] == []
