"""An elastic surface that a scan pulls into place, from coarse to fine, and that remembers the shape it had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh, decimate
from .crossing import crossing_faces, move_without_crossing
from .forces import Evidence, pulls
from .model import ShapeModel
from .prior import UNSEEN, Prior, check_weight
from .rbf import similarity
from .sites import edges_of, sites, sites_across

INERTIA = 0.02  # 1/τ: weight of where a vertex was before the step
STILL_MM = 0.05  # mean move of a step below which a level is done
NEIGHBORS = 6  # vertices of a coarse mesh that tell one of a finer mesh how far to move


@dataclass(frozen=True)
class Level:
    """Hold the settings of one level, from coarse to fine; all lengths in mm.

    Parameters
    ----------
    vertices
        About how many the mesh has; 0 keeps all.
    reach
        How far along the normals the surface is sought.
    tension
        Departures from the template narrower than about this are pulled flat.
    rigidity
        Departures narrower than about this are bent straight.
    memory
        Weight of the template's own place against a sure edge.
    stay
        Cost of a move by 1 mm squared.
    steps
        How many at most.
    model
        Weight of the shape that a shape model gives, where there is one, against a sure edge.
    """

    vertices: int
    reach: float
    tension: float
    rigidity: float
    memory: float
    stay: float
    steps: int = 15
    model: float = 0.0


LEVELS = (
    Level(500, 8.0, 6.0, 24.0, 0.02, 0.005, model=0.3),
    Level(1000, 5.0, 3.0, 18.0, 0.01, 0.02, model=0.3),
    Level(0, 3.0, 1.0, 14.0, 0.003, 0.05, model=0.1),
    Level(0, 2.0, 0.0, 10.0, 0.001, 0.1, model=0.03),
)


def deform(
    mesh: Mesh,
    evidence: Sequence[Evidence],
    levels: Sequence[Level] = LEVELS,
    *,
    model: ShapeModel | None = None,
    model_weight: float | None = None,
) -> Mesh:
    """Deform a closed mesh that lies near a bone until its surface lies on that of the bone.

    At each step the scan is searched along lines that leave the mesh, and an implicit step of an elastic surface
    follows: what it departs from its own first shape costs tension, rigidity and memory. It keeps apart from neighbors
    that touch the bone, and cannot find a bone that is farther off than the reach of the first level.

    Parameters
    ----------
    mesh
        The template, placed by landmarks or control points to within some mm.
    evidence
        What the parts of the scan say: gray values, probabilities, or both.
    levels
        Settings from coarse to fine.
    model
        Shapes with the vertices of the template, which the surface remembers instead of the template alone.
    model_weight
        How far it does: 0 not at all, 1 (as by default) wholly; finer levels let go.

    Returns
    -------
    Mesh
        The same triangles, moved; it does not pass through itself where the template did not.

    Notes
    -----
    A coarse level is a decimated template, whose moves the next level takes over. The step solves, for the vertices v,
    (CᵀWC + αD + βU + μ + 1/τ) v = CᵀW t + (αD + βU + μ) r + v₀/τ with the sites C, their trust W and targets t, the
    graph Laplacian D, its square U and the template r turned and scaled onto v₀; scipy factorizes the sparse matrix.
    With a shape model r goes over, by the model's weight, to the model's shape that is nearest to where the scan alone
    would put the vertices it is trusted at, within 3 standard deviations, and μ grows.

    References
    ----------
    Arezoomand S, Lee WS, Rakhra KS, Beaulé PE (2015). doi:10.1007/s11548-014-1125-6
    McInerney T, Terzopoulos D (1996). Deformable models in medical image analysis: a survey.
    doi:10.1016/S1361-8415(96)80007-7
    """
    moved, crossed = mesh, crossing_faces(mesh)
    weight = check_weight(model, model_weight)
    if model is not None and model.mean.shape != mesh.vertices.shape:
        raise InputError(f"a shape model of {len(model.mean)} vertices: expected {len(mesh.vertices)}, as the mesh has")
    for level in levels:
        rest = _with_vertices(mesh, level.vertices)
        start = rest.vertices + carried(mesh.vertices, moved.vertices - mesh.vertices, rest.vertices)
        prior = _prior(model, mesh, rest) if weight else None
        end = _settle(rest, start, evidence, level, prior, weight)
        further = moved.vertices + carried(rest.vertices, end.vertices - start, mesh.vertices)
        moved = move_without_crossing(moved, further, crossed)
    return moved


def _with_vertices(mesh: Mesh, count: int) -> Mesh:
    """The mesh with about so many vertices."""
    if not count or count >= len(mesh.vertices):
        return mesh
    return decimate(mesh, 1 - count / len(mesh.vertices))


def carried(source: np.ndarray, values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Carry values at points over to other points: means of the nearest, (N, 3), weighted by their distance."""
    from scipy.spatial import cKDTree

    if source.shape == target.shape and (source == target).all():
        return values
    away, near = cKDTree(source).query(target, NEIGHBORS)
    width = np.maximum(away[:, 1:2], 1e-9)
    weight = np.exp(-((away / width) ** 2)) + 1e-12
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weight, values[near])


