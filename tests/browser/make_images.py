"""Make the README's pictures from the sample: python tests/browser/make_images.py (needs Chromium for the second)."""

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


def panel():
    """The panel of a step in JupyterLab, after a slider was moved."""
    from lab import BROWSER, Lab, page_of
    from playwright.sync_api import sync_playwright

    cells = [
        "import mrbone_nb as mb\nvolume = mb.read('dicom', echo=1)",
        "seeds, names = mb.read_labels('seeds.nii.gz', like=volume)",
        "smooth = mb.tune(mb.preset('bright-marrow').calls[:3], volume)",
        "mb.tune(['random_walker', 'most_likely'], smooth, seeds=seeds, table=names)",
    ]
    links = {name: SAMPLE / name for name in ("dicom", "seeds.nii.gz", "seeds.json")}
    with Lab(cells, links) as lab, sync_playwright() as play:
        browser = play.chromium.launch(**BROWSER)
        page = page_of(browser, width=1140, height=1100)
        lab.run(page)
        output = page.locator(".jp-OutputArea-output").last
        page.locator(".noUi-handle").first.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_timeout(3000)
        save(Image.open(io.BytesIO(output.screenshot())), "tune.png")
        browser.close()


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    result()
    if "--all" in sys.argv:
        panel()
