"""Templates: closed meshes with named landmarks, those that come with the package and one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..mesh import Mesh, check
from .landmarks import SLICER, Landmarks, read_landmarks

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
    """

    mesh: Mesh
    landmarks: Landmarks
    name: str

    def mirrored(self) -> Template:
        """Give the template of the other side of the body."""
        flip = np.array([-1, 1, 1])
        points = {name: point * flip for name, point in self.landmarks.items()}
        return Template(Mesh(self.mesh.vertices * flip, self.mesh.faces[:, ::-1]), Landmarks(points), self.name)


def template_names() -> list[str]:
    """Give the names of the templates that come with the package, such as femur-right.

    Examples
    --------
    >>> template_names()
    ['femur-left', 'femur-right']
    """
    return sorted(f"{path.stem}-{side}" for path in FOLDER.glob("*.ply") for side in SIDES)


def load_template(name: str | Path, landmarks: str | Path | None = None) -> Template:
    """Load a template by its name, or any closed mesh with landmarks.

    Parameters
    ----------
    name
        One of `template_names`, or an STL, PLY or OBJ file in mm, LPS.
    landmarks
        The file of its landmarks; by default the one of the same name beside the mesh, ``.json`` or ``.mrk.json``.

    Returns
    -------
    Template
        The mesh and its landmarks.

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
    if path.suffix.lower() not in MESHES or not path.is_file():
        kinds = ", ".join(MESHES)
        raise InputError(f"template {str(name)!r}: expected {', '.join(template_names())}, or a mesh file ({kinds})")
    beside = [Path(landmarks)] if landmarks else [path.with_name(path.stem + end) for end in (".json", SLICER)]
    there = next((file for file in beside if file.is_file()), None)
    if there is None:
        raise InputError(f"{path.name}: its landmarks are missing; expected {beside[0].name} beside it")
    return Template(_read(path), read_landmarks(there), path.stem)


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
