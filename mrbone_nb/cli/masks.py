"""The verbs on finished label maps and models: ``mesh``, ``compare``, ``distance``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bones import LabelTable, stem_of
from ..elements import mesh_quality, remesh
from ..errors import InputError
from ..files import check_writable, make_folder
from ..mesh import Mesh, check
from ..surface import SURFACE_PARAMS, mesh_names, write_mesh
from ..surface import surface as extract_surface
from ..volume import Volume
from .common import Answer, add_consent, check_numbers, columns, number_of, numbers_in, parse_pairs, read_map, say

MODELS = ("stl", "ply", "obj", "glb")


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs of this family."""
    verb = add("mesh", mesh, "make closed surfaces in scanner millimeters, one file a label")
    verb.add_argument("mask", metavar="MASK", help="label map or mask")
    verb.add_argument(
        "-o", "--output", required=True, metavar="FILE|DIR", help="a file for one label, or a folder for all"
    )
    verb.add_argument("--label", metavar="N|NAME", help="this label alone")
    verb.add_argument("--formats", default="stl", metavar="stl,…", help="formats in a folder: stl, ply, obj, glb")
    for param in SURFACE_PARAMS.values():
        about = f"{param.doc} ({param.range}; {param.default:g})".replace("%", "%%")
        verb.add_argument(f"--{param.name}", metavar=(param.unit or "N").upper(), help=about)
    verb.add_argument(
        "--remesh", type=float, metavar="MM", help="cover it with even triangles of this edge length, for finite elements"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    add_consent(verb)

    verb = add("compare", compare, "compare two label maps: Dice, ASSD, HD95, volumes, label by label")
    verb.add_argument("mask", metavar="MASK", help="label map")
    verb.add_argument("truth", metavar="TRUTH", help="label map on the same grid")
    verb.add_argument(
        "--map", action="append", default=[], metavar="1:5,2:6", help="which label of TRUTH belongs to which of MASK"
    )
    add_consent(verb)

    verb = add("distance", distance, "measure how far a model lies from a reference, such as a CT or a laser scan")
    verb.add_argument("mesh", metavar="MESH", help="model (stl, ply, obj, glb), or a mask or label map")
    verb.add_argument("reference", metavar="REFERENCE", help="the same of the same bone; may show more or less of it")
    verb.add_argument("-o", "--output", metavar="FILE.ply", help="the model, colored by its distance")
    verb.add_argument("--label", metavar="N|NAME", help="the label, where a label map holds several")
    verb.add_argument("--in-place", action="store_true", help="both lie in one space: do not move one onto the other")
    verb.add_argument("--limit", type=float, default=2.0, metavar="MM", help="where the colors end (2)")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    add_consent(verb)


def mesh(args: argparse.Namespace) -> Answer:
    """Make closed surfaces, one file a label."""
    given = {name: getattr(args, name) for name in SURFACE_PARAMS if getattr(args, name) is not None}
    settings = {name: SURFACE_PARAMS[name].parse(text) for name, text in given.items()}
    labels, table = read_map(args, args.mask)
    files = _model_files(args, labels, table)
    table = table.filled(files)
    rows, failed, written = [], {}, {}
    note = f"accepted: {', '.join(labels.accepted)}" if labels.accepted else ""
    for number, paths in files.items():
        label = table[number]
        try:
            surface = extract_surface(labels, number, **settings)
            surface = surface if args.remesh is None else remesh(surface, args.remesh)
            for path in paths:
                write_mesh(surface, path, name=label.title, color=label.rgb, note=note, overwrite=args.overwrite)
                written[f"{number} {label.title}{path.suffix}"] = path
        except InputError as error:
            failed[label.title] = str(error)
            continue
        rows.append({"label": number, "name": label.name, "side": label.side, **_facts(surface, args.remesh is not None)})
    if not rows:
        raise InputError("; ".join(f"{title}: {reason}" for title, reason in failed.items()))
    for title, reason in failed.items():
        say(f"warning: no model of {title}: {reason}")
    cells = [
        [r["label"], table[r["label"]].title, f"{r['triangles']} triangles", f"{r['volume_mm3']:.0f} mm³"] for r in rows
    ]
    return Answer({"models": rows, "failed": failed}, columns(cells), 1 if failed else 0, written)


def _facts(surface: Mesh, fine: bool) -> dict[str, Any]:
    """What the answer says of a model; ``fine`` adds what finite elements need."""
    found = check(surface)
    facts = {
        "triangles": len(surface.faces),
        "watertight": found.watertight,
        "parts": found.parts,
        "volume_mm3": round(found.volume_mm3, 3),
        "area_mm2": round(found.area_mm2, 3),
    }
    if fine:
        quality = mesh_quality(surface)
        facts["edge_mm"], facts["smallest_angle"] = round(quality.edge_mean, 3), round(quality.smallest_angle, 1)
        facts["crossing"] = quality.crossing
    return facts


def _model_files(args: argparse.Namespace, labels: Volume, table: LabelTable) -> dict[int, list[Path]]:
    """Give the files of each label, after making sure that they can be written."""
    there = numbers_in(labels)
    if not there:
        raise InputError(f"{labels.name}: no voxel has a label; nothing to export")
    wanted = there if args.label is None else [number_of(args.label, table, "--label")]
    check_numbers(wanted, there, f"--label {args.label}")
    output = Path(args.output)
    if output.suffix.lower().lstrip(".") in MODELS and not output.is_dir():
        if len(wanted) > 1:
            titles = ", ".join(f"{n} {label.title}" for n, label in table.filled(wanted).items())
            raise InputError(
                f"{output.name}: a file holds one label and there are {titles}; choose with --label, or give a folder"
            )
        if not output.parent.is_dir():
            raise InputError(f"{output}: its folder does not exist; create it first")
        check_writable(output.parent, [output.name], args.overwrite)
        return {wanted[0]: [output]}
    formats = [f.strip().lower().lstrip(".") for f in args.formats.split(",") if f.strip()]
    if not formats or not set(formats) <= set(MODELS):
        raise InputError(f"--formats {args.formats!r}: expected some of {', '.join(MODELS)}")
    if output.suffix and not output.is_dir():
        raise InputError(f"{output.name}: unknown kind of model; known are {', '.join(MODELS)}, or give a folder")
    names = mesh_names(table.filled(wanted), stem_of(args.mask))
    files = {number: [output / f"{name}.{suffix}" for suffix in formats] for number, name in names.items()}
    check_writable(output, [path.name for paths in files.values() for path in paths], args.overwrite)
    make_folder(output)
    return files


def compare(args: argparse.Namespace) -> Answer:
    """Compare two label maps, label by label."""
    from ..measure import compare as compare_labels

    (mask, names), (truth, true_names) = (read_map(args, path) for path in (args.mask, args.truth))
    pairs = None
    if args.map:
        numbers = parse_pairs(args.map, "--map", "MASK:TRUTH, such as 1:5", sign=":")
        pairs = {number_of(a, names, "--map"): number_of(b, true_names, "--map") for a, b in numbers}
    mask, truth = _on_one_grid(mask, truth)
    rows = compare_labels(mask, truth, pairs, names, true_names)
    if not rows:
        raise InputError(f"{mask.name} and {truth.name}: no voxel has a label in either")
    head = ["label", "Dice", "ASSD mm", "HD95 mm", "mm³", "mm³ of truth", ""]
    cells = [
        [
            row.name,
            f"{row.dice:.4f}",
            _mm(row.assd_mm),
            _mm(row.hd95_mm),
            f"{row.volume_a_mm3:.0f}",
            f"{row.volume_b_mm3:.0f}",
            row.note,
        ]
        for row in rows
    ]
    return Answer([row.as_dict() for row in rows], columns([head, *cells]))


def distance(args: argparse.Namespace) -> Answer:
    """Measure the signed distance of a model to a reference, after moving it there."""
    from ..meshfile import write_values
    from ..shape.distance import distance_to_mesh

    if not 0 < args.limit < float("inf"):
        raise InputError(f"--limit {args.limit:g} mm: expected a length above 0")
    if args.output:
        check_writable(Path(args.output).parent, [Path(args.output).name], args.overwrite)
    model, reference = (_model(args, path) for path in (args.mesh, args.reference))
    found = distance_to_mesh(model, reference, place=not args.in_place)
    data, files = found.as_dict(), {}
    if found.placement is not None:
        data["matrix"] = found.placement.matrix.tolist()
    if args.output:
        files["distances"] = write_values(
            found.mesh, args.output, found.values, limit=args.limit, overwrite=args.overwrite
        )
    head = ["mean mm", "rms mm", "95 % mm", "compared"]
    cells = [f"{found.mean:+.3f}", f"{found.rms:.3f}", f"{found.p95:.3f}", f"{100 * found.share:.0f} % of the surface"]
    return Answer(data, columns([head, cells]), 0, files)


def _model(args: argparse.Namespace, path: str) -> Mesh:
    """Read a model, or trace the surface of a mask."""
    from ..meshfile import read_mesh

    if Path(path).suffix.lower().lstrip(".") in MODELS:
        return read_mesh(path)
    labels, table = read_map(args, path)
    if args.label is None:
        return extract_surface(labels)
    number = number_of(args.label, table, "--label")
    check_numbers([number], numbers_in(labels), f"--label {args.label}")
    return extract_surface(labels, number)


def _on_one_grid(mask: Volume, truth: Volume) -> tuple[Volume, Volume]:
    """Put one map on the grid of the other where it is a part of it, as 3D Slicer saves them."""
    from ..export import onto_grid

    if not mask.same_grid(truth):
        for whole, part, order in ((mask, truth, 1), (truth, mask, -1)):
            try:
                return (whole, onto_grid(part, whole))[::order]
            except InputError:
                continue
    return mask, truth


def _mm(value: float) -> str:
    return f"{value:.3f}" if value == value else "–"
