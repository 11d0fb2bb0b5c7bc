"""Save what a workbench holds: its result as always, other formats of the mask, the strokes one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...export import write_labels
from ...files import refuse_blocked, safe_name
from ...outputs import save

if TYPE_CHECKING:
    from ..workbench import Workbench


def save_bench(
    bench: Workbench, folder: Path | str, formats: Sequence[str], masks: Sequence[str], overwrite: bool
) -> dict[str, Path]:
    """Write all files, or refuse before the first."""
    refuse_blocked(bench.volume)
    if bench.stale:
        raise InputError("steps or strokes have changed since the last run: run first, so that what is saved is what you see")
    stem = f"{safe_name(bench.volume.name)}_desc-bone"
    more = {f"labels {suffix}": Path(folder) / f"{stem}_dseg{suffix}" for suffix in masks}
    strokes = Path(folder) / f"{stem}_strokes.json"
    for path in (*more.values(), *([strokes] if len(bench.view.strokes) else [])):
        if path.exists() and not overwrite:
            raise InputError(f"{path.name}: exists already in {path.parent}; choose another folder or allow overwriting")
    files = save(bench.result, folder, table=bench.table, formats=formats, overwrite=overwrite)
    for what, path in more.items():  # the names beside it are those of the first, just written
        files[what] = write_labels(bench.result.labels, path, bench.table, scan=bench.volume, overwrite=True)
    if len(bench.view.strokes):
        files["strokes"] = bench.view.strokes.save(strokes)
    return files
