"""Ready-made body parts: a right knee, hip, shoulder and forearm, and scans of them in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError
from ..volume import Volume
from . import bones
from .anatomy import Band, Body, Flesh, build_body
from .fields import smoothstep
from .scanner import PLANES, Phantom, scan
from .shapes import Place, Solid, ellipsoid, label_solids, tube, union
from .tissue import Sequence

KNEE = {1: "femur", 2: "tibia", 3: "patella", 4: "fibula"}
HIP = {1: "femur", 2: "hip bone"}
SHOULDER = {1: "humerus", 2: "scapula"}
FOREARM = {1: "radius", 2: "ulna"}
CORTEX_MM = (0.9, 3.0)  # at the joint, on the shaft

_SAMPLE = Path(__file__).resolve().parents[2] / "data_samples" / "knee_anatomy.nrrd"
_FROM_SAMPLE = {5: 1, 6: 2, 7: 3, 8: 4, 1: 5, 2: 5, 3: 5, 4: 5, 9: 6, 10: 6}
_KNEE_TISSUES = {1: "bone", 2: "bone", 3: "bone", 4: "bone", 5: "cartilage", 6: "meniscus"}


def knee_body(
    *,
    size: int | None = None,
    shape: Literal["auto", "sample", "parametric"] = "auto",
    cortex: float | tuple[float, float] = CORTEX_MM,
    seed: int = 0,
) -> Body:
    """Build a right knee: 1 femur, 2 tibia, 3 patella, 4 fibula.

    Parameters
    ----------
    size
        Voxels along the longest side, for small and fast knees; None gives full resolution (about
        0.4 mm within the slice).
    shape
        "sample" takes the anatomy of a real knee from the folder data_samples, "parametric" simple
        solids; "auto" takes the sample where the folder is at hand and no ``size`` is given.
    cortex
        Thickness of the cortex in mm: one number, or at the joint and on the shaft.
    seed
        Seed of the anatomy round the bones.

    Returns
    -------
    Body
        Sagittal, about 140 × 140 × 110 mm.

    Raises
    ------
    InputError
        ``shape="sample"`` without the file, or a ``size`` outside 16 to 1024.
    """
    if shape not in ("auto", "sample", "parametric"):
        raise InputError(f"shape={shape!r}: expected auto, sample or parametric")
    if shape == "sample" and not _SAMPLE.is_file():
        raise InputError("shape='sample': data_samples/knee_anatomy.nrrd is not at hand; take shape='parametric'")
    if shape == "sample" or (shape == "auto" and size is None and _SAMPLE.is_file()):
        labels, cartilage = _sample_knee(size), 0.0
    else:
        solids = {1: bones.femur_knee, 2: bones.tibia, 3: bones.patella, 4: bones.fibula}
        labels, cartilage = _label(solids, (-56, -66, -66), (56, 74, 74), size, "sagittal", seed), 2.2
    bands, trunk = _knee_bands(labels)
    flesh = Flesh(margin=(9.0, 34.0), skin_fat=6.0, cartilage=cartilage, bands=bands, trunk=trunk)
    return build_body(labels, _KNEE_TISSUES, cortex=cortex, flesh=flesh, seed=seed)


def hip_body(*, size: int | None = None, cortex: float | tuple[float, float] = (0.9, 5.0), seed: int = 0) -> Body:
    """Build a right hip from parametric solids: 1 femur, 2 hip bone.

    Parameters as of ``knee_body``; coronal, 160 × 160 × 220 mm, 0.8 mm at full resolution.
    """
    solids = {1: bones.femur_hip, 2: bones.hip_bone}
    labels = _label(solids, (-76, -72, -108), (86, 86, 124), size, "coronal", seed)
    vessel = np.array([[40.0, -52, 120], [24, -46, 20], [8, -48, -20], [0, -44, -110]])
    bands = [
        Band("fat", vessel, 10.0),
        Band("vessel", vessel, 5.0),
        Band("vessel", vessel + [11.0, 2, 0], 5.5),
        Band("tendon", np.array([[4.0, -30, 24], [-30, -16, -28]]), 4.0),  # iliofemoral ligament
        Band("tendon", np.array([[-52.0, 14, 2], [-46, 14, 40]]), 4.0),  # abductors at the greater trochanter
        Band("tendon", np.array([[-27.0, 16, -60], [-6, -24, -30], [8, -36, 10]]), 3.5),  # psoas
    ]
    flesh = Flesh(margin=(34.0, 46.0), skin_fat=16.0, cartilage=2.0, bands=bands, trunk=_hip_trunk)
    return build_body(labels, {1: "bone", 2: "bone"}, cortex=cortex, flesh=flesh, seed=seed)


def shoulder_body(*, size: int | None = None, cortex: float | tuple[float, float] = (0.8, 2.6), seed: int = 0) -> Body:
    """Build a right shoulder from parametric solids: 1 humerus, 2 scapula.

    Parameters as of ``knee_body``; coronal, 150 × 125 × 180 mm, 0.7 mm at full resolution.
    """
    solids = {1: bones.humerus, 2: bones.scapula}
    labels = _label(solids, (-48, -56, -122), (106, 72, 58), size, "coronal", seed)
    bands = [
        Band("tendon", np.array([[46.0, 24, 26], [20, 4, 29], [-8, 2, 26], [-20, 3, 12]]), 3.0),  # supraspinatus
        Band("tendon", np.array([[40.0, -14, -4], [10, -27, -4], [-8, -24, -10]]), 3.0),  # subscapularis
        Band("tendon", np.array([[36.0, 6, 20], [10, -12, 27], [-18, -17, 10], [-20, -17, -60]]), 2.2),  # biceps
        Band("vessel", np.array([[70.0, -36, 0], [40, -34, -40], [14, -20, -110]]), 3.5),
    ]
    flesh = Flesh(margin=(16.0, 20.0), skin_fat=6.0, cartilage=1.8, bands=bands, trunk=_shoulder_trunk)
    return build_body(labels, {1: "bone", 2: "bone"}, cortex=cortex, flesh=flesh, seed=seed)


def forearm_body(
    *, size: int | None = None, cortex: float | tuple[float, float] | Solid | None = None, seed: int = 0
) -> Body:
    """Build a right forearm, palm to the front, from parametric solids: 1 radius, 2 ulna.

    Parameters as of ``knee_body``; axial, the lower 140 mm, 0.7 mm at full resolution. By default the cortex is
    0.9 mm thick at the wrist and 2.6 mm on the shafts.
    """
    solids = {1: bones.radius, 2: bones.ulna}
    labels = _label(solids, (-46, -40, -12), (46, 42, 140), size, "axial", seed)
    run = np.array([[0.0, 0, -20], [0, 0, 40], [0, 0, 150]])
    bands = [
        Band("vessel", run + [[-22, -13, 0], [-20, -15, 0], [-8, -14, 0]], 1.6),  # radial artery
        Band("vessel", run + [[14, -13, 0], [14, -13, 0], [6, -12, 0]], 1.6),  # ulnar artery
        Band("tendon", run + [[-8, -14, 0], [-8, -13, 0], [-6, -18, 0]], 3.0),  # flexors, in front of the radius
        Band("tendon", run + [[2, -15, 0], [2, -14, 0], [4, -20, 0]], 3.0),
        Band("tendon", run + [[-16.5, 12.5, 0], [-17, 12, 0], [-14, 18, 0]], 2.2),  # extensors, behind it
        Band("tendon", run + [[-6.5, 12.5, 0], [-6, 12, 0], [-2, 18, 0]], 2.2),
    ]
    flesh = Flesh(margin=(17.0, 13.0), skin_fat=4.0, cartilage=1.0, joint_fat=False, bands=bands, trunk=_forearm_trunk)
    shell = _forearm_cortex if cortex is None else cortex
    return build_body(labels, {1: "bone", 2: "bone"}, cortex=shell, flesh=flesh, seed=seed)


def _forearm_cortex(place: Place) -> np.ndarray:
    """Thickness of the cortex in mm: thin at the wrist, thick on the shafts."""
    return 0.9 + 1.7 * smoothstep(place[2], 10, 55)


def _forearm_trunk(place: Place) -> np.ndarray:
    """Wrist and forearm as one solid."""
    return tube(place, [(-2, 0, -60), (-2, 0, 0), (-1, -2, 60), (-1, -2, 200)], (29, 29, 34, 40))


def _hip_trunk(place: Place) -> np.ndarray:
    """Pelvis and thigh as one solid."""
    pelvis = tube(place, [(76, 12, 150), (70, 12, 0), (66, 12, -60)], (118, 138, 130))
    thigh = tube(place, [(-22, 4, 0), (-12, 4, -200)], (92, 86))
    return union(pelvis, thigh, blend=20)


def _shoulder_trunk(place: Place) -> np.ndarray:
    """Chest, deltoid and arm as one solid."""
    chest = ellipsoid(place, (116, 8, -70), (82, 84, 150))
    neck = tube(place, [(130, 20, 80), (60, 22, 30), (20, 10, 8)], (60, 32, 40))
    arm = tube(place, [(-6, 2, 4), (-16, 4, -60), (-16, 4, -200)], (48, 46, 42))
    return union(chest, neck, arm, blend=15)


def _sample_knee(size: int | None) -> Volume:
    """Read the real knee's label map and number it anew."""
    import SimpleITK as sitk

    sample = Volume.from_sitk(sitk.ReadImage(_SAMPLE))
    table = np.zeros(256, np.uint8)
    table[list(_FROM_SAMPLE)] = list(_FROM_SAMPLE.values())
    labels = sample.with_array(table[sample.array], name="labels")
    if size is None:
        return labels
    step = _step(max(n * s for n, s in zip(labels.shape, labels.spacing, strict=True)), size)
    return labels.resample(tuple(max(step, s) for s in labels.spacing), labels=True)


