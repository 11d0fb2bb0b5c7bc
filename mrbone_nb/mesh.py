"""Triangle meshes in scanner millimeters: what they hold, whether they are closed, fewer triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError


@dataclass(frozen=True, eq=False)
class Mesh:
    """Hold a surface of triangles.

    Parameters
    ----------
    vertices
        (V, 3), x y z in mm, LPS.
    faces
        (F, 3), numbers of vertices, counterclockwise seen from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, np.float64)
        faces = np.ascontiguousarray(self.faces, np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise InputError(f"mesh of vertices {vertices.shape} and faces {faces.shape}: expected (V, 3) and (F, 3)")
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise InputError(f"mesh: faces name vertices {faces.min()} to {faces.max()}; there are {len(vertices)}")
        for name, array in (("vertices", vertices), ("faces", faces)):
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def volume(self) -> float:
        """Enclosed volume in mm³, cavities taken off; negative if the mesh is inside out."""
        return float(_signed_volumes(self).sum())

    @property
    def area(self) -> float:
        """Area of the surface in mm²."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def bounds(self) -> np.ndarray:
        """Smallest and largest x, y, z in mm, (2, 3)."""
        return np.array([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def normals(self) -> np.ndarray:
        """Give unit normals at the vertices, (V, 3): those of the faces around, weighted by area."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        total = np.zeros_like(self.vertices)
        for k in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(self.faces[:, k], normal[:, axis], len(total))
        size = np.linalg.norm(total, axis=1, keepdims=True)
        return np.where(size > 0, total / np.where(size > 0, size, 1), [0.0, 0.0, 1.0])


@dataclass(frozen=True)
class MeshReport:
    """Tell what is known of a mesh; ``reason`` says why it is no closed surface, or is empty."""

    watertight: bool
    outward: bool
    parts: int
    cavities: int
    volume_mm3: float
    area_mm2: float
    reason: str = ""


def check(mesh: Mesh) -> MeshReport:
    """Tell whether a mesh is closed and faces outward, and of how many parts and cavities it consists.

    Parameters
    ----------
    mesh
        The surface.

    Returns
    -------
    MeshReport
        With ``reason`` in words where something is wrong.
    """
    open_edges, crowded_edges, one_way = _edge_faults(mesh)
    shells = _shells(mesh)
    volumes = np.bincount(shells, weights=_signed_volumes(mesh)) if len(shells) else np.zeros(0)
    total = float(volumes.sum())
    collapsed = _collapsed(mesh)
    reasons = [
        (not len(mesh.faces), "it has no triangles"),
        (not np.isfinite(mesh.vertices).all(), "some vertices are NaN or infinite"),
        (open_edges, f"{open_edges} edges belong to one triangle alone: there are holes"),
        (crowded_edges, f"{crowded_edges} edges belong to more than two triangles: sheets touch"),
        (one_way, f"{one_way} edges run the same way in both triangles: some triangles are turned over"),
        (collapsed, f"{collapsed} triangles name one vertex twice"),
        (total <= 0 and len(mesh.faces), "it is inside out"),
    ]
    return MeshReport(
        watertight=bool(len(mesh.faces)) and not open_edges and not crowded_edges and not collapsed,
        outward=not one_way and total > 0,
        parts=int((volumes > 0).sum()),
        cavities=int((volumes < 0).sum()),
        volume_mm3=total,
        area_mm2=mesh.area,
        reason="; ".join(text for wrong, text in reasons if wrong),
    )


def decimate(mesh: Mesh, reduction: float) -> Mesh:
    """Take away triangles where the surface is flattest (quadric error), keeping it closed.

    Where a bold reduction tears or folds the surface, more careful ones are tried.

    Parameters
    ----------
    mesh
        A closed surface.
    reduction
        Share of the triangles that goes, 0 to 0.99.

    Returns
    -------
    Mesh
        With at least 4 triangles a part.

    Raises
    ------
    InputError
        If no way to reduce so far keeps the surface closed.

    References
    ----------
    Garland M, Heckbert PS (1997). Surface simplification using quadric error metrics.
    doi:10.1145/258734.258849
    """
    import fast_simplification

    if reduction == 0:
        return mesh
    before = check(mesh)
    for aggressiveness in (5, 3, 7, 1):
        vertices, faces = fast_simplification.simplify(
            mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32), reduction, agg=aggressiveness
        )
        smaller = Mesh(vertices, faces)
        after = check(smaller)
        if not after.reason and (after.parts, after.cavities) == (before.parts, before.cavities):
            return smaller
    why = after.reason or "parts would vanish"
    raise InputError(f"reduction={reduction:g}: the surface would not stay closed ({why}); choose less")


def _edge_faults(mesh: Mesh) -> tuple[int, int, int]:
    """Count edges with one triangle, with more than two, and with two that run the same way."""
    ends = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    forward = ends[:, 0] < ends[:, 1]
    keys = np.sort(ends, axis=1) @ np.array([len(mesh.vertices), 1])
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    counts = np.diff(np.append(starts, len(keys)))
    ways = np.add.reduceat(forward[order].astype(int), starts) if len(starts) else np.zeros(0)
    return int((counts == 1).sum()), int((counts > 2).sum()), int(((counts == 2) & (ways != 1)).sum())


def _shells(mesh: Mesh) -> np.ndarray:
    """Number, for each face, the connected part it belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(mesh.faces):
        return np.zeros(0, int)
    a, b = mesh.faces[:, [0, 1]].ravel(), mesh.faces[:, [1, 2]].ravel()
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(mesh.vertices),) * 2)
    parts = connected_components(graph, directed=False)[1]
    return np.unique(parts[mesh.faces[:, 0]], return_inverse=True)[1]


def _signed_volumes(mesh: Mesh) -> np.ndarray:
    """Volume of the tetrahedron that each face spans with a point amid the mesh."""
    if not len(mesh.faces):
        return np.zeros(0)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] - mesh.vertices.mean(axis=0) for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)) / 6


def _collapsed(mesh: Mesh) -> int:
    """Count triangles that name a vertex twice."""
    f = mesh.faces
    return int(((f[:, 0] == f[:, 1]) | (f[:, 1] == f[:, 2]) | (f[:, 2] == f[:, 0])).sum())
