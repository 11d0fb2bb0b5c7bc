"""How large bones of adults are: wide ranges with their published source, for telling what is surely wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prior:
    """Hold how large a bone of an adult can be; a wide range, for what is outside is surely wrong.

    Parameters
    ----------
    length_mm
        Smallest and largest extent along the bone's longest axis.
    volume_mm3
        Smallest and largest volume, or None where no source was found.
    source
        DOI of the measurements that the range is made of.
    """

    length_mm: tuple[float, float]
    volume_mm3: tuple[float, float] | None
    source: str


def _spread(low: tuple[float, float], high: tuple[float, float], sd: float = 3) -> tuple[float, float]:
    """From the smaller mean less some standard deviations to the larger mean and as many."""
    return low[0] - sd * low[1], high[0] + sd * high[1]


# Mean and standard deviation of women, then of men: volume in mm³, longest side in mm (28 adults, CT).
_CARPUS = {
    "scaphoid": ((1877, 407), (2903, 461), (24.8, 1.6), (29.3, 2.7)),
    "lunate": ((1368, 165), (2252, 499), (18.0, 1.1), (20.9, 2.2)),
    "triquetrum": ((1103, 193), (1579, 261), (18.5, 1.3), (20.9, 1.8)),
    "pisiform": ((569, 121), (854, 203), (13.7, 1.4), (15.7, 1.4)),
    "trapezium": ((1547, 328), (2394, 443), (21.8, 1.8), (25.4, 1.8)),
    "trapezoid": ((1020, 191), (1497, 237), (18.0, 0.9), (20.6, 1.4)),
    "capitate": ((2547, 344), (3700, 563), (24.6, 1.1), (28.0, 1.8)),
    "hamate": ((2045, 264), (2940, 378), (24.7, 1.4), (27.5, 1.9)),
}
PRIORS: dict[str, Prior] = {
    name: Prior(_spread(*row[2:]), _spread(*row[:2]), "10.1016/j.jhsa.2004.08.012") for name, row in _CARPUS.items()
} | {
    # Length 435 ± 27 mm in 150 femora of one population, so five standard deviations; no scan of a joint holds all of
    # it, so there is no lower limit.
    "femur": Prior((0.0, _spread((435, 27), (435, 27), 5)[1]), None, "10.7860/JCDR/2013/6275.3465"),
    # Height 111 ± 12.6 mm in 66 men, 105 ± 8.2 mm in 43 women.
    "sacrum": Prior(_spread((105, 8.2), (111, 12.6), 5), None, "10.1007/s00256-010-0937-x"),
}
