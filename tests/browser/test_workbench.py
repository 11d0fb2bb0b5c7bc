"""The workbench in JupyterLab in a real browser: paint, run, move sliders, cancel, copy."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import BROWSER, CHROMIUM, KNOWN, Lab, page_of
from test_views import changes, grab, middle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]

DATA = """\
import os, numpy as np, mrbone_nb as mb
z, y, x = np.ogrid[:12, :64, :64]
far = np.hypot(y - 32, x - 32) + 3 * abs(z - 6)
image = np.where(far < 20, 0.9, 0.3) + 0.02 * z + 0.05 * np.sin(x / 2.0)
volume = mb.Volume(image.astype("float32"), (4.0, 0.8, 0.8), name="ball")"""
BENCH = """\
bench = mb.workbench(volume, ["gaussian", "watershed"], bones=("left talus",), planes=("axial",), scale=7)
bench"""
LONG = """\
bench.load([*[mb.Call('curvature_anisotropic_diffusion', {'sigma': 2.0})] * 150, 'otsu']); None"""


@pytest.fixture(scope="module")
def opened():
    """One JupyterLab with a workbench for all tests here, each of which leaves it as it likes."""
    with playwright.sync_playwright() as play, Lab([DATA, BENCH, "pass"]) as lab:
        browser = play.chromium.launch(**BROWSER)
        page = page_of(browser)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        lab.run(page)
        page.locator(".mb-workbench .mb-slices[data-ready]").wait_for(timeout=60_000)
        yield lab, page
        browser.close()


def drag(page, canvas, places):
    """Paint from place to place, each given as shares of width and height."""
    middle(canvas)
    box = canvas.bounding_box()
    points = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def paint(page, label, places):
    page.locator(".mb-tool-brush").click()
    page.locator(".mb-tools select").select_option(label=label)
    drag(page, page.locator(".mb-axial"), places)


def run(page):
    button(page, "Run").click()
    page.wait_for_function("() => /done in/.test(document.querySelector('.mb-workbench').innerText)", timeout=60_000)
    page.wait_for_timeout(500)


def button(page, name):
    return page.locator(".mb-workbench").get_by_role("button", name=name, exact=True)


def colored(picture):
    """Where a picture is not gray."""
    return np.ptp(picture, axis=2) > 60


def test_strokes_become_seeds_and_the_run_draws_outlines_where_the_bone_ends(opened):
    lab, page = opened
    button(page, "Run").click()
    page.wait_for_timeout(1000)
    assert "needs seeds" in page.locator(".mb-workbench").inner_text()
    paint(page, "1 left talus", [(0.4, 0.45), (0.6, 0.55)])
    page.wait_for_timeout(300)
    paint(page, "0 everything else", [(0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95), (0.05, 0.05)])
    page.wait_for_timeout(800)
    assert lab.ask(page, "print(sorted(np.unique(bench.seeds.array).tolist()), len(bench.view.strokes))") == "[0, 1, 255] 2"
    canvas = page.locator(".mb-axial")
    middle(canvas)
    page.mouse.move(5, 5)
    before = grab(canvas)
    run(page)
    middle(canvas)
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    new = colored(grab(canvas)) & ~colored(before)
    assert new.sum() > 200, "no outlines"
    rows, columns = np.nonzero(new)
    scale = before.shape[0] / 64
    radius = np.hypot(rows / scale - 32, columns / scale - 32)
    depth = 3 * abs(int(lab.ask(page, "print(bench.panel.live.index)")) - 6)
    assert abs(np.median(radius) - (20 - depth)) < 2, "they lie on the ball's border"
    assert "True" in lab.ask(page, "print((bench.result.labels.array == bench.recipe().run(volume, seeds=bench.view).labels.array).all())")


def test_a_slider_changes_the_picture_and_the_code(opened):
    lab, page = opened
    page.locator(".mb-steps select").select_option(index=0)
    page.locator(".mb-code pre", has_text="mb.gaussian").first.wait_for(timeout=30_000)  # its sliders are there
    page.wait_for_timeout(800)
    canvas = page.locator(".mb-axial")
    middle(canvas)
    page.mouse.move(5, 5)
    before = grab(canvas)
    page.locator(".mb-workbench .noUi-handle").first.focus()
    page.keyboard.press("End")
    assert changes(canvas, before, 0.5), "the picture stays"
    page.wait_for_timeout(300)
    code = page.locator(".mb-code pre").first.inner_text()
    assert code == "image = mb.gaussian(image, spacing=volume.spacing, sigma=5.0)"
    assert lab.ask(page, "print(bench.calls[0])") == "gaussian(sigma=5.0)"
    middle(canvas)
    page.locator(".mb-code button").first.click()
    page.wait_for_timeout(300)
    assert page.evaluate("() => navigator.clipboard.readText()") == code
    button(page, "undo").first.click()
    page.wait_for_timeout(500)
    assert "sigma=5.0" not in page.locator(".mb-code pre").first.inner_text()


def test_the_result_comes_back_after_a_preview(opened):
    """Slices that came alone make way for the whole map, though that is the one from before."""
    lab, page = opened
    lab.ask(page, "bench.load(['gaussian', 'watershed']); bench.run(); bench.panel.live.show('result')")
    canvas = page.locator(".mb-axial")
    middle(canvas)
    page.mouse.move(5, 5)
    page.wait_for_timeout(800)
    whole = grab(canvas)
    page.locator(".mb-workbench").get_by_role("button", name="step", exact=True).click()
    page.locator(".mb-steps select").select_option(index=0)
    assert changes(canvas, whole, 0.3)
    button(page, "result").click()
    page.mouse.move(5, 5)
    page.wait_for_timeout(1000)
    assert np.abs(grab(canvas) - whole).mean() < 0.5


def test_cancel_ends_the_run_and_everything_answers_meanwhile(opened):
    lab, page = opened
    lab.ask(page, LONG)
    page.wait_for_timeout(500)
    button(page, "Run").click()
    page.wait_for_function("() => / of 151: /.test(document.querySelector('.mb-workbench').innerText)", timeout=30_000)
    pid = lab.ask(page, "print(bench.runs.worker.pid, bench.runs.busy)")
    assert re.fullmatch(r"\d+ True", pid), "the kernel answers while it runs"
    canvas = page.locator(".mb-axial")
    middle(canvas)
    before = grab(canvas)
    page.mouse.wheel(0, 0)
    canvas.focus()
    page.keyboard.press("PageUp")
    assert changes(canvas, before, 0.3), "the view answers while it runs"
    button(page, "Cancel").click()
    page.wait_for_function("() => /cancelled/.test(document.querySelector('.mb-workbench').innerText)", timeout=10_000)
    code = f"print(bench.runs.busy, os.path.exists('/proc/{pid.split()[0]}'))"
    assert lab.ask(page, code) == "False False"


def test_all_can_be_reached_by_keyboard_and_has_a_name(opened):
    lab, page = opened
    lab.ask(page, "bench.load(['gaussian', 'watershed']); bench.panel.choose(0); None")
    page.wait_for_timeout(800)
    bare = page.evaluate(
        """() => [...document.querySelectorAll('.mb-workbench button, .mb-workbench select, .mb-workbench input')]
            .filter((e) => e.offsetParent && !(e.textContent.trim() || e.title || e.ariaLabel || e.labels?.length
                || e.closest('[title]') || e.getAttribute('aria-labelledby')))
            .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert bare == []
    page.locator(".mb-workbench select").first.focus()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => { const e = document.activeElement; return e.className + ' ' + e.textContent.slice(0, 20); }"))
    text = " ".join(seen)
    for part in ("Run", "add", "noUi-handle", "mb-axial", "mb-tool-brush", "Copy", "Save", "Find places"):
        assert part in text, part
    assert [text for text in page.outside + page.errors if KNOWN not in text] == []
