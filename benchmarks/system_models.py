"""Score the CT route, distances between models, and shape models: what each reaches, and what is wanted.

    python benchmarks/system_models.py [--data FOLDER]

Phantoms are made here. FOLDER may hold meshes/knee_shapes_S001-S060.npz (Femur_V, Femur_F, … with corresponding
vertices, mm) and knee_labels/mskt_*.nrrd (5 femur, 6 tibia, 7 patella); what is not there is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import mrbone_nb as mb
from mrbone_nb.measure import dice
from mrbone_nb.mesh import Mesh
from mrbone_nb.phantom import KNEE, knee_body, scan_ct, similar_bones
from mrbone_nb.shape.closest import Surface
from mrbone_nb.shape.model import ShapeModel
from mrbone_nb.shape.register import moved

Row = tuple[str, str, str, float, float | None, float | None, float]
LEFT_OUT = (3, 17, 31, 45, 59)  # of the 60 knees
BONES = {"Femur": 5, "Tibia": 6, "Patella": 7}
DISTANCE = "distance to a model"
MODEL = "shape model"
MEASURE = "mean surface distance, mm"


def rows(data: Path | None = None) -> Iterator[Row]:
    """Give work, case, MEASURE, value, the least and the aim that are wanted, and seconds, one row a figure."""
    yield from ct_rows()
    yield from distance_rows()
    yield from family_rows()
    if data is not None and (data / "meshes" / "knee_shapes_S001-S060.npz").is_file():
        yield from knee_rows(data)


def ct_rows() -> Iterator[Row]:
    """The preset on a simulated CT of a knee, bone by bone."""
    volume, truth = scan_ct(knee_body())
    started = time.perf_counter()
    found = mb.preset("ct").run(volume).labels.array
    seconds = time.perf_counter() - started
    yield "CT route", "phantom knee, all bones", "Dice", dice(found > 0, truth.array > 0), 0.98, None, seconds
    for number, name in KNEE.items():
        bone = truth.array == number
        label = np.bincount(found[bone]).argmax()
        yield "CT route", f"phantom knee, {name}", "Dice", dice(found == label, bone), 0.98, None, seconds


def distance_rows() -> Iterator[Row]:
    """A bone grown by a known offset, cut flat and moved anywhere: how far the distances are off."""
    bone = mb.extract_surface(knee_body(size=128, shape="parametric").bones, 1)
    for offset, share in ((0.0, 1.0), (0.5, 1.0), (0.5, 0.7), (-0.7, 0.5)):
        part = _cut(Mesh(bone.vertices + offset * bone.normals(), bone.faces), share)
        there = Mesh(moved(_motion(1), part.vertices), part.faces)
        started = time.perf_counter()
        found = mb.distance_to_mesh(there, bone)
        seconds = time.perf_counter() - started
        error = np.abs(found.values[np.isfinite(found.values)] - offset)
        case = f"offset {offset:+.1f} mm, {share:.0%} of the bone"
        yield DISTANCE, case, "mean error, mm", float(error.mean()), 0.1, None, seconds
        yield DISTANCE, case, "95 % of the errors, mm", float(np.quantile(error, 0.95)), 0.1, None, seconds


def family_rows() -> Iterator[Row]:
    """Bones made alike: a model of 20 fits two others from a tenth of their points."""
    base = mb.extract_surface(knee_body(size=96, shape="parametric").bones, 1, edge=3.0)
    family = similar_bones(base, 22, seed=1)
    model = mb.build_model(family[2:], keep=0.995)
    for number, bone in enumerate(family[:2]):
        value, seconds = fit_error(model, bone, number)
        yield MODEL, f"parametric femur {number}, 10 % of the points", MEASURE, value, 1.2, 0.8, seconds


def knee_rows(data: Path) -> Iterator[Row]:
    """Knees left out of the model, and surfaces of real label maps, from a tenth of their points."""
    with np.load(data / "meshes" / "knee_shapes_S001-S060.npz") as held:
        shapes = {bone: (held[f"{bone}_V"], held[f"{bone}_F"]) for bone in BONES}
    for bone, (vertices, faces) in shapes.items():
        meshes = [Mesh(v, faces) for v in vertices]
        meshes = meshes if meshes[0].volume > 0 else [Mesh(m.vertices, m.faces[:, ::-1]) for m in meshes]
        model = mb.build_model([m for k, m in enumerate(meshes) if k not in LEFT_OUT], keep=0.995)
        found = [fit_error(model, meshes[k], k) for k in LEFT_OUT]
        errors, seconds = map(np.array, zip(*found, strict=True))
        case = f"{bone.lower()}, 5 knees left out, 10 % of the points"
        yield MODEL, case, MEASURE, float(errors.mean()), 1.2, 0.8, float(seconds.mean())
        yield MODEL, case, f"worst {MEASURE}", float(errors.max()), 1.2, 0.8, float(seconds.max())
        for path in sorted((data / "knee_labels").glob("mskt_*.nrrd")):
            labels, _ = mb.read_labels(path)
            real = mb.extract_surface(labels, BONES[bone])
            value, took = fit_error(model, real, 0, whole=False)
            case = f"{bone.lower()} of {path.stem}, 10 % of the points"
            yield MODEL, case, f"{MEASURE}, one way", value, 1.2, 0.8, took


def fit_error(model: ShapeModel, bone: Mesh, seed: int, *, whole: bool = True) -> tuple[float, float]:
    """Move a bone anywhere, fit the model to a tenth of its vertices; mean distance of the surfaces, and seconds.

    Both ways where the bone is whole; from the bone alone where the scan cuts it off.
    """
    there = Mesh(moved(_motion(seed), bone.vertices), bone.faces)
    few = np.random.default_rng(seed).choice(len(there.vertices), len(there.vertices) // 10, replace=False)
    started = time.perf_counter()
    fit = mb.fit_points(model, there.vertices[few])
    seconds = time.perf_counter() - started
    ways = [(fit.mesh, there), (there, fit.mesh)][: 2 if whole else 1]
    return float(np.mean([np.abs(Surface(a).nearest(b.vertices).distances).mean() for a, b in ways])), seconds


def _cut(mesh: Mesh, share: float) -> Mesh:
    """The lower part of a bone; above, the vertices are pressed onto a flat end."""
    low, high = mesh.bounds[:, 2]
    vertices = mesh.vertices.copy()
    vertices[:, 2] = np.minimum(vertices[:, 2], low + share * (high - low))
    return Mesh(vertices, mesh.faces)


def _motion(seed: int) -> np.ndarray:
    """Any turn, and a shift of some hundred mm."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-200, 200, 3)
    return matrix


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    for work, case, measure, value, least, aim, seconds in rows(parser.parse_args().data):
        wanted = " ".join(f"{name} {limit:g}" for name, limit in (("least", least), ("aim", aim)) if limit is not None)
        print(f"{work:20} {case:62} {measure:36} {value:7.3f}  {wanted:18} {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
