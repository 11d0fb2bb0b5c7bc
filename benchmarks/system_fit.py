"""Fit templates of the proximal femur: radial slices with three landmarks, stacks with control points, real hips.

    python benchmarks/system_fit.py [FOLDER] [--only radial|active|hips|models]

FOLDER holds meshes/libhip_MIT_*.stl and hips/*/; without it one simulated hip of plain solids is fitted. Subjects m3 and
m7 are each other's templates: the right femur of one fits the bones of the other, mirrored for the left. The simulated
hips have a parametric hip bone round the head, noise of 1/20 of the brightest tissue, and go on below the cut of the CT;
what counts lies above the cut. Users are simulated: landmarks lie 1 mm off along each axis, control points 1 mm off in all.
On real hips the control points are those of the template registered to the truth, put onto the truth's surface.
Models (system_fit_models.py) are shape models of other people, given in the template's place.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

import mrbone_nb as mb
from mrbone_nb import phantom
from mrbone_nb.measure import assd, dice
from mrbone_nb.mesh import Mesh
from mrbone_nb.phantom.bones import hip_bone
from mrbone_nb.shape import Evidence, Landmarks, Template, deform, fit_template, load_template, place
from mrbone_nb.shape.active import carried
from mrbone_nb.shape.fill import grid_around, inside_mesh

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from make_templates import femur_landmarks, read, remeshed  # noqa: E402

Row = tuple[str, str, str, float, float | None, float | None, float]
LESSER = {"m3": 46.0, "m7": 56.0}  # mm below the middle of the head: where the lesser trochanter's tip is sought
CUT_MM = 62.0  # below the middle of the head; m7 was cut off 65 mm below it
PLACING = ("head_center", "greater_trochanter", "shaft_center")
CONTROL = (
    "head_medial", "head_superior", "head_anterior", "neck_superior", "neck_inferior", "greater_trochanter",
    "lesser_trochanter", "shaft_lateral", "shaft_anterior",
)  # fmt: skip
SHAFT = ("distal_lateral", "distal_medial")
SEQUENCES = {"t1": 1.5, "pdfs": 3.0}  # field in T
SLICES = 14
FLIP = np.array([-1, 1, 1])


def subject(data: Path, name: str, side: str) -> Template:
    """A bone of the CT with its landmarks, mirrored to the right side, the shaft drawn out by 60 mm below the cut."""
    mesh = read(data / "meshes" / f"libhip_MIT_{name}_{side}femur_mm.stl")
    mesh = mesh if side == "r" else Mesh(mesh.vertices * FLIP, mesh.faces[:, ::-1])
    points = femur_landmarks(mesh, LESSER[name])
    v = mesh.vertices.copy()
    if name == "m7":
        v[v[:, 2] < v[:, 2].min() + 0.6, 2] -= 60.0
    return Template(remeshed(Mesh(v, mesh.faces)), Landmarks(points), f"{name}_{side}")


def body(bone: Template, spacing: float = 0.6) -> phantom.Body:
    """A right hip with this femur."""
    middle, (low, high) = bone.landmarks["head_center"], bone.mesh.bounds

    def socket(at: object) -> np.ndarray:
        return hip_bone([p - np.float32(c) for p, c in zip(at, middle, strict=True)])

    labels = phantom.label_solids({2: socket}, tuple(low - 30), tuple(high + (55, 30, 30)), spacing, np.eye(3))
    array = labels.array.copy()
    array[inside_mesh(bone.mesh, labels)] = 1
    flesh = phantom.Flesh(margin=(30, 30), skin_fat=10)
    return phantom.build_body(labels.with_array(array), {1: "bone", 2: "bone"}, cortex=(0.9, 4.0), flesh=flesh)


def radial(made: phantom.Body, bone: Template, sequence: str) -> list[mb.Volume]:
    """Slices round the axis of the neck."""
    head = bone.landmarks["head_center"]
    axis = (bone.landmarks["greater_trochanter"] + bone.landmarks["shaft_center"]) / 2 - head
    axis /= np.linalg.norm(axis)
    words = dict(center=tuple(head + 20 * axis), axis=tuple(-axis), slices=SLICES, noise=0.05, field=SEQUENCES[sequence])
    return [one.volume for one in phantom.scan_radial(made, sequence, **words)]


def points_on(mesh: Mesh, lowest: float) -> np.ndarray:
    """Points all over a surface above a height."""
    import trimesh

    found, _ = trimesh.sample.sample_surface(trimesh.Trimesh(mesh.vertices, mesh.faces, process=False), 60_000, seed=1)
    return found[found[:, 2] > lowest]


def score(mesh: Mesh, truth: Mesh, lowest: float) -> tuple[float, float, float]:
    """Dice, target overlap and mean distance of the surfaces in mm, above a height."""
    grid = grid_around(truth, 1.0, 8.0)
    above = grid.points(np.argwhere(np.ones(grid.shape[:1] + (1, 1))))[:, 2] > lowest
    a, b = inside_mesh(mesh, grid)[above], inside_mesh(truth, grid)[above]
    one, other = points_on(mesh, lowest), points_on(truth, lowest)
    distance = (cKDTree(other).query(one)[0].mean() + cKDTree(one).query(other)[0].mean()) / 2
    return dice(a, b), float((a & b).sum() / b.sum()), float(distance)


def simulated(data: Path, kinds: tuple[str, ...]) -> Iterator[Row]:
    """Radial slices and stacks of simulated hips."""
    for name, other, side in (("m7", "m3", "r"), ("m7", "m3", "l"), ("m3", "m7", "r")):
        bone, template = subject(data, name, side), subject(data, other, "r")
        made, lowest = body(bone), bone.landmarks["head_center"][2] - CUT_MM
        for sequence in SEQUENCES:
            case = f"{name} {side} {sequence}, template {other}"
            random = np.random.default_rng(0)
            if "radial" in kinds:
                given = {n: bone.landmarks[n] + random.normal(0, 1, 3) for n in PLACING}
                start = time.perf_counter()
                mesh = fit_template(radial(made, bone, sequence), template, given).mesh
                seconds = time.perf_counter() - start
                found = score(mesh, bone.mesh, lowest)
                yield "radial MR", case, "Dice", found[0], 0.95, 0.97, seconds
                yield "radial MR", case, "mean distance, mm", found[2], 0.9, 0.6, seconds
            if "active" in kinds:
                given = {n: bone.landmarks[n] + random.normal(0, 3**-0.5, 3) for n in CONTROL}
                words = dict(spacing=(3.0, 0.7, 0.7), plane="coronal", noise=0.05, field=SEQUENCES[sequence])
                volume = phantom.scan(made, sequence, **words).volume
                start = time.perf_counter()
                mesh = fit_template(volume, template, given).mesh
                seconds = time.perf_counter() - start
                found = score(mesh, bone.mesh, lowest)
                yield "active model", case, "target overlap", found[1], 0.95, 0.97, seconds
                yield "active model", case, "Dice", found[0], None, None, seconds


def control_points(truth: mb.Volume, number: int, template: Template) -> tuple[dict[str, np.ndarray], Mesh]:
    """What a user would point at on a femur of a label map, and the template in the shape of that femur."""
    flip = np.array([1, 1, 1]) if number == 1 else FLIP
    surface = mb.extract_surface(truth, number)
    right = Mesh(surface.vertices * flip, surface.faces if number == 1 else surface.faces[:, ::-1])
    rough = {name: point * flip for name, point in femur_landmarks(right, 50.0).items()}
    placed = place(template, {name: rough[name] for name in PLACING}).mesh
    mesh = deform(placed, [Evidence(None, truth.with_array((truth.array == number).astype(np.float32)))])
    known = template.landmarks.array()
    moved = known + carried(template.mesh.vertices, mesh.vertices - template.mesh.vertices, known)
    nearest = dict(zip(template.landmarks, surface.vertices[cKDTree(surface.vertices).query(moved)[1]], strict=True))
    random = np.random.default_rng(1)
    names = [name for name in (*CONTROL, *SHAFT) if name in nearest]  # m7 ends above the lower ones
    return {name: nearest[name] + random.normal(0, 3**-0.5, 3) for name in names}, mesh


def hip_scans(data: Path) -> Iterator[tuple[str, mb.Volume, mb.Volume]]:
    """Name, scan and label map of every real hip."""
    for folder in sorted(path for path in (data / "hips").iterdir() if (path / "truth.nii.gz").is_file()):
        volume = mb.read(folder / "dicom" if (folder / "dicom").is_dir() else folder / "image.nii.gz")
        yield folder.name, volume, mb.read_labels(folder / "truth.nii.gz", like=volume)[0]


def hips(data: Path) -> Iterator[Row]:
    """Both femora of every real hip."""
    for name, volume, truth in hip_scans(data):
        for number, side in ((1, "right"), (2, "left")):
            template = load_template(f"femur-{side}")
            given, _ = control_points(truth, number, template)
            start = time.perf_counter()
            mask = inside_mesh(fit_template(volume, template, given).mesh, volume)
            seconds = time.perf_counter() - start
            bone = truth.array == number
            case = f"{name} {side} femur"
            yield "active model", case, "Dice", dice(mask, bone), 0.88, 0.92, seconds
            yield "active model", case, "target overlap", float((mask & bone).sum() / bone.sum()), None, None, seconds
            yield "active model", case, "ASSD, mm", assd(mask, bone, volume.spacing), None, None, seconds


def solids() -> Iterator[Row]:
    """A hip of plain solids, which nothing outside the project is needed for."""
    made, template = phantom.hip_body(size=180), load_template("femur-right")
    given = {"head_center": (0, 0, 0), "greater_trochanter": (-65, 13, -14), "shaft_center": (-42, 4, -50)}
    slices = phantom.scan_radial(made, "t1", center=(-14, 2, -12), axis=(0.7, 0, 0.6), slices=SLICES, noise=0.05, field=1.5)
    start = time.perf_counter()
    found = fit_template([one.volume for one in slices], template, given)
    seconds = time.perf_counter() - start
    grid = made.bones
    above = (grid.points(np.indices(grid.shape).reshape(3, -1).T)[:, 2] > -CUT_MM).reshape(grid.shape)
    value = dice(found.mask(like=grid).array & above, (grid.array == 1) & above)
    yield "radial MR", "solids", "Dice", value, None, None, seconds


def rows(data: Path | None, only: str | None = None) -> Iterator[Row]:
    """Work, case, measure, value, least, aim and seconds of everything there is data for."""
    if data is None:
        yield from solids()
        return
    kinds = (only,) if only else ("radial", "active", "hips", "models")
    if set(kinds) & {"radial", "active"}:
        yield from simulated(data, kinds)
    if "hips" in kinds:
        yield from hips(data)
    if "models" in kinds:
        from system_fit_models import rows as rows_of_models

        yield from rows_of_models(data)


def main() -> None:
    """Print a line for each row, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", choices=("radial", "active", "hips", "models"))
    given = parser.parse_args()
    means: dict[tuple[str, str, str], list[float]] = {}
    for work, case, measure, value, least, aim, seconds in rows(given.folder, given.only):
        goal = f"least {least:g}, aim {aim:g}" if least is not None else ""
        print(f"{work:14} {case:32} {measure:18} {value:6.3f}  {goal:24} {seconds:5.0f} s", flush=True)
        kind = "hips" if case.startswith("hip") else "simulated"
        means.setdefault((work, kind, measure), []).append(value)
    for (work, kind, measure), values in means.items():
        print(f"{work:14} mean of {len(values):2} {kind:21} {measure:18} {np.mean(values):6.3f}")


if __name__ == "__main__":
    main()
