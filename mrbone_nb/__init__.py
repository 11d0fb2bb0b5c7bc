"""Segment bone in MR scans, step by step, and keep a record of how it was done.

Research only: not a medical device.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

from . import bias, cleanup, filters, segment  # noqa: F401  (importing registers the steps)
from .errors import InputError
from .recipe import Recipe, choose_preset, preset, preset_names
from .step import STEPS, Call
from .volume import Volume

__version__ = "0.1.0"

# Names that live in modules which most sessions need, but whose import costs; loaded when first used. After a colon
# stands what the name is called there, where that is another.
_LATER = {
    "inventory": "intake",
    "read": "intake",
    "read_labels": "export",
    "write_labels": "export",
    "extract_surface": "surface:surface",
    "write_mesh": "surface",
    "write_meshes": "surface",
    "read_mesh": "meshfile",
    "write_values": "meshfile",
    "remesh": "elements",
    "mesh_quality": "elements",
    "distance_to_mesh": "shape.distance",
    "register": "shape.register",
    "correspond": "shape.correspond",
    "build_model": "shape.model",
    "shape_of": "shape.model:shape",
    "project": "shape.model",
    "fit_points": "shape.pointfit",
    "fit_image": "shape.imagefit",
    "save_model": "shape.modelfile",
    "load_model": "shape.modelfile",
    "compare": "measure",
    "consensus_labels": "consensus:consensus",
    "uncertainty": "consensus",
    "where_to_look": "consensus",
    "check_leaks": "leaks",
    "quality": "rating",
    "rescored": "rating",
    "second_opinion": "rating",
    "sensitivity": "shaking",
    "tornado_picture": "tornado",
    "tightened": "tighten",
    "as_channels": "channels",
    "fuse_stacks": "fuse",
    "fuse_seeds": "fuse",
    "fuse_masks": "fuse",
    "batch": "cohort",
    "read_cohort": "cohort",
    "agree": "agreement",
    "bland_altman": "agreement",
    "icc": "agreement",
    "recipe_differences": "methods",
    "methods_text": "methods",
    "load_record": "record",
    "replay": "record",
    "verify_record": "verify:verify",
    "save": "outputs",
    "slice_picture": "picture",
    "contact_sheet": "picture",
    "fit_template": "shape",
    "load_template": "shape",
    "read_landmarks": "shape",
    "write_landmarks": "shape",
    "read_strokes": "strokes",
    "edit": "nb",
    "enter_project": "nb",
    "explore": "nb",
    "look": "nb",
    "notebook_of": "nb",
    "paint": "nb",
    "pick": "nb",
    "tune": "nb",
    "view3d": "nb",
    "workbench": "nb",
    "write_html": "nb",
}
__all__ = [
    "STEPS", "Call", "InputError", "Recipe", "Volume", "choose_preset", "preset", "preset_names", *_LATER, *STEPS,
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name in STEPS:
        return STEPS[name]
    if name in _LATER:
        module, _, there = _LATER[name].partition(":")
        return getattr(_import_module(f"{__name__}.{module}"), there or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
