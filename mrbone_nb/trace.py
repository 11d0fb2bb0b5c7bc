"""Tracing: a closed surface around a mask, in millimeters along the axes of its array."""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .mesh import Mesh
from .slices import resample, slice_distances, smooth, straighten
from .step import Spacing

MOST_CELLS = 60_000_000  # about 2 GB at the peak
ATTEMPTS = 8
FLAT = 1e-3  # share of a cell by which a field's value keeps off 0
CLOSE = 1e-3  # of the volume: near enough
VOLUME_SLACK = 0.02  # share of the volume that is put right by moving the vertices


def trace(mask: np.ndarray, spacing: Spacing, cell: float, smoothing: float) -> Mesh:
    """Trace a mask, (P, M, N), whose first axis runs across the slices.

    Gives vertices in mm along the three axes, from the center of the first voxel; the volume is that
    of the mask. Where parts of a few voxels slip through the cells, finer ones are taken.
    """
    for size in (cell, cell / 2, cell / 4):
        mesh = _trace_on(mask, spacing, size, smoothing)
        if mesh is not None:
            return mesh
    raise InputError(
        f"smoothing={smoothing:g} mm, edge={cell:g} mm: too coarse for parts of so few voxels; choose less"
    )


def _trace_on(mask: np.ndarray, spacing: Spacing, cell: float, smoothing: float) -> Mesh | None:
    """Trace on cells of one size; None if no level of the field encloses the volume of the mask."""
    target = np.count_nonzero(mask) * float(np.prod(spacing))
    margin = 3 * smoothing + 3 * cell
    part, start, ends = _padded_box(mask, spacing, margin)
    _refuse_too_fine(part.shape, spacing, cell)
    field = resample(slice_distances(part, spacing), spacing, cell)
    field = smooth(straighten(field, cell, margin), smoothing, cell)
    outside = _outside_scan(field.shape, cell, ends)

    wanted, low, high = target, 0.0, np.inf  # levels are found by counting cells, which is not exact
    for _ in range(ATTEMPTS):
        mesh = _march(_at_level(field, outside, wanted, cell), cell, np.multiply(start, spacing))
        held = mesh.volume if mesh else 0.0
        if abs(held / target - 1) <= VOLUME_SLACK:
            faces = [tuple(start[axis] * spacing[axis] + end for end in ends[axis]) for axis in range(3)]
            return _match_volume(mesh, target, faces, 2 * FLAT * cell)
        low, high = (wanted, high) if held < target else (low, wanted)
        guess = wanted * target / held if held else 2 * wanted
        wanted = guess if low < guess < high else (low + min(high, 4 * low)) / 2
    return None


def _refuse_too_fine(shape: tuple[int, ...], spacing: Spacing, cell: float) -> None:
    """Refuse cells so small that they would fill the memory, and say which would do."""
    room = float(np.prod(np.array(shape) * spacing))
    if room / cell**3 > MOST_CELLS:
        least = np.ceil(10 * (room / MOST_CELLS) ** (1 / 3)) / 10
        raise InputError(
            f"edge={cell:g} mm: {room / cell**3:.2g} cells would need too much memory; choose {least:g} or more"
        )


def _padded_box(
    mask: np.ndarray, spacing: Spacing, margin: float
) -> tuple[np.ndarray, list[int], list[tuple[float, float]]]:
    """Cut out the mask with a margin; where it touches the scan's border it goes on unchanged in the margin.

    Gives the box, the index of its first voxel in the scan, and for each axis where the scan begins
    and ends for it, in mm from that voxel (infinite where the mask does not touch).
    """
    box, pads, start, ends = [], [], [], []
    for axis, step in enumerate(spacing):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        pad = int(np.ceil(margin / step)) + 1
        first = int(used[0]) - pad
        touches = used[0] == 0, used[-1] == mask.shape[axis] - 1
        box.append(slice(used[0], used[-1] + 1))
        pads += [(axis, side, pad, "edge" if touches[side] else "constant") for side in (0, 1)]
        start.append(first)
        ends.append(
            (
                (-0.5 - first) * step if touches[0] else -np.inf,
                (mask.shape[axis] - 0.5 - first) * step if touches[1] else np.inf,
            )
        )
    part = mask[tuple(box)]
    for axis, side, pad, mode in pads:
        part = np.pad(part, [((pad, 0), (0, pad))[side] if a == axis else (0, 0) for a in range(3)], mode=mode)
    return part, start, ends


def _outside_scan(shape: tuple[int, ...], cell: float, ends: list[tuple[float, float]]) -> np.ndarray | None:
    """Distance in mm to the scan's outer faces that cut the mask, positive outside; None if none does."""
    field = None
    for axis, (first, last) in enumerate(ends):
        if np.isinf(first) and np.isinf(last):
            continue
        along = np.arange(shape[axis]) * cell
        distance = np.maximum(first - along, along - last).astype(np.float32)
        distance = distance.reshape([-1 if a == axis else 1 for a in range(3)])
        field = distance if field is None else np.maximum(field, distance)
    return field


def _at_level(field: np.ndarray, outside: np.ndarray | None, target: float, cell: float) -> np.ndarray:
    """Shift distances so that they enclose the target volume, and cut them at the scan's border."""
    level, low, high = 0.0, float(field.min()), float(field.max())
    for _ in range(20):
        moved = field - np.float32(level)
        if outside is not None:
            moved = np.maximum(moved, outside)
        volume = float(np.clip(0.5 - moved / cell, 0, 1).sum(dtype=np.float64)) * cell**3
        if abs(volume - target) < 1e-3 * target:
            break
        low, high = (level, high) if volume < target else (low, level)
        level = (low + high) / 2
    return moved


def _march(field: np.ndarray, cell: float, start: np.ndarray) -> Mesh | None:
    """The surface where the field crosses 0, by marching cubes; None if it does not."""
    from skimage.measure import marching_cubes

    if not field.min() < 0 < field.max():
        return None
    # A value of exactly 0 would put several vertices on one grid point: triangles without area.
    flat = np.float32(FLAT * cell)
    field = np.where(np.abs(field) < flat, np.copysign(flat, field), field)
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent", allow_degenerate=False)
    return Mesh(vertices * float(cell) + start, faces[:, ::-1])


def _match_volume(mesh: Mesh, target: float, ends: list[tuple[float, float]], near: float) -> Mesh:
    """Move every vertex a little along its normal, so that the enclosed volume is the target.

    What lies on an outer face of the scan stays on it, nothing leaves the scan, and the rest makes up for
    that. Only where too little is left to move, as in a block that fills the scan, may the faces move too.
    """
    low, high = np.transpose(ends)
    if np.isfinite(ends).any():
        on_low, on_high = np.abs(mesh.vertices - low) <= near, np.abs(mesh.vertices - high) <= near
        for _ in range(6):
            moved = _inflated(mesh, target)
            mesh = Mesh(np.where(on_low, low, np.where(on_high, high, np.clip(moved, low, high))), mesh.faces)
        if abs(mesh.volume / target - 1) <= CLOSE:
            return mesh
    for _ in range(2):
        mesh = Mesh(_inflated(mesh, target), mesh.faces)
    return mesh


def _inflated(mesh: Mesh, target: float) -> np.ndarray:
    """The vertices, moved along their normals by the same way, which brings the volume near the target."""
    return mesh.vertices + (target - mesh.volume) / mesh.area * mesh.normals()
