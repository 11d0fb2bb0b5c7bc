"""Statistical shape models: how the shape of one bone varies between people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from .landmarks import Landmarks
from .register import fit_rigid, moved

LIMIT = 3.0  # standard deviations beyond which a mode leaves what bones look like
ROUNDS, STILL_MM = 50, 1e-3


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """Hold a mean shape and the modes in which shapes vary around it.

    Parameters
    ----------
    mean
        (V, 3), mm, its center at the origin.
    faces
        (F, 3), the triangles, the same in all shapes.
    modes
        (K, V, 3), orthonormal, the widest first.
    variances
        (K,), mm², of the coefficient of each mode in the shapes that the model was made of.
    recipe
        How it was made: plain values by name.
    landmarks
        Named points of the mean, mm, with which it can serve as a template; none where nobody gave any.
    """

    mean: np.ndarray
    faces: np.ndarray
    modes: np.ndarray
    variances: np.ndarray
    recipe: Mapping[str, Any] = field(default_factory=dict)
    landmarks: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = {name: np.ascontiguousarray(getattr(self, name), float) for name in ("mean", "modes", "variances")}
        arrays["faces"] = np.ascontiguousarray(self.faces, np.int64)
        mean, modes, variances = arrays["mean"], arrays["modes"], arrays["variances"]
        Mesh(mean, arrays["faces"])  # checks both
        if modes.shape != (len(variances), *mean.shape) or not (variances > 0).all() or not np.isfinite(modes).all():
            raise InputError(
                f"shape model of mean {mean.shape}, modes {modes.shape} and {len(variances)} variances: expected "
                f"(K, {len(mean)}, 3) and K variances above 0"
            )
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "recipe", MappingProxyType(dict(self.recipe)))
        object.__setattr__(self, "landmarks", Landmarks(self.landmarks))

    @property
    def count(self) -> int:
        """How many modes there are."""
        return len(self.variances)

    @property
    def shares(self) -> np.ndarray:
        """The part of the variance that each mode explains, (K,), of what the model holds."""
        return self.variances / self.variances.sum()

    def mirrored(self) -> ShapeModel:
        """Give the model of the other side of the body."""
        flip = np.array([-1.0, 1, 1])
        points = {name: point * flip for name, point in self.landmarks.items()}
        arrays = (self.mean * flip, self.faces[:, ::-1], self.modes * flip, self.variances)
        return ShapeModel(*arrays, self.recipe, points)


def build_model(
    meshes: Iterable[Mesh], *, keep: float = 0.98, name: str = "bone", landmarks: Mapping[str, Any] | None = None
) -> ShapeModel:
    """Build a model from meshes whose vertices correspond: rigid alignment to their mean, then principal components.

    Size stays in the model, as its first modes. Meshes that do not correspond are brought to it by `correspond`.

    Parameters
    ----------
    meshes
        Three or more, with the same faces; vertex k at the same place of the bone in each.
    keep
        Share of the variance that the modes explain, above 0 and up to 1.
    name
        What bone it is, for the recipe.
    landmarks
        Named points of the first mesh, mm; carried to the mean, they let the model serve as a template.

    Returns
    -------
    ShapeModel
        With one mode fewer than meshes at most.

    Raises
    ------
    InputError
        Too few meshes, or other faces in some.

    References
    ----------
    Gower JC (1975). Generalized Procrustes analysis. doi:10.1007/BF02291478. Cootes TF et al. (1995). Active shape
    models. doi:10.1006/cviu.1995.1004

    Examples
    --------
    >>> corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9.0]])
    >>> faces = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    >>> build_model([Mesh(corners * size, faces) for size in (0.9, 1, 1.1)]).count
    1
    """
    meshes = list(meshes)
    if len(meshes) < 3:
        raise InputError(f"a shape model of {len(meshes)} meshes: expected 3 or more")
    if not 0 < keep <= 1:
        raise InputError(f"keep={keep}: expected a share above 0 and up to 1")
    faces = meshes[0].faces
    for number, mesh in enumerate(meshes):
        if mesh.vertices.shape != meshes[0].vertices.shape or not np.array_equal(mesh.faces, faces):
            raise InputError(f"mesh {number}: other vertices or faces than mesh 0; bring it to them with `correspond`")
    shapes, mean = _aligned(np.array([mesh.vertices for mesh in meshes]))
    flat = (shapes - mean).reshape(len(shapes), -1)
    _, sizes, modes = np.linalg.svd(flat, full_matrices=False)
    variances = sizes**2 / (len(shapes) - 1)
    known = variances > 1e-9 * max(variances[0], 1e-9)
    explained = np.cumsum(variances) / variances.sum() if known.any() else np.ones(len(variances))
    count = int(np.count_nonzero(known & (np.concatenate([[0], explained[:-1]]) < keep)))
    if not count:
        raise InputError(f"{len(meshes)} meshes of one and the same shape: there is no variation to model")
    modes, recipe = modes[:count], {"name": name, "meshes": len(meshes), "keep": keep, "alignment": "rigid"}
    points = _carried(landmarks or {}, meshes[0].vertices, mean)
    sign = np.sign(modes[np.arange(count), np.abs(modes).argmax(axis=1)])  # else it is up to the machine
    return ShapeModel(mean, faces, (modes * sign[:, None]).reshape(count, -1, 3), variances[:count], recipe, points)


def shape(model: ShapeModel, weights: Sequence[float] = ()) -> Mesh:
    """Give the shape with these weights of the first modes, in standard deviations; the others are 0.

    Parameters
    ----------
    model
        The model.
    weights
        K numbers at most; beyond -3 to 3 lies what no bone looks like.

    Returns
    -------
    Mesh
        In the model's own place.
    """
    weights = np.asarray(weights, float).ravel()
    if len(weights) > model.count or not np.isfinite(weights).all():
        raise InputError(f"{len(weights)} weights {weights[:4]}…: expected {model.count} numbers at most")
    coefficients = weights * np.sqrt(model.variances[: len(weights)])
    return Mesh(model.mean + np.tensordot(coefficients, model.modes[: len(weights)], axes=1), model.faces)


def project(model: ShapeModel, points: np.ndarray, *, limit: float = LIMIT) -> np.ndarray:
    """Give the shape of the model that is nearest to points at its vertices, in their own place.

    Serves as the prior of another method: what it finds vertex by vertex is drawn back to what bones look like.

    Parameters
    ----------
    model
        The model.
    points
        (V, 3), mm, one for each vertex of the model, anywhere in space.
    limit
        Most standard deviations of a mode.

    Returns
    -------
    numpy.ndarray
        (V, 3), mm.
    """
    points = np.asarray(points, float)
    if points.shape != model.mean.shape:
        raise InputError(f"points of shape {points.shape}: expected one for each vertex, {model.mean.shape}")
    there = model.mean
    for _ in range(3):  # pose and shape depend on each other a little
        matrix = fit_rigid(points, there)
        weights = weights_of(model, moved(matrix, points), limit=limit)
        there = shape(model, weights).vertices
    return moved(np.linalg.inv(matrix), there)


def weights_of(model: ShapeModel, points: np.ndarray, *, limit: float = LIMIT) -> np.ndarray:
    """Give the weights, in standard deviations within a limit, of points (V, 3) in the model's place."""
    coefficients = np.tensordot(model.modes, points - model.mean, axes=2)
    return np.clip(coefficients / np.sqrt(model.variances), -limit, limit)


def _carried(landmarks: Mapping[str, Any], source: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Move points along with the vertices around them, rigidly, the nearest counting most; one at a vertex stays there."""
    found = {}
    for name, point in Landmarks(landmarks).items():
        near = 1 / (((source - point) ** 2).sum(axis=1) + 1e-6) ** 2
        found[name] = moved(fit_rigid(source, target, near), point[None])[0]
    return found


def _aligned(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move shapes, (S, V, 3), rigidly onto their mean, which they make anew until it stays."""
    mean = shapes[0] - shapes[0].mean(axis=0)
    for _ in range(ROUNDS):
        shapes = np.array([moved(fit_rigid(one, mean), one) for one in shapes])
        new = shapes.mean(axis=0)
        change = float(np.abs(new - mean).max())
        mean = new
        if change < STILL_MM:
            break
    return shapes, mean
