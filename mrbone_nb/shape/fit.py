"""Fit a template to a scan: placed by landmarks, pulled into place by a forest's probability and the cortex' edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..mesh import Mesh
from ..volume import Volume
from .active import LEVELS, deform
from .fill import grid_around, inside_mesh
from .forces import Evidence
from .landmarks import Landmarks
from .learn import Known, bone_probability, known_masks, near_template, surroundings
from .model import ShapeModel
from .prior import check_weight
from .rbf import similarity, warp
from .sites import parts_of
from .template import Template, as_template

FEWEST = 3  # landmarks of the radial route
CONTROL = 4  # and more are control points of the active model
SHELL_MM = 1.0  # of cortex that a forest leaves out which learned from a template's inside and outside
LOW, HIGH = 1.0, 99.0  # percentiles of gray that become 0 and 1
# How far the template may be off in mm when the forest learns from it, and the levels that follow.
ROUNDS = ((3.0, LEVELS[:3]), (1.5, LEVELS[1:]))
MASK_MM = 1.0


@dataclass(frozen=True, eq=False)
class Fit:
    """Hold a template that was fitted to a scan.

    Parameters
    ----------
    mesh
        The surface, mm, LPS, with the triangles of the template.
    placed
        The template as the landmarks alone placed it.
    route
        "landmarks" or "control points".
    used
        Names of the landmarks that were used.
    residual
        Mean distance in mm of the placed template's landmarks from the given ones.
    """

    mesh: Mesh
    placed: Mesh
    route: str
    used: tuple[str, ...]
    residual: float

    def mask(self, spacing: float = MASK_MM, *, like: Volume | None = None) -> Volume:
        """Fill the surface: a mask on equal cells of ``spacing`` mm round it, or on the grid of ``like``."""
        grid = like if like is not None else grid_around(self.mesh, spacing, 2 * spacing)
        facts = {} if like is not None else {"name": "fit"}
        return grid.with_array(inside_mesh(self.mesh, grid, "the fitted surface"), **facts)


def place(template: Template | ShapeModel, landmarks: Mapping[str, object]) -> Fit:
    """Place a template by landmarks alone: three by a similarity, four or more by a thin-plate warp.

    Parameters
    ----------
    template
        The mesh with its landmarks, or a shape model with landmarks, whose mean is placed.
    landmarks
        Positions in the scan, mm, LPS, under the names that the template knows.

    Returns
    -------
    Fit
        Not yet fitted: ``mesh`` is ``placed``.

    Raises
    ------
    InputError
        A name that the template does not know, or fewer than three.
    """
    template, given = as_template(template), Landmarks(landmarks)
    known = ", ".join(template.landmarks)
    if strange := [name for name in given if name not in template.landmarks]:
        raise InputError(f"landmark {', '.join(strange)}: {template.name} knows {known}")
    if len(given) < FEWEST:
        raise InputError(f"{len(given)} landmarks: expected {FEWEST} to place {template.name}, or {CONTROL} and more of {known}")
    names = tuple(given)
    source, target = template.landmarks.array(names), given.array(names)
    points = Mesh(source, np.zeros((0, 3), int))
    if len(names) < CONTROL:
        move = similarity(source, target)
        placed, reached, route = Mesh(move(template.mesh.vertices), template.mesh.faces), move(source), "landmarks"
    else:
        placed, route = warp(template.mesh, source, target), "control points"
        if placed.volume <= 0:
            raise InputError(f"the landmarks turn {template.name} inside out: are they those of the other side?")
        reached = warp(points, source, target).vertices
    residual = float(np.linalg.norm(reached - target, axis=1).mean())
    return Fit(placed, placed, route, names, residual)


def fit_template(
    scan: object,
    template: Template | ShapeModel,
    landmarks: Mapping[str, object],
    *,
    masks: Sequence[np.ndarray | None] | None = None,
    model_weight: float | None = None,
    seed: int = 0,
) -> Fit:
    """Fit a template to a scan: a stack, or slices in any directions, as a radial scan has them.

    Three landmarks place the template by a similarity, four and more bend it by a thin-plate spline. A forest then
    learns what bone looks like, and an elastic surface goes where its probability falls and dark cortex turns brighter.
    It fails where the landmarks leave the template farther than about 8 mm from the bone.

    Parameters
    ----------
    scan
        A `Volume`, a `SliceSet`, or a sequence of volumes of one plane each.
    template
        The mesh with its landmarks, or a shape model with landmarks, of the same side of the body.
    landmarks
        Positions in the scan, mm, LPS, under the names that the template knows.
    masks
        For each slice (or for the stack) a mask of the bone, or None where there is none: the forest learns from
        those, with the place of a pixel in the landmarks' frame. Without masks it learns from the inside and the
        outside of the placed template, twice, and does not see the place.
    model_weight
        How far the surface remembers, instead of the placed mean, the shape of the model that is nearest to what the
        scan shows: 0 not at all, 1 (as by default) wholly. For shape models alone. Give less, or a template, where the
        scan shows the bone better than the model's bones were drawn: a rough model then makes the surface worse.
    seed
        Of the forest.

    Returns
    -------
    Fit
        The surface in mm, LPS, and how it was placed.

    Raises
    ------
    InputError
        Landmarks that do not fit the template, or a template that lies outside the scan.

    Notes
    -----
    Slices are never resampled to a volume: the forest classifies their own pixels, and forces are sampled in their
    planes where the mesh cuts them. The same seed gives the same bits.

    References
    ----------
    Damopoulos D, Lerch TD, Schmaranzer F, et al. (2019). Segmentation of the proximal femur in radial MR scans using
    a random forest classifier and deformable model registration. doi:10.1007/s11548-018-1899-z
    Arezoomand S, Lee WS, Rakhra KS, Beaulé PE (2015). doi:10.1007/s11548-014-1125-6
    """
    template = as_template(template)
    check_weight(template.model, model_weight)  # before the slow part
    words = dict(model=template.model, model_weight=model_weight)
    parts = _normalized(parts_of(scan))
    start = place(template, landmarks)
    frame = similarity(Landmarks(landmarks).array(), template.landmarks.array(start.used))
    mesh = start.mesh
    for margin, levels in ROUNDS:
        known = known_masks(parts, masks, mesh, frame) if masks else None
        mesh = deform(mesh, _evidence(parts, mesh, margin, known, seed), levels, **words)
    return Fit(mesh, start.placed, start.route, start.used, start.residual)


def _evidence(
    parts: Sequence[Volume], mesh: Mesh, margin: float, known: list[Known] | None, seed: int
) -> list[Evidence]:
    """Learn from what is known, or from the mesh where it lies, what the scan says."""
    shell = 0.0 if known else SHELL_MM
    if not known:
        distance = surroundings(mesh)
        known = [near_template(part, mesh, distance, margin) for part in parts if _holds(part, mesh)]
    if not known:
        raise InputError("the placed template lies outside the scan; do the landmarks belong to it (mm, LPS)?")
    probability = bone_probability(known, seed)
    inside = np.concatenate([one.part.array[one.bone] for one in known])
    marrow = float(np.median(inside))
    return [Evidence(one.part, p, marrow, shell) for one, p in zip(known, probability, strict=True)]


def _holds(part: Volume, mesh: Mesh) -> bool:
    """Tell whether the box of a mesh reaches into the box of a part."""
    index = part.index(mesh.vertices)
    return bool((index.max(axis=0) > -0.5).all() and (index.min(axis=0) < np.array(part.shape) - 0.5).all())


def _normalized(parts: Sequence[Volume]) -> list[Volume]:
    """Gray from 0 to about 1, all parts alike."""
    every = np.concatenate([part.array.ravel()[:: max(1, part.array.size // 200_000)] for part in parts])
    low, high = np.percentile(every, (LOW, HIGH))
    if not high > low:
        raise InputError("the scan is constant: nothing to fit to")
    return [part.with_array(np.maximum((part.array - low) / (high - low), 0).astype(np.float32)) for part in parts]
