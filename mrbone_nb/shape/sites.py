"""Where a scan pulls at a mesh: at its vertices in a fine volume, where it cuts the planes of thick slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..intake.slices import Slice
from ..mesh import Mesh
from ..volume import Volume

FLAT = 2.0  # planes this many times farther apart than pixels are searched each by itself
ACROSS = 0.7  # share of the normal across the planes, from which the surface is sought between them
SLANT = 0.3  # share of the normal that must lie in a plane, below which the plane only grazes the surface
THICKNESS_MM = 1.0  # of a slice whose header states none; nothing is measured across it


@dataclass(frozen=True, eq=False)
class Sites:
    """Hold the places at which a mesh is compared with a scan.

    Parameters
    ----------
    of
        Sparse (K, V): each site as a mean of vertices.
    points
        (K, 3), mm, LPS.
    ways
        (K, 3) unit vectors outward, along which the surface is sought.
    gain
        (K,), by how much the surface moves along its normal for a step along the way, 0 to 1.
    """

    of: object
    points: np.ndarray
    ways: np.ndarray
    gain: np.ndarray


def parts_of(scan: object) -> tuple[Volume, ...]:
    """Give a scan as volumes that can each be sampled: a stack is one, slices in many directions are one each."""
    if isinstance(scan, Volume):
        return (scan,)
    slices = tuple(scan) if isinstance(scan, Iterable) else ()
    if slices and all(isinstance(one, (Volume, Slice)) for one in slices):
        return tuple(one if isinstance(one, Volume) else _plane(one) for one in slices)
    raise InputError(f"scan of {type(scan).__name__}: expected a Volume, or slices (a SliceSet or Volumes)")


def _plane(one: Slice) -> Volume:
    spacing = (one.thickness or THICKNESS_MM, *one.spacing)
    return Volume(one.array[None], spacing, one.origin, one.direction)


def is_flat(part: Volume) -> bool:
    """Tell whether the planes of a volume lie so far apart that nothing between them can be trusted."""
    return part.shape[0] == 1 or part.spacing[0] > FLAT * min(part.spacing[1:])


def sites(mesh: Mesh, part: Volume, edges: np.ndarray) -> Sites:
    """Find the places at which a mesh is compared with one volume.

    Parameters
    ----------
    mesh
        A closed surface.
    part
        A volume of thin planes, which is sampled at every vertex, or of thick or single slices, which are sampled in
        their planes where edges of the mesh cross them, so that nothing is interpolated between slices.
    edges
        Those of the mesh, as of `edges_of`.

    Returns
    -------
    Sites
        Within the field of view alone.
    """
    from scipy.sparse import csr_array

    index, normals = part.index(mesh.vertices), mesh.normals()
    if not is_flat(part):
        here = np.flatnonzero(_seen(index, part))
        of = csr_array((np.ones(len(here)), (np.arange(len(here)), here)), (len(here), len(index)))
        return Sites(of, mesh.vertices[here], normals[here], np.ones(len(here)))
    low, high, share = _crossings(edges, index[:, 0], part.shape[0])
    rows = np.arange(len(low))
    values = np.concatenate([1 - share, share])
    of = csr_array((values, (np.tile(rows, 2), np.concatenate([low, high]))), (len(low), len(index)))
    points, normal = of @ mesh.vertices, of @ normals
    across = np.reshape(part.direction, (3, 3))[:, 2]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    flat = normal - np.outer(normal @ across, across)
    gain = np.linalg.norm(flat, axis=1)
    keep = (gain > SLANT) & _seen(part.index(points), part)
    return Sites(of[keep], points[keep], flat[keep] / gain[keep, None], gain[keep])


def sites_across(mesh: Mesh, part: Volume) -> Sites | None:
    """Find the vertices whose normal runs across thick planes: no plane cuts the surface there, so it is sought between."""
    from scipy.sparse import csr_array

    if not is_flat(part) or part.shape[0] == 1:
        return None
    normals = mesh.normals()
    share = np.abs(normals @ np.reshape(part.direction, (3, 3))[:, 2])
    here = np.flatnonzero((share > ACROSS) & _seen(part.index(mesh.vertices), part))
    of = csr_array((np.ones(len(here)), (np.arange(len(here)), here)), (len(here), len(normals)))
    return Sites(of, mesh.vertices[here], normals[here], share[here])


def sample(part: Volume, points: np.ndarray) -> np.ndarray:
    """Interpolate a volume linearly at points, (…, 3) in mm; beyond its border it goes on."""
    from scipy.ndimage import map_coordinates

    index = part.index(points.reshape(-1, 3)).T
    return map_coordinates(part.array, index, order=1, mode="nearest", output=np.float32).reshape(points.shape[:-1])


def edges_of(faces: np.ndarray) -> np.ndarray:
    """Give each edge once, (E, 2), smaller vertex first."""
    ends = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    count = int(faces.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(ends @ np.array([count, 1])), count), axis=1)


def _seen(index: np.ndarray, part: Volume) -> np.ndarray:
    return ((index >= -0.5) & (index <= np.array(part.shape) - 0.5)).all(axis=1)


def _crossings(edges: np.ndarray, height: np.ndarray, planes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where edges cross planes: the lower vertex, the upper one, and how far from one to the other."""
    turned = height[edges[:, 0]] > height[edges[:, 1]]
    low, high = np.where(turned, edges[:, 1], edges[:, 0]), np.where(turned, edges[:, 0], edges[:, 1])
    first = np.maximum(np.ceil(height[low]), 0).astype(int)
    last = np.minimum(np.ceil(height[high]) - 1, planes - 1).astype(int)  # a vertex on a plane counts once
    count = np.maximum(last - first + 1, 0)
    edge = np.repeat(np.arange(len(edges)), count)
    plane = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    low, high = low[edge], high[edge]
    return low, high, (plane - height[low]) / (height[high] - height[low])
