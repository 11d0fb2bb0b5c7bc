"""Pictures for a panel: the slice before and after, with the calls that lie between."""

from __future__ import annotations

import io
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ..picture import INK, PAPER, slice_picture, window_of
from ..views import View
from ..volume import Volume
from .chain import State, one_slice, shown_slot

SIDE = 400  # about the longer side of each of the two pictures, in pixels
GAP = 8
FONT = ImageFont.load_default(13)
LINE = 18
LETTERS_WIDE = 7  # pixels of a letter, about


class Frame:
    """Draw arrays of a scan, slice by slice, all alike.

    Parameters
    ----------
    volume
        The scan that the arrays lie on.
    view
        How its slices are shown.
    table
        Names and colors of labels.
    """

    def __init__(self, volume: Volume, view: View, table: Any) -> None:
        self.volume, self.view, self.table = volume, view, table
        mm = [volume.shape[a] * volume.spacing[a] for a in (view.right, view.down)]
        self.zoom = SIDE * min(volume.spacing[a] for a in (view.right, view.down)) / max(mm)

    def draw(
        self, state: State, index: int, window: tuple[float, float], first: int = 0, seeds: bool = False
    ) -> Image.Image:
        """Draw one slice of a state; ``first`` is the scan's slice with which the state's arrays begin."""
        shown = {"labels": state.get(shown_slot(state)), "seeds": state.get("seeds") if seeds else None}
        at = {
            name: one_slice(array, self.view.axis, index - first, self.volume.shape)
            for name, array in shown.items()
            if array is not None
        }
        scan = self.volume.with_array(one_slice(state["image"], self.view.axis, index - first, self.volume.shape))
        return slice_picture(scan, plane=self.view.name, index=index, table=self.table, zoom=self.zoom, window=window, **at)

    def window(self, state: State) -> tuple[float, float]:
        """The gray values that become black and white, the same in all slices."""
        return window_of(self.volume.with_array(state["image"]))


def with_bone_probability(state: State) -> State:
    """A state that shows how likely bone is, instead of the image."""
    layers = state["probability"]
    return {**state, "image": 1 - layers[0]}


def side_by_side(before: Image.Image, after: Image.Image, title: str, calls: Sequence[str]) -> Image.Image:
    """Put two pictures beside each other, and above them what leads from one to the other."""
    width = before.width + GAP + after.width
    lines = [line for call in calls for line in wrap(call, max(20, (width - 12) // LETTERS_WIDE), subsequent_indent="    ")]
    top = LINE * (1 + len(lines)) + 6
    page = Image.new("RGB", (width, top + max(before.height, after.height)), PAPER)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((6, 4 + LINE * number), line, fill=INK, font=FONT)
    for x, word, picture in ((0, "before", before), (before.width + GAP, title, after)):
        draw.text((x + 6, top - LINE), word, fill=(160, 160, 160), font=FONT)
        page.paste(picture, (x, top))
    return page


def png(picture: Image.Image, quick: bool = False) -> bytes:
    """The bytes of a PNG file; ``quick`` for one that is shown for a moment."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1 if quick else 6)
    return stream.getvalue()
