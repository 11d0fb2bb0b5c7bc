"""A model learned from masks: its trees, its recipe and what its scans were like, kept as plain arrays in one file."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..files import make_folder, write_atomic
from ..recipe import Recipe, parse_json
from .atlas import Atlas
from .passes import Pass, pass_of
from .shapes import Shape
from .trees import Trees
from .unlike import Likeness

KIND, SCHEMA = "mrbone_nb model", 2  # 2: shape models
MOST_BYTES = 500_000_000
DTYPES = {
    "feature": "i4", "threshold": "f8", "left": "i4", "right": "i4", "value": "f4", "starts": "i8", "part": "i4",
    "baseline": "f8",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Model:
    """Hold what was learned from scans with masks.

    Parameters
    ----------
    table
        The labels that it knows, and their names.
    recipe
        Steps image to image that come before the trees.
    steps
        What each pass sees, coarse to fine.
    passes
        Its trees.
    atlases
        The scans themselves, small, with their bones; none where it learned from a single scan.
    shapes
        How each bone varies, None for one that few scans show; empty where it learned from fewer than three.
    together
        The trees that hear strokes and model; None where it learned without.
    strokes
        The recipe from strokes to labels that goes with them.
    likeness
        What the scans were like.
    facts
        How it was trained: number of scans, seed, versions, left-out scores.
    """

    table: LabelTable
    recipe: Recipe
    steps: tuple[Pass, ...]
    passes: tuple[Trees, ...]
    atlases: tuple[Atlas, ...]
    shapes: tuple[Shape | None, ...]
    together: Trees | None
    strokes: Recipe | None
    likeness: Likeness
    facts: Mapping[str, Any]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The labels, ascending: the layers of a probability after the background."""
        return tuple(self.table)

    @property
    def _trees(self) -> tuple[Trees, ...]:
        """The trees of all passes, those that hear strokes at the end."""
        return self.passes if self.together is None else (*self.passes, self.together)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give everything as arrays; the words stand as JSON in ``about``."""
        about = {
            "kind": KIND,
            "schema": SCHEMA,
            "labels": json.loads(self.table.to_json()),
            "recipe": self.recipe.to_dict(),
            "passes": [asdict(this) for this in self.steps],
            "columns": [trees.columns for trees in self._trees],
            "strokes": None if self.strokes is None else self.strokes.to_dict(),
            "atlases": [list(atlas.spacing) for atlas in self.atlases],
            "shapes": [None if shape is None else list(shape.spacing) for shape in self.shapes],
            "likeness": self.likeness.facts(),
            "facts": dict(self.facts),
        }
        found = {"about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)}
        for number, trees in enumerate(self._trees):
            found |= {f"{name}_{number}": np.asarray(getattr(trees, name), kind) for name, kind in DTYPES.items()}
        for number, atlas in enumerate(self.atlases):
            found |= {f"atlas_{number}": atlas.image, f"atlas_labels_{number}": atlas.labels}
        for number, shape in enumerate(self.shapes):
            if shape is not None:
                found |= {f"shape_{number}": shape.mean, f"shape_modes_{number}": shape.modes}
        return found | {"gray": self.likeness.gray, "seen": self.likeness.seen}

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, whatever the file's compression and time."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write the model as a compressed ``.npz`` of numbers and text; nothing in it can run.

        Parameters
        ----------
        path
            A name that ends in .npz; its folder is made if need be.
        overwrite
            Whether a file that is there already may be replaced.
        """
        path = Path(path)
        if path.suffix.lower() != ".npz":
            raise InputError(f"{path.name}: expected the name of a model, which ends in .npz")

        def check(part: Path) -> None:
            if load_model(part).sha256 != self.sha256:
                raise InputError("read back, it is not what was written")

        make_folder(path.parent)
        return write_atomic(path, lambda part: np.savez_compressed(part, **self.arrays()), check, overwrite)


def load_model(path: Path | str) -> Model:
    """Read a model and check it; a file from anybody can hold wrong numbers, never code.

    Parameters
    ----------
    path
        A file that `Model.save` wrote.

    Raises
    ------
    InputError
        No such file, no model, another version, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model; expected a .npz file that `mrbone train` wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        arrays = {}
        if size <= MOST_BYTES:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        raise InputError(f"{path.name}: not a model; expected a .npz file that `mrbone train` wrote") from None
    if size > MOST_BYTES:
        raise InputError(f"{path.name}: {size} bytes unpacked; expected at most {MOST_BYTES}")
    try:
        return _model_of(arrays, path.name)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, UnicodeDecodeError, IndexError):
        raise InputError(f"{path.name}: a model with missing or damaged parts; train it again") from None


def _model_of(arrays: Mapping[str, np.ndarray], name: str) -> Model:
    """Check arrays and take them over."""
    about = parse_json(arrays["about"].astype(np.uint8).tobytes().decode(), f"model {name}")
    if about.get("kind") != KIND:
        raise InputError(f"{name}: not a model of bones; expected a .npz file that `mrbone train` wrote")
    if about.get("schema") != SCHEMA:
        its = about.get("schema")
        raise InputError(f"{name}: a model of schema {its!r}; this version reads schema {SCHEMA}: train it again")
    table = LabelTable.from_json(json.dumps(about["labels"]), name)
    steps, passes = tuple(pass_of(entry) for entry in about["passes"]), []
    strokes = None if about["strokes"] is None else Recipe.from_dict(about["strokes"], name)
    for number, columns in zip(range(len(steps) + (strokes is not None)), about["columns"], strict=True):
        parts = {key: arrays[f"{key}_{number}"].astype(kind) for key, kind in DTYPES.items()}
        trees = Trees(**parts, columns=int(columns))
        if trees.classes != len(table) + 1:
            raise InputError(f"{name}: trees of {trees.classes} classes for {len(table)} labels; train it again")
        passes.append(trees)
    atlases = tuple(
        Atlas.checked(arrays[f"atlas_{k}"], arrays[f"atlas_labels_{k}"], spacing, len(table))
        for k, spacing in enumerate(about["atlases"])
    )
    shapes = tuple(
        None if spacing is None else Shape.checked(arrays[f"shape_{k}"], arrays[f"shape_modes_{k}"], spacing)
        for k, spacing in enumerate(about["shapes"])
    )
    if len(shapes) not in (0, len(table)):
        raise InputError(f"{name}: {len(shapes)} shapes for {len(table)} labels; train it again")
    likeness = Likeness.of_facts(about["likeness"], arrays["gray"], arrays["seen"])
    recipe = Recipe.from_dict(about["recipe"], name)
    together = passes.pop() if strokes is not None else None
    facts = dict(about["facts"])
    return Model(table, recipe, steps, tuple(passes), atlases, shapes, together, strokes, likeness, facts)
