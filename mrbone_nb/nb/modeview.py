"""A slider for each mode of a shape model, and the shape that they make."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from ..errors import InputError
from ..shape.model import LIMIT, ShapeModel, shape
from .controls import NAME_WIDTH, WIDE
from .threed import view3d


def explore(model: ShapeModel, *, modes: int = 4, weights: tuple[float, ...] = (), width: int = 520) -> ModeView:
    """Show a shape model with a slider for each of its first modes.

    Parameters
    ----------
    model
        The model.
    modes
        How many sliders.
    weights
        Where they begin, in standard deviations; at 0, the mean, where nothing is given.
    width
        Of the view, in pixels.

    Returns
    -------
    ModeView
        It shows itself; ``weights`` and ``mesh`` tell what the sliders make.
    """
    modes = min(modes, model.count)
    if modes < 1 or len(weights) > modes:
        raise InputError(f"modes={modes} with {len(weights)} weights: expected a slider at least, and for each weight")
    return ModeView(model, modes, weights, width)


class ModeView(widgets.VBox):
    """Show the shape that sliders make; made by `explore`."""

    def __init__(self, model: ShapeModel, modes: int, weights: tuple[float, ...], width: int) -> None:
        self.model = model
        begin = np.pad(np.asarray(weights, float), (0, modes - len(weights)))
        self.sliders = [
            widgets.FloatSlider(
                value=value, min=-LIMIT, max=LIMIT, step=0.1, description=f"mode {k + 1} ({model.shares[k]:.0%})",
                tooltip="Weight in standard deviations", style={"description_width": NAME_WIDTH}, layout=WIDE,
            )
            for k, value in enumerate(begin)
        ]  # fmt: skip
        self.view = view3d(self.mesh, width=width, height=3 * width // 4)
        for slider in self.sliders:
            slider.observe(self._moved, "value")
        super().__init__([*self.sliders, self.view])

    @property
    def weights(self) -> list[float]:
        """The weights of the first modes, in standard deviations."""
        return [slider.value for slider in self.sliders]

    @property
    def mesh(self) -> Any:
        """The shape, in the model's own place."""
        return shape(self.model, self.weights)

    def _moved(self, change: Any) -> None:
        self.view.show(self.mesh)

    def _repr_mimebundle_(self, **words: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**words)
        still = self.view._repr_mimebundle_(**words)
        if bundle and still:
            bundle["image/png"] = still[0]["image/png"]  # for where no widget can be shown
        return bundle
