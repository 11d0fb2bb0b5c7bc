"""itkwidgets in JupyterLab, without a network: a bone is shown, follows a slider, and holds nothing up."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("playwright.sync_api", reason="needs the extra `test`")

from lab import CHROMIUM, Lab
from test_views import changes, chromium, grab, middle, page  # noqa: F401  (two of them are fixtures)

from mrbone_nb.nb import offline

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (on Debian: apt install chromium)"),
    pytest.mark.skipif(
        not offline.installed(),
        reason="the offline viewer is not there (python -m mrbone_nb.nb.offline; needs a network)",
    ),
]

BONE = """\
import numpy as np, mrbone_nb as mb, ipywidgets
z, y, x = np.ogrid[:24, :48, :48]
far = np.hypot(y - 24, x - 24) + 0 * z
image = np.where(far < 20, 0.9, 0.1) - 0.6 * (far < 10) + 0.01 * np.random.default_rng(0).normal(size=(24, 48, 48))
volume = mb.Volume(image.astype("float32"), (2.0, 0.8, 0.8), name="tiny")
"""
VIEW = """\
view = mb.view3d(volume, labels=(far < 10).astype("uint8"))
slider = ipywidgets.IntSlider(value=0, min=0, max=16, description="from")
slider.observe(lambda c: view.show(labels=((far < 19) & (z > c["new"])).astype("uint8")), "value")
ipywidgets.VBox([slider, view])"""


def until(lab, page, code, seconds=200):  # noqa: F811
    """Ask until the answer is True."""
    end = time.time() + seconds
    while lab.ask(page, code) != "True":
        assert time.time() < end, f"{code}: not within {seconds} s; {lab.ask(page, 'print(view._line.value)')}"
        page.wait_for_timeout(1000)


def test_a_bone_is_shown_with_itkwidgets_and_follows_a_slider(page):  # noqa: F811
    with Lab([BONE, VIEW, "print('after')"]) as lab:
        lab.run(page)
        assert page.locator(".jp-CodeCell").last.inner_text().strip().endswith("after"), "later cells are not held up"
        assert lab.ask(page, "print(type(view).__name__)") == "VolumeView"
        until(lab, page, "print(view._up)")
        assert lab.ask(page, "print(view._line.value, view.light.layout.display)") == "None", "the surfaces stay"
        frame = page.locator("iframe").first
        middle(frame)
        page.wait_for_timeout(3000)
        picture = grab(frame)
        rows, columns = (slice(n // 3, 2 * n // 3) for n in picture.shape[:2])
        assert picture[rows, columns].std() > 10, "nothing is in the middle of the viewer"
        place = page.locator(".jp-CodeCell").nth(1)
        place.locator(".noUi-handle").first.focus()
        page.keyboard.press("End")
        middle(frame)
        assert changes(frame, picture, 0.5, seconds=90), "the slider does nothing"
        page.wait_for_timeout(5000)
        now = np.abs(grab(frame) - picture).mean(axis=2)
        high, low = now[: len(now) // 2].mean(), now[len(now) // 2 :].mean()
        assert low > 0.2 and high > 0.2, "the bone is labeled in its upper part, no more in its lower one"
        assert page.outside == [] and page.errors == []
