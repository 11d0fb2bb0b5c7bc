"""What each tissue gives in each sequence: relaxation times, proton densities and the signal equations.

Every tissue is a mixture of a water pool and a fat pool, as in a Dixon scan. Fat suppression acts on
the fat pool alone, which is why marrow turns dark with it and muscle does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError

FIELDS_T = (1.5, 3.0)
FAT_SHIFT_PPM = 3.5  # the main fat resonance lies this far below water (Dixon 1984, 10.1148/radiology.153.1.6089263)
GYROMAGNETIC_MHZ_PER_T = 42.577


@dataclass(frozen=True)
class Pool:
    """Hold T1 and T2 in ms at (1.5 T, 3 T) of one kind of protons."""

    t1: tuple[float, float]
    t2: tuple[float, float]

    def at(self, field: float) -> tuple[float, float]:
        """Give T1 and T2 in ms at 1.5 or 3 T."""
        if field not in FIELDS_T:
            raise InputError(f"field={field} T: expected 1.5 or 3.0, where the relaxation times were measured")
        which = FIELDS_T.index(field)
        return self.t1[which], self.t2[which]


# Measured in volunteers at both fields by Gold et al. 2004 (10.2214/ajr.183.2.1830343).
MUSCLE = Pool((1130.0, 1420.0), (35.3, 31.7))
CARTILAGE = Pool((1060.0, 1240.0), (42.1, 36.9))
FLUID = Pool((2850.0, 3620.0), (1210.0, 767.0))
LIPID = Pool((288.0, 371.0), (165.0, 133.0))  # subcutaneous fat; marrow is within 2 % of it
# Stanisz et al. 2005 (10.1002/mrm.20605).
BLOOD = Pool((1441.0, 1932.0), (290.0, 275.0))
# Too short to give signal in any sequence here, so that their exact values do not matter: T2 of
# cortical bone about 0.4 ms, of tendon 1 to 10 ms (Robson et al. 2003, 10.1097/00004728-200311000-00001).
CORTEX = Pool((220.0, 220.0), (0.4, 0.4))
TENDON = Pool((600.0, 700.0), (3.0, 3.0))
# Assumptions: the T2 of the meniscus is near 10 ms; its T1, skin and the water of marrow are plausible round numbers.
MENISCUS = Pool((850.0, 950.0), (10.0, 10.0))
SKIN = Pool((800.0, 950.0), (25.0, 25.0))
MARROW_WATER = Pool((900.0, 1100.0), (45.0, 40.0))


@dataclass(frozen=True)
class Tissue:
    """Hold what one tissue is made of.

    Parameters
    ----------
    water
        Relaxation of its water.
    density
        Visible protons relative to pure water; an assumption near the water or fat content.
    fat
        Share of the protons that is fat, 0 to 1.
    dephasing
        Static dephasing rate R2' in 1/s at 1.5 T, proportional to the field: 1/T2* = 1/T2 + R2'. An
        assumption; in marrow the trabeculae make it large.
    texture
        Standard deviation of the fine pattern of its signal, relative; an assumption.
    flow
        Factor on the signal of spin echoes, below 1 for blood that leaves the slice in time.
    """

    water: Pool
    density: float
    fat: float = 0.0
    dephasing: float = 12.0
    texture: float = 0.03
    flow: float = 1.0


TISSUES: dict[str, Tissue] = {
    "air": Tissue(MUSCLE, 0.0, texture=0.0),
    "skin": Tissue(SKIN, 0.70, fat=0.10),
    "fat": Tissue(MUSCLE, 0.92, fat=0.93, texture=0.05),
    "muscle": Tissue(MUSCLE, 0.80, fat=0.03, texture=0.07),
    "tendon": Tissue(TENDON, 0.60, texture=0.05),
    "cortex": Tissue(CORTEX, 0.20),
    "marrow": Tissue(MARROW_WATER, 0.80, fat=0.86, dephasing=45.0, texture=0.09),
    "red_marrow": Tissue(MARROW_WATER, 0.80, fat=0.60, dephasing=45.0, texture=0.09),
    "scar": Tissue(MARROW_WATER, 0.40, fat=0.80, dephasing=90.0, texture=0.15),
    "cartilage": Tissue(CARTILAGE, 0.75),
    "meniscus": Tissue(MENISCUS, 0.65),
    "fluid": Tissue(FLUID, 0.98, dephasing=3.0),
    "vessel": Tissue(BLOOD, 0.90, dephasing=5.0, flow=0.15),
}
CODES = {name: code for code, name in enumerate(TISSUES)}


@dataclass(frozen=True)
class Sequence:
    """Hold the settings of a pulse sequence: times in ms, flip angle in degrees, bandwidth in Hz a pixel.

    ``water`` and ``fat`` are what is left of each pool: fat 0.05 with a good fat suppression, water 0
    in the fat image of a Dixon scan.
    """

    kind: Literal["spin echo", "inversion recovery", "gradient echo", "double echo steady state"]
    tr: float
    te: float
    flip: float = 90.0
    ti: float | None = None
    water: float = 1.0
    fat: float = 1.0
    bandwidth: float = 250.0


# Settings as in usual protocols for joints; each is a choice, not a measurement.
SEQUENCES: dict[str, Sequence] = {
    "t1": Sequence("spin echo", tr=600, te=12),
    "pd": Sequence("spin echo", tr=3000, te=30),
    "pdfs": Sequence("spin echo", tr=3000, te=30, fat=0.06),
    "t2": Sequence("spin echo", tr=4000, te=80),
    "t2fs": Sequence("spin echo", tr=4000, te=70, fat=0.06),
    "stir": Sequence("inversion recovery", tr=4000, te=35),
    "dess": Sequence("double echo steady state", tr=16.3, te=4.7, flip=25, fat=0.05, bandwidth=185),
    "gre": Sequence("gradient echo", tr=30, te=4.6, flip=25),
    "water": Sequence("gradient echo", tr=6, te=2.4, flip=10, fat=0.0, bandwidth=500),
    "fat": Sequence("gradient echo", tr=6, te=2.4, flip=10, water=0.0, bandwidth=500),
}


def find_sequence(sequence: str | Sequence) -> Sequence:
    """Give the sequence of this name, or the error that lists them all."""
    if isinstance(sequence, Sequence):
        return sequence
    if sequence not in SEQUENCES:
        raise InputError(f"sequence={sequence!r}: expected one of {', '.join(SEQUENCES)}")
    return SEQUENCES[sequence]


def inversion_time(sequence: Sequence, field: float) -> float:
    """Give TI in ms: as set, or the one at which fat passes through zero (STIR)."""
    if sequence.ti is not None:
        return sequence.ti
    t1 = LIPID.at(field)[0]
    return t1 * float(np.log(2.0 / (1.0 + np.exp(-sequence.tr / t1))))


def pool_signal(t1: float, t2: float, sequence: Sequence, *, dephasing: float = 0.0, ti: float = 0.0) -> float:
    """Compute the transverse magnetization at the echo for an equilibrium magnetization of 1.

    Parameters
    ----------
    t1, t2
        Relaxation times in ms.
    sequence
        Settings; spin echoes take 90° pulses.
    dephasing
        R2' in 1/s, which only gradient echoes feel.
    ti
        Inversion time in ms, for inversion recovery.

    Returns
    -------
    float
        Signal, 0 to about 1; magnitude, so that inversion recovery never goes below 0.

    References
    ----------
    Spin echo, inversion recovery and spoiled gradient echo: Haacke et al., Magnetic Resonance Imaging,
    1999, chapters 8 and 18. The two signals of a steady state (FID and echo), whose sum is DESS:
    Gyngell 1988, doi:10.1016/0730-725X(88)90478-X.
    """
    e1, e2 = np.exp(-sequence.tr / t1), np.exp(-sequence.tr / t2)
    spin_decay = np.exp(-sequence.te / t2)
    if sequence.kind == "spin echo":
        return float((1 - e1) * spin_decay)
    if sequence.kind == "inversion recovery":
        return float(abs(1 - 2 * np.exp(-ti / t1) + e1) * spin_decay)
    angle, static_decay = np.deg2rad(sequence.flip), np.exp(-sequence.te * dephasing / 1000)
    cos = np.cos(angle)
    if sequence.kind == "gradient echo":
        return float(np.sin(angle) * (1 - e1) / (1 - e1 * cos) * spin_decay * static_decay)
    p = 1 - e1 * cos - e2**2 * (e1 - cos)
    q = e2 * (1 - e1) * (1 + cos)
    root = (1 - e2**2) / np.sqrt(p**2 - q**2)
    fid = np.tan(angle / 2) * (1 - (e1 - cos) * root) * spin_decay
    echo = np.tan(angle / 2) * (1 - (1 - e1 * cos) * root) / spin_decay  # it refocuses TE before the next pulse
    return float((fid + echo) * static_decay)


def tissue_signal(tissue: str | Tissue, sequence: str | Sequence = "t1", field: float = 3.0) -> tuple[float, float]:
    """Compute what the water and the fat of a tissue give in a sequence.

    Parameters
    ----------
    tissue
        A name of TISSUES, or an own Tissue.
    sequence
        A name of SEQUENCES, or an own Sequence.
    field
        Field strength in T, 1.5 or 3.

    Returns
    -------
    tuple of float
        Water and fat signal, relative to fully relaxed pure water; the voxel shows their sum.

    Raises
    ------
    InputError
        Unknown tissue, sequence or field strength.
    """
    if isinstance(tissue, str) and tissue not in TISSUES:
        raise InputError(f"tissue={tissue!r}: expected one of {', '.join(TISSUES)}")
    made_of = TISSUES[tissue] if isinstance(tissue, str) else tissue
    settings = find_sequence(sequence)
    dephasing, ti = made_of.dephasing * field / 1.5, inversion_time(settings, field)
    flow = made_of.flow if settings.kind in ("spin echo", "inversion recovery") else 1.0
    water, fat = (
        flow * made_of.density * share * kept * pool_signal(*pool.at(field), settings, dephasing=dephasing, ti=ti)
        for pool, share, kept in (
            (made_of.water, 1 - made_of.fat, settings.water),
            (LIPID, made_of.fat, settings.fat),
        )
    )
    return water, fat


def signal_tables(sequence: str | Sequence, field: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Give water and fat signal of all tissues, each (T,), in the order of CODES, on one common scale.

    The scale puts the brightest of muscle, fat, marrow and cartilage at 1000.
    """
    both = np.array([tissue_signal(name, sequence, field) for name in TISSUES])
    bright = max(both[CODES[name]].sum() for name in ("muscle", "fat", "marrow", "cartilage"))
    both = (both * (1000.0 / bright)).astype(np.float32)
    return both[:, 0].copy(), both[:, 1].copy()
