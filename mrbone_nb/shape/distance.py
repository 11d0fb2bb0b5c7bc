"""How far one surface of a bone lies from another, point by point, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .closest import Surface
from .flat import flat_cuts
from .register import Placement, alike, mutual, register

SPECK = 0.05  # a patch smaller than this part of the largest is none


@dataclass(frozen=True, eq=False)
class Distances:
    """Hold the signed distance from each vertex of a mesh to a reference.

    Parameters
    ----------
    mesh
        The mesh, in the place of the reference.
    values
        (V,), mm, positive where the mesh lies outside the reference; NaN where the reference shows nothing of that
        place (beyond its end, or on a flat cut).
    placement
        How the mesh was moved onto the reference; None if it was left where it is.
    """

    mesh: Mesh
    values: np.ndarray
    placement: Placement | None = None

    @property
    def mean(self) -> float:
        """Mean over the surface; positive if the mesh is larger than the reference."""
        return float(self._weights @ self._known)

    @property
    def rms(self) -> float:
        """Root mean square over the surface."""
        return float(np.sqrt(self._weights @ self._known**2))

    @property
    def p95(self) -> float:
        """What 95 % of the surface do not exceed on either side."""
        size = np.abs(self._known)
        order = np.argsort(size)
        return float(size[order][np.searchsorted(np.cumsum(self._weights[order]), 0.95 - 1e-9)])

    @property
    def share(self) -> float:
        """Share of the mesh's area that has its like on the reference, 0 to 1."""
        area = _vertex_areas(self.mesh)
        return float(area[np.isfinite(self.values)].sum() / area.sum())

    def as_dict(self) -> dict[str, float | int]:
        """Give all figures by name, as they go into tables."""
        figures = {"mean_mm": self.mean, "rms_mm": self.rms, "p95_mm": self.p95, "share": self.share}
        return figures | {"vertices": int(np.isfinite(self.values).sum())}

    @property
    def _known(self) -> np.ndarray:
        return self.values[np.isfinite(self.values)]

    @property
    def _weights(self) -> np.ndarray:
        """Areas of the vertices that count, so that finely meshed places do not count more; they add up to 1."""
        area = _vertex_areas(self.mesh)[np.isfinite(self.values)]
        return area / area.sum()


def distance_to_mesh(mesh: Mesh, reference: Mesh, *, place: bool = True) -> Distances:
    """Measure how far a surface lies from a reference of the same bone, such as a CT or a laser scan of it.

    Only what both show is measured: beyond the end of either, and on the flat cut where a scan ends, there is no
    distance. An even difference all round stays visible, since the registration does not absorb it.

    Parameters
    ----------
    mesh
        The surface to judge.
    reference
        The surface it is measured against, faces counterclockwise seen from outside.
    place
        Whether the mesh is first moved onto the reference; False if both lie in one scanner's space.

    Returns
    -------
    Distances
        A value for each vertex, and their mean, root mean square and 95th percentile.

    Raises
    ------
    InputError
        The two have nothing in common.

    Examples
    --------
    >>> corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9.0]])
    >>> inner = Mesh(corners, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    >>> distance_to_mesh(inner, inner, place=False).rms
    0.0
    """
    placement = register(mesh, reference) if place else None
    there = placement.apply(mesh) if placement else mesh
    found = Surface(reference).nearest(there.vertices)
    known = alike(there.vertices, there.normals(), found) & mutual(there, found)
    known[there.faces[flat_cuts(there)].ravel()] = False
    known &= ~flat_cuts(reference)[found.faces]
    if not known.any():
        raise InputError("mesh and reference have no place in common; are both the same bone, in mm, of one side?")
    known = _without_specks(there, known)
    return Distances(there, np.where(known, found.distances, np.nan), placement)


def _without_specks(mesh: Mesh, known: np.ndarray) -> np.ndarray:
    """Drop the specks of a flat cut that face the same way as the reference beside them by chance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = mesh.faces.ravel(), np.roll(mesh.faces, 1, axis=1).ravel()
    both = known[a] & known[b]
    graph = coo_array((np.ones(both.sum(), np.int8), (a[both], b[both])), shape=(len(known),) * 2)
    patches = connected_components(graph, directed=False)[1]
    area = np.bincount(patches, _vertex_areas(mesh) * known)
    return known & (area >= SPECK * area.max())[patches]


def _vertex_areas(mesh: Mesh) -> np.ndarray:
    """A third of the area of the triangles around each vertex."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(mesh.faces.ravel(), np.repeat(area, 3), len(mesh.vertices))
