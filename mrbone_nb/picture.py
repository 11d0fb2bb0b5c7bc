"""Pictures of slices: gray values in true proportions, outlines, strokes, and where the patient's left is."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .bones import LabelTable
from .errors import InputError
from .step import EVERYTHING_ELSE
from .views import Plane, View, view_of
from .volume import Volume

WINDOW = (1, 99.5)  # percentiles that become black and white
WINDOW_SAMPLE = 200_000  # voxels are plenty for a percentile
FRAME_PIXELS = 512  # about how large a picture is unless asked otherwise
MAX_PIXELS = 8192  # longer sides are a mistake in spacing or zoom
FONT_SIZE = 13
INK, PAPER = (235, 235, 235), (0, 0, 0)
ELSE_COLOR = (200, 200, 200)  # strokes of "everything else"
MAX_TILES = 40
COOL, HOT = (255, 224, 64), (220, 20, 30)  # ends of the scale of a heat map


def window_of(volume: Volume) -> tuple[float, float]:
    """Give the gray values that become black and white: percentiles over the whole scan."""
    step = max(1, round((volume.array.size / WINDOW_SAMPLE) ** (1 / 3)))
    sample = volume.array[tuple(slice(None, None, step if n > 2 * step else 1) for n in volume.shape)]
    sample = sample[np.isfinite(sample)].astype(np.float32)
    if not sample.size:
        return 0.0, 1.0
    lower, upper = np.percentile(sample, WINDOW)
    return float(lower), float(upper) if upper > lower else float(lower) + 1


def slice_picture(
    volume: Volume,
    labels: Volume | np.ndarray | None = None,
    *,
    plane: Plane = "native",
    index: int | None = None,
    seeds: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    zoom: float | None = None,
    outline: bool = True,
    window: tuple[float, float] | None = None,
    heat: Volume | np.ndarray | None = None,
) -> Image.Image:
    """Draw one slice in true proportions, with labels, strokes, sides and its position.

    Parameters
    ----------
    volume
        The scan.
    labels
        A label map or mask on its grid.
    plane
        "native" is the plane in which the scan was taken.
    index
        Number of the slice in the array, from 0; by default the one with most labels or strokes.
    seeds
        Strokes on its grid; 255 is everything else.
    table
        Names and colors of the labels.
    zoom
        Pixels of the picture for the smaller side of a voxel; by default what makes about 512 pixels.
    outline
        Whether labels are drawn as lines, or as a veil of color.
    window
        Gray values that become black and white; by default percentiles over the whole scan, so that
        all its slices look alike.
    heat
        How often something happens at each voxel, from 0: drawn from yellow to red, red where it is most often.

    Returns
    -------
    PIL.Image.Image
        An RGB picture; a notebook shows it by itself, and `save` writes it.
    """
    labels, seeds = _on_grid("labels", labels, volume), _on_grid("seeds", seeds, volume)
    view = view_of(volume, plane)
    count = volume.shape[view.axis]
    heat, most = _shares(heat, volume)
    marked = labels if labels is not None else seeds
    index = _fullest(view, (heat > 0).view(np.uint8) if heat is not None else marked, count) if index is None else index
    if not -count <= index < count:
        raise InputError(f"index={index}: expected 0 to {count - 1}, the slices in this plane")
    index %= count
    table = _all_labels(table)
    size = _size(volume, view, zoom)
    picture = _draw(volume, view, index, labels, seeds, table, size, outline, window or window_of(volume), heat)
    _mark_sides(picture, volume, view)
    seen = _seen(view, index, labels, seeds)
    return _frame(picture, view.title(volume, index), table, seen, most)


def contact_sheet(
    volume: Volume,
    labels: Volume | np.ndarray | None = None,
    *,
    plane: Plane = "native",
    every: int | None = None,
    columns: int | None = None,
    tile: int = 256,
    seeds: Volume | np.ndarray | None = None,
    table: LabelTable | None = None,
    outline: bool = True,
    heat: Volume | np.ndarray | None = None,
) -> Image.Image:
    """Draw all slices, or every nth, side by side in one picture.

    Parameters
    ----------
    volume
        The scan.
    labels
        A label map or mask on its grid.
    plane
        "native" is the plane in which the scan was taken.
    every
        Show each nth slice; by default as many as make 40 pictures at most.
    columns
        Pictures in a row; by default what makes the sheet about as wide as high.
    tile
        Longer side of each picture in pixels.
    seeds
        Strokes on its grid; 255 is everything else.
    table
        Names and colors of the labels.
    outline
        Whether labels are drawn as lines, or as a veil of color.
    heat
        As for `slice_picture`.

    Returns
    -------
    PIL.Image.Image
        An RGB picture.
    """
    labels, seeds = _on_grid("labels", labels, volume), _on_grid("seeds", seeds, volume)
    heat, most = _shares(heat, volume)
    view = view_of(volume, plane)
    count = volume.shape[view.axis]
    every = max(1, -(-count // MAX_TILES)) if every is None else every
    for name, value, top in (("every", every, count), ("columns", columns, 100), ("tile", tile, 2048)):
        if value is not None and not 1 <= value <= top:
            raise InputError(f"{name}={value}: expected 1 to {top}")
    table = _all_labels(table)
    width, height = _size(volume, view, None)
    size = tuple(max(1, round(n * tile / max(width, height))) for n in (width, height))
    window, seen, pictures = window_of(volume), set(), []
    for index in range(0, count, every):
        seen |= _seen(view, index, labels, seeds)
        picture = _draw(volume, view, index, labels, seeds, table, size, outline, window, heat)
        _mark_sides(picture, volume, view)
        _write(picture, (4, 2), str(index))
        pictures.append(picture)
    title = f"{view.name}, {len(pictures)} of {count} slices (0 to {count - 1})"
    return _frame(_side_by_side(pictures, columns), title, table, seen, most)


def thumbnail(volume: Volume, side: int = 160) -> Image.Image:
    """Draw the middle slice in true proportions, head up, without any letters.

    Parameters
    ----------
    volume
        The scan; one plane will do.
    side
        Longer side of the picture in pixels.

    Returns
    -------
    PIL.Image.Image
        A gray picture.
    """
    view = view_of(volume)
    mm = [volume.shape[a] * volume.spacing[a] for a in (view.right, view.down)]
    size = tuple(max(1, round(length * side / max(mm))) for length in mm)
    middle = volume.shape[view.axis] // 2
    return _draw(volume, view, middle, None, None, LabelTable(), size, False, window_of(volume)).convert("L")


def _side_by_side(pictures: list[Image.Image], columns: int | None) -> Image.Image:
    """Put pictures of one size in rows; by default the sheet is about as wide as high."""
    width, height = pictures[0].size
    columns = min(columns or max(1, round((len(pictures) * height / width) ** 0.5)), len(pictures))
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), PAPER)
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    return sheet


def _on_grid(name: str, given: Volume | np.ndarray | None, volume: Volume) -> np.ndarray | None:
    """The array of a label map, which must lie on the scan's grid."""
    if given is None:
        return None
    if isinstance(given, Volume) and not volume.same_grid(given):
        raise InputError(f"{name} {given.name}: not on the grid of scan {volume.name}; resample to it first")
    array = given.array if isinstance(given, Volume) else np.asarray(given)
    if array.shape != volume.shape:
        raise InputError(f"{name} of shape {array.shape}: expected the scan's shape {volume.shape}")
    if array.dtype in (np.uint8, np.bool_):
        return array.view(np.uint8)
    if array.dtype.kind not in "iuf" or not (array.min() >= 0 and array.max() <= 255):
        raise InputError(f"{name}: values from {array.min()} to {array.max()}; expected whole numbers from 0 to 255")
    return array.astype(np.uint8)


