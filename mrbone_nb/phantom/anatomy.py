"""From bones on a grid to a whole body part: cortex, marrow, cartilage, muscle, fat, tendon and skin around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import edt
import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from ..errors import InputError
from ..volume import Volume
from .tissue import CODES, TISSUES

COARSE_MM = 1.6  # soft tissue varies slowly: its fields are computed on this grid and interpolated
HULL_MM = 35.0  # hollows between bones narrower than twice this are filled by the body
FAR_MM = 100.0


@dataclass(frozen=True)
class Body:
    """Hold a body part that can be scanned any number of times.

    Parameters
    ----------
    tissue
        Tissue of each voxel as a number of ``CODES``, uint8.
    bones
        The truth: the label of each bone with its cortex, 0 elsewhere; uint8 on the same grid.
    texture
        Factor on the signal of each voxel, float32, the same in every sequence.
    """

    tissue: Volume
    bones: Volume
    texture: np.ndarray


@dataclass(frozen=True)
class Band:
    """Hold a tendon, ligament or vessel: a tube of one tissue along points in mm (K, 3), LPS."""

    tissue: str
    points: np.ndarray
    radius: float


@dataclass(frozen=True)
class Flesh:
    """Hold what surrounds the bones; all lengths in mm.

    Parameters
    ----------
    margin
        Depth of soft tissue in front of the bones and behind them.
    skin_fat
        Mean thickness of the fat under the skin.
    cartilage
        Thickness of cartilage drawn where two bones face each other; 0 where the labels hold it.
    bands
        Tendons, ligaments and vessels, drawn in this order.
    """

    margin: tuple[float, float] = (25.0, 25.0)
    skin_fat: float = 7.0
    cartilage: float = 2.0
    bands: Sequence[Band] = ()


def build_body(
    labels: Volume,
    tissues: Mapping[int, str],
    *,
    cortex: float | tuple[float, float] = 1.5,
    flesh: Flesh | None = Flesh(),
    seed: int = 0,
) -> Body:
    """Build a body part round labeled bones.

    Parameters
    ----------
    labels
        Label map; 0 is filled with soft tissue.
    tissues
        What each label is: ``"bone"`` (cortex outside, marrow inside, counted in the truth) or a name
        of ``TISSUES``.
    cortex
        Thickness of the cortical shell in mm, inside the bone's label. Two numbers, at the joint and on
        the shaft, make it vary between them, with thin spots and small canals of vessels as in life.
    flesh
        What surrounds the bones; None leaves air, as in a dry specimen.
    seed
        Seed of all that is random in the anatomy.

    Returns
    -------
    Body
        On the grid of ``labels``.

    Raises
    ------
    InputError
        A label without a tissue, an unknown tissue, or a negative thickness.
    """
    _check(labels, tissues, cortex)
    rng = np.random.default_rng([seed, 1])
    is_bone = np.zeros(256, np.uint8)
    is_bone[[n for n, name in tissues.items() if name == "bone"]] = 1
    bones = labels.with_array(labels.array.astype(np.uint8) * is_bone[labels.array], name="truth")
    fields = _Fields(bones, rng)
    outside = edt.edt(bones.array == 0, anisotropy=bones.spacing, parallel=0) - min(bones.spacing) / 2
    tissue = np.full(labels.shape, CODES["air"], np.uint8)
    if flesh is not None:
        _add_flesh(tissue, fields, flesh, outside)
        for band in flesh.bands:
            _draw_band(tissue, labels, band)
    for number, name in tissues.items():
        if name != "bone":
            tissue[labels.array == number] = CODES[name]
    texture = _add_bones(tissue, bones, fields, cortex, rng)
    return Body(labels.with_array(tissue, name="tissue"), bones, texture)


def _check(labels: Volume, tissues: Mapping[int, str], cortex: float | tuple[float, float]) -> None:
    if labels.array.dtype.kind not in "iub" or labels.array.min() < 0 or labels.array.max() > 254:
        raise InputError(f"labels from {labels.array.min()} to {labels.array.max()}: expected whole numbers 0 to 254")
    present = set(np.unique(labels.array).tolist()) - {0}
    if missing := present - set(tissues):
        raise InputError(f"labels {sorted(missing)}: no tissue given for them; name one each in tissues")
    for number, name in tissues.items():
        if name != "bone" and name not in TISSUES:
            raise InputError(f"tissues[{number}]={name!r}: expected 'bone' or one of {', '.join(TISSUES)}")
    if not all(np.isfinite(t) and 0 <= t <= 20 for t in np.atleast_1d(cortex)) or np.size(cortex) > 2:
        raise InputError(f"cortex={cortex} mm: expected 0 to 20, or two such numbers (joint, shaft)")


class _Fields:
    """Hold slowly varying fields on a coarse grid, and bring them to the fine one."""

    def __init__(self, bones: Volume, rng: np.random.Generator) -> None:
        self.fine, self.rng = bones, rng
        spacing = tuple(max(COARSE_MM, s) for s in bones.spacing)
        self.coarse = bones.resample(spacing, labels=True)
        self.pad = [int(np.ceil(HULL_MM / s)) + 2 for s in spacing]
        padded = np.pad(self.coarse.array, [(p, p) for p in self.pad], mode="edge")  # shafts run on
        numbers = np.unique(padded[padded > 0])
        each = [edt.edt(padded != n, anisotropy=spacing, parallel=0) for n in numbers]
        each += [np.full(padded.shape, FAR_MM, np.float32)] * max(0, 2 - len(each))
        nearest = np.sort(np.stack([np.minimum(d, FAR_MM) for d in each]), axis=0)
        self.near, self.second = nearest[0], nearest[1]

    def inner(self, padded: np.ndarray) -> np.ndarray:
        """Cut the padding off."""
        return padded[tuple(slice(p, p + n) for p, n in zip(self.pad, self.coarse.shape, strict=True))]

    def up(self, field: np.ndarray) -> np.ndarray:
        """Interpolate a coarse field linearly onto the fine grid, float32."""
        import SimpleITK as sitk

        resample = sitk.ResampleImageFilter()
        resample.SetReferenceImage(self.fine.to_sitk())
        resample.SetInterpolator(sitk.sitkLinear)
        resample.UseNearestNeighborExtrapolatorOn()
        source = self.coarse.with_array(np.ascontiguousarray(field, np.float32)).to_sitk()
        return sitk.GetArrayFromImage(resample.Execute(source))

    def noise(self, mm: float) -> np.ndarray:
        """Draw smooth noise on the coarse grid that changes over about ``mm``, mean 0, deviation 1."""
        knots = [max(4, int(np.ceil(n * s / mm)) + 3) for n, s in zip(self.coarse.shape, self.coarse.spacing, strict=True)]
        drawn = self.rng.standard_normal(knots)
        at = np.meshgrid(
            *[1 + np.arange(n) * s / mm for n, s in zip(self.coarse.shape, self.coarse.spacing, strict=True)],
            indexing="ij",
            sparse=True,
        )
        at = np.stack(np.broadcast_arrays(*at))
        return (ndi.map_coordinates(drawn, at, order=3, mode="nearest") / 0.62).astype(np.float32)

    def cells(self, mm: float, stretch: float) -> np.ndarray:
        """Divide space into random cells ``mm`` wide and ``stretch`` times as long along the body axis.

        Gives, on the coarse grid, half the difference of the distances to the two nearest cell centers:
        about the distance to the wall between two cells, as of the fat between two muscles.
        """
        squeeze = np.array([1, 1, 1 / stretch])
        points = self.coarse.points(np.argwhere(np.ones(self.coarse.shape, bool))) * squeeze
        low, high = points.min(0) - mm, points.max(0) + mm
        count = max(4, int(np.prod(high - low) / mm**3))
        centers = self.rng.uniform(low, high, (count, 3))
        distance = cKDTree(centers).query(points, k=2)[0]
        return ((distance[:, 1] - distance[:, 0]) / 2).reshape(self.coarse.shape).astype(np.float32)

    def skin_depth(self, margin: tuple[float, float]) -> np.ndarray:
        """Depth below the skin in mm on the coarse grid, negative outside the body."""
        spacing = self.coarse.spacing
        hull = self.near < HULL_MM
        signed = edt.edt(hull, anisotropy=spacing, parallel=0) - edt.edt(~hull, anisotropy=spacing, parallel=0)
        index = np.argwhere(self.coarse.array > 0)
        middle = self.coarse.points(index)[:, 1].mean()
        back = np.zeros(self.coarse.shape, np.float32) + self._y() - np.float32(middle)
        share = _smoothstep(back, -25.0, 45.0)
        front, rear = margin
        thickness = (front + (rear - front) * share) * (0.85 + 0.3 * _smoothstep(self.inner(self.second), 15, 60))
        return self.inner(signed) - HULL_MM + thickness

    def _y(self) -> np.ndarray:
        """LPS y (to the back) of each coarse voxel, broadcast."""
        steps = self.coarse.affine[1]
        axes = np.ogrid[tuple(slice(n) for n in self.coarse.shape)]
        return sum(a * s for a, s in zip(axes, steps[:3], strict=True)) + steps[3]


def _smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _add_flesh(tissue: np.ndarray, fields: _Fields, flesh: Flesh, outside: np.ndarray) -> None:
    """Fill everything round the bones with skin, fat, fascia, muscle, tendon, cartilage and fluid."""
    depth = fields.skin_depth(flesh.margin)
    layer = flesh.skin_fat * (1 + 0.3 * fields.noise(35.0))
    patch = fields.noise(9.0)
    second = fields.inner(fields.second)
    # Close to the bones of a joint there is fat and capsule, farther off muscle.
    joint = (1 - _smoothstep(second, 16, 50)) * (1 - _smoothstep(fields.inner(fields.near), 5, 18))
    fatty = fields.up(0.25 * patch + joint - 0.5)
    below = fields.up(depth - layer)
    wall = fields.up(fields.cells(26.0, 4.0))
    lobe = fields.up(fields.cells(7.0, 1.5))
    depth = fields.up(depth)
    code = CODES
    tissue[depth > 0] = code["skin"]
    tissue[depth > 1.8] = code["fat"]
    tissue[(depth > 1.8) & (below < 0) & (lobe < 0.12)] = code["tendon"]  # the fibrous septa of fat
    tissue[below > 0] = code["tendon"]  # the fascia round all muscles
    inner = below > 0.6
    fat = inner & ((fatty > 0) | (wall < 0.55 + 0.5 * np.clip(fatty + 0.5, 0, 1)))
    tissue[inner] = code["muscle"]
    tissue[fat] = code["fat"]
    tissue[fat & (fatty > 0) & (lobe < 0.12)] = code["tendon"]
    patch = fields.up(fields.noise(12.0))
    tissue[inner & (outside < 3.0 * patch - 1.0)] = code["fat"]  # fat that lies on the cortex
    patch = fields.up(fields.noise(12.0))
    tissue[inner & (outside < 1.8 * patch - 1.2)] = code["tendon"]
    if flesh.cartilage > 0:
        gap = fields.up(fields.inner(fields.near + fields.second))
        facing = (gap < 2 * flesh.cartilage + 4.0) & (outside > 0)
        tissue[facing] = code["fluid"]
        tissue[facing & (outside < flesh.cartilage)] = code["cartilage"]


def _draw_band(tissue: np.ndarray, grid: Volume, band: Band) -> None:
    """Write the code of a band into all voxels within its radius."""
    points = np.asarray(band.points, float)
    for a, b in zip(points[:-1], points[1:], strict=True):
        corners = grid.index(np.array([a, b]))
        reach = band.radius / np.array(grid.spacing) + 1
        low = np.clip(np.floor(corners.min(0) - reach), 0, grid.shape).astype(int)
        high = np.clip(np.ceil(corners.max(0) + reach) + 1, 0, grid.shape).astype(int)
        if (high <= low).any():
            continue
        box = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        index = np.argwhere(np.ones(high - low, bool)) + low
        place = grid.points(index)
        along = np.clip((place - a) @ (b - a) / max(1e-9, (b - a) @ (b - a)), 0, 1)
        away = np.linalg.norm(place - a - along[:, None] * (b - a), axis=1)
        tissue[box][(away <= band.radius).reshape(high - low)] = CODES[band.tissue]


def _add_bones(
    tissue: np.ndarray, bones: Volume, fields: _Fields, cortex: float | tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Write cortex and marrow into the bones and give the texture of all tissues."""
    bone = bones.array > 0
    depth = edt.edt(bones.array, anisotropy=bones.spacing, parallel=0) - min(bones.spacing) / 2
    second = fields.inner(fields.second)
    varied = np.size(cortex) == 2
    tissue[bone] = CODES["marrow"]
    if varied:
        joint, shaft = cortex
        thickness = (joint + (shaft - joint) * _smoothstep(second, 12, 55)) * (1 + 0.22 * fields.noise(5.0))
        scar = fields.up(second + 2.5 * fields.noise(15.0) - 24.0)
        tissue[bone & (np.abs(scar) < 0.45)] = CODES["scar"]  # where the growth plate has closed
        shell = bone & (depth <= fields.up(np.maximum(thickness, 0.3 * joint)))
    else:
        shell = bone & (depth <= float(np.ravel(cortex)[0]))
    tissue[shell] = CODES["cortex"]
    if varied:
        _pierce(tissue, bones, depth, rng)
    noise = _fine_noise(bones, rng)
    noise += 0.7 * fields.up(fields.noise(6.0))
    amplitude = np.array([t.texture for t in TISSUES.values()], np.float32)
    noise *= amplitude[tissue]
    noise += 1
    # Trabeculae are densest just below the cortex and leave less room for marrow.
    noise[bone] *= 1 - 0.2 * np.exp(-depth[bone] / 3)
    return np.maximum(noise, 0.1)


