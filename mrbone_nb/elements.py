"""Surfaces for finite elements: closed, of triangles that are nearly equilateral and of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .mesh import Mesh, check
from .shape.closest import Surface
from .shape.crossing import crossing_faces

LONG, SHORT = 4 / 3, 4 / 5  # of the wanted edge: longer ones are split, shorter ones collapse
ROUNDS = 10
SWEEPS = 40  # at most, in a round, over edges that collapse or flip; each takes edges that do not touch
BESIDE = 0.8  # how far a vertex goes toward the middle of its neighbors
TURN = 0.2  # least cosine between a triangle's normals before and after a change


@dataclass(frozen=True)
class MeshQuality:
    """Tell how well a surface serves finite elements; lengths in mm, angles in degrees."""

    triangles: int
    edge_mean: float
    edge_std: float
    smallest_angle: float
    smallest_angle_p5: float
    crossing: int
    closed: bool
    reason: str


def mesh_quality(mesh: Mesh) -> MeshQuality:
    """Measure edges and angles of a surface, and whether it is closed and free of crossings.

    Parameters
    ----------
    mesh
        The surface.

    Returns
    -------
    MeshQuality
        ``crossing`` counts triangles that pass through others.
    """
    edges = _edges(mesh.faces)
    lengths = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
    angles, report = _angles(mesh.vertices, mesh.faces).min(axis=1), check(mesh)
    return MeshQuality(
        triangles=len(mesh.faces),
        edge_mean=float(lengths.mean()),
        edge_std=float(lengths.std()),
        smallest_angle=float(angles.min()),
        smallest_angle_p5=float(np.percentile(angles, 5)),
        crossing=len(crossing_faces(mesh)),
        closed=not report.reason,
        reason=report.reason,
    )


def remesh(mesh: Mesh, edge: float) -> Mesh:
    """Cover the same surface with triangles whose edges are about as long as wanted.

    Long edges are split, short ones collapse, edges flip until most vertices have six neighbors, and vertices move
    within the surface toward the middle of their neighbors, then back onto it; ten times over. What is finer than
    an edge is lost, and the rims of flat cuts become a little round.

    Parameters
    ----------
    mesh
        A closed surface.
    edge
        Wanted length in mm.

    Returns
    -------
    Mesh
        Closed, without crossings.

    Raises
    ------
    InputError
        The surface is not closed, the edge does not suit it, or the result would cross itself.

    References
    ----------
    Botsch M, Kobbelt L (2004). A remeshing approach to multiresolution modeling. doi:10.1145/1057432.1057457
    """
    report = check(mesh)
    if report.reason:
        raise InputError(f"only a closed surface can be remeshed: {report.reason}")
    size = float(np.ptp(mesh.bounds, axis=0).min())
    if not 0 < edge <= size / 3:
        raise InputError(f"edge={edge} mm: expected more than 0 and at most a third of the model's width, {size / 3:.3g}")
    vertices, faces, surface = mesh.vertices.astype(float), mesh.faces.astype(np.int64), Surface(mesh)
    for _ in range(ROUNDS):
        vertices, faces = _split(vertices, faces, LONG * edge)
        vertices, faces = _collapse(vertices, faces, SHORT * edge, LONG * edge)
        faces = _flip(vertices, faces)
        vertices = surface.nearest(_relaxed(vertices, faces)).points
    result = Mesh(*_used(vertices, faces))
    after = check(result)
    if after.reason or (after.parts, after.cavities) != (report.parts, report.cavities):
        raise InputError(f"edge={edge:g} mm: the surface would not stay whole ({after.reason or 'parts merge'}); choose less")
    crossing = len(crossing_faces(result))
    if crossing:
        raise InputError(f"edge={edge:g} mm: {crossing} triangles would cross others; choose less, or smooth more")
    return result


# --- the four moves ------------------------------------------------------------------------------------------


def _split(vertices: np.ndarray, faces: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    """Halve edges that are too long, until none is left."""
    while True:
        edges, inverse = _edges(faces, inverse=True)
        long = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1) > longest
        if not long.any():
            return vertices, faces
        number = np.where(long, len(vertices) + np.cumsum(long) - 1, -1)
        vertices = np.concatenate([vertices, vertices[edges[long]].mean(axis=1)])
        faces = _divided(faces, number[inverse])


def _divided(faces: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Faces with new vertices on some edges; ``middle`` (F, 3) has that of edge k, k + 1, or -1."""
    out = [faces[(middle < 0).all(axis=1)]]
    count = (middle >= 0).sum(axis=1)
    for k in range(3):
        turn = [k, (k + 1) % 3, (k + 2) % 3]
        one = (count == 1) & (middle[:, k] >= 0)
        a, b, c = faces[one][:, turn].T
        m = middle[one, k]
        out += [np.stack([a, m, c], 1), np.stack([m, b, c], 1)]
        two = (count == 2) & (middle[:, turn[2]] < 0)  # the edge from c to a stays
        a, b, c = faces[two][:, turn].T
        m, n = middle[two, turn[0]], middle[two, turn[1]]
        out += [np.stack([m, b, n], 1), np.stack([a, m, n], 1), np.stack([a, n, c], 1)]
    three = count == 3
    (a, b, c), (m, n, o) = faces[three].T, middle[three].T
    out += [np.stack(f, 1) for f in ((a, m, o), (m, b, n), (o, n, c), (m, n, o))]
    return np.concatenate(out)