def _shares(heat: Volume | np.ndarray | None, volume: Volume) -> tuple[np.ndarray | None, float]:
    """A heat map, which must lie on the scan's grid, as shares of its largest value, and that value."""
    if heat is None:
        return None, 0.0
    array = heat.array if isinstance(heat, Volume) else np.asarray(heat)
    if array.shape != volume.shape or isinstance(heat, Volume) and not volume.same_grid(heat):
        raise InputError(f"heat of shape {array.shape}: not on the grid of scan {volume.name}, {volume.shape}")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all() or array.min() < 0:
        raise InputError("heat: expected numbers from 0, none of them NaN or infinite")
    most = float(array.max())
    return array.astype(np.float32) / max(most, 1e-12), most


def _warm(rgb: np.ndarray, heat: np.ndarray, size: tuple[int, int]) -> None:
    """Mix a heat map into a picture: the more of it, the redder and the less of the scan is seen."""
    share = np.asarray(Image.fromarray(np.ascontiguousarray(heat)).resize(size, Image.Resampling.NEAREST))
    there = share > 0
    s = share[there][:, None]
    color = np.array(COOL) * (1 - s) + np.array(HOT) * s
    veil = 0.35 + 0.5 * s
    rgb[there] = (rgb[there] * (1 - veil) + color * veil).astype(np.uint8)


