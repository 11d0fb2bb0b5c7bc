"""A control for each parameter of a step: slider, drop-down or switch, as its signature says."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from ..step import Call, Param, find_step

WIDE = widgets.Layout(width="420px")
NAME_WIDTH = "150px"


def control_of(param: Param, value: Any) -> widgets.Widget:
    """Make the control of one parameter, set to a value."""
    look = {
        "description": param.name + (f" ({param.unit})" if param.unit else ""),
        "tooltip": tooltip_of(param),
        "style": {"description_width": NAME_WIDTH},
        "layout": WIDE,
    }
    if param.choices:
        return widgets.Dropdown(options=[(str(c), c) for c in param.choices], value=value, **look)
    if param.kind is bool:
        return widgets.Checkbox(value=value, **(look | {"style": {"description_width": "0"}}))
    bounds = {"min": param.kind(param.range.lower), "max": param.kind(param.range.upper)}
    if param.kind is int:
        return widgets.IntSlider(value=value, step=max(1, int(param.range.step)), **bounds, **look)
    digits = len(f"{param.range.step:.6f}".rstrip("0").split(".")[1])
    return widgets.FloatSlider(value=value, step=param.range.step, readout_format=f".{digits}f", **bounds, **look)


def tooltip_of(param: Param) -> str:
    """What a parameter means, and which values it may have."""
    bounds = f"{param.range}" if param.range else " or ".join(map(str, param.choices))
    return f"{param.doc.rstrip('.')}{f' ({bounds})' if bounds else ''}"


def value_of(param: Param, value: Any) -> Any:
    """The value that a control means: a browser's 0.30000000000000004 is 0.3."""
    return float(f"{value:.10g}") if param.kind is float and not param.choices else value


def controls_of(call: Call) -> dict[str, widgets.Widget]:
    """Make the controls of all parameters of a call, set to its values."""
    params = find_step(call.step).params
    return {name: control_of(param, call.params[name]) for name, param in params.items()}