def _collapse(
    vertices: np.ndarray, faces: np.ndarray, shortest: float, longest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the ends of edges that are too short together, many at a time that do not touch."""
    for _ in range(SWEEPS):
        edges = _edges(faces)
        lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        short = edges[lengths < shortest][np.argsort(lengths[lengths < shortest], kind="stable")]
        short = short[_common_neighbors(edges, short, len(vertices)) == 2]  # else the surface would pinch
        chosen = short[_apart(short, edges, len(vertices))]
        moved, target = vertices.copy(), np.arange(len(vertices))
        moved[chosen[:, 0]] = vertices[chosen].mean(axis=1)
        target[chosen[:, 1]] = chosen[:, 0]
        moved[chosen[:, 1]] = moved[chosen[:, 0]]
        bad = _spoiled(vertices, moved, faces, target, longest)
        chosen = chosen[~(bad[chosen[:, 0]] | bad[chosen[:, 1]])]
        if not len(chosen):
            break
        target = np.arange(len(vertices))
        target[chosen[:, 1]] = chosen[:, 0]
        vertices = vertices.copy()
        vertices[chosen[:, 0]] = vertices[chosen].mean(axis=1)
        faces = target[faces]
        faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
        vertices, faces = _used(vertices, faces)
    return vertices, faces


def _spoiled(
    before: np.ndarray, after: np.ndarray, faces: np.ndarray, target: np.ndarray, longest: float
) -> np.ndarray:
    """Vertices with a face that would turn over, or get an edge that is too long."""
    new = target[faces]
    kept = (new != np.roll(new, 1, axis=1)).all(axis=1)
    corners = after[new[kept]]
    turned = (_normals(before[faces[kept]]) * _normals(corners)).sum(axis=1) < TURN
    long = (np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2) > longest).any(axis=1)
    bad = np.zeros(len(before), bool)
    bad[faces[kept][turned | long].ravel()] = True
    return bad


def _flip(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Turn edges in their two triangles where more vertices then have six neighbors."""
    for _ in range(SWEEPS):
        edges, inverse = _edges(faces, inverse=True)
        order = np.argsort(inverse.ravel(), kind="stable")
        first, second = order[::2], order[1::2]  # closed: each edge stands in two faces
        (f, k), (g, m) = np.divmod(first, 3), np.divmod(second, 3)
        a, b, c, d = faces[f, k], faces[f, (k + 1) % 3], faces[f, (k + 2) % 3], faces[g, (m + 2) % 3]
        valence = np.bincount(edges.ravel(), minlength=len(vertices))
        now = sum(np.abs(valence[v] - 6) for v in (a, b, c, d))
        then = sum(np.abs(valence[v] + step - 6) for v, step in ((a, -1), (b, -1), (c, 1), (d, 1)))
        there = _known(edges, np.stack([c, d], 1), len(vertices))
        good = (then < now) & ~there & _may_flip(vertices, a, b, c, d)
        candidates = np.flatnonzero(good)[np.argsort((then - now)[good], kind="stable")]
        corners = np.stack([a, b, c, d], 1)[candidates]
        rank = np.full(len(vertices), len(candidates))
        np.minimum.at(rank, corners, np.arange(len(candidates))[:, None])
        chosen = candidates[(rank[corners] == np.arange(len(candidates))[:, None]).all(axis=1)]
        if not len(chosen):
            break
        faces = faces.copy()
        faces[f[chosen]] = np.stack([a, d, c], 1)[chosen]
        faces[g[chosen]] = np.stack([d, b, c], 1)[chosen]
    return faces


def _may_flip(vertices: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Whether the two new triangles face the way the old ones do."""
    old = [_normals(vertices[np.stack(f, 1)]) for f in ((a, b, c), (b, a, d))]
    new = [_normals(vertices[np.stack(f, 1)]) for f in ((a, d, c), (d, b, c))]
    return np.min([(o * n).sum(axis=1) for o in old for n in new], axis=0) > 0.5


def _relaxed(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Move vertices within the surface toward the middle of their neighbors."""
    edges = _edges(faces)
    total, count = np.zeros_like(vertices), np.bincount(edges.ravel(), minlength=len(vertices))
    for one, other in (edges.T, edges.T[::-1]):
        for axis in range(3):
            total[:, axis] += np.bincount(one, vertices[other, axis], len(vertices))
    way = total / np.maximum(count, 1)[:, None] - vertices
    normals = Mesh(vertices, faces).normals()
    return vertices + BESIDE * (way - (way * normals).sum(axis=1, keepdims=True) * normals)


# --- small parts ---------------------------------------------------------------------------------------------


def _edges(faces: np.ndarray, inverse: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """All edges, (E, 2), the smaller number first; and, if asked, which are those of each face (F, 3)."""
    pairs = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    key = pairs[:, 0] * (faces.max() + 1) + pairs[:, 1]
    _, index, back = np.unique(key, return_index=True, return_inverse=True)
    return (pairs[index], back.reshape(-1, 3)) if inverse else pairs[index]


def _apart(short: np.ndarray, edges: np.ndarray, count: int) -> np.ndarray:
    """Which of some edges, the first ones preferred, have no neighbor in common with another that is taken."""
    rank = np.full(count, len(short))
    np.minimum.at(rank, short, np.arange(len(short))[:, None])
    for _ in range(2):  # as far as the neighbors of neighbors
        wide = rank.copy()
        np.minimum.at(wide, edges[:, 0], rank[edges[:, 1]])
        np.minimum.at(wide, edges[:, 1], rank[edges[:, 0]])
        rank = wide
    return (rank[short] == np.arange(len(short))[:, None]).all(axis=1)


def _common_neighbors(edges: np.ndarray, some: np.ndarray, count: int) -> np.ndarray:
    """How many neighbors the ends of some edges share."""
    from scipy.sparse import coo_matrix

    both = np.concatenate([edges, edges[:, ::-1]])
    joined = coo_matrix((np.ones(len(both), np.int32), both.T), (count, count)).tocsr()
    return np.asarray(joined[some[:, 0]].multiply(joined[some[:, 1]]).sum(axis=1)).ravel()


def _known(edges: np.ndarray, some: np.ndarray, count: int) -> np.ndarray:
    """Which of some edges exist already."""
    some = np.sort(some, axis=1)
    return np.isin(some[:, 0] * count + some[:, 1], edges[:, 0] * count + edges[:, 1])


def _normals(corners: np.ndarray) -> np.ndarray:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def _angles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The angles of each triangle in degrees, (F, 3)."""
    corners = vertices[faces]
    sides = [corners[:, (k + 1) % 3] - corners[:, k] for k in range(3)]
    sides = [s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-12) for s in sides]
    cosines = [-(sides[k] * sides[k - 1]).sum(axis=1) for k in range(3)]
    return np.degrees(np.arccos(np.clip(np.stack(cosines, 1), -1, 1)))


def _used(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out vertices that no face has."""
    used, back = np.unique(faces, return_inverse=True)
    return vertices[used], back.reshape(-1, 3)
