"""From a group of frames to a volume: values with their scale, planes in order, gaps and shear put straight."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..memory import GIB, LIMIT, available
from . import geometry
from .geometry import Stack
from .groups import Group
from .issues import Issue, count
from .pixels import stored_values
from .records import Frame

MAX_PLANES = 4  # times as many planes as there are slices: more are not made up to close gaps


class Undecodable(Exception):
    """Name the frames whose pixels could not be decoded, each with the reason."""

    def __init__(self, frames: list[tuple[Frame, str]]) -> None:
        super().__init__(f"{len(frames)} frames")
        self.frames = frames


@dataclass(slots=True)
class Built:
    """An array with its grid, and what was found wrong on the way."""

    array: np.ndarray
    stack: Stack
    spacing: tuple[float, float, float]
    issues: list[Issue] = field(default_factory=list)
    made_up: tuple[int, ...] = ()  # planes that were interpolated


def value_type(frames: list[Frame]) -> np.dtype:
    """Give the type that holds every value exactly: float32, or float64 where 24 bits do not do."""
    kinds = {id(f.source): f.source.pixels for f in frames}.values()
    wide = any(p.kind == "double" or (p.kind == "int" and p.stored > 24) for p in kinds)
    return np.dtype(np.float64 if wide else np.float32)


def load(frames: list[Frame]) -> tuple[np.ndarray, dict[int, str], int]:
    """Read the real values of frames of one size.

    Returns
    -------
    tuple
        An array (frames, rows, columns); for frames that failed the reason, by index; how many values are no numbers.
    """
    shape = (len(frames), frames[0].rows, frames[0].columns)
    _check_room(shape, value_type(frames).itemsize)
    array = np.empty(shape, value_type(frames))
    failed: dict[int, str] = {}
    odd = 0
    for k, image in stored_values(frames):
        if isinstance(image, str):
            failed[k] = image
            continue
        array[k] = scaled(frames[k], image)
        if image.dtype.kind == "f":
            odd += int(np.count_nonzero(~np.isfinite(array[k])))
    return array, failed, odd


def scaled(frame: Frame, image: np.ndarray) -> np.ndarray:
    """Give the real values of stored ones."""
    slope = 1.0 if frame.slope is None else frame.slope
    intercept = 0.0 if frame.intercept is None else frame.intercept
    return image if slope == 1.0 and intercept == 0.0 else image * np.float64(slope) + intercept


def _check_room(shape: tuple[int, ...], width: int) -> None:
    need, free = float(np.prod(shape, dtype=float)) * width, available()
    if free is not None and need > LIMIT * free:
        raise InputError(
            f"{' × '.join(map(str, shape))} voxels in {count(shape[0], 'slice')} need {need / GIB:.1f} GB of memory, and "
            f"{free / GIB:.1f} GB are free; not read. Close other programs, or use a larger machine"
        )


def build(group: Group) -> Built:
    """Give the volume of a stack, even where something is wrong with it; the issues say what.

    Raises
    ------
    Undecodable
        Where the pixels of some frames cannot be decoded.
    """
    stack = geometry.measure(group.frames)
    frames = [group.frames[k] for k in stack.order]
    array, failed, odd = load(frames)
    if failed:
        raise Undecodable([(frames[k], failed[k]) for k in sorted(failed)])
    built = Built(array, stack, (stack.spacing, *frames[0].spacing), value_issues(array, odd, len(frames)))
    if len(frames) > 1:
        if crooked(stack):
            _straighten(built)
        if stack.gaps:
            _even_out(built)
    return built


def value_issues(array: np.ndarray, odd: int, planes: int) -> list[Issue]:
    """Say what is strange about the values: no numbers, all the same."""
    if odd:
        return [
            Issue(
                "nan",
                f"{count(planes, 'slice')}: {count(odd, 'value')} are NaN or infinite; they were left as they are. "
                'Repair the source, or accept "nan"',
                blocks=True,
            )
        ]
    if array.min() == array.max():
        return [
            Issue(
                "constant",
                f"all pixels of {count(planes, 'slice')} hold the same value ({array.flat[0]:g}), a constant "
                "image: there is nothing to segment. Check the export",
            )
        ]
    return []


def crooked(stack: Stack) -> bool:
    """Whether slices are shifted sideways beyond rounding."""
    return stack.shear > geometry.SHEAR_DEG or stack.wander > max(0.05, 2 * stack.tolerance)


def _straighten(built: Built) -> None:
    """Shift every slice within its plane, linearly interpolated, onto one upright grid that holds them all."""
    from scipy import ndimage

    stack, (_, dy, dx) = built.stack, built.spacing
    low, high = stack.sideways.min(axis=0), stack.sideways.max(axis=0)
    rows, columns = built.array.shape[1:]
    more_rows, more_columns = (int(np.ceil(v - 0.01)) for v in ((high[1] - low[1]) / dy, (high[0] - low[0]) / dx))
    shape = (len(built.array), rows + more_rows, columns + more_columns)
    out = np.zeros(shape, built.array.dtype)
    for k, (x, y) in enumerate(stack.sideways):
        offset = (-(y - low[1]) / dy, -(x - low[0]) / dx)
        ndimage.affine_transform(
            built.array[k], [1, 1], offset, output_shape=shape[1:], output=out[k], order=1, mode="grid-constant"
        )
    built.array = out
    stack.origin = stack.origin + stack.axes[:, :2] @ low


def _even_out(built: Built) -> None:
    """Put unevenly spaced planes on an even grid: planes that are there stay, those between are interpolated."""
    stack = built.stack
    height = stack.heights - stack.heights[0]
    usual = built.spacing[0]
    planes = int(round(height[-1] / usual)) + 1
    if planes > MAX_PLANES * len(height):
        raise InputError(
            f"{count(len(height), 'slice')} over {height[-1]:.1f} mm, {usual:.2f} mm apart where they are closest: gaps too "
            "wide to close; not built. Find the missing slices, or choose another series"
        )
    step = float(height[-1] / (planes - 1))
    grid = step * np.arange(planes)
    before = np.clip(np.searchsorted(height, grid + 1e-9, side="right") - 1, 0, len(height) - 2)
    share = (grid - height[before]) / (height[before + 1] - height[before])
    near = np.rint(share)
    share = np.where(np.abs(share - near) * (height[before + 1] - height[before]) <= stack.tolerance, near, share)
    out = np.empty((planes, *built.array.shape[1:]), built.array.dtype)
    for k, (b, s) in enumerate(zip(before, share, strict=True)):
        out[k] = built.array[b + int(s)] if s in (0.0, 1.0) else (1 - s) * built.array[b] + s * built.array[b + 1]
    built.array = out
    built.spacing = (step, *built.spacing[1:])
    built.made_up = tuple(int(k) for k in np.flatnonzero((share > 0) & (share < 1)))
