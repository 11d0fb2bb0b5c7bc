"""Many slices tiled into one image: Siemens mosaics and UIH grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .records import Frame

if TYPE_CHECKING:
    from .files import Opened


def unpack(opened: Opened, frame: Frame) -> list[Frame]:
    """Give the slices of a tiled image as frames of their own; any other image as it is."""
    return [frame]
