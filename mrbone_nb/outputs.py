"""Save what a recipe made: label map, strokes, record, models, a picture; all of it or a clear word why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import measure, record
from .bones import LabelTable, sidecar, stem_of
from .errors import InputError
from .export import write_labels
from .files import check_writable, make_folder, refuse_blocked, safe_name, write_atomic, write_text
from .labelfile import suffix_of
from .recipe import Result
from .strokes import Strokes
from .surface import mesh_names, write_mesh
from .surface import surface as extract_surface
from .volume import Volume

if TYPE_CHECKING:
    from PIL import Image

BYTES_PER_VOXEL = 4  # of all files together; far more than label maps pack to, so that models fit too
IMAGES = (".nii.gz", ".nii", ".nrrd", ".mha")
FORMATS = ("stl", "ply", "obj", "glb")


def planned(
    scan: Volume,
    folder: Path | str,
    table: LabelTable | None = None,
    *,
    formats: Sequence[str] = ("stl",),
    picture: bool = True,
    seeds: bool = True,
    start: bool = False,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Make sure, before a long run, that `save` will be able to write, and say what.

    Parameters
    ----------
    scan
        The scan.
    folder
        Where the files shall go; made when they are written.
    table
        The labels that are expected, each of which becomes a model.
    formats
        File formats of the models: any of "stl", "ply", "obj", "glb".
    picture
        Whether all slices shall be drawn into one picture.
    seeds, start
        Whether there are strokes, and a label map to start from.
    overwrite
        Whether files that are there already may be replaced.

    Returns
    -------
    dict
        What each file is, and its path.

    Raises
    ------
    InputError
        A file is there already, the folder cannot be written to, or the scan has a fault that nobody accepted.
    """
    stem = f"{safe_name(scan.name)}_desc-bone"
    folder = Path(folder)
    files = _beside(folder / f"{stem}_dseg.nii.gz", stem, seeds, start)
    files |= _models(folder, stem, table or LabelTable(), formats)
    if picture:
        files["picture"] = folder / f"{stem}_slices.png"
    return _checked(scan, folder, files, overwrite)


def planned_beside(
    scan: Volume, path: Path | str, *, seeds: bool = True, start: bool = False, overwrite: bool = False
) -> dict[str, Path]:
    """Make sure, before a long run, that `save_beside` will be able to write, and say what."""
    path = Path(path)
    if not suffix_of(path):
        raise InputError(f"{path.name}: expected a name that ends in .nii.gz, .nii, .nrrd, .seg.nrrd, .mha or .dcm")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; create it first")
    return _checked(scan, path.parent, _beside(path, stem_of(path), seeds, start), overwrite)


