"""A still picture of bone models, drawn with numpy alone: what is seen where nothing can turn them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..mesh import Mesh
from ..picture import INK, PAPER

FINER = 2  # drawn twice as large, then reduced, so that edges are smooth
DISTANCE, FOCUS = 3.2, 3.4  # the camera stands 3.2 radii away; the same numbers as in static/mesh.js
FONT = ImageFont.load_default(13)
LINE = 20
SHINE = np.array([0.3, 0.4, 1.0]) / np.linalg.norm([0.3, 0.4, 1.0])

# From in front, head up, turned a little: rows are the screen's right, up and toward the eye, in LPS.
FRONT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def turn(about_x: float, about_y: float) -> np.ndarray:
    """Rotate by ``about_y`` and then by ``about_x``, in radians, about the screen's axes."""
    c, s, k, m = np.cos(about_x), np.sin(about_x), np.cos(about_y), np.sin(about_y)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[k, 0, m], [0, 1, 0], [-m, 0, k]])


def picture_of(
    meshes: Sequence[tuple[str, Mesh, tuple[float, float, float]]],
    size: tuple[int, int] = (640, 480),
    angles: tuple[float, float] = (0.15, 0.35),
) -> Image.Image:
    """Draw surfaces, lit from the eye, with their names below.

    Parameters
    ----------
    meshes
        Name, surface and color (0 to 1) of each.
    size
        Width and height in pixels, without the names.
    angles
        Turn about the screen's x and y axes from the front view, in radians.
    """
    width, height = size[0] * FINER, size[1] * FINER
    ends = np.array([m.bounds for _, m, _ in meshes])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    radius = float(np.linalg.norm(high - low)) / 2 or 1.0
    look = turn(*angles) @ FRONT
    depth = np.full(width * height, -np.inf, np.float32)
    color = np.full((width * height, 3), PAPER, np.uint8)
    for _, mesh, rgb in meshes:
        seen = (mesh.vertices - (low + high) / 2) @ look.T / radius
        scale = FOCUS * height / 2 / (DISTANCE - seen[:, 2])
        places = np.stack([width / 2 + seen[:, 0] * scale, height / 2 - seen[:, 1] * scale], axis=1)
        _draw(places, seen[:, 2], _shade(mesh.normals() @ look.T, rgb), mesh.faces, (width, height), depth, color)
    picture = Image.fromarray(color.reshape(height, width, 3)).resize(size, Image.Resampling.BOX)
    return _with_names(picture, [(name, rgb) for name, _, rgb in meshes])


def _shade(normals: np.ndarray, rgb: tuple[float, float, float]) -> np.ndarray:
    """Color of each vertex in light that comes from the eye, with a little shine; as in static/mesh.js."""
    facing = np.abs(normals[:, 2:])
    shine = np.clip(normals @ SHINE, 0, 1)[:, None] ** 30
    return np.clip(np.multiply(rgb, 0.25 + 0.7 * facing) + 0.18 * shine, 0, 1).astype(np.float32)


def _draw(
    places: np.ndarray,
    near: np.ndarray,
    shades: np.ndarray,
    faces: np.ndarray,
    size: tuple[int, int],
    depth: np.ndarray,
    color: np.ndarray,
) -> None:
    """Sample every triangle at least once a pixel, and keep the nearest sample of each pixel.

    Triangles of one size are sampled together; there is no loop over triangles.
    """
    corners = places[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    cuts = np.maximum(1, np.ceil(longest * 1.5)).astype(int)
    for n in np.unique(cuts):
        some = faces[cuts == n]
        for weights in np.array_split(_weights(n), max(1, len(some) * n * n // 2_000_000)):
            at = np.einsum("sk,tkx->tsx", weights, places[some]).reshape(-1, 2)
            far = np.einsum("sk,tk->ts", weights, near[some]).ravel().astype(np.float32)
            shade = np.einsum("sk,tkx->tsx", weights, shades[some]).reshape(-1, 3)
            _keep_nearest(at.astype(int), far, shade, size, depth, color)


def _weights(n: int) -> np.ndarray:
    """Places in a triangle, as shares of its corners: the centers of the cells of a grid n to a side."""
    u, v = (np.indices((n, n)).reshape(2, -1) + 1 / 3) / n
    inside = u + v < 1
    u, v = u[inside], v[inside]
    return np.stack([1 - u - v, u, v], axis=1).astype(np.float32)


def _keep_nearest(
    at: np.ndarray, far: np.ndarray, shade: np.ndarray, size: tuple[int, int], depth: np.ndarray, color: np.ndarray
) -> None:
    """Put samples into the picture where nothing nearer is there yet."""
    inside = ((at >= 0) & (at < size)).all(axis=1)
    pixel, far, shade = at[inside] @ np.array([1, size[0]]), far[inside], shade[inside]
    np.maximum.at(depth, pixel, far)
    wins = far >= depth[pixel]
    color[pixel[wins]] = np.rint(shade[wins] * 255)


def _with_names(picture: Image.Image, names: Sequence[tuple[str, tuple[float, float, float]]]) -> Image.Image:
    """Write the names with their colors below."""
    places, x, y = [], 8, 0
    for name, rgb in names:
        need = 18 + FONT.getlength(name) + 14
        if x > 8 and x + need > picture.width:
            x, y = 8, y + LINE
        places.append((x, y, name, tuple(round(255 * c) for c in rgb)))
        x += need
    page = Image.new("RGB", (picture.width, picture.height + y + LINE + 4), PAPER)
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    for x, y, name, rgb in places:
        top = picture.height + y
        draw.rectangle((x, top + 4, x + 11, top + 15), fill=rgb)
        draw.text((x + 18, top + 10), name, fill=INK, font=FONT, anchor="lm")
    return page