def _label(solids: Mapping, low: tuple, high: tuple, size: int | None, plane: str, seed: int) -> Volume:
    """Fill solids on a grid of the wanted number of voxels; None gives 0.7 or 0.8 mm."""
    longest = float(np.max(np.subtract(high, low)))
    step = (0.7 if longest < 190 else 0.8) if size is None else _step(longest, size)
    return label_solids(solids, low, high, step, PLANES[plane], seed=seed)


def _step(longest: float, size: int) -> float:
    if not (isinstance(size, (int, np.integer)) and 16 <= size <= 1024):
        raise InputError(f"size={size!r}: expected a whole number of voxels, 16 to 1024")
    return longest / size


def _knee_bands(labels: Volume) -> tuple[list[Band], Solid]:
    """Tendons, cruciate ligaments and vessels, and the outline of thigh and calf, placed by the bones."""
    femur, tibia, patella = (labels.points(np.argwhere(labels.array == n)) for n in (1, 2, 3))
    top, bottom = patella[patella[:, 2].argmax()], patella[patella[:, 2].argmin()]
    below = tibia[tibia[:, 2] < tibia[:, 2].max() - 28]
    tubercle = below[below[:, 1].argmin()]
    plateau = tibia[tibia[:, 2] > tibia[:, 2].max() - 12]
    middle = np.append(plateau[:, :2].mean(axis=0), tibia[:, 2].max() - 2)
    vessel = [middle[0] + 4, plateau[:, 1].max() + 16, middle[2]] + np.array(
        [[6.0, -8, 90], [2, -2, 30], [0, 0, 0], [0, -2, -40], [0, 0, -100]]
    )
    bands = [
        Band("fat", vessel, 8.0),
        Band("vessel", vessel, 3.0),
        Band("vessel", vessel + [6.0, 4, 0], 2.5),
        Band("tendon", middle + np.array([[2.0, 20, -10], [1, 10, 6], [4, -2, 20]]), 4.0),  # posterior cruciate
        Band("tendon", middle + np.array([[0.0, -12, 0], [-6, 8, 20]]), 3.0),  # anterior cruciate
        Band("tendon", np.array([bottom, tubercle, tubercle + [0, 4, -25]]), 2.5),
        Band("tendon", np.array([top, top + [0, 2, 60]]), 3.5),
    ]
    leg = middle + np.array([[0.0, 8, 150], [0, 8, 60], [0, 10, 0], [0, 22, -50], [0, 22, -150]])
    return bands, lambda place: tube(place, leg, (74, 60, 44, 50, 54))


