"""The series picker in a real browser: pictures, mouse, keyboard and both themes; and in a page without a kernel."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import BROWSER, CHROMIUM, KNOWN, Lab, page_of
from pickscene import copied, write_series

import mrbone_nb as mb
from mrbone_nb.picture import window_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]

KNEE = Path(__file__).resolve().parents[2] / "data_samples" / "knee_t2map" / "dicom"
PICK = "import mrbone_nb as mb\npicker = mb.pick('d', save_to='choice.json')\npicker"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as play:
        yield play.chromium


@pytest.fixture
def page(chromium):
    browser = chromium.launch(**BROWSER)
    page = page_of(browser)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield page
    browser.close()


@pytest.fixture
def folder(tmp_path):
    """The knee with its two echoes, and simulated series of which one waits."""
    place = tmp_path / "d"
    write_series(place)
    copied(KNEE, place / "0_knee")
    return place


def pixels(place):
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


def row_of(page, number):
    return page.locator(f".mb-pick tr[data-number='{number}']")


def code_of(page):
    return page.locator(".mb-pick code").inner_text()


def check_picture(page, folder, number):
    """What is on the screen is the middle slice, upright, in true proportions."""
    image = row_of(page, number).locator("img")
    image.scroll_into_view_if_needed()
    box, shown = image.bounding_box(), pixels(image)
    volume = mb.read(folder, series=number)
    middle = volume.array[volume.shape[0] // 2]
    low, upper = window_of(mb.Volume(middle[None], volume.spacing, volume.origin, volume.direction))
    gray = (np.clip((middle - low) / (upper - low), 0, 1) * 255).astype(np.uint8)
    high, wide = (n * mm for n, mm in zip(middle.shape, volume.spacing[1:], strict=True))
    assert box["width"] / box["height"] == pytest.approx(wide / high, rel=0.02)
    size = round(box["width"]), round(box["height"])
    wanted = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC)).astype(int)
    assert shown.std() > 30 and np.ptp(shown[2:-2, 2:-2], axis=2).max() == 0
    fits = [fit(shown[..., 0], w) for w in (wanted, wanted[::-1], wanted[:, ::-1], wanted[::-1, ::-1])]
    assert fits[0] > 0.95 and fits[0] > 0.05 + max(fits[1:]), fits


def fit(shown, wanted):
    """How well two pictures correlate where they fit best: one may lie between the pixels of the screen."""
    inner = wanted[2:-2, 2:-2]
    high, wide = inner.shape
    places = [(y, x) for y in range(shown.shape[0] - high + 1) for x in range(shown.shape[1] - wide + 1)]
    return max(np.corrcoef(shown[y : y + high, x : x + wide].ravel(), inner.ravel())[0, 1] for y, x in places)


def luminance(color):
    """Relative luminance as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(color) / 255]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def check_legible(page, dark):
    """Text stands out from the row it lies on, chosen or not; the ground is that of the theme."""
    for number in (1, 3):
        cell = row_of(page, number).locator("td").nth(3)
        seen = pixels(cell).reshape(-1, 3)
        colors, times = np.unique(seen, axis=0, return_counts=True)
        ground = luminance(colors[times.argmax()])
        assert (ground < 0.2) == dark
        far = [(max(luminance(c), ground) + 0.05) / (min(luminance(c), ground) + 0.05) for c in colors]
        assert max(far) > 4.5, f"row {number}: contrast {max(far):.1f}"
    chosen, other = (pixels(row_of(page, n).locator("td").nth(4)) for n in (1, 3))
    assert np.abs(chosen[-2, -2] - other[-2, -2]).max() > 12, "the chosen row does not stand out"


