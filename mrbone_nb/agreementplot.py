"""The plot of agreement: for each bone, differences of volumes over their means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .agreement import FEW, Agreement, bland_altman
from .bones import default_color
from .errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, HIGH = 4.2, 3.4  # inches for a bone


def bland_altman_plot(found: Agreement, names: tuple[str, str] = ("A", "B")) -> Figure:
    """Draw the volume differences of each bone over their means, with bias and limits of agreement.

    Parameters
    ----------
    found
        What `agree` gave.
    names
        What the two sides are called in the plot.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a bone.

    Raises
    ------
    InputError
        No bone has three scans.

    References
    ----------
    Bland JM, Altman DG (1986). doi:10.1016/S0140-6736(86)90837-8
    """
    from matplotlib.figure import Figure

    groups = {bone: _volumes(found, bone) for bone in found.bones()}
    groups = {bone: values for bone, values in groups.items() if len(values) >= FEW}
    if not groups:
        raise InputError(f"no bone has {FEW} scans in both: nothing to plot")
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(WIDE * columns, HIGH * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, (axis, (bone, values)) in enumerate(zip(axes, groups.items(), strict=False), 1):
        limits = bland_altman(*values.T)
        axis.scatter(values.mean(axis=1), values[:, 1] - values[:, 0], s=18, color=default_color(number))
        for value, style in ((limits.bias, "-"), (limits.lower, "--"), (limits.upper, "--")):
            axis.axhline(value, color="black", linewidth=1, linestyle=style)
            place = {"xycoords": ("axes fraction", "data"), "va": "bottom", "ha": "right", "fontsize": 8}
            axis.annotate(f"{value:.2f}", (1, value), **place)
        axis.set(title=f"{bone} (n = {limits.n})", xlabel="mean volume, cm³", ylabel=f"{names[1]} - {names[0]}, cm³")
    for axis in axes[len(groups) :]:
        axis.set_axis_off()
    return figure


def _volumes(found: Agreement, bone: str) -> np.ndarray:
    """Both volumes of a bone in cm³, (N, 2)."""
    return np.array([(p.volume_a, p.volume_b) for p in found.pairs if p.bone == bone]) / 1000
