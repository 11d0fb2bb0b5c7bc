"""What browser tests share: pixels of an element, and waiting until they change."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image


def grab(place):
    """The pixels of an element, (rows, columns, 3)."""
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


def changes(place, before, by=1.0, seconds=15):
    """Wait until an element looks different."""
    end = time.time() + seconds
    while time.time() < end:
        now = grab(place)
        if now.shape != before.shape or np.abs(now - before).mean() > by:
            return True
        time.sleep(0.1)
    return False


def middle(place):
    """The middle of an element, once it no longer moves: Lab scrolls after each run."""
    place.scroll_into_view_if_needed()
    box = None
    while box != (box := place.bounding_box()):
        place.page.wait_for_timeout(150)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, *points, button="left", steps=8):
    """Press at the first point, go through the others, let go."""
    page.mouse.move(*points[0])
    page.mouse.down(button=button)
    for point in points[1:]:
        page.mouse.move(*point, steps=steps)
    page.mouse.up(button=button)


def colored(pixels, rgb, within=40):
    """Where pixels have about a color."""
    return np.abs(pixels - np.array(rgb)).max(axis=2) < within
