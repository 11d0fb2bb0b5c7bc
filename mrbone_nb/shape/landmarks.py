"""Landmarks: named points in scanner millimeters, as our JSON and as markups of 3D Slicer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import write_text

SLICER = ".mrk.json"
MOST_BYTES = 10_000_000  # a file of landmarks is small; anything larger is something else
FAR_MM = 1e5  # no scanner reaches so far
TO_LPS = {"LPS": (1, 1, 1), "RAS": (-1, -1, 1), "0": (-1, -1, 1), "1": (1, 1, 1)}  # old markups number their space


class Landmarks(Mapping[str, np.ndarray]):
    """Hold named points, each (3,) x y z in mm, LPS, in the order in which they were given.

    Parameters
    ----------
    points
        A position for each name.

    Raises
    ------
    InputError
        A position that is no place in a scanner.

    Examples
    --------
    >>> points = Landmarks({"head": (1, 2, 3), "shaft": (1, 2, -80)})
    >>> points.array(["shaft"]).tolist()
    [[1.0, 2.0, -80.0]]
    """

    def __init__(self, points: Mapping[str, Any]) -> None:
        self._points = {str(name): _position(name, place) for name, place in points.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._points[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def array(self, names: Any = None) -> np.ndarray:
        """Give positions, (K, 3), of these names, or of all."""
        return np.array([self[name] for name in (self if names is None else names)], float).reshape(-1, 3)


def _position(name: Any, place: Any) -> np.ndarray:
    try:
        point = np.asarray(place, float)
    except (TypeError, ValueError):
        point = np.zeros(0)
    if point.shape != (3,) or not np.isfinite(point).all() or np.abs(point).max() > FAR_MM:
        raise InputError(f"landmark {str(name)!r}: position {str(place)[:80]}; expected three numbers x, y, z in mm")
    return point


def read_landmarks(path: Path | str) -> Landmarks:
    """Read landmarks from our JSON or from a markups file of 3D Slicer (``.mrk.json``).

    Slicer's RAS is turned to LPS as the file says; points that were named but never placed are left out.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Landmarks
        Named points in mm, LPS.

    Raises
    ------
    InputError
        No such file, another space or unit, a point without a position, a name given twice.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of landmarks")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; too large for a file of landmarks")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # a wrong encoding is a ValueError as well
        raise InputError(f"{path.name}: not JSON; expected landmarks as JSON or as 3D Slicer's .mrk.json") from None
    if not isinstance(data, dict):
        raise InputError(f"{path.name}: a JSON {type(data).__name__}; expected an object with points")
    found = list(_slicer_points(data, path.name) if "markups" in data else _own_points(data, path.name))
    names = [name for name, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path.name}: landmark {', '.join(twice)} is there twice; give each a name of its own")
    if not found:
        raise InputError(f"{path.name}: holds no landmark that was placed")
    return Landmarks(dict(found))


def _own_points(data: Mapping[str, Any], where: str) -> Iterator[tuple[str, np.ndarray]]:
    if (space := data.get("space")) != "LPS":
        raise InputError(f"{where}: space {space!r}; expected LPS (x to the body's left, y back, z to the head)")
    if (unit := data.get("unit")) != "mm":
        raise InputError(f"{where}: unit {unit!r}; expected mm")
    for entry in _entries(data, "points", where):
        if "name" not in entry or "position" not in entry:
            raise InputError(f"{where}: {str(entry)[:80]}; expected a name and a position")
        yield str(entry["name"]), _position(entry["name"], entry["position"])


def _slicer_points(data: Mapping[str, Any], where: str) -> Iterator[tuple[str, np.ndarray]]:
    for markup in _entries(data, "markups", where):
        space = str(markup.get("coordinateSystem"))
        if space not in TO_LPS:
            raise InputError(f"{where}: coordinateSystem {space!r}; expected LPS or RAS")
        if (unit := markup.get("coordinateUnits", "mm")) not in ("mm", ["mm", "SCT", "millimeter"]) and "mm" not in str(unit):
            raise InputError(f"{where}: coordinateUnits {unit!r}; expected mm")
        for number, entry in enumerate(_entries(markup, "controlPoints", where), 1):
            if entry.get("positionStatus", "defined") != "defined":
                continue
            name = str(entry.get("label") or number)
            yield name, _position(name, entry.get("position")) * TO_LPS[space]


def _entries(data: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    entries = data.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{where}: {key} is missing or no list of objects")
    return entries


def write_landmarks(landmarks: Mapping[str, Any], path: Path | str, *, overwrite: bool = False) -> Path:
    """Write landmarks as our JSON, or as a markups file of 3D Slicer where the name ends in ``.mrk.json``.

    Parameters
    ----------
    landmarks
        A position in mm, LPS, for each name.
    path
        A name that ends in .json or .mrk.json.
    overwrite
        Whether a file that is there already may be replaced.

    Returns
    -------
    Path
        The path.
    """
    path = Path(path)
    if not path.name.lower().endswith(".json"):
        raise InputError(f"{path.name}: expected a name that ends in .json or {SLICER}")
    places = {name: np.round(point, 4).tolist() for name, point in Landmarks(landmarks).items()}
    if path.name.lower().endswith(SLICER):
        points = [
            {"id": str(k), "label": name, "position": place, "positionStatus": "defined"}
            for k, (name, place) in enumerate(places.items(), 1)
        ]
        markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
        data: dict[str, Any] = {"markups": [markup]}
    else:
        points = [{"name": name, "position": place} for name, place in places.items()]
        data = {"space": "LPS", "unit": "mm", "points": points}
    return write_text(path, json.dumps(data, indent=2) + "\n", overwrite)