def _all_labels(table: LabelTable | None) -> LabelTable:
    """Name and color every label there can be, so that a color never depends on the slice."""
    return (table or LabelTable()).filled(range(1, EVERYTHING_ELSE))


def _seen(view: View, index: int, *maps: np.ndarray | None) -> set[int]:
    """The numbers that occur in a slice, without background."""
    shown = [view.take(array, index) for array in maps if array is not None]
    return {int(n) for array in shown for n in np.flatnonzero(np.bincount(array.ravel()))} - {0}


def _fullest(view: View, labels: np.ndarray | None, count: int) -> int:
    """The slice with most marked voxels; the middle one where nothing is marked."""
    marked = None if labels is None else (labels > 0) & (labels < EVERYTHING_ELSE)
    if marked is None or not marked.any():
        return count // 2
    return int(np.count_nonzero(marked, axis=tuple(a for a in range(3) if a != view.axis)).argmax())


def _size(volume: Volume, view: View, zoom: float | None) -> tuple[int, int]:
    """Width and height of the picture in pixels, in the proportions of the patient."""
    mm = [volume.shape[a] * volume.spacing[a] for a in (view.right, view.down)]
    finest = min(volume.spacing[a] for a in (view.right, view.down))
    if zoom is None:
        zoom = max(1, round(FRAME_PIXELS * finest / max(mm)))
    width, height = (max(1, round(length / finest * zoom)) if np.isfinite(zoom) else 0 for length in mm)
    if not (zoom > 0 and max(width, height) <= MAX_PIXELS):
        raise InputError(f"zoom={zoom}: makes a picture of {width} × {height} pixels; expected at most {MAX_PIXELS}")
    return width, height


def _draw(
    volume: Volume,
    view: View,
    index: int,
    labels: np.ndarray | None,
    seeds: np.ndarray | None,
    table: LabelTable,
    size: tuple[int, int],
    outline: bool,
    window: tuple[float, float],
    heat: np.ndarray | None = None,
) -> Image.Image:
    """Gray values with labels and strokes on them, at the size of the picture."""
    lower, upper = window
    gray = np.nan_to_num(view.take(volume.array, index).astype(np.float32))
    gray = np.clip((gray - lower) * (255 / (upper - lower)), 0, 255).astype(np.uint8)
    rgb = np.repeat(np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))[..., None], 3, 2)
    colors = _colors(table)
    if heat is not None:
        _warm(rgb, view.take(heat, index), size)
    if labels is not None:
        shown = _enlarge(view.take(labels, index), size)
        if outline:
            edge = _edges(shown, 2 if size[0] >= 2 * volume.shape[view.right] else 1)
            rgb[edge] = colors[shown[edge]]
        else:
            _tint(rgb, shown, colors, 0.4)
    if seeds is not None:
        _tint(rgb, _enlarge(view.take(seeds, index), size), colors, 0.75)
    return Image.fromarray(rgb)