def _fine_noise(grid: Volume, rng: np.random.Generator, mm: float = 0.45) -> np.ndarray:
    """Draw noise of about the size of trabeculae on the fine grid, mean 0, deviation 1."""
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = [mm / s for s in grid.spacing]
    noise = ndi.gaussian_filter(noise, sigma, truncate=2.5, mode="wrap")
    return noise / max(1e-6, float(noise.std()))


def _pierce(tissue: np.ndarray, bones: Volume, depth: np.ndarray, rng: np.random.Generator) -> None:
    """Open the cortex at some places with canals of vessels, about one in 4 cm² of surface, 1.5 mm wide."""
    surface = np.argwhere((depth > 0) & (depth <= 1.2 * max(bones.spacing)))
    area = len(surface) * np.prod(bones.spacing) / (1.2 * max(bones.spacing))
    if len(surface) == 0:
        return
    for middle in surface[rng.integers(len(surface), size=int(area / 400))]:
        reach = np.ceil(5.0 / np.array(bones.spacing)).astype(int)
        low, high = np.maximum(middle - reach, 0), np.minimum(middle + reach + 1, bones.shape)
        box = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        inward = np.array([np.mean(g) for g in np.gradient(depth[box], *bones.spacing)])
        inward /= max(1e-9, np.linalg.norm(inward))
        away = (np.argwhere(np.ones(high - low, bool)) + low - middle) * np.array(bones.spacing)
        aside = np.linalg.norm(away - (away @ inward)[:, None] * inward, axis=1).reshape(high - low)
        part = tissue[box]
        part[(aside < 0.75) & (part == CODES["cortex"])] = CODES["fat"]