def _settle(
    rest: Mesh, start: np.ndarray, evidence: Sequence[Evidence], level: Level, prior: Prior | None, weight: float
) -> Mesh:
    """Take implicit steps until the mesh lies still."""
    from scipy.sparse import eye_array

    edges, one = edges_of(rest.faces), eye_array(len(start), format="csr")
    stiff = stiffness(rest, edges, level) + weight * level.model * one
    now = Mesh(start, rest.faces)
    crossed = crossing_faces(now)  # before the first step: not to be mended here
    for _ in range(level.steps):
        matrix, pull = _attraction(now, edges, evidence, level)
        home = similarity(rest.vertices, now.vertices)(rest.vertices)
        if prior is not None:
            trust = matrix.sum(axis=1)[:, None]
            asked = now.vertices + (pull - matrix @ now.vertices) / (trust + UNSEEN)  # where the scan alone would go
            home += weight * (prior.nearest(asked, np.minimum(trust[:, 0], 1)) - home)
        wanted = _solved(stiff + matrix + INERTIA * one, pull + stiff @ home + INERTIA * now.vertices)
        before = now.vertices
        now = move_without_crossing(now, wanted, crossed)
        if np.linalg.norm(now.vertices - before, axis=1).mean() < STILL_MM:
            break
    return now


def _prior(model: ShapeModel, mesh: Mesh, rest: Mesh) -> Prior:
    """The model on the vertices of a coarse mesh."""
    onto = similarity(model.mean, mesh.vertices, scaling=False)
    mean, modes = onto(model.mean), model.modes @ onto.turn.T
    if rest is not mesh:
        mean = rest.vertices + carried(mesh.vertices, mean - mesh.vertices, rest.vertices)
        modes = np.array([carried(mesh.vertices, mode, rest.vertices) for mode in modes])
    return Prior(ShapeModel(mean, rest.faces, modes, model.variances), rest)


def stiffness(rest: Mesh, edges: np.ndarray, level: Level) -> object:
    """The elastic forces as a sparse matrix, (V, V), on departures from the template; lengths mean the same on any mesh."""
    from scipy.sparse import coo_array, eye_array

    count = len(rest.vertices)
    length = float(np.linalg.norm(rest.vertices[edges[:, 0]] - rest.vertices[edges[:, 1]], axis=1).mean())
    ends = np.concatenate([edges, edges[:, ::-1]]).T
    beside = coo_array((np.ones(len(ends[0])), (ends[0], ends[1])), shape=(count, count)).tocsr()
    degree = np.asarray(beside.sum(axis=1)).ravel()
    average = coo_array((1 / degree, (np.arange(count), np.arange(count)))).tocsr() @ beside
    umbrella = eye_array(count, format="csr") - average
    bent = umbrella.T @ umbrella
    flat = coo_array((degree / 6, (np.arange(count), np.arange(count)))).tocsr() - beside / 6
    # A wave of the mesh as long as 2π times the length weighs as much as a sure edge.
    alpha, beta = (level.tension / length) ** 2 / 50, (level.rigidity / length) ** 4 / 500
    return alpha * flat + beta * bent + level.memory * eye_array(count, format="csr")


def _attraction(
    now: Mesh, edges: np.ndarray, evidence: Sequence[Evidence], level: Level
) -> tuple[object, np.ndarray]:
    """The pull of the scan as a sparse matrix and a right-hand side."""
    from scipy.sparse import csr_array, diags_array

    count = len(now.vertices)
    matrix, pull = csr_array((count, count)), np.zeros((count, 3))
    found = [(part, at) for part in evidence for at in (sites(now, part.grid, edges), sites_across(now, part.grid))]
    for part, at in found:
        if at is None or not len(at.points):
            continue
        move, trust = pulls(part, at, level.reach, level.stay)
        weight = diags_array(trust * at.gain**2)
        matrix = matrix + at.of.T @ weight @ at.of
        pull += at.of.T @ (weight @ (at.points + move[:, None] * at.ways))
    return matrix, pull


def _solved(matrix: object, right: np.ndarray) -> np.ndarray:
    from scipy.sparse.linalg import splu

    return splu(matrix.tocsc()).solve(right)