def _enlarge(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels at the size of the picture, voxels as blocks: the outline shows what was really marked."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(labels)).resize(size, Image.Resampling.NEAREST))


def _colors(table: LabelTable) -> np.ndarray:
    """Colors of all label numbers, (256, 3)."""
    colors = np.zeros((256, 3), np.uint8)
    colors[EVERYTHING_ELSE] = ELSE_COLOR
    for number, label in table.items():
        colors[number] = np.rint(np.multiply(label.rgb, 255))
    return colors


def _edges(labels: np.ndarray, width: int) -> np.ndarray:
    """The inner border of each label, so that a line never covers more than the label does."""
    inside = labels > 0
    edge = inside & _touches(labels, lambda a, b: a != b)
    for _ in range(width - 1):
        edge |= inside & _touches(edge, lambda a, b: b & ~a)
    return edge


def _touches(array: np.ndarray, differ: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Where the comparison with one of the four neighbors holds."""
    found = np.zeros(array.shape, bool)
    for axis in (0, 1):
        here, there = (tuple(slice(*s) if a == axis else slice(None) for a in (0, 1)) for s in ((None, -1), (1, None)))
        found[here] |= differ(array[here], array[there])
        found[there] |= differ(array[there], array[here])
    return found


def _tint(rgb: np.ndarray, labels: np.ndarray, colors: np.ndarray, share: float) -> None:
    """Mix the labels' colors into a picture."""
    there = labels > 0
    rgb[there] = (rgb[there] * (1 - share) + colors[labels[there]] * share).astype(np.uint8)


@functools.cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)


def _write(picture: Image.Image, place: tuple[float, float], text: str, anchor: str = "la") -> None:
    """Write light letters with a dark rim, legible on any gray."""
    draw = ImageDraw.Draw(picture)
    draw.text(place, text, fill=INK, font=_font(), anchor=anchor, stroke_width=1, stroke_fill=PAPER)


def _mark_sides(picture: Image.Image, volume: Volume, view: View) -> None:
    """Write at each edge which side of the patient lies there."""
    sides = view.sides(volume)
    width, height = picture.size
    _write(picture, (4, height / 2), sides["left"], "lm")
    _write(picture, (width - 4, height / 2), sides["right"], "rm")
    _write(picture, (width / 2, 3), sides["top"], "ma")
    _write(picture, (width / 2, height - 4), sides["bottom"], "md")


def _frame(picture: Image.Image, title: str, table: LabelTable, seen: set[int], most: float = 0.0) -> Image.Image:
    """Put the title above, and below the names of the labels that can be seen and the ends of a heat map."""
    entries = [(tuple(round(255 * c) for c in table[n].rgb), table[n].title) for n in sorted(seen) if n in table]
    entries += [(ELSE_COLOR, "everything else")] if EVERYTHING_ELSE in seen else []
    entries += [(COOL, "least often"), (HOT, f"most often: {most:g}")] if most else []
    line, width = FONT_SIZE + 7, picture.width
    places, x, y = [], 6, 0
    for color, name in entries:
        need = FONT_SIZE + 6 + _font().getlength(name) + 14
        if x > 6 and x + need > width:
            x, y = 6, y + line
        places.append((x, y, color, name))
        x += need
    foot = y + line if entries else 0
    framed = Image.new("RGB", (width, line + picture.height + foot), PAPER)
    framed.paste(picture, (0, line))
    draw = ImageDraw.Draw(framed)
    draw.text((6, line / 2), title, fill=INK, font=_font(), anchor="lm")
    for x, y, color, name in places:
        top = line + picture.height + y
        draw.rectangle((x, top + 4, x + FONT_SIZE - 3, top + 1 + FONT_SIZE), fill=color)
        draw.text((x + FONT_SIZE + 4, top + line / 2), name, fill=INK, font=_font(), anchor="lm")
    return framed
