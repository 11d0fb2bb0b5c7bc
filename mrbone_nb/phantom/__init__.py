"""Simulated MR with an exact truth: bodies from label maps or shapes, and a scanner for them."""

from .anatomy import Band, Body, Flesh, build_body
from .joints import knee, knee_body
from .artifacts import Metal
from .scanner import Phantom, scan
from .strokes import simulated_strokes
from .tissue import SEQUENCES, TISSUES, Sequence, Tissue, tissue_signal

__all__ = [
    "SEQUENCES",
    "TISSUES",
    "Band",
    "Body",
    "Flesh",
    "Metal",
    "Phantom",
    "Sequence",
    "Tissue",
    "build_body",
    "knee",
    "knee_body",
    "scan",
    "simulated_strokes",
    "tissue_signal",
]
