"""What the shape of a mask alone tells: parts, cavities, tunnels, roughness, and jumps from slice to slice."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from ..measure import boundary, volume_mm3
from ..morphology import connected_parts, distance_inside
from ..step import Spacing

FLAT = 2.0  # planes this many times farther apart than pixels are judged each by itself
SMOOTH_MM = 2.0  # bumps narrower than about twice this are rough


def topology(mask: np.ndarray, spacing: Spacing) -> dict[str, float]:
    """Count parts, cavities and tunnels, and give the Euler number, which is parts − tunnels + cavities.

    Parameters
    ----------
    mask
        A bone, (P, M, N).
    spacing
        (plane, row, column) in mm.

    Returns
    -------
    dict
        ``parts`` (26-neighborhood), ``stray_share`` (of the volume outside the largest part), ``cavities`` (closed all
        round, 6-neighborhood), ``cavity_mm3``, ``tunnels``, ``euler``.

    References
    ----------
    Ohser J, Nagel W, Schladitz K (2002). The Euler number of discretized sets. doi:10.1007/3-540-45782-8_12
    """
    from skimage.measure import euler_number

    padded = np.pad(mask, 1)
    solid, parts = connected_parts(padded, 26)
    air, count = connected_parts(~padded, 6)
    sizes = np.bincount(solid.ravel(), minlength=2)[1:]
    euler = int(euler_number(padded, connectivity=3))
    outer = np.count_nonzero(air == air.flat[0])
    return {
        "parts": parts,
        "stray_share": float(1 - sizes.max() / sizes.sum()),
        "cavities": count - 1,
        "cavity_mm3": float((np.count_nonzero(~padded) - outer) * np.prod(spacing)),
        "tunnels": parts + count - 1 - euler,
        "euler": euler,
    }


def roughness(mask: np.ndarray, spacing: Spacing, width: float = SMOOTH_MM) -> float:
    """Give how far the border lies, on average, from the same border smoothed by a Gaussian of some mm.

    What a voxel grid adds by itself is less than a quarter of a pixel. Where planes lie far apart each is smoothed by
    itself, for from plane to plane there is `jumps`.

    Parameters
    ----------
    mask
        A bone, (P, M, N).
    spacing
        (plane, row, column) in mm.
    width
        Standard deviation of the Gaussian, mm.

    Returns
    -------
    float
        Mean distance, mm: the volume between both borders over the area of the border.
    """
    axes = _axes(spacing)
    pad = [(0, 0) if axis not in axes else (int(np.ceil(4 * width / s)),) * 2 for axis, s in enumerate(spacing)]
    wide = np.pad(mask, pad, mode="edge")  # what the scan's border cuts goes on beyond it
    sigma = [width / s if axis in axes else 0 for axis, s in enumerate(spacing)]
    smooth = ndi.gaussian_filter(wide.astype(np.float32), sigma)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pad, mask.shape, strict=True))
    changed = (smooth[inside] > 0.5) ^ mask
    return volume_mm3(changed, spacing) / max(faces_mm2(mask, spacing, axes), 1e-9)


def faces_mm2(mask: np.ndarray, spacing: Spacing, axes: tuple[int, ...] = (0, 1, 2)) -> float:
    """Area of the border, mm²: that of the faces between voxels times 2/3 (in planes π/4), as on average over directions."""
    voxel, total = float(np.prod(spacing)), 0.0
    for axis in axes:
        total += np.count_nonzero(np.diff(mask.astype(np.int8), axis=axis)) * voxel / spacing[axis]
    return total * (np.pi / 4 if len(axes) == 2 else 2 / 3)


def jumps(mask: np.ndarray, spacing: Spacing) -> tuple[float, float, int]:
    """Give how far the outline of a slice lies, on average, from the middle between its neighbors' outlines.

    The middle is that of the signed distances. A bone that grows or shrinks evenly has none.

    Parameters
    ----------
    mask
        A bone, (P, M, N).
    spacing
        (plane, row, column) in mm.

    Returns
    -------
    float
        Mean over the slices, each weighted by its outline, mm; NaN with less than three slices.
    float
        The same as a share of the bone: area between the outlines over the area of the slices.
    int
        The plane that jumps most, -1 with less than three.

    References
    ----------
    Raya SP, Udupa JK (1990). Shape-based interpolation of multidimensional objects. doi:10.1109/42.52980
    """
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(planes) < 3 or planes[-1] - planes[0] < 2:
        return float("nan"), float("nan"), -1
    far = (1e4, *spacing[1:])
    cut = mask[planes[0] : planes[-1] + 1]
    distance = np.where(cut, -distance_inside(cut, far), distance_inside(~cut, far))
    distance = np.clip(distance, -50, 50)  # an empty slice is nowhere near
    middle = (distance[:-2] + distance[2:]) / 2 < 0
    pixel = spacing[1] * spacing[2]
    off = (middle ^ cut[1:-1]).sum(axis=(1, 2)) * pixel
    outline = boundary_mm(cut[1:-1], spacing)
    worst = int(np.argmax(off / np.maximum(outline, np.median(outline) + 1e-9)))
    share = off.sum() / max(np.count_nonzero(cut[1:-1]) * pixel, 1e-9)
    return float(off.sum() / max(outline.sum(), 1e-9)), float(share), int(planes[0] + 1 + worst)


def boundary_mm(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Length of the outline of every plane, mm."""
    plane = np.pad(mask, ((0, 0), (1, 1), (1, 1))).astype(np.int8)
    rows = np.abs(np.diff(plane, axis=1)).sum(axis=(1, 2)) * spacing[2]
    columns = np.abs(np.diff(plane, axis=2)).sum(axis=(1, 2)) * spacing[1]
    return (rows + columns) * np.pi / 4


def extent(mask: np.ndarray, spacing: Spacing) -> float:
    """Length along the longest axis of a mask, mm."""
    points = np.argwhere(mask) * spacing
    points = points - points.mean(axis=0)
    return float(np.ptp(points @ np.linalg.eigh(points.T @ points)[1][:, -1]) + min(spacing))


def on_border_share(mask: np.ndarray) -> float:
    """Give the share of a mask's border voxels that lie on the border of the scan."""
    whole = np.count_nonzero(boundary(mask))
    inner = np.count_nonzero(mask[1:-1, 1:-1, 1:-1])
    return float((np.count_nonzero(mask) - inner) / whole) if whole else 0.0


def mirrored_overlap(mine: np.ndarray, other: np.ndarray, axis: int, spacing: Spacing) -> float:
    """Give the Dice of a bone and the mirror image of its partner, both moved to one middle.

    Parameters
    ----------
    mine, other
        Masks, (P, M, N), each of any size.
    axis
        The axis along which left and right lie.
    spacing
        (plane, row, column) in mm.
    """
    points = [np.argwhere(m) * spacing for m in (mine, np.flip(other, axis))]
    cells = [np.rint((p - p.mean(axis=0)) / spacing).astype(int) for p in points]
    low = np.min([c.min(axis=0) for c in cells], axis=0)
    shape = np.max([c.max(axis=0) for c in cells], axis=0) - low + 1
    one, two = (np.zeros(shape, bool) for _ in range(2))
    one[tuple((cells[0] - low).T)] = True
    two[tuple((cells[1] - low).T)] = True
    return float(2 * np.count_nonzero(one & two) / (np.count_nonzero(one) + np.count_nonzero(two)))


def _axes(spacing: Spacing) -> tuple[int, ...]:
    """The axes along which a border is judged: not across planes that lie far apart."""
    return (1, 2) if spacing[0] > FLAT * min(spacing[1:]) else (0, 1, 2)
