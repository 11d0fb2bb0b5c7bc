"""Make the templates in mrbone_nb/shape/templates/ again from public meshes.

    python tools/make_templates.py FOLDER

FOLDER holds libhip_MIT_m3_rfemur_mm.stl: the right proximal femur of subject m3 of the repository diku-dk/libhip (MIT),
scaled to mm. Running it twice writes the same files. The licence notice is written by hand and left alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import trimesh

from mrbone_nb.mesh import Mesh, check, decimate
from mrbone_nb.meshfile import write_mesh
from mrbone_nb.shape.crossing import crossing_faces
from mrbone_nb.shape.fill import grid_around, inside_mesh
from mrbone_nb.shape.landmarks import write_landmarks
from mrbone_nb.surface import surface

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE.parent / "mrbone_nb" / "shape" / "templates"
SOURCE = "libhip_MIT_m3_rfemur_mm.stl"
VERTICES = 2500
WAYS = {  # LPS, on the right side
    "medial": (1, 0, 0),
    "lateral": (-1, 0, 0),
    "anterior": (0, -1, 0),
    "posterior": (0, 1, 0),
    "superior": (0, 0, 1),
    "inferior": (0, 0, -1),
}
DISTAL_MM = 45.0  # below the lesser trochanter: where points of the shaft lie
LESSER_TROCHANTER_MM = 46.0  # below the middle of the head: where on this bone its tip is sought


def read(path: Path) -> Mesh:
    """Read an STL file as one mesh."""
    found = trimesh.load(path, force="mesh")
    return Mesh(found.vertices, found.faces)


def remeshed(mesh: Mesh, vertices: int = VERTICES) -> Mesh:
    """Trace a mesh anew with even triangles, about so many vertices, that do not cross each other."""
    grid = grid_around(mesh, 0.8, 3.0)
    traced = surface(grid.with_array(inside_mesh(mesh, grid)), smoothing=1.2, edge=1.6)
    small = decimate(traced, 1 - vertices / len(traced.vertices))
    assert not check(small).reason and not len(crossing_faces(small))
    return small


def head_of(mesh: Mesh) -> tuple[np.ndarray, float]:
    """Fit a ball to the head of a right proximal femur that stands upright (LPS): middle and radius."""
    v = mesh.vertices
    on = v[(v[:, 2] > v[:, 2].max() - 45) & (v[:, 0] > v[:, 0].max() - 25)]
    for _ in range(10):
        solved = np.linalg.lstsq(np.c_[2 * on, np.ones(len(on))], (on**2).sum(axis=1), rcond=None)[0]
        middle = solved[:3]
        radius = float(np.sqrt(solved[3] + middle @ middle))
        on = v[np.abs(np.linalg.norm(v - middle, axis=1) - radius) < 1.5]
    return middle, radius


def femur_landmarks(mesh: Mesh, lesser: float) -> dict[str, np.ndarray]:
    """Find the landmarks of a right proximal femur that stands upright (LPS).

    Parameters
    ----------
    mesh
        The surface.
    lesser
        How far in mm below the middle of the head the tip of the lesser trochanter is sought.

    Returns
    -------
    dict
        The middles of the head and of the shaft at the lesser trochanter, and points of the surface.
    """
    v = mesh.vertices
    head, radius = head_of(mesh)
    found = {"head_center": head}

    def farthest(where: np.ndarray, way: tuple[float, float, float]) -> np.ndarray:
        return v[where][np.argmax(v[where] @ np.array(way))]

    side = v[:, 0] < head[0] - 1.3 * radius
    trochanter = side & (v[:, 2] > head[2] - 60)
    found["greater_trochanter"] = farthest(trochanter, (-1, 0, 0))
    found["trochanter_tip"], found["trochanter_posterior"] = farthest(trochanter, (0, 0, 1)), farthest(trochanter, (0, 1, 0))
    behind = (np.abs(v[:, 2] - head[2] + lesser) < 6) & (v[:, 1] > head[1])
    tip = found["lesser_trochanter"] = farthest(behind, (1, 0.7, 0))
    ring = v[(np.abs(v[:, 2] - tip[2]) < 1.5) & ((v - tip) @ (1, 0.7, 0) < -12)][:, :2]
    circle = np.linalg.lstsq(np.c_[2 * ring, np.ones(len(ring))], (ring**2).sum(axis=1), rcond=None)[0]
    found["shaft_center"] = np.array([*circle[:2], tip[2]])
    level, below = np.abs(v[:, 2] - tip[2]) < 2, np.abs(v[:, 2] - tip[2] + DISTAL_MM) < 2
    found["shaft_lateral"], found["shaft_anterior"] = farthest(level, (-1, 0, 0)), farthest(level, (0, -1, 0))
    if below.any():  # not where the bone was cut off higher up
        found |= {f"distal_{name}": farthest(below, WAYS[name]) for name in ("lateral", "medial", "anterior", "posterior")}
    for name in ("medial", "superior", "anterior", "posterior"):
        ball = np.linalg.norm(v - head, axis=1) < radius + 2
        found[f"head_{name}"] = farthest(ball, WAYS[name])
    axis = (found["greater_trochanter"] + found["shaft_center"]) / 2 - head
    axis /= np.linalg.norm(axis)
    along = (v - head) @ axis
    slim = np.linalg.norm(v - head - along[:, None] * axis, axis=1) < 0.9 * radius  # not the trochanter beside it
    waist = slim & (np.abs(along - 1.3 * radius) < 1.5)
    for name in ("superior", "inferior", "anterior", "posterior"):
        found[f"neck_{name}"] = farthest(waist, WAYS[name])
    return found


def main() -> None:
    """Write the template of the proximal femur and its landmarks, with the middle of the head as the origin."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    mesh = remeshed(read(parser.parse_args().folder / SOURCE))
    middle = head_of(mesh)[0]
    mesh = Mesh(mesh.vertices - middle, mesh.faces)
    note = "proximal femur, subject m3 of diku-dk/libhip, MIT"
    write_mesh(mesh, TEMPLATES / "femur.ply", name="right femur", note=note, overwrite=True)
    write_landmarks(femur_landmarks(mesh, LESSER_TROCHANTER_MM), TEMPLATES / "femur.json", overwrite=True)


if __name__ == "__main__":
    main()