def knee(
    sequence: str | Sequence = "t1",
    *,
    size: int | None = None,
    spacing: tuple[float, float, float] | None = None,
    plane: str = "native",
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Scan a right knee: truth 1 femur, 2 tibia, 3 patella, 4 fibula.

    Parameters as of ``knee_body`` and ``scan``; for several sequences of one knee build the body once.

    Examples
    --------
    >>> from mrbone_nb.phantom import knee
    >>> volume, truth = knee("pdfs", size=48, spacing=(4.0, 3.0, 3.0))
    >>> volume.same_grid(truth)
    True
    """
    body = knee_body(size=size, seed=seed)
    return scan(body, sequence, spacing=spacing, plane=plane, noise=noise, bias=bias, seed=seed)


def hip(
    sequence: str | Sequence = "t1",
    *,
    size: int | None = None,
    spacing: tuple[float, float, float] | None = (4.0, 0.8, 0.8),
    plane: str = "coronal",
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Scan a right hip: truth 1 femur, 2 hip bone. Parameters as of ``hip_body`` and ``scan``."""
    body = hip_body(size=size, seed=seed)
    return scan(body, sequence, spacing=spacing, plane=plane, noise=noise, bias=bias, seed=seed)


def shoulder(
    sequence: str | Sequence = "t1",
    *,
    size: int | None = None,
    spacing: tuple[float, float, float] | None = (3.0, 0.7, 0.7),
    plane: str = "coronal",
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Scan a right shoulder: truth 1 humerus, 2 scapula. Parameters as of ``shoulder_body`` and ``scan``."""
    body = shoulder_body(size=size, seed=seed)
    return scan(body, sequence, spacing=spacing, plane=plane, noise=noise, bias=bias, seed=seed)


def forearm(
    sequence: str | Sequence = "t1",
    *,
    size: int | None = None,
    spacing: tuple[float, float, float] | None = (3.0, 0.6, 0.6),
    plane: str = "axial",
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Scan a right forearm: truth 1 radius, 2 ulna. Parameters as of ``forearm_body`` and ``scan``."""
    body = forearm_body(size=size, seed=seed)
    return scan(body, sequence, spacing=spacing, plane=plane, noise=noise, bias=bias, seed=seed)
