"""Shapes: templates placed by landmarks, elastic surfaces that a scan pulls into place, models, and distances of shapes.

>>> from mrbone_nb.shape import load_template
>>> femur = load_template("femur-right")
>>> femur.mesh.volume > 150_000, "head_center" in femur.landmarks
(True, True)
"""

from .active import LEVELS, Level, deform
from .fit import Fit, fit_template, place
from .forces import Evidence
from .landmarks import Landmarks, read_landmarks, write_landmarks
from .radial import RadialAxis, fit_axis
from .rbf import similarity, warp
from .sites import parts_of
from .template import Template, as_template, load_template, template_names

__all__ = [
    "LEVELS",
    "Evidence",
    "Fit",
    "Landmarks",
    "Level",
    "RadialAxis",
    "Template",
    "as_template",
    "deform",
    "fit_axis",
    "fit_template",
    "load_template",
    "parts_of",
    "place",
    "read_landmarks",
    "similarity",
    "template_names",
    "warp",
    "write_landmarks",
]
