"""The cortex as an extremal region: dark on bright, touching the core of marrow."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..morphology import SLACK_MM, bounding_box, distance_inside
from ..step import Image, Mask, Range, Spacing, step
from .leveltree import level_tree

LEAST_SHARE = 0.25  # of all that is dark: the last dark voxels are stable too, and mean nothing


@step(preview="roi", bytes_per_voxel=60, reach=("thickest",))
def cortical_regions(
    image: Image,
    mask: Mask,
    *,
    spacing: Spacing,
    delta: Annotated[float, Range(0.005, 0.1, 0.005)] = 0.025,
    upper: Annotated[float, Range(0.1, 0.9, 0.05)] = 0.3,
    thinnest: Annotated[float, Range(0, 3, 0.1, "mm")] = 0.5,
    thickest: Annotated[float, Range(1, 10, 0.5, "mm")] = 4.0,
) -> Mask:
    """Add the cortex: the most stable dark region that touches a core of marrow.

    Among the gray levels of the shell round the core it takes the one at which what is dark and touches the core changes
    least. Dark tendon that touches the cortex comes along as far as `thickest`.

    Parameters
    ----------
    image
        Gray values, (P, M, N), bright marrow.
    mask
        Trabecular bone, (P, M, N).
    spacing
        (plane, row, column) in mm.
    delta
        Step from one gray level to the next, as a share of the core's median.
    upper
        Brightest level that can be cortex, as a share of the core's median.
    thinnest
        Everything within this of the core is taken for cortex.
    thickest
        Nothing farther than this from the core is.

    Returns
    -------
    Mask
        (P, M, N), never smaller than the core.

    References
    ----------
    Matas et al. (2004), doi:10.1016/j.imavis.2004.02.006

    Examples
    --------
    >>> image = np.array([[[0.9, 0.9, 0.9, 0.1, 0.1, 0.5, 0.5, 0.5]]])
    >>> cortical_regions(image, image > 0.8, spacing=(1, 1, 1)).sum().item()
    5
    """
    if not mask.any() or mask.all():
        return mask
    box = bounding_box(mask, thickest, spacing)
    core = mask[box]
    away = distance_inside(~core, spacing)
    shell = _stable_shell(image[box], core, (away <= thickest + SLACK_MM) & ~core, delta, upper)
    out = mask.copy()
    # Voxels that hold half marrow and half cortex are not dark, and leave gaps.
    out[box] = core | shell | (away <= max(thinnest, *spacing[1:]) + SLACK_MM)
    return out


def _stable_shell(image: np.ndarray, core: np.ndarray, band: np.ndarray, delta: float, upper: float) -> np.ndarray:
    """What is darker than a level and touches the core, within a band, at the level where that is most stable."""
    from scipy.ndimage import binary_dilation

    bright = float(np.median(image[core]))
    touching = band & binary_dilation(core)
    if bright <= 0 or not touching.any():
        return np.zeros_like(core)
    darkness = np.where(band, 1 - image / np.float32(bright), -1).astype(np.float32)
    levels = np.arange(1 - upper - delta, 1, delta, np.float32)
    tree = level_tree(darkness, levels, touching.astype(np.uint8), 1)
    size = np.bincount(tree.level, np.where(tree.most > 0, tree.size, 0), len(levels))
    change = (size[:-2] - size[2:]) / np.maximum(size[1:-1], 1)
    usable = np.flatnonzero(size[1:-1] >= LEAST_SHARE * size[0])
    if not len(usable):
        return np.zeros_like(core)
    best = 1 + usable[change[usable].argmin()]
    chosen = np.flatnonzero((tree.most > 0) & (tree.level == best))
    return tree.paint(chosen, np.ones(len(chosen), np.int32)) > 0
