"""From bones on a grid to a whole body part: cortex, marrow, cartilage, muscle, fat, tendon and skin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import edt
import numpy as np

from ..errors import InputError
from ..volume import Volume
from .fields import Fields, coordinates, fine_noise, smoothstep
from .tissue import CODES, TISSUES

Thickness = Callable[[Sequence[np.ndarray]], np.ndarray]  # x, y and z in mm to mm


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class Band:
    """Hold a tendon, ligament or vessel: a tube of one tissue along points in mm (K, 3), LPS."""

    tissue: str
    points: np.ndarray
    radius: float


@dataclass(frozen=True, eq=False)
class Flesh:
    """Hold what surrounds the bones; all lengths in mm.

    Parameters
    ----------
    margin
        Depth of soft tissue in front of the bones and behind them.
    skin_fat
        Mean thickness of the fat under the skin.
    cartilage
        Thickness of the cartilage drawn where two bones face each other; 0 where the labels hold it.
    joint_fat
        Whether fat and capsule fill the room between bones that are near each other, as at a joint, or
        muscle does, as between the bones of the forearm.
    bands
        Tendons, ligaments and vessels, drawn in this order.
    trunk
        A solid (x, y, z in mm to signed distance in mm) that the body fills as well; or None.
    """

    margin: tuple[float, float] = (25.0, 25.0)
    skin_fat: float = 7.0
    cartilage: float = 2.0
    joint_fat: bool = True
    bands: Sequence[Band] = ()
    trunk: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None


def build_body(
    labels: Volume,
    tissues: Mapping[int, str],
    *,
    cortex: float | tuple[float, float] | Thickness = 1.5,
    marrow: str = "marrow",
    flesh: Flesh | None = Flesh(),
    seed: int = 0,
) -> Body:
    """Build a body part round labeled bones.

    Parameters
    ----------
    labels
        Label map of whole numbers 0 to 254; 0 is filled with soft tissue.
    tissues
        What each label is: ``"bone"`` (cortex outside, marrow inside, counted in the truth) or a name
        of ``TISSUES``.
    cortex
        Thickness of the cortical shell in mm, inside the bone's label. Two numbers, at the joint and on
        the shaft, make it vary between them, with thin spots, canals of vessels and the scars of
        growth plates, as in life; so does a function of x, y and z in mm that gives it.
    marrow
        Tissue inside the bones: "marrow" (yellow) or "red_marrow".
    flesh
        What surrounds the bones; None leaves air, as round a dry specimen.
    seed
        Seed of all that is random in the anatomy.

    Returns
    -------
    Body
        On the grid of ``labels``.

    Raises
    ------
    InputError
        A label without a tissue, an unknown tissue, or a thickness outside 0 to 20 mm.
    """
    _check(labels, tissues, cortex, marrow)
    rng = np.random.default_rng([seed, 1])
    is_bone = np.zeros(256, np.uint8)
    is_bone[[n for n, name in tissues.items() if name == "bone"]] = 1
    whole = labels.array.astype(np.uint8)
    bones = labels.with_array(whole * is_bone[whole], name="truth", meta={})
    fields = Fields(bones, rng)
    tissue = np.full(labels.shape, CODES["air"], np.uint8)
    grain = fine_noise(bones, rng)
    if flesh is not None:
        _add_flesh(tissue, fields, flesh, grain)
    if not np.any(whole != bones.array) and flesh is not None and flesh.cartilage > 0:
        _add_cartilage(tissue, fields, flesh.cartilage)
    for number, name in tissues.items():
        if name == "cartilage" and flesh is not None:
            _add_film(tissue, whole == number, labels.spacing)
        if name != "bone":
            tissue[whole == number] = CODES[name]
    texture = _add_bones(tissue, fields, cortex, marrow, grain)
    return Body(labels.with_array(tissue, name="tissue", meta={}), bones, texture)


def _check(
    labels: Volume, tissues: Mapping[int, str], cortex: float | tuple[float, float] | Thickness, marrow: str
) -> None:
    """Refuse what would build a body without saying so that something is missing."""
    low, high = labels.array.min(), labels.array.max()
    if labels.array.dtype.kind not in "iub" or low < 0 or high > 254:
        raise InputError(f"labels of {labels.array.dtype} from {low} to {high}: expected whole numbers from 0 to 254")
    present = set(np.flatnonzero(np.bincount(labels.array.ravel())).tolist()) - {0}
    if missing := sorted(present - set(tissues)):
        raise InputError(f"labels {missing}: no tissue given for them; name one for each")
    for name in [*tissues.values(), marrow]:
        if name != "bone" and name not in TISSUES:
            raise InputError(f"tissue {name!r}: expected 'bone' or one of {', '.join(TISSUES)}")
    if callable(cortex):
        return
    if np.size(cortex) not in (1, 2) or not all(np.isfinite(t) and 0 <= t <= 20 for t in np.ravel(cortex)):
        raise InputError(f"cortex={cortex} mm: expected 0 to 20, or two such numbers (at the joint, on the shaft)")


def _add_flesh(tissue: np.ndarray, fields: Fields, flesh: Flesh, grain: np.ndarray) -> None:
    """Fill everything round the bones with skin, fat, fascia, muscle and tendon.

    Fine noise, ``grain``, frays each border: smooth ones would show as steps in thick slices.
    """
    code = CODES
    depth = fields.skin_depth(flesh.margin)
    if flesh.trunk is not None:
        depth = np.maximum(depth, -flesh.trunk(coordinates(fields.coarse)))
    below = fields.up(depth - flesh.skin_fat * (1 + 0.3 * fields.noise(35.0)))  # mm below the fascia
    depth = fields.up(depth)
    # Close to the bones of a joint there is fat and capsule, farther off muscle.
    joint = (1 - smoothstep(fields.second, 16, 50)) * (1 - smoothstep(fields.near, 3, 13)) * np.float32(flesh.joint_fat)
    fatty = fields.up(0.25 * fields.noise(9.0) + joint - 0.5)
    wall = fields.up(fields.cells(26.0, 4.0) + 0.4 * fields.noise(12.0))
    strand = fields.up(fields.cells(5.0, 9.0))
    lobe = fields.up(fields.cells(7.0, 1.5))
    near = fields.up(fields.near)
    near += np.float32(0.15) * grain
    below += np.float32(0.15) * grain
    wall += np.float32(0.07) * grain
    fatty += np.float32(0.03) * grain
    tissue[depth > 0] = code["skin"]
    tissue[depth > 1.8] = code["fat"]
    inner = below > 0.6
    tissue[inner] = code["muscle"]
    fat = inner & ((wall < 0.5) | (strand < 0.07))
    fat |= inner & (fatty > 0)
    tissue[fat] = code["fat"]
    tissue[(depth > 1.8) & (lobe < 0.12) & ((below < 0) | (fatty > 0))] = code["tendon"]  # fibrous septa of fat
    tissue[(below > 0) & ~inner] = code["tendon"]  # the fascia round all muscles
    patch = fields.up(fields.noise(12.0))
    tissue[inner & (near < 3.0 * patch - 1.0)] = code["fat"]  # fat that lies on the cortex
    patch = fields.up(fields.noise(12.0))
    tissue[inner & (near < 1.8 * patch - 1.2)] = code["tendon"]
    for band in flesh.bands:
        _draw_band(tissue, fields.fine, band)


def _add_cartilage(tissue: np.ndarray, fields: Fields, thickness: float) -> None:
    """Cover bones with cartilage where another bone faces them, with joint fluid between."""
    bones = fields.fine
    facing = (fields.up(fields.near + fields.second) < 2 * thickness + 3.0) & (bones.array == 0)
    away = edt.edt(bones.array == 0, anisotropy=bones.spacing, parallel=0) - min(bones.spacing) / 2
    tissue[facing] = CODES["fluid"]
    tissue[facing & (away < thickness)] = CODES["cartilage"]


def _add_film(tissue: np.ndarray, cartilage: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Wet the surface of given cartilage with a film of joint fluid, 0.6 mm thick."""
    where = [np.flatnonzero(cartilage.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    if not len(where[0]):
        return
    box = tuple(slice(max(0, w[0] - 3), w[-1] + 4) for w in where)
    tissue[box][edt.edt(~cartilage[box], anisotropy=spacing) < 0.6 + min(spacing) / 2] = CODES["fluid"]


def _draw_band(tissue: np.ndarray, grid: Volume, band: Band) -> None:
    """Write the code of a band into all voxels below the skin within its radius."""
    points = np.asarray(band.points, float)
    for a, b in zip(points[:-1], points[1:], strict=True):
        corners = grid.index(np.array([a, b]))
        reach = band.radius / np.array(grid.spacing) + 1
        low = np.clip(np.floor(corners.min(0) - reach), 0, grid.shape).astype(int)
        high = np.clip(np.ceil(corners.max(0) + reach) + 1, 0, grid.shape).astype(int)
        if (high <= low).any():
            continue
        box = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        place = [c - p for c, p in zip(coordinates(grid.crop(box)), a, strict=True)]
        line = b - a
        along = np.clip(sum(p * v for p, v in zip(place, line, strict=True)) / max(1e-9, line @ line), 0, 1)
        away = sum((p - along * v) ** 2 for p, v in zip(place, line, strict=True))
        part = tissue[box]
        part[(away <= band.radius**2) & (part > CODES["skin"])] = CODES[band.tissue]


def _add_bones(
    tissue: np.ndarray, fields: Fields, cortex: float | tuple[float, float] | Thickness, marrow: str, grain: np.ndarray
) -> np.ndarray:
    """Write cortex and marrow into the bones and give the texture of all tissues."""
    bones = fields.fine
    bone = bones.array > 0
    depth = edt.edt(bones.array, anisotropy=bones.spacing, parallel=0) - min(bones.spacing) / 2
    tissue[bone] = CODES[marrow]
    if callable(cortex) or np.size(cortex) == 2:
        if callable(cortex):
            mean = least = cortex(coordinates(fields.coarse))
        else:
            least, shaft = cortex
            mean = least + (shaft - least) * smoothstep(fields.second, 12, 55)
        thickness = mean * (1 + 0.22 * fields.noise(5.0))
        # A thin plate of bone keeps marrow between its two tables.
        thickness = np.minimum(thickness, 0.45 * fields.half_width() + 0.2)
        scar = np.abs(fields.up(fields.second + 2.5 * fields.noise(15.0) - 24.0))
        tissue[bone & (scar < 0.45)] = CODES["scar"]  # where the growth plate has closed
        thickness = fields.up(np.maximum(thickness, 0.3 * least))
        tissue[bone & (depth <= thickness * (1 + np.float32(0.1) * grain))] = CODES["cortex"]
        _pierce(tissue, bones, depth, fields.rng)
    else:
        tissue[bone & (depth <= float(np.ravel(cortex)[0]))] = CODES["cortex"]
    texture = fields.up(0.7 * fields.noise(6.0))
    texture += grain
    texture *= np.array([t.texture for t in TISSUES.values()], np.float32)[tissue]
    texture += 1
    # Trabeculae are densest just below the cortex and leave less room for marrow.
    texture[bone] *= 1 - 0.2 * np.exp(depth[bone] / -3)
    return np.maximum(texture, 0.1, out=texture)


def _pierce(tissue: np.ndarray, bones: Volume, depth: np.ndarray, rng: np.random.Generator) -> None:
    """Open the cortex with canals of vessels 1.5 mm wide, about one in 4 cm² of surface."""
    layer = 1.2 * max(bones.spacing)
    surface = np.argwhere((depth > 0) & (depth <= layer))
    area = len(surface) * np.prod(bones.spacing) / layer
    if len(surface) == 0:
        return
    spacing = np.array(bones.spacing)
    reach = np.ceil(5.0 / spacing).astype(int)
    for middle in surface[rng.integers(len(surface), size=int(area / 400))]:
        low, high = np.maximum(middle - reach, 0), np.minimum(middle + reach + 1, bones.shape)
        box = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        inward = np.array([np.diff(depth[box], axis=k).mean() if depth[box].shape[k] > 1 else 0 for k in range(3)])
        inward /= spacing
        inward /= max(1e-9, np.linalg.norm(inward))
        index = np.ogrid[tuple(slice(i, j) for i, j in zip(low, high, strict=True))]
        away = [(i - m) * s for i, m, s in zip(index, middle, spacing, strict=True)]
        along = sum(a * v for a, v in zip(away, inward, strict=True))
        aside = sum((a - along * v) ** 2 for a, v in zip(away, inward, strict=True))
        part = tissue[box]
        part[(aside < 0.75**2) & (part == CODES["cortex"])] = CODES["fat"]
