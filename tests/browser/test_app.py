"""The page without code, served by `mrbone app`, in a real browser with nothing fetched from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("voila", reason="needs the extra `notebook`")
pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import CHROMIUM
from pixels import drag
from test_views import changes, chromium, grab, middle, page  # noqa: F401  (two of them are fixtures)

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
]


@pytest.fixture
def address(tmp_path):
    """The address of the app on the sample, which ends with Ctrl-C."""
    words = [str(ROOT / "data_samples" / "knee_t2map" / "dicom"), "--no-browser", "-o", str(tmp_path / "out")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "mrbone_nb", "app", *words]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=said, stderr=said)
    for _ in range(300):
        found = re.search(r"(http://127\.0\.0\.1:\d+/) is open", (tmp_path / "said").read_text())
        if found or process.poll() is not None:
            break
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert found, (tmp_path / "said").read_text()
    yield found[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_the_app_paints_runs_and_saves_what_was_done(page, address, tmp_path):  # noqa: F811
    page.set_viewport_size({"width": 1280, "height": 1400})
    page.goto(address)
    view = page.locator(".mb-slices[data-ready]").first
    view.wait_for(timeout=90_000)
    sagittal = view.locator(".mb-sagittal")
    before = grab(sagittal)
    assert before.std() > 20, "the slice is blank"
    page.mouse.move(*middle(sagittal))
    page.mouse.wheel(0, 300)
    assert changes(sagittal, before, 0.5), "the wheel does nothing"
    assert page.locator(".jp-InputArea, .cm-editor").count() == 0 and "image = mb." not in page.inner_text("body")
    x, y = middle(sagittal)
    view.locator(".mb-tool-brush").click()
    drag(page, (x, y - 150), (x - 60, y - 100), (x + 30, y - 100))  # in the femur
    view.locator("select").first.select_option("255")
    for dx, dy in ((-230, 0), (230, 0), (0, 30), (200, -200), (-200, -200)):
        drag(page, (x + dx, y + dy), (x + dx + 8, y + dy + 30))
    before = grab(sagittal)
    page.get_by_role("button", name="Run").first.click()
    page.locator(".mb-mesh[data-ready]").first.wait_for(timeout=180_000)
    assert changes(sagittal, before, 0.2), "no outline"
    page.get_by_role("button", name="Save what was done as a notebook").click()
    page.get_by_role("status").filter(has_text=".ipynb").wait_for(timeout=30_000)
    assert list((tmp_path / "out").glob("*.ipynb")) and list((tmp_path / "out").glob("*_strokes.json"))
    page.get_by_role("button", name="Save masks and models").click()
    page.get_by_role("status").filter(has_text="Saved: ").filter(has_text="dseg").wait_for(timeout=180_000)
    assert grab(page.locator(".mb-mesh").first).std() > 5, "no bone turns"
    page.screenshot(path=tmp_path / "app.png")
    assert page.outside == [] and page.errors == []
