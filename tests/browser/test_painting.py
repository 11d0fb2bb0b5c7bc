"""Drawing on slices in a real browser: every tool, undo, keys alone, and seeds in Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import BROWSER, CHROMIUM, KNOWN, Lab, page_of
from pixels import changes, colored, drag, grab, middle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]

# Slices 4 mm apart whose array runs the other way along two axes, so that a mix-up shows.
DATA = """\
import json, numpy as np, mrbone_nb as mb
z, y, x = np.ogrid[:12, :64, :80]
image = np.where(np.hypot(0.8 * (y - 30), 0.8 * (x - 30)) < 12, 0.9, 0.3) + 0.01 * z + 0 * x
volume = mb.Volume(image.astype('float32'), (4.0, 0.8, 0.8)).reorient('RAS')
"""
PAINT = "view = mb.paint(volume, ['femur', 'tibia'], file='s.json', planes=('axial', 'coronal'), scale=5)\nview"
ORANGE, BLUE = (230, 159, 0), (86, 180, 233)
COUNT = "print(json.dumps([int((view.array == n).sum()) for n in (1, 2, 255)]))"


@pytest.fixture(scope="module")
def page():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(**BROWSER)
        yield page_of(browser)
        browser.close()


@pytest.fixture(scope="module")
def lab(page):
    with Lab([DATA, PAINT, "pass"]) as lab:
        lab.run(page)
        page.locator(".mb-slices[data-ready]").wait_for(timeout=60_000)
        yield lab


@pytest.fixture
def view(page, lab):
    """The view with nothing drawn."""
    view = page.locator(".mb-slices[data-ready]").first
    lab.ask(page, "while len(view.strokes): view.undo()")
    middle(view.locator(".mb-axial"))
    return view


def counts(page, lab):
    return json.loads(lab.ask(page, COUNT))


def press(page, view, *keys):
    """Keys for the view; asking Python takes the focus away from it."""
    view.focus()
    for key in keys:
        page.keyboard.press(key)


def test_a_brush_draws_its_radius_in_mm(page, lab, view):
    axial = view.locator(".mb-axial")
    before = grab(axial)
    view.locator(".mb-tool-brush").click()
    x, y = middle(axial)
    page.mouse.click(x, y)
    assert changes(axial, before, 0.2), "nothing is drawn"
    now = counts(page, lab)
    assert now[0] == pytest.approx(np.pi * (3 / 0.8) ** 2, rel=0.1) and now[1:] == [0, 0]
    place = json.loads(lab.ask(page, "print(json.dumps([a.mean() for a in np.nonzero(view.result.reorient('LPS').array)]))"))
    assert place[1:] == pytest.approx([31.5, 39.5], abs=0.6), "it is where the mouse was"
    drag(page, (x - 100, y + 60), (x + 100, y + 60))
    length = 200 / 5 / 0.8
    assert counts(page, lab)[0] - now[0] == pytest.approx(length * 6 / 0.8 + now[0], rel=0.1), "no gaps"
    view.locator("input[type=checkbox]").first.check()  # 3D: a ball on slices 4 mm apart is one slice
    press(page, view, *"]]]]]]2")
    page.mouse.click(*middle(axial))
    ball = 4 / 3 * np.pi * 6**3 / (4 * 0.8 * 0.8)
    assert counts(page, lab)[1] == pytest.approx(ball, rel=0.15)
    view.locator("input[type=checkbox]").first.uncheck()
    press(page, view, *"[[[[[[1")


def test_polygon_lasso_flood_and_eraser(page, lab, view):
    axial = view.locator(".mb-axial")
    x, y = middle(axial)
    view.locator(".mb-tool-polygon").click()
    for dx, dy in ((0, 0), (80, 0), (80, 40), (0, 40)):
        page.mouse.click(x + dx, y + dy)
    press(page, view, "Enter")
    assert counts(page, lab)[0] == pytest.approx(80 * 40 / 16, abs=25)
    press(page, view, "2")
    view.locator(".mb-tool-lasso").click()
    drag(page, (x - 100, y - 60), (x - 20, y - 60), (x - 20, y - 20), (x - 100, y - 20))
    assert counts(page, lab)[1] == pytest.approx(80 * 40 / 16, abs=25)
    view.locator(".mb-tool-erase").click()
    page.mouse.click(x - 60, y - 40)
    erased = counts(page, lab)[1]
    assert 80 * 40 / 16 - erased == pytest.approx(np.pi * (3 / 0.8) ** 2, rel=0.15)
    press(page, view, "0")
    view.locator(".mb-tool-flood").click()
    box = axial.bounding_box()
    page.mouse.click(box["x"] + 30 * 4, box["y"] + 30 * 4)
    disc = int(json.loads(lab.ask(page, "print(int((image[0] > 0.8).sum()))")))
    assert 0.5 * disc < counts(page, lab)[2] <= disc, "the bright disc, without what was drawn over"


def test_undo_redo_and_the_file(page, lab, view):
    axial = view.locator(".mb-axial")
    view.locator(".mb-tool-brush").click()
    x, y = middle(axial)
    empty = grab(axial)
    for k in range(5):
        page.mouse.click(x - 100 + 50 * k, y)
    five = counts(page, lab)[0]
    press(page, view, *["Control+z"] * 2)
    assert counts(page, lab)[0] == pytest.approx(0.6 * five, rel=0.05)
    press(page, view, "Control+y")
    assert counts(page, lab)[0] == pytest.approx(0.8 * five, rel=0.05)
    assert lab.ask(page, "print(len(mb.read_strokes('s.json', volume)), (mb.read_strokes('s.json', volume).array() == view.array).all())") == "4 True"
    press(page, view, *["Control+z"] * 4)
    page.mouse.move(5, 5)
    page.wait_for_timeout(400)
    assert np.abs(grab(axial) - empty).mean() < 0.3, "all is gone again"


def test_with_keys_alone(page, lab, view):
    view.locator(".mb-axial").focus()
    page.keyboard.press("b")
    page.keyboard.press("1")
    page.keyboard.press(" ")
    first = counts(page, lab)[0]
    view.locator(".mb-axial").focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press(" ")
    assert counts(page, lab)[0] == pytest.approx(2 * first, rel=0.1)
    view.locator(".mb-axial").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    page.keyboard.press("i")
    page.wait_for_timeout(500)
    assert counts(page, lab)[0] == pytest.approx(4 * first, rel=0.15), "one slice between two painted ones is filled"


def test_a_page_that_opens_anew_has_the_strokes(page, lab, view):
    view.locator(".mb-tool-brush").click()
    axial = view.locator(".mb-axial")
    page.mouse.click(*middle(axial))
    page.mouse.move(5, 5)
    lab.ask(page, "again = mb.nb.painting  # something else")
    lab.ask(page, "display(view)")
    second = page.locator(".mb-slices[data-ready] .mb-axial").last
    second.wait_for()
    middle(second)
    assert colored(grab(second), ORANGE, 90).sum() > 300
    assert [text for text in page.outside + page.errors if KNOWN not in text] == []
