"""Templates: closed meshes with named landmarks, those that come with the package and one's own, and shape models."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..mesh import Mesh, check
from .landmarks import SLICER, Landmarks, read_landmarks
from .model import ShapeModel
from .modelfile import load_model

FOLDER = Path(__file__).parent / "templates"
SIDES = {"right": 1, "left": -1}  # the files hold right bones
MESHES = (".stl", ".ply", ".obj")
MOST_BYTES = 300_000_000


@dataclass(frozen=True, eq=False)
class Template:
    """Hold a closed mesh with its landmarks; where it lies does not matter.

    Parameters
    ----------
    mesh
        The surface, mm, LPS.
    landmarks
        Named points on it or in it, mm, LPS.
    name
        What it is called.
    model
        The shapes that it may take, where it is the mean of a shape model.
    """

    mesh: Mesh
    landmarks: Landmarks
    name: str
    model: ShapeModel | None = None

    def mirrored(self) -> Template:
        """Give the template of the other side of the body."""
        if self.model is not None:
            return as_template(self.model.mirrored(), self.name)
        flip = np.array([-1, 1, 1])
        points = {name: point * flip for name, point in self.landmarks.items()}
        return Template(Mesh(self.mesh.vertices * flip, self.mesh.faces[:, ::-1]), Landmarks(points), self.name)


def as_template(model: Template | ShapeModel, name: str = "") -> Template:
    """Give the mean of a shape model as a template that may take the model's shapes; a template stays what it is.

    Parameters
    ----------
    model
        A shape model with landmarks, or a template.
    name
        What it shall be called; by default what the model says.

    Returns
    -------
    Template
        The mean and its landmarks.

    Raises
    ------
    InputError
        A model without landmarks, or whose mean is no closed surface.
    """
    if isinstance(model, Template):
        return model
    name = name or str(model.recipe.get("name", "shape model"))
    if not model.landmarks:
        raise InputError(f"{name}: a shape model without landmarks; build it with `landmarks=` to place it by them")
    mesh = Mesh(model.mean, model.faces)
    if reason := check(mesh).reason:
        raise InputError(f"{name}: no closed surface: {reason}")
    return Template(mesh, Landmarks(model.landmarks), name, model)


def template_names() -> list[str]:
    """Give the names of the templates that come with the package, such as femur-right.

    Examples
    --------
    >>> template_names()
    ['femur-left', 'femur-right']
    """
    return sorted(f"{path.stem}-{side}" for path in FOLDER.glob("*.ply") for side in SIDES)


def load_template(name: str | Path, landmarks: str | Path | None = None) -> Template:
    """Load a template by its name, any closed mesh with landmarks, or a shape model.

    Parameters
    ----------
    name
        One of `template_names`, an STL, PLY or OBJ file in mm, LPS, or what `save_model` wrote.
    landmarks
        The file of its landmarks; by default those in the model file, or the file of the same name beside the mesh or
        the model, ``.json`` or ``.mrk.json``.

    Returns
    -------
    Template
        The mesh and its landmarks, and the model, where it is one.

    Raises
    ------
    InputError
        An unknown name, a file that is no closed mesh, or no landmarks beside it.
    """
    path = Path(name)
    bone, _, side = str(name).rpartition("-")
    if side in SIDES and (FOLDER / f"{bone}.ply").is_file():
        found = Template(_read(FOLDER / f"{bone}.ply"), read_landmarks(FOLDER / f"{bone}.json"), str(name))
        return found if SIDES[side] > 0 else found.mirrored()
    model = load_model(path) if zipfile.is_zipfile(path) else None  # by what it holds, whatever it is called
    if model is None and (path.suffix.lower() not in MESHES or not path.is_file()):
        expected = f"{', '.join(template_names())}, or a mesh file ({', '.join(MESHES)}), or a shape model"
        raise InputError(f"template {str(name)!r}: expected {expected}")
    if model is not None and model.landmarks and landmarks is None:
        return as_template(model, path.stem)
    points = read_landmarks(_landmarks_of(path, landmarks))
    if model is not None:
        return as_template(replace(model, landmarks=points), path.stem)
    return Template(_read(path), points, path.stem)


def _landmarks_of(path: Path, given: str | Path | None) -> Path:
    """The file of landmarks that was given, or else the one beside."""
    beside = [Path(given)] if given else [path.with_name(path.stem + end) for end in (".json", SLICER)]
    there = next((file for file in beside if file.is_file()), None)
    if there is None:
        raise InputError(f"{path.name}: its landmarks are missing; expected {beside[0].name} beside it")
    return there


def _read(path: Path) -> Mesh:
    """Read a mesh file whose corners are shared, and make sure that it is closed."""
    import trimesh

    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; decimate it below {MOST_BYTES / 1e6:.0f} MB")
    try:
        read = trimesh.load(path, force="mesh", process=False)
        read.merge_vertices(merge_tex=True, merge_norm=True)
        mesh = Mesh(np.asarray(read.vertices, float), np.asarray(read.faces))
    except Exception as error:  # trimesh has no error of its own
        raise InputError(f"{path.name}: not a mesh ({type(error).__name__})") from None
    if reason := check(mesh).reason:
        raise InputError(f"{path.name}: no closed surface: {reason}")
    return mesh
