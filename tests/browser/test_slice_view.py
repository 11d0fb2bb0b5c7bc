"""The slice viewer in a page without a kernel: zoom, window, curtain, comparison; and a large scan that comes in parts."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import BROWSER, CHROMIUM, KNOWN, Lab, page_of
from pixels import changes, colored, drag, grab, middle
from test_views import page_with

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
labels = (far < 20).astype("uint8")
"""
SHOW = """\
mb.look(volume, labels, other=np.roll(labels, 6, 2), after=volume.with_array(1 - image.astype('float32')),
        planes=('axial', 'coronal'), scale=6)
"""
ONLY_A, ONLY_B = (230, 159, 0), (86, 180, 233)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(**BROWSER)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    page = page_of(chromium)
    page.goto(page_with((DATA, SHOW), tmp_path_factory.mktemp("page") / "page.html"))
    page.wait_for_function("() => document.documentElement.dataset.mbReady", timeout=60_000)
    return page


@pytest.fixture
def view(page):
    view = page.locator(".mb-slices").first
    view.focus()
    page.keyboard.press("r")
    page.keyboard.press("c")
    return view


def halves(picture):
    return picture[:, : picture.shape[1] // 2 - 8], picture[:, picture.shape[1] // 2 + 8 :]


def test_the_curtain_parts_before_and_after(page, view):
    axial = view.locator(".mb-axial")
    left, right = halves(grab(axial))
    center = slice(left.shape[0] // 2 - 40, left.shape[0] // 2 - 10)
    assert left[center, -40:-20].mean() > 150 > 100 > right[center, 40:60].mean(), "the bone is bright before, dark after"
    x, y = middle(axial)
    width = axial.bounding_box()["width"]
    drag(page, (x, y + 70), (x + 0.4 * width, y + 70))
    page.wait_for_timeout(300)
    assert halves(grab(axial))[1][center, 40:60].mean() > 150, "the curtain was drawn aside"
    drag(page, (x + 0.4 * width, y + 70), (x, y + 70))


def test_two_masks_are_compared(page, view):
    axial = view.locator(".mb-axial")
    view.locator("label", has_text="compare A and B").locator("input").check()
    page.wait_for_timeout(300)
    picture = grab(axial)
    only_a, only_b = (np.argwhere(colored(picture, color, 90)) for color in (ONLY_A, ONLY_B))
    assert len(only_a) > 500 and len(only_b) > 500
    assert only_a[:, 1].mean() < only_b[:, 1].mean() - 50, "B lies to the right of A"
    view.focus()
    page.keyboard.press("x")
    page.wait_for_timeout(300)
    assert colored(grab(axial), ONLY_B, 60).sum() < len(only_b) / 2


def test_zoom_keeps_the_place_under_the_pointer(page, view):
    axial = view.locator(".mb-axial")
    x, y = middle(axial)
    y += 10  # away from the edge between two voxels
    before = grab(axial)
    page.mouse.move(x + 90, y)
    page.keyboard.down("Control")
    for _ in range(5):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    assert changes(axial, before), "it does not zoom"
    page.mouse.click(x + 90, y)  # the crosshair goes there
    page.wait_for_timeout(300)
    words = view.locator(".mb-where").inner_text()
    page.keyboard.press("r")
    page.wait_for_timeout(300)
    page.mouse.click(x + 90, y)
    page.wait_for_timeout(300)
    assert view.locator(".mb-where").inner_text().split("value")[0] == words.split("value")[0]


def test_window_by_drag_and_by_list(page, view):
    axial = view.locator(".mb-axial")
    x, y = middle(axial)
    before = grab(axial)
    drag(page, (x - 100, y), (x - 100, y - 120), button="right")
    assert changes(axial, before, 5), "the right button does not change the window"
    dark = grab(axial).mean()
    view.locator("select", has_text="window").select_option("bright tissue")
    page.wait_for_timeout(300)
    assert abs(grab(axial).mean() - dark) > 3
    view.locator("select", has_text="window").select_option("all")
    page.wait_for_timeout(300)
    assert np.abs(grab(axial) - before).mean() < 12


def test_labels_as_outline_fill_and_hidden(page, view):
    axial, patch = view.locator(".mb-axial"), view.locator(".mb-patch").first
    outline = colored(grab(axial), ONLY_A, 60).sum()
    patch.click()
    page.wait_for_timeout(300)
    view.locator(".mb-opacity").evaluate("(e) => { e.value = 1; e.oninput(); }")
    page.wait_for_timeout(300)
    assert colored(grab(axial), ONLY_A, 60).sum() > 5 * outline
    view.focus()
    page.keyboard.press("v")
    page.wait_for_timeout(300)
    assert colored(grab(axial), ONLY_A, 60).sum() < outline / 2
    page.keyboard.press("v")
    patch.click()
    patch.click()
    assert page.errors == [] and page.outside == []


def test_a_large_scan_comes_slice_by_slice(chromium):
    page = page_of(chromium)
    large = "import mrbone_nb.nb.sliceview as s\ns.MANY = 100\nbig = mb.look(volume, labels, planes=('axial', 'coronal'), scale=5)\nbig"
    with Lab([DATA, large, "pass"]) as lab:
        lab.run(page)
        view = page.locator(".mb-slices[data-ready]").first
        view.wait_for(timeout=60_000)
        page.wait_for_function("() => !document.querySelector('.mb-where').innerText.includes('loading')")
        coronal = grab(view.locator(".mb-coronal"))
        assert (coronal.max(axis=(1, 2)) > 60).mean() > 0.95, "slices are missing"
        assert lab.ask(page, "print(big.codec, len(big.image))") == "stream 0", "the kernel never sent the whole"
        x, y = middle(view.locator(".mb-axial"))
        page.mouse.click(x, y)
        exact = "() => !document.querySelector('.mb-where').innerText.includes('about')"
        page.wait_for_function(exact, timeout=30_000)  # the kernel tells the exact value
        page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
        page.wait_for_timeout(1500)
        saved = json.loads((lab.folder / "root" / "t.ipynb").read_text(encoding="utf-8"))
        states = saved["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
        kept = next(s for s in states if "codec" in s["state"])
        assert kept["state"]["codec"] == "jpeg" and any(b["path"] == ["image"] for b in kept["buffers"])
        assert [text for text in page.outside + page.errors if KNOWN not in text] == []
