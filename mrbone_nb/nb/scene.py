"""What is shown in 3D: a scan, labels on its grid, and surfaces, in whatever form they were given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from ..bones import Label, LabelTable, default_color
from ..errors import InputError
from ..mesh import Mesh
from ..packed import Named
from ..picture import PAPER, contact_sheet
from ..recipe import on_grid
from ..step import EVERYTHING_ELSE
from ..surface import surface
from ..volume import Volume
from .render import picture_of

Meshes = Mesh | Mapping[str, Mesh] | Iterable[Mesh]


@dataclass
class Scene:
    """Hold what is shown in 3D; surfaces are traced from the labels where none are given."""

    image: Volume | None = None
    labels: Volume | None = None
    mesh: Any = None
    table: LabelTable = field(default_factory=LabelTable)
    settings: Mapping[str, Any] = field(default_factory=dict)
    _named: list[Named] | None = None

    def surfaces(self) -> list[Named]:
        """Give the surfaces with names and colors; none where the labels are empty."""
        if self._named is None:
            given = self.labels if self.mesh is None else self.mesh
            self._named = [] if given is None else named(given, self.table, self.settings)
        return self._named

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """Draw the surfaces from in front; without any, the slices of the scan."""
        if self.surfaces():
            return picture_of(self.surfaces(), size)
        if self.image is None:
            return Image.new("RGB", size, PAPER)
        return contact_sheet(self.image, self.labels, table=self.table, tile=160)

    def about(self) -> str:
        """Say in a line what is shown."""
        names = [] if self.image is None else [self.image.name or "a scan"]
        return "3D view: " + (", ".join([*names, *(name for name, _, _ in self.surfaces())]) or "nothing")

    def changed(self, what: Any = None, *, labels: Any = None, mesh: Any = None, **words: Any) -> Scene:
        """Give the scene with something else in it; what is not named stays, but labels and surfaces go together."""
        words = {"table": self.table, "settings": self.settings} | {k: v for k, v in words.items() if v is not None}
        if what is None and labels is None and mesh is None:
            labels, mesh = self.labels, self.mesh
        if isinstance(labels, np.ndarray) and self.image is None and self.labels is not None:
            labels = _as_labels(labels, self.labels)
        new = scene_of(self.image if what is None else what, labels=labels, mesh=mesh, **words)
        return new if new.image is not None else replace(new, image=self.image)


def scene_of(
    what: Volume | Meshes | None,
    *,
    labels: Volume | np.ndarray | None = None,
    mesh: Meshes | None = None,
    table: LabelTable | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Scene:
    """Sort out what was given: a scan, a label map or surfaces first, labels and surfaces by name."""
    image = None
    if isinstance(what, Volume):
        if labels is None and mesh is None and is_label_map(what):
            labels = what
        else:
            image = what
    elif what is not None:
        if mesh is not None:
            raise InputError("mesh: surfaces were given first as well; give them once")
        mesh = what
    if labels is not None:
        labels = _as_labels(labels, image)
    if isinstance(mesh, Iterable) and not isinstance(mesh, Mapping):
        mesh = list(mesh)  # it may be read once only
    return Scene(image, labels, mesh, table or LabelTable(), settings or {})


def is_label_map(volume: Volume) -> bool:
    """Tell whether a volume holds labels: whole numbers from 0 to 255, whatever their type."""
    array = volume.array
    if array.dtype in (bool, np.uint8):
        return True
    return bool(array.min() >= 0 and array.max() <= 255 and (array == np.round(array)).all())


def _as_labels(labels: Volume | np.ndarray, image: Volume | None) -> Volume:
    """Labels as a volume on the scan's grid."""
    if image is not None:
        return image.with_array(on_grid("labels", labels, image))
    if not isinstance(labels, Volume):
        raise InputError(f"labels: {type(labels).__name__}; without a scan give a Volume, which has a place")
    return labels


def named(what: Any, table: LabelTable, settings: Mapping[str, Any]) -> list[Named]:
    """Surfaces with names and colors, made from a label map or given; those without a face fall away."""
    if isinstance(what, Volume):
        numbers = [int(n) for n in np.unique(what.array) if 0 < n < EVERYTHING_ELSE]
        found = table.filled(numbers)
        meshes = [(found[n], surface(what, n, **settings)) for n in numbers]
    elif isinstance(what, Mapping):
        known = {label.title: label for label in table.values()}
        labels = (known.get(name, Label(name, color=default_color(k))) for k, name in enumerate(what, 1))
        meshes = list(zip(labels, what.values(), strict=True))
    else:
        several = [what] if isinstance(what, Mesh) else list(what)
        found = table.filled(range(1, len(several) + 1))
        meshes = [(found[k], m) for k, m in enumerate(several, 1)]
    for label, mesh in meshes:
        if not isinstance(mesh, Mesh):
            raise InputError(f"{label.title}: {type(mesh).__name__}; expected a Mesh, as extract_surface makes it")
    return [(label.title, mesh, label.rgb) for label, mesh in meshes if len(mesh.faces)]
