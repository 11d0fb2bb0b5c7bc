"""Simulated MR with an exact truth: bodies round label maps, meshes or solids, and a scanner for them.

>>> from mrbone_nb.phantom import knee, simulated_strokes
>>> volume, truth = knee("dess", size=48, spacing=(4.0, 3.0, 3.0))
>>> seeds = simulated_strokes(truth)
>>> seeds.same_grid(volume)
True
"""

from .anatomy import Band, Body, Flesh, build_body
from .artifacts import Metal
from .ct import HOUNSFIELD, scan_ct
from .dicom import write_dicom
from .family import similar_bones
from .joints import (
    FOREARM, HIP, KNEE, SHOULDER, forearm, forearm_body, hip, hip_body, knee, knee_body, shoulder, shoulder_body,
)  # fmt: skip
from .scanner import Phantom, scan, scan_radial, simulate
from .shapes import label_meshes, label_solids
from .strokes import corrective_stroke, simulated_strokes
from .tissue import SEQUENCES, TISSUES, Sequence, Tissue, tissue_signal

__all__ = [
    "FOREARM",
    "HIP",
    "HOUNSFIELD",
    "KNEE",
    "SEQUENCES",
    "SHOULDER",
    "TISSUES",
    "Band",
    "Body",
    "Flesh",
    "Metal",
    "Phantom",
    "Sequence",
    "Tissue",
    "build_body",
    "corrective_stroke",
    "forearm",
    "forearm_body",
    "hip",
    "hip_body",
    "knee",
    "knee_body",
    "label_meshes",
    "label_solids",
    "scan",
    "scan_ct",
    "scan_radial",
    "shoulder",
    "shoulder_body",
    "similar_bones",
    "simulate",
    "simulated_strokes",
    "tissue_signal",
    "write_dicom",
]
