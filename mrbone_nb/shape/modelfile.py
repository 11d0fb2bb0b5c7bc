"""Files of shape models: plain arrays in an .npz file, with version, unit and recipe; nothing in it can run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import make_folder, write_atomic
from .model import ShapeModel

KIND, VERSION = "mrbone_nb shape model", 1
ARRAYS = ("mean", "faces", "modes", "variances")
MAX_BYTES = 2**30


def save_model(model: ShapeModel, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a shape model to an .npz file.

    Parameters
    ----------
    model
        The model.
    path
        Where it goes; ends in .npz. A folder that is missing is made.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The path.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path.name}: shape models are .npz files; give such a name")
    about = {"kind": KIND, "version": VERSION, "unit": "mm", "space": "LPS", "recipe": dict(model.recipe)}
    if model.landmarks:
        about["landmarks"] = {name: point.tolist() for name, point in model.landmarks.items()}
    arrays = {name: getattr(model, name) for name in ARRAYS}
    arrays = {name: array.astype(np.float32 if array.dtype.kind == "f" else np.int32) for name, array in arrays.items()}

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)

    make_folder(path.parent)
    return write_atomic(path, write, lambda part: _compare(load_model(part), arrays), overwrite)


def load_model(path: Path | str) -> ShapeModel:
    """Read a shape model from an .npz file.

    Parameters
    ----------
    path
        The file; it may come from anybody, since no code is read.

    Returns
    -------
    ShapeModel
        The model.

    Raises
    ------
    InputError
        No such file, another kind of file, or a version that this program does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise InputError(f"{path.name}: {size} bytes unpacked; expected at most {MAX_BYTES}")
        with np.load(path, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            _check_about(path.name, about)
            return ShapeModel(*(held[name] for name in ARRAYS), about.get("recipe", {}), about.get("landmarks", {}))
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(path.name) else f"{path.name}: {error}") from None
    except Exception as error:  # a broken archive fails in many ways
        raise InputError(f"{path.name}: not a shape model ({type(error).__name__})") from None


def _check_about(name: str, about: object) -> None:
    """Refuse what is no shape model, and what a later program wrote."""
    if not isinstance(about, dict) or about.get("kind") != KIND:
        raise InputError(f"{name}: not a shape model")
    if about.get("version") != VERSION:
        raise InputError(
            f"{name}: shape model of version {about.get('version')!r:.20}; this program reads {VERSION}: update it"
        )
    if (about.get("unit"), about.get("space")) != ("mm", "LPS"):
        raise InputError(f"{name}: unit {about.get('unit')!r:.20}, space {about.get('space')!r:.20}; expected mm, LPS")


def _compare(model: ShapeModel, arrays: dict[str, np.ndarray]) -> None:
    if not all(np.array_equal(getattr(model, name), array) for name, array in arrays.items()):
        raise InputError("read back, it is not the model that was written")
