"""Fit templates and shape models of the same bones side by side: what a model of other people adds.

    python benchmarks/system_fit_models.py FOLDER [--only knees,hips,radial]

Three ways each: one other person's bone as the template, the mean of others alone, and their shape model. No model has
seen the person it is tested on. Knees: 55 of the 60 in meshes/knee_shapes_S001-S060.npz make the model, simulated scans
of the other five (six radial slices and three landmarks; sagittal slices of 5 mm and six control points; noise of 1/12)
the test. Hips: both femora of the other seven people, as drawn slice by slice, and the template. Radial: the six cases
of system_fit.py with a model of all real hips and the other subject.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from system_fit import (
    CUT_MM,
    FLIP,
    PLACING,
    SEQUENCES,
    Row,
    body,
    control_points,
    hip_scans,
    radial,
    score,
    subject,
)

import mrbone_nb as mb
from mrbone_nb import phantom
from mrbone_nb.measure import assd, dice
from mrbone_nb.mesh import Mesh
from mrbone_nb.shape import Landmarks, Template, fit_template, load_template
from mrbone_nb.shape.fill import inside_mesh
from mrbone_nb.shape.model import ShapeModel

LEFT_OUT = (3, 17, 31, 45, 59)  # of the 60 knees
ENDS = {"left": (0, 1), "right": (0, -1), "back": (1, 1), "front": (1, -1), "top": (2, 1), "bottom": (2, -1)}
THREE = ("left", "right", "top")
Ways = Mapping[str, tuple[Template | ShapeModel, dict[str, float]]]


def ways(template: Template, model: ShapeModel) -> Ways:
    """What is fitted, and with what settings."""
    return {"template": (template, {}), "mean": (model, {"model_weight": 0.0}), "model": (model, {})}


def fitted(scan: object, all_ways: Ways, landmarks: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Mesh, float]]:
    """Name of the way, surface and seconds."""
    for name, (template, words) in all_ways.items():
        start = time.perf_counter()
        yield name, fit_template(scan, template, landmarks, **words).mesh, time.perf_counter() - start


def knees(data: Path) -> Iterator[Row]:
    """Distal femora of people that are not in the model, with their tibia and patella beside."""
    with np.load(data / "meshes" / "knee_shapes_S001-S060.npz") as held:
        shapes = [[Mesh(v, held[f"{bone}_F"]) for v in held[f"{bone}_V"]] for bone in ("Femur", "Tibia", "Patella")]
    shapes = [[m if m.volume > 0 else Mesh(m.vertices, m.faces[:, ::-1]) for m in bone] for bone in shapes]
    femora = shapes[0]
    at = {name: (way * femora[0].vertices[:, axis]).argmax() for name, (axis, way) in ENDS.items()}
    points = {name: femora[0].vertices[k] for name, k in at.items()}
    others = [mesh for k, mesh in enumerate(femora) if k not in LEFT_OUT]
    model = mb.build_model(others, name="femur", landmarks=points)
    all_ways = ways(Template(femora[0], Landmarks(points), "one"), model)
    for k in LEFT_OUT:
        bones = {number + 1: bone[k] for number, bone in enumerate(shapes)}
        ends = np.concatenate([mesh.bounds for mesh in bones.values()])
        size = np.ceil((np.ptp(ends, axis=0) + 30) / 0.8).astype(int)
        grid = mb.Volume(np.zeros(size[::-1], np.uint8), (0.8,) * 3, tuple(ends.min(axis=0) - 15))
        made = phantom.build_body(phantom.label_meshes(bones, grid), dict.fromkeys(bones, "bone"), cortex=1.5, seed=k)
        random = np.random.default_rng(k)
        given = {name: femora[k].vertices[v] + random.normal(0, 1.5, 3) for name, v in at.items()}
        words = dict(noise=0.08, field=1.5)
        middle = tuple(femora[k].vertices.mean(axis=0))
        planes = phantom.scan_radial(made, "t1", center=middle, axis=(0, 0, 1), slices=6, **words)
        slices = [one.volume for one in planes]
        stack = phantom.scan(made, "pdfs", spacing=(5.0, 0.8, 0.8), plane="sagittal", **words).volume
        for kind, scan, names in (("radial", slices, THREE), ("active", stack, tuple(ENDS))):
            for name, mesh, seconds in fitted(scan, all_ways, {n: given[n] for n in names}):
                found = score(mesh, femora[k], -np.inf)
                yield f"{kind}, {name}", f"knee {k}", "Dice", found[0], None, None, seconds
                yield f"{kind}, {name}", f"knee {k}", "mean distance, mm", found[2], None, None, seconds


def hip_shapes(data: Path, template: Template) -> dict[tuple[str, str], tuple[dict[str, np.ndarray], Mesh]]:
    """Control points on each real femur, and the template in its shape."""
    found = {}
    for name, _, truth in hip_scans(data):
        for number, side in ((1, "right"), (2, "left")):
            found[name, side] = control_points(truth, number, template if side == "right" else template.mirrored())
    return found


def model_of(
    shapes: Mapping[tuple[str, str], tuple[object, Mesh]], template: Template, without: str = ""
) -> ShapeModel:
    """A model of right femora: the template, and all people but one."""
    turned = {"right": np.ones(3), "left": FLIP}
    kept = [mesh.vertices * turned[side] for (name, side), (_, mesh) in shapes.items() if name != without]
    meshes = [template.mesh, *(Mesh(vertices, template.mesh.faces) for vertices in kept)]
    return mb.build_model(meshes, name="femur", landmarks=template.landmarks)


def hips(data: Path) -> Iterator[Row]:
    """Both femora of every real hip, with models of the others."""
    shapes = hip_shapes(data, load_template("femur-right"))
    for name, volume, truth in hip_scans(data):
        model = model_of(shapes, load_template("femur-right"), name)
        for number, side in ((1, "right"), (2, "left")):
            all_ways = ways(load_template(f"femur-{side}"), model if side == "right" else model.mirrored())
            bone = truth.array == number
            for way, mesh, seconds in fitted(volume, all_ways, shapes[name, side][0]):
                mask = inside_mesh(mesh, volume)
                case = f"{name} {side} femur"
                yield f"active, {way}", case, "Dice", dice(mask, bone), None, None, seconds
                yield f"active, {way}", case, "ASSD, mm", assd(mask, bone, volume.spacing), None, None, seconds


def simulated(data: Path) -> Iterator[Row]:
    """Radial slices of simulated hips, with models of all real hips on the other subject's triangles."""
    models: dict[str, ShapeModel] = {}
    for name, other, side in (("m7", "m3", "r"), ("m7", "m3", "l"), ("m3", "m7", "r")):
        bone, template = subject(data, name, side), subject(data, other, "r")
        if other not in models:
            models[other] = model_of(hip_shapes(data, template), template)
        made, lowest = body(bone), bone.landmarks["head_center"][2] - CUT_MM
        for sequence in SEQUENCES:
            random = np.random.default_rng(0)
            given = {n: bone.landmarks[n] + random.normal(0, 1, 3) for n in PLACING}
            for way, mesh, seconds in fitted(radial(made, bone, sequence), ways(template, models[other]), given):
                found, case = score(mesh, bone.mesh, lowest), f"{name} {side} {sequence}"
                yield f"radial, {way}", case, "Dice", found[0], None, None, seconds
                yield f"radial, {way}", case, "mean distance, mm", found[2], None, None, seconds


KINDS = {"knees": knees, "hips": hips, "radial": simulated}


def rows(data: Path, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[Row]:
    """Work, case, measure, value, least, aim and seconds."""
    for kind in kinds:
        yield from KINDS[kind](data)


def main() -> None:
    """Print a line for each row, and the means of each way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=",".join(KINDS))
    given = parser.parse_args()
    for kind in given.only.split(","):
        means: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for work, case, measure, value, _, _, seconds in rows(given.folder, (kind,)):
            print(f"{work:18} {case:24} {measure:18} {value:6.3f} {seconds:5.0f} s", flush=True)
            means.setdefault((work, measure), []).append((value, seconds))
        for (work, measure), found in means.items():
            value, seconds = np.mean(found, axis=0)
            print(f"{kind}: {work:18} mean of {len(found):2} {measure:18} {value:7.4f} {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
