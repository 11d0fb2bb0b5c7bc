"""Make the README's pictures from the sample: python tests/browser/make_images.py (--all: in JupyterLab, too)."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image, ImageChops

import mrbone_nb as mb

ROOT = Path(__file__).parents[2]
SAMPLE, IMAGES = ROOT / "data_samples" / "knee_t2map", ROOT / "docs" / "images"


def knee():
    volume = mb.read(SAMPLE / "dicom", echo=1)
    seeds, names = mb.read_labels(SAMPLE / "seeds.nii.gz", like=volume)
    return volume, seeds, names, mb.preset("bright-marrow").run(volume, seeds=seeds).labels


def save(picture, name):
    path = IMAGES / name
    picture = picture.convert("RGB")
    around = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    picture.crop(around).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {picture.size}, {path.stat().st_size / 1000:.0f} kB")


def result():
    """Strokes on a slice, the bones found there, and the models."""
    volume, seeds, names, labels = knee()
    left = mb.slice_picture(volume, seeds=seeds, table=names, index=18, zoom=1.5)
    middle = mb.slice_picture(volume, labels, table=names, index=18, zoom=1.5)
    right = mb.view3d(labels, table=names, width=420, height=424).picture()
    parts = [left, middle, right]
    page = Image.new("RGB", (sum(p.width for p in parts), max(p.height for p in parts)))
    x = 0
    for part in parts:
        page.paste(part, (x, 0))
        x += part.width
    save(page, "knee.png")


def shot(cells, name, act, width=1140, height=1100):
    """The last output of a notebook in JupyterLab, after somebody did something there."""
    from lab import BROWSER, Lab, page_of
    from playwright.sync_api import sync_playwright

    links = {name: SAMPLE / name for name in ("dicom", "seeds.nii.gz", "seeds.json")}
    with Lab(cells, links) as lab, sync_playwright() as play:
        browser = play.chromium.launch(**BROWSER)
        page = page_of(browser, width=width, height=height)
        lab.run(page)
        act(page)
        save(Image.open(io.BytesIO(page.locator(".jp-OutputArea-output").last.screenshot())), name)
        browser.close()


READ = [
    "import mrbone_nb as mb\nvolume = mb.read('dicom', echo=1)",
    "seeds, names = mb.read_labels('seeds.nii.gz', like=volume)",
]


def panel():
    """The panel of a step, after a slider was moved."""
    smooth = "smooth = mb.tune(mb.preset('bright-marrow').calls[:3], volume)"
    tune = "mb.tune(['random_walker', 'most_likely'], smooth, seeds=seeds, table=names)"

    def move(page):
        page.locator(".noUi-handle").first.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_timeout(3000)

    shot([*READ, smooth, tune], "tune.png", move)


def workbench():
    """The workbench after a run."""

    def run(page):
        page.locator(".mb-slices[data-ready]").first.wait_for(timeout=60_000)
        page.get_by_role("button", name="Run").first.click()
        page.locator(".mb-mesh[data-ready]").first.wait_for(timeout=180_000)
        page.wait_for_timeout(2000)

    shot([*READ, "mb.workbench(volume, bones=names, seeds=seeds)"], "workbench.png", run, width=1280, height=1300)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    result()
    if "--all" in sys.argv:
        panel()
        workbench()