def save(
    result: Result,
    folder: Path | str,
    *,
    table: LabelTable | None = None,
    formats: Sequence[str] = ("stl",),
    picture: bool = True,
    start: Volume | None = None,
    strokes: Strokes | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Save a result with all that is needed to trust it and to make it again.

    Writes ``SCAN_desc-bone_dseg.nii.gz`` with its ``.json`` of names, the strokes, one model a label, a
    picture of all slices, and, last, the record. Nothing of it holds a path or tells who the patient is.

    Parameters
    ----------
    result
        What a recipe made.
    folder
        Where the files go; it is made if need be.
    table
        What the numbers mean; unnamed ones become ``label N``.
    formats
        File formats of the models: any of "stl", "ply", "obj", "glb"; none makes no models.
    picture
        Whether all slices are drawn into one picture.
    start
        The label map that the recipe began with, if any.
    strokes
        The strokes one by one, if they were painted in a notebook; they must give the result's seeds.
    overwrite
        Whether files that are there already may be replaced.

    Returns
    -------
    dict
        What each file is, and its path. A model that cannot be made is missing; the record says why.
    """
    table = _table_of(result, table)
    if strokes is not None and (result.seeds is None or not np.array_equal(strokes.array(), result.seeds.array)):
        raise InputError("strokes: they have changed since this result was made; run it again, or leave them out")
    words = dict(picture=picture, seeds=result.seeds is not None, start=start is not None, overwrite=overwrite)
    files = planned(result.volume, folder, table, formats=formats, **words)
    drawn = {"strokes": strokes, "edits": result.edits}
    texts = _drawn(files["record"], {kind: some for kind, some in drawn.items() if some is not None}, table)
    check_writable(folder, [path.name for path, _ in texts.values()], overwrite)
    make_folder(folder)
    return _write(result, files, table, start, formats, overwrite, texts)


def save_beside(
    result: Result,
    path: Path | str,
    *,
    table: LabelTable | None = None,
    start: Volume | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Save a label map under a name of one's own, with its record and strokes beside it.

    ``knee.nii.gz`` gets ``knee.json`` with the names, ``knee_seeds.nii.gz`` and ``knee_record.json``. The
    arguments mean the same as for `save`.
    """
    words = dict(seeds=result.seeds is not None, start=start is not None, overwrite=overwrite)
    files = planned_beside(result.volume, path, **words)
    table = _table_of(result, table)
    texts = _drawn(files["record"], {} if result.edits is None else {"edits": result.edits}, table)
    check_writable(Path(path).parent, [path.name for path, _ in texts.values()], overwrite)
    return _write(result, files, table, start, (), overwrite, texts)


def save_image(volume: Volume, path: Path | str, *, overwrite: bool = False) -> Path:
    """Save gray values as an image file, by its extension, with their place in space and nothing else.

    Parameters
    ----------
    volume
        Gray values, (P, M, N), with their geometry.
    path
        A name that ends in .nii.gz, .nii, .nrrd or .mha.
    overwrite
        Whether a file that is there already may be replaced.

    Returns
    -------
    Path
        The path.
    """
    import SimpleITK as sitk

    path = Path(path)
    if suffix_of(path) not in IMAGES:
        raise InputError(f"{path.name}: expected a name that ends in {', '.join(IMAGES)}")
    refuse_blocked(volume)
    image = volume.to_sitk()

    def check(part: Path) -> None:
        read = Volume.from_sitk(sitk.ReadImage(part))
        if not (np.array_equal(read.array, volume.array) and read.same_grid(volume)):
            raise InputError("read back, it is not what was written")

    return write_atomic(path, lambda part: sitk.WriteImage(image, part, True), check, overwrite)


def save_picture(picture: Image.Image, path: Path | str, *, overwrite: bool = False) -> Path:
    """Save a picture as PNG, so that it is there and right, or not there.

    Parameters
    ----------
    picture
        What `slice_picture` and its like draw.
    path
        Where to.
    overwrite
        Whether a file that is there already may be replaced.

    Returns
    -------
    Path
        The path.
    """
    from PIL import Image

    def check(part: Path) -> None:
        with Image.open(part) as read:
            if read.size != picture.size or read.tobytes() != picture.tobytes():
                raise InputError("read back, it is not what was written")

    return write_atomic(Path(path), lambda part: picture.save(part, "PNG"), check, overwrite)


def failures(files: dict[str, Path]) -> dict[str, str]:
    """Give what could not be made, and why, as the record among saved files says."""
    return record.load_record(files["record"])["outputs"]["failed"]


def _beside(path: Path, stem: str, seeds: bool, start: bool) -> dict[str, Path]:
    """The label map and what lies beside it; the record is written last."""
    files = {"labels": path}
    if not path.name.lower().endswith((".seg.nrrd", ".dcm")):
        files["names"] = sidecar(path)
    for kind, there in (("seeds", seeds), ("start", start)):
        if there:
            files[kind] = path.with_name(f"{stem}_{kind}.nii.gz")
            files[f"{kind} names"] = sidecar(files[kind])
    return files | {"record": path.with_name(f"{stem}_record.json")}


def _drawn(record_path: Path, drawn: dict[str, Strokes], table: LabelTable) -> dict[str, tuple[Path, str]]:
    """Where strokes and changes by hand go, beside the record, and the text of their files."""
    stem = record_path.name.removesuffix("_record.json")
    names = {kind: record_path.with_name(f"{stem}_{kind}.json") for kind in drawn}
    return {kind: (names[kind], Strokes(s.scan, s.done, s.table or table).to_json()) for kind, s in drawn.items()}


def _models(folder: Path, stem: str, table: LabelTable, formats: Sequence[str]) -> dict[str, Path]:
    """One file a label and format."""
    for suffix in formats:
        if suffix not in FORMATS:
            raise InputError(f"format {suffix!r}: expected some of {', '.join(FORMATS)}")
    names = mesh_names(table, stem)
    return {f"{n} {table[n].title}.{s}": folder / f"{name}.{s}" for n, name in names.items() for s in formats}


def _checked(scan: Volume, folder: Path, files: dict[str, Path], overwrite: bool) -> dict[str, Path]:
    refuse_blocked(scan)
    check_writable(folder, [p.name for p in files.values()], overwrite, BYTES_PER_VOXEL * scan.array.size)
    return files


def _table_of(result: Result, table: LabelTable | None) -> LabelTable:
    if not result.present:
        raise InputError(f"{result.recipe.name} found no bone in {result.volume.name}: nothing to save")
    return (table or LabelTable()).filled(result.present)


def _write(
    result: Result,
    files: dict[str, Path],
    table: LabelTable,
    start: Volume | None,
    formats: Sequence[str],
    overwrite: bool,
    texts: dict[str, tuple[Path, str]],
) -> dict[str, Path]:
    """Write all files, the record last, so that where there is a record all is there."""
    scan = result.volume
    for kind, (path, text) in texts.items():
        files[kind] = write_text(path, text, overwrite)
    write_labels(result.labels, files["labels"], table, scan=scan, overwrite=overwrite)
    for kind, volume in (("seeds", result.seeds), ("start", start)):
        if volume is not None:
            write_labels(scan.with_array(volume.array), files[kind], table, overwrite=overwrite)
    measures, failed = [], {}
    for number, label in table.items():
        row = {"label": number, "name": label.name, "side": label.side}
        try:
            row |= _measure_and_model(result, number, table, files, formats, overwrite)
        except InputError as error:
            failed[label.title] = str(error)
        measures.append(row)
    if "picture" in files:
        _write_picture(result, table, files["picture"], overwrite)
    written = {what: path for what, path in files.items() if what == "record" or path.exists()}
    _write_record(result, written, start, {"measures": measures, "failed": failed}, overwrite)
    return written


def _measure_and_model(
    result: Result, number: int, table: LabelTable, files: dict[str, Path], formats: Sequence[str], overwrite: bool
) -> dict[str, float]:
    """Measure one label as the recipe asks, and write its models; the surface is traced once for both."""
    labels, label = result.labels, table[number]
    found = {}
    if "volume" in result.recipe.measures:
        found["volume_mm3"] = round(measure.volume_mm3(labels.array == number, labels.spacing), 3)
    if "area" not in result.recipe.measures and not formats:
        return found
    mesh = extract_surface(labels, number, **result.recipe.surface)
    if "area" in result.recipe.measures:
        found["area_mm2"] = round(mesh.area, 3)
    note = f"accepted: {', '.join(labels.accepted)}" if labels.accepted else ""
    for suffix in formats:
        path = files[f"{number} {label.title}.{suffix}"]
        write_mesh(mesh, path, name=label.title, color=label.rgb, note=note, overwrite=overwrite)
    return found


def _write_picture(result: Result, table: LabelTable, path: Path, overwrite: bool) -> None:
    from .picture import contact_sheet

    save_picture(contact_sheet(result.volume, result.labels, table=table), path, overwrite=overwrite)


def _write_record(
    result: Result, files: dict[str, Path], start: Volume | None, found: dict[str, Any], overwrite: bool
) -> None:
    """Write the record, with the hash of every file beside it."""
    data = record.make_record(result, seeds_name=files["seeds"].name if "seeds" in files else None, start=start)
    if start is not None:
        data["inputs"]["start"]["name"] = files["start"].name
    if result.edits is not None:
        data["inputs"]["edits"]["name"] = files["edits"].name
    data["outputs"]["labels"]["name"] = files["labels"].name
    data["outputs"]["files"] = hashes(path for what, path in files.items() if what != "record")
    data["outputs"] |= found
    write_text(files["record"], record.to_json(data), overwrite)


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Give the SHA-256 of files by their base names."""
    return {path.name: record.file_sha256(path) for path in sorted(paths)}
