"""Records: what was done to which scan, with which result, so that it can be done and checked again.

A record names inputs by base name and SHA-256 and holds no path and nothing about the patient.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .errors import InputError
from .recipe import Recipe, Result, load_json, on_grid
from .step import Call
from .strokes import Strokes
from .volume import Volume

if TYPE_CHECKING:
    from .intake import SliceSet

SCHEMA = 1
TOLERATED = 1e-4  # share of voxels that may differ on another machine or other versions
LIBRARIES = (
    "numpy scipy scikit-image scikit-learn SimpleITK edt connected-components-3d fill-voids "
    "trimesh fast-simplification"
).split()


def array_sha256(volume: Volume) -> str:
    """Give the SHA-256 of a volume's voxels and of its place in space, rounded to 1e-4 mm."""
    array = np.ascontiguousarray(volume.array)
    place = np.round(volume.affine, 4) + 0.0  # + 0 turns -0 into 0
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} {place.tolist()}".encode())
    digest.update(array.data)
    return digest.hexdigest()


def files_sha256(volume: Volume) -> str | None:
    """Give one SHA-256 over the hashes of all files of a scan, whatever their order; None without files."""
    hashes = sorted(file_sha256(path) for path in volume.files)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else None


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def recipe_sha256(recipe: Mapping[str, Any]) -> str:
    """Give the SHA-256 of a recipe's data, whatever the order of its entries and the layout of its text."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Give the versions of Python and of the libraries that can change a result."""
    found = {"python": platform.python_version(), "mrbone_nb": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def threads() -> int:
    """Give the number of threads that SimpleITK uses."""
    import SimpleITK as sitk

    return sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()


def make_record(result: Result, *, seeds_name: str | None = None, start: Volume | None = None) -> dict[str, Any]:
    """Describe a result as plain data.

    Parameters
    ----------
    result
        What a recipe made.
    seeds_name
        Base name of the file beside the record that holds the strokes.
    start
        The label map that the recipe began with, if any.

    Returns
    -------
    dict
        Recipe, inputs, outputs, versions, thread count and time.
    """
    scan = result.volume
    inputs: dict[str, Any] = {"scan": {**source_of(scan), "voxels_sha256": array_sha256(scan)}}
    if result.seeds is not None:
        inputs["seeds"] = {"name": seeds_name, "voxels_sha256": array_sha256(result.seeds)}
    if start is not None:
        inputs["start"] = {"name": start.name, "voxels_sha256": array_sha256(_placed("labels", start, scan))}
    if result.edits is not None:
        inputs["edits"] = {"name": None, "voxels_sha256": result.edits.sha256}
    return {
        "schema": SCHEMA,
        "kind": "mrbone_nb record",
        "recipe": result.recipe.to_dict(),
        "recipe_sha256": recipe_sha256(result.recipe.to_dict()),
        "crop": result.crop,
        "inputs": inputs,
        "outputs": {"labels": {"voxels_sha256": array_sha256(result.labels), "present": result.present}},
        "accepted": list(scan.accepted),
        "issues": [str(issue) for issue in scan.issues],
        "notes": list(result.notes),
        "seconds": dict(result.seconds),
        **circumstances(),
    }


def source_of(scan: Volume | SliceSet) -> dict[str, Any]:
    """Say which files a scan was read from: base name, count, hash, series and echo; no paths."""
    return {
        "name": scan.name,
        "files": len(scan.files),
        "sha256": files_sha256(scan),
        "series": scan.meta.get("series_hash"),
        "echo": scan.meta.get("echo"),
    }


def circumstances() -> dict[str, Any]:
    """Say with what and when something is made."""
    return {
        "versions": versions(),
        "threads": threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def load_record(path: str | Path) -> dict[str, Any]:
    """Read a record and check that it is one."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such record")
    record = load_json(path)
    if not isinstance(record, dict) or record.get("kind") != "mrbone_nb record":
        raise InputError(f"{path.name}: not a record; expected the *_record.json that lies beside a result")
    if record.get("schema") != SCHEMA:
        raise InputError(f"{path.name}: schema {record.get('schema')!r}; this version reads schema {SCHEMA}")
    for keys in (("inputs", "scan", "voxels_sha256"), ("outputs", "labels", "voxels_sha256"), ("recipe", "calls")):
        if _look_up(record, keys) is None:
            raise InputError(f"{path.name}: {'.'.join(keys)} is missing")
    for name, entry in record["inputs"].items():
        if not isinstance(_look_up(entry, ("voxels_sha256",)), str):
            raise InputError(f"{path.name}: inputs.{name}: expected its name and SHA-256")
    maps = {**record["inputs"], "labels": record["outputs"]["labels"]}
    for name, entry in maps.items():
        if not isinstance(entry.get("name"), str | None):
            raise InputError(f"{path.name}: {name}: expected the name of a file")
    files = record["outputs"].get("files", {})
    if not isinstance(files, dict) or not all(isinstance(sha256, str) for sha256 in files.values()):
        raise InputError(f"{path.name}: outputs.files: expected names with their SHA-256")
    crop = record.get("crop")
    if crop is not None and not _is_box(crop):
        raise InputError(f"{path.name}: crop: expected [start, stop] of whole numbers for plane, row and column")
    return record


def _is_box(crop: Any) -> bool:
    """Tell whether data from a file is a box: three pairs of whole numbers, each growing."""
    pairs = isinstance(crop, list) and len(crop) == 3 and all(isinstance(p, list) and len(p) == 2 for p in crop)
    return pairs and all(type(n) is int for p in crop for n in p) and all(0 <= start < stop for start, stop in crop)


def _look_up(data: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def run_cropped(
    recipe: Recipe, volume: Volume, crop: tuple[tuple[int, int], ...] | None, **words: Any
) -> Result:
    """Run a recipe on a box of the scan, (start, stop) for each axis, and put the labels back in place."""
    if crop is None:
        return recipe.run(volume, **words)
    box = tuple(slice(int(a), int(b)) for a, b in crop)
    part = volume.crop(box)
    cut = {k: v.crop(box) if isinstance(v, Volume) else v for k, v in words.items()}
    result = recipe.run(part, **cut)
    labels = volume.with_array(volume.paste(result.labels))
    seeds = words.get("seeds")
    crop = tuple((s.start, s.stop) for s in box)
    return replace(result, volume=volume, labels=labels, seeds=seeds, crop=crop)


def replay(
    record: Mapping[str, Any],
    volume: Volume,
    *,
    seeds: Volume | None = None,
    start: Volume | None = None,
    edits: Strokes | None = None,
    progress: Callable[[Iterable[Call]], Iterable[Call]] = iter,
) -> tuple[Result, bool]:
    """Run a record's recipe again and tell whether the same bits came out.

    Parameters
    ----------
    record
        As read by `load_record`.
    volume
        The scan.
    seeds, start
        The strokes and the label map to start from that lie beside the record.
    edits
        What was changed by hand in the end, which lies there too.
    progress
        Wraps the calls, as tqdm does.

    Returns
    -------
    tuple
        The new result, and whether its labels equal the recorded ones bit for bit.

    Raises
    ------
    InputError
        The scan or the strokes are not the recorded ones.
    """
    recorded = record["inputs"]
    _expect_same("scan", volume, recorded["scan"])
    words = {}
    for name, slot, there in (("seeds", "seeds", seeds), ("start", "labels", start)):
        if name in recorded:
            if there is None:
                raise InputError(f"the record needs its {name} ({recorded[name].get('name')}); it should lie beside the record")
            words[slot] = _placed(slot, there, volume)
            _expect_same(name, words[slot], recorded[name])
    recipe = Recipe.from_dict(record["recipe"], "record")
    result = run_cropped(recipe, volume, record.get("crop"), progress=progress, **words)
    if "edits" in recorded:
        if edits is None or edits.sha256 != recorded["edits"]["voxels_sha256"]:
            name = recorded["edits"].get("name")
            raise InputError(f"the record needs its edits ({name}), as they were; they should lie beside the record")
        result = result.mended(edits)
    return result, array_sha256(result.labels) == record["outputs"]["labels"]["voxels_sha256"]


def _expect_same(name: str, there: Volume, entry: Mapping[str, Any]) -> None:
    """Make sure that an input is the recorded one."""
    if array_sha256(there) != entry["voxels_sha256"]:
        raise InputError(
            f"{name} {there.name}: not the recorded one (other voxels or another place in space); "
            f"expected SHA-256 {entry['voxels_sha256'][:12]}…"
        )


def _placed(slot: str, given: Volume, scan: Volume) -> Volume:
    """Put strokes or labels on the very grid of the scan: files round the place in space, each in its own way."""
    return scan.with_array(on_grid(slot, given, scan), name=given.name)


def to_json(record: Mapping[str, Any]) -> str:
    """Give a record as JSON text."""
    return json.dumps(record, indent=2, allow_nan=False) + "\n"
