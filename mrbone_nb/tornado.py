"""The picture of a sensitivity analysis: which parameters move a bone, and how far, the most first."""

from __future__ import annotations

import math
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .errors import InputError
from .shaking import Change, Sensitivity

FONT_SIZE = 15
ROW, BAR, GAP, HEAD, FOOT = 30, 18, 14, 64, 46  # pixels
HALF = 230  # pixels from the middle to the end of the longest bar
VALUE = 76  # pixels beside a bar for the value it stands for
INK, PALE, PAPER = (30, 30, 30), (150, 150, 150), (255, 255, 255)
DOWN, UP = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion
LEAST_MM = 0.01  # the scale never ends below


def tornado_picture(result: Sensitivity, label: int | None = None, top: int = 20) -> Image.Image:
    """Draw how far the bones move with each parameter, the most first.

    To the left the smaller value, to the right the larger one or another choice; a bar is as long as the mean distance
    between the surfaces before and after. An open end says that a bone was lost or came up.

    Parameters
    ----------
    result
        What `sensitivity` found.
    label
        The bone; by default the mean of all.
    top
        How many parameters at most; how many more there are is told.

    Returns
    -------
    PIL.Image.Image
        An RGB picture.
    """
    if label is not None and label not in result.table:
        known = ", ".join(f"{n} {entry.title}" for n, entry in result.table.items()) or "none"
        raise InputError(f"label={label}: the recipe made no such bone; there are {known}")
    if not 1 <= top <= 200:
        raise InputError(f"top={top}: expected 1 to 200")
    groups = result.ranked(label)
    shown = [(name, changes) for name, changes in groups if max(c.mean_mm(label) for c in changes) > 0][:top]
    font = ImageFont.load_default(FONT_SIZE)
    shown = [(f"{name} = {_said(changes[0].old)} {changes[0].unit}".rstrip(), changes) for name, changes in shown]
    names = max([font.getlength(name) for name, _ in shown] or [0.0])
    width = round(max(GAP + names + GAP + 2 * (HALF + VALUE) + GAP, 640))
    height = HEAD + ROW * max(1, len(shown)) + FOOT
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    bone = "mean of all bones" if label is None else result.table[label].title
    draw.text((GAP, 12), f"{result.recipe.name}, {bone}: mean distance between the surfaces", INK, font)
    middle = width - GAP - VALUE - HALF
    scale = max([c.mean_mm(label) for _, changes in shown for c in changes if c.mean_mm(label) < math.inf] or [0])
    scale = max(scale, LEAST_MM)
    _axis(draw, font, middle, scale, height - FOOT)
    for row, (name, changes) in enumerate(shown):
        y = HEAD + row * ROW
        draw.text((GAP, y + BAR / 2), name, INK, font, anchor="lm")
        _bars(draw, font, middle, y, changes, scale, label)
    left = len(groups) - len(shown)
    note = f"{left} more move it less or not at all" if left else "these are all"
    draw.text((GAP, height - FOOT / 2), note if shown else "no parameter moves it", PALE, font, anchor="lm")
    return picture


def _axis(draw: ImageDraw.ImageDraw, font: Any, middle: float, scale: float, bottom: float) -> None:
    """The middle line and a scale of mm on both sides."""
    for share in (-1, -0.5, 0, 0.5, 1):
        x = middle + share * HALF
        draw.line((x, HEAD - 8, x, bottom), INK if share == 0 else (225, 225, 225))
        draw.text((x, HEAD - 20), f"{abs(share) * scale:.2g}" + (" mm" if share == 1 else ""), PALE, font, anchor="mm")


def _bars(
    draw: ImageDraw.ImageDraw, font: Any, middle: float, y: int, changes: list[Change], scale: float, label: int | None
) -> None:
    """One parameter: the smaller value to the left, the larger one, or the choice that moves most, to the right."""
    sides: dict[int, Change] = {}
    for change in changes:
        numbers = not isinstance(change.old, (str, bool))
        side = -1 if numbers and change.new < change.old else 1
        if side not in sides or change.mean_mm(label) > sides[side].mean_mm(label):
            sides[side] = change
    for side, change in sides.items():
        far = change.mean_mm(label)
        length = HALF * (1 if math.isinf(far) else far / scale)
        ends = sorted((middle, middle + side * length))
        color = DOWN if side < 0 else UP
        draw.rectangle((ends[0], y, ends[1], y + BAR), fill=None if math.isinf(far) else color, outline=color)
        text = _said(change.new) + (" lost" if math.isinf(far) else "")
        place = middle + side * (length + 5)
        draw.text((place, y + BAR / 2), text, INK, font, anchor="lm" if side > 0 else "rm")


def _said(value: Any) -> str:
    """A value in few letters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
