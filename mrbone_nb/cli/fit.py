"""The verb ``fit``: a template, placed by landmarks, is pulled onto the bone of a scan."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bones import Label, LabelTable, sidecar, split_side, stem_of
from ..errors import InputError
from ..files import check_writable, refuse_blocked, write_text
from ..intake import SliceSet
from ..volume import Volume
from .common import Answer, add_scan, columns, say, say_issue

MODELS = (".stl", ".ply", ".obj", ".glb")


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verb of this family."""
    verb = add(
        "fit",
        fit,
        "fit a template of a bone to a scan, a stack or radial slices: three landmarks place it, four and more bend it",
    )
    add_scan(verb)
    verb.add_argument(
        "--template",
        required=True,
        metavar="NAME|FILE",
        help="femur-right, femur-left, a closed mesh (.stl, .ply, .obj; mm, LPS) with NAME.json or NAME.mrk.json beside, or "
        "a shape model (.npz) with its landmarks in it or beside",
    )
    verb.add_argument(
        "--model-weight",
        type=float,
        metavar="0…1",
        help="how far a shape model keeps the surface to its shapes: 0 not at all, 1 (as by default) wholly",
    )
    verb.add_argument(
        "--landmarks",
        required=True,
        metavar="L.json",
        help="landmarks in the scan, mm, LPS, named as those of the template; 3D Slicer's .mrk.json is read too",
    )
    verb.add_argument("-o", "--output", required=True, metavar="OUT", help="the model: .stl, .ply, .obj or .glb")
    verb.add_argument("--mask", metavar="OUT", help="also a mask: .nii.gz, .nrrd, .mha …")
    verb.add_argument(
        "--spacing", type=float, metavar="MM", help="of the mask; left out, the scan's own grid, or 1 mm for slices"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")


def fit(args: argparse.Namespace) -> Answer:
    """Fit a template or a shape model and write the surface, the mask and the record."""
    from ..shape import fit_template, load_template, place, read_landmarks

    files = _files(args)
    template, landmarks = load_template(args.template), read_landmarks(args.landmarks)
    weight = _weight(args, template)
    placed = place(template, landmarks)  # first, since it is quick and names often mistyped
    scan = _read(args)
    refuse_blocked(scan)
    found = _geometry(scan)
    say(f"{placed.route}: {', '.join(placed.used)} leave {placed.residual:.2f} mm")
    done = fit_template(scan, template, landmarks, **weight)
    _write(done, scan, template.name, args, files)
    inputs = _inputs(args, scan, template.name, landmarks) | weight
    _write_record(done, scan, inputs, found, files, args.overwrite)
    found |= weight | {
        "route": done.route,
        "landmarks": list(done.used),
        "residual_mm": round(done.residual, 3),
        "triangles": len(done.mesh.faces),
        "volume_mm3": round(done.mesh.volume, 3),
        "area_mm2": round(done.mesh.area, 3),
    }
    return Answer(found, columns([[name.replace("_", " "), value] for name, value in found.items()]), files=files)


def _weight(args: argparse.Namespace, template: Any) -> dict[str, float]:
    """The weight of a shape model; no word of it for a mere template."""
    if template.model is None and args.model_weight is not None:
        raise InputError(f"--model-weight: {template.name} is a mere template, no shape model; leave it out")
    if template.model is None:
        return {}
    from ..shape.prior import check_weight

    return {"model_weight": check_weight(template.model, args.model_weight)}


def _inputs(args: argparse.Namespace, scan: Any, template: str, landmarks: Any) -> dict[str, Any]:
    """What the record says of the inputs: base names, hashes and landmarks, no paths."""
    from ..outputs import hashes
    from ..record import source_of

    path = Path(args.template)
    file = {"template_file": hashes([path])} if path.is_file() else {}
    points = {key: [round(float(v), 4) for v in point] for key, point in landmarks.items()}
    return {"scan": source_of(scan), "template": template, **file, "landmarks": points}


def _files(args: argparse.Namespace) -> dict[str, Path]:
    """What will be written, after making sure that it can be."""
    model = Path(args.output)
    if model.suffix.lower() not in MODELS:
        raise InputError(f"{model.name}: unknown kind of model; known are {', '.join(MODELS)}")
    if args.spacing is not None and not 0.1 <= args.spacing <= 10:
        raise InputError(f"--spacing {args.spacing} mm: expected 0.1 to 10")
    if args.spacing is not None and not args.mask:
        raise InputError("--spacing: it is that of the mask, and none is asked for; give --mask OUT or leave it out")
    files = {"model": model}
    if args.mask:
        from ..labelfile import suffix_of

        if suffix_of(args.mask) in ("", ".dcm"):
            raise InputError(f"--mask {Path(args.mask).name}: expected a name that ends in .nii.gz, .nrrd, .seg.nrrd or .mha")
        files["mask"] = Path(args.mask)
        if not args.mask.lower().endswith(".seg.nrrd"):
            files["names"] = sidecar(args.mask)
    files["record"] = model.with_name(f"{stem_of(model)}_record.json")
    if len({path.resolve() for path in files.values()}) < len(files):
        raise InputError(f"{', '.join(path.name for path in files.values())}: two of these would be the same file")
    for path in files.values():
        if not path.parent.is_dir():
            raise InputError(f"{path}: its folder does not exist; create it first")
        check_writable(path.parent, [path.name], args.overwrite)
    return files


def _read(args: argparse.Namespace) -> Volume | SliceSet:
    """Read the scan, a stack or not, and say what is doubtful about it."""
    from .. import intake

    scan = intake.read(args.scan, series=args.series, echo=args.echo, accept=tuple(args.accept))
    for issue in scan.issues:
        say_issue(issue)
    return scan


def _geometry(scan: Volume | SliceSet) -> dict[str, Any]:
    """What is known of the slices; radial ones are checked against their common axis."""
    if isinstance(scan, Volume):
        return {"slices": scan.shape[0], "geometry": "stack"}
    if not scan.is_radial:
        return {"slices": len(scan), "geometry": "slices"}
    from ..shape import fit_axis, parts_of

    axis = fit_axis(parts_of(scan))
    found = {"off_axis_mm": round(float(abs(axis.offsets).max()), 3), "largest_gap_deg": round(axis.gap_deg, 2)}
    return {"slices": len(scan), "geometry": "radial", **found}


def _write(done: Any, scan: Volume | SliceSet, name: str, args: argparse.Namespace, files: dict[str, Path]) -> None:
    from ..export import write_labels
    from ..surface import write_mesh

    title, side = split_side(name.replace("-", " "))
    label = LabelTable({1: Label(title, side)})[1]
    note = f"accepted: {', '.join(scan.accepted)}" if scan.accepted else ""
    if "mask" in files:
        like = scan if isinstance(scan, Volume) and args.spacing is None else None
        mask = done.mask(args.spacing or 1.0, like=like)
        mask = mask.with_array(mask.array.astype("uint8"), name=scan.name, accepted=scan.accepted)
        write_labels(mask, files["mask"], LabelTable({1: label}), overwrite=args.overwrite)
    write_mesh(done.mesh, files["model"], name=label.title, color=label.rgb, note=note, overwrite=args.overwrite)


def _write_record(
    done: Any, scan: Any, inputs: dict[str, Any], found: dict[str, Any], files: dict[str, Path], overwrite: bool
) -> None:
    """Write what was done beside the model."""
    from ..outputs import hashes
    from ..record import circumstances, to_json

    data = {
        "schema": 1,
        "kind": "mrbone_nb fit",
        "inputs": inputs,
        "geometry": found,
        "route": done.route,
        "outputs": {"files": hashes(path for what, path in files.items() if what != "record")},
        "accepted": list(scan.accepted),
        "issues": [str(issue) for issue in scan.issues],
        **circumstances(),
    }
    write_text(files["record"], to_json(data), overwrite)