def test_in_jupyterlab_a_series_is_chosen_by_keyboard_and_mouse(page, folder):
    with Lab([PICK, "print(picker.call)", "pass"], {"d": folder}) as lab:
        lab.run(page)
        page.locator(".mb-pick[data-ready]").wait_for(timeout=60_000)
        page.wait_for_function("() => document.querySelectorAll('.mb-pick img').length === 7")
        assert page.locator(".mb-pick tbody tr").count() == 7
        for number in (1, 2, 3, 4, 5):
            check_picture(page, folder, number)
        first, second = row_of(page, 1), row_of(page, 2)
        assert first.get_attribute("aria-selected") == "true" and first.get_attribute("tabindex") == "0"
        assert lab.ask(page, "print(picker.chosen)") == "1"
        first.focus()
        check_legible(page, dark=False)
        page.keyboard.press("ArrowDown")
        assert second.evaluate("(e) => e === document.activeElement")
        assert code_of(page).endswith("echo=1)"), "the arrow alone chooses nothing"
        page.keyboard.press("Enter")
        assert code_of(page).endswith("echo=5)") and second.get_attribute("aria-selected") == "true"
        told = lab.ask(
            page,
            "v = picker.volume\nprint(picker.call, v.meta['echo'], (v.array == mb.read('d', series=2).array).all())",
        )
        assert told == f"{code_of(page)} 5 True"
        page.locator(".mb-pick button").click()
        page.wait_for_function("() => document.querySelector('.mb-pick .say').textContent === 'copied'")
        assert page.evaluate("() => navigator.clipboard.readText()") == code_of(page)
        row_of(page, 4).click(position={"x": 200, "y": 40})
        assert lab.ask(page, "print(picker.chosen, picker.volume.shape)") == "4 (7, 32, 32)"
        assert lab.ask(page, "print(mb.pick('d', save_to='choice.json').call)") == code_of(page), (
            "a rerun needs no hand"
        )
        lab.ask(page, "picker.chosen = 1")
        page.wait_for_function("() => document.querySelector('.mb-pick tr[data-number=\"1\"]').ariaSelected === 'true'")
        page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
        page.wait_for_timeout(1500)
        first.focus()
        check_legible(page, dark=True)
        assert [text for text in page.outside + page.errors if KNOWN not in text] == []


def test_in_jupyterlab_what_waits_is_accepted_by_keyboard(page, folder):
    with Lab([PICK, "pass"], {"d": folder}) as lab:
        lab.run(page)
        page.locator(".mb-pick[data-ready]").wait_for(timeout=60_000)
        row_of(page, 1).focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        assert "accept “truncated” in its line first" in page.locator(".mb-pick .say").inner_text()
        assert code_of(page).endswith("echo=1)")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        assert code_of(page).endswith("accept=('truncated',))")
        page.wait_for_timeout(500)  # the second message to the kernel goes when the first is done
        assert lab.ask(page, "print(picker.call, picker.volume.meta['blocking'])") == f"{code_of(page)} ('gap',)"
        row_of(page, 7).locator("input").first.uncheck()
        assert code_of(page) == "none is chosen"
        row_of(page, 6).locator("input").click()  # the row opens, but not before the mouse is up
        row_of(page, 6).locator("strong").click()
        assert code_of(page).endswith("accept=('gap',))")
        row_of(page, 6).locator("input").uncheck()
        row_of(page, 7).locator("input").first.check()
        row_of(page, 7).locator("strong").click()
        row_of(page, 7).locator("input").first.uncheck()
        page.wait_for_timeout(500)
        assert lab.ask(page, "print(picker.chosen)") == "None"
        assert [text for text in page.outside + page.errors if KNOWN not in text] == []


def test_a_page_shows_the_table_without_kernel_and_without_scripts(chromium, page, folder, tmp_path):
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(f"import mrbone_nb as mb\nmb.pick({str(folder)!r})")])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    address = mb.write_html(notebook, tmp_path / "page.html").as_uri()
    page.goto(address)
    page.wait_for_function("() => document.documentElement.dataset.mbReady", timeout=60_000)
    check_picture(page, folder, 3)
    row_of(page, 1).focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    key = mb.inventory(folder)[2].key
    assert code_of(page) == f"mb.read({str(folder)!r}, series='{key}')"
    assert page.outside == [] and page.errors == []
    browser = chromium.launch(**BROWSER)
    bare = browser.new_context(java_script_enabled=False).new_page()
    bare.goto(address)
    assert bare.locator(".mb-pick img").count() == 7 and pixels(bare.locator(".mb-pick img").first).std() > 30
    assert re.search(r"reading waits: .*cut short", bare.inner_text("body"))
    browser.close()
