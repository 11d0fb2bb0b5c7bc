"""The verb ``fuse``: thick stacks in several directions become one volume of equal voxels."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..bones import stem_of
from ..errors import InputError
from ..files import check_writable, refuse_blocked, write_text
from ..volume import Volume
from .common import Answer, add_consent, columns, read_scan


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verb of this family."""
    verb = add("fuse", fuse, "join thick stacks, sliced in different directions, into one volume of equal voxels")
    verb.add_argument(
        "scans",
        nargs="+",
        metavar="SCAN",
        help="folders of DICOM files, each with one series, or image files; the first sets place and axes",
    )
    verb.add_argument("-o", "--output", required=True, metavar="OUT", help="the volume: .nii.gz, .nrrd or .mha")
    verb.add_argument("--spacing", type=float, default=0.7, metavar="MM", help="of its voxels (0.7)")
    verb.add_argument(
        "--no-register", action="store_true", help="trust the headers: do not look for motion between the stacks"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    add_consent(verb)
    verb.set_defaults(series=None, echo=None)


def fuse(args: argparse.Namespace) -> Answer:
    """Join the stacks and write the volume and its record."""
    from ..fuse import fuse_stacks
    from ..outputs import save_image

    files = _files(args)
    stacks = [read_scan(args, path) for path in args.scans]
    for stack in stacks:
        refuse_blocked(stack)
    fused = fuse_stacks(stacks, args.spacing, register=not args.no_register)
    save_image(fused, files["volume"], overwrite=args.overwrite)
    _write_record(stacks, fused, files, args)
    facts = [{k: v for k, v in entry.items() if k != "matrix"} for entry in fused.meta["stacks"]]
    rows = [["stack", "shift mm (x, y, z)", "turn °"]]
    rows += [[f["name"], ", ".join(f"{v:.2f}" for v in f["shift_mm"]), f"{f['angle_deg']:.2f}"] for f in facts]
    data = {"stacks": facts, "shape": list(fused.shape), "spacing_mm": [round(s, 4) for s in fused.spacing]}
    return Answer(data, columns(rows), files=files)


def _files(args: argparse.Namespace) -> dict[str, Path]:
    """What will be written, after making sure that it can be."""
    from ..labelfile import suffix_of
    from ..outputs import IMAGES

    volume = Path(args.output)
    if suffix_of(volume) not in IMAGES:
        raise InputError(f"{volume.name}: expected a name that ends in {', '.join(IMAGES)}")
    if not volume.parent.is_dir():
        raise InputError(f"{volume}: its folder does not exist; create it first")
    files = {"volume": volume, "record": volume.with_name(f"{stem_of(volume)}_record.json")}
    check_writable(volume.parent, [path.name for path in files.values()], args.overwrite)
    return files


def _write_record(stacks: list[Volume], fused: Volume, files: dict[str, Path], args: argparse.Namespace) -> None:
    """Write what was done beside the volume: base names, hashes and motions, no paths."""
    from ..outputs import hashes
    from ..record import circumstances, source_of, to_json

    data = {
        "schema": 1,
        "kind": "mrbone_nb fuse",
        "inputs": {
            "stacks": [source_of(stack) for stack in stacks],
        },
        "spacing_mm": args.spacing,
        "register": not args.no_register,
        "motions": fused.meta["stacks"],
        "outputs": {"files": hashes([files["volume"]])},
        "accepted": list(fused.accepted),
        "issues": [str(issue) for issue in fused.issues],
        **circumstances(),
    }
    write_text(files["record"], to_json(data), args.overwrite)
