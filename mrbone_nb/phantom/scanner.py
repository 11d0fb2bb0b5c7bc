"""The scanner: slices of a body part with all that a scanner adds to it.

Order as in life: the voxel averages what lies in it, fat is shifted along the readout, metal and
motion displace, the coil weights, and noise is added to the complex signal before its magnitude is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage as ndi

from ..errors import InputError
from ..volume import Volume
from .anatomy import Body, Flesh, build_body
from .artifacts import Metal, add_metal, add_motion, add_noise, coil
from .tissue import CODES, FAT_SHIFT_PPM, GYROMAGNETIC_MHZ_PER_T, Sequence, find_sequence, signal_tables

# Directions of (column, row, plane) as columns, LPS, in the standard planes.
PLANES = {
    "sagittal": np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], float),
    "coronal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float),
    "axial": np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], float),
}


class Phantom(NamedTuple):
    """Hold a simulated scan and its truth on the same grid."""

    volume: Volume
    truth: Volume


def scan(
    body: Body,
    sequence: str | Sequence = "t1",
    *,
    spacing: tuple[float, float, float] | None = None,
    plane: Literal["native", "sagittal", "coronal", "axial"] = "native",
    tilt: tuple[float, float] = (0.0, 0.0),
    grid: Volume | None = None,
    field: float = 3.0,
    noise: float = 0.02,
    bias: float = 0.25,
    shift: float | None = None,
    blur: float = 0.4,
    motion: float = 0.0,
    metal: Metal | None = None,
    seed: int = 0,
) -> Phantom:
    """Scan a body part.

    Parameters
    ----------
    body
        What ``build_body``, ``knee_body`` … made.
    sequence
        A name of ``SEQUENCES`` or an own ``Sequence``.
    spacing
        Slice thickness, row and column spacing in mm; by default the body's own grid.
    plane
        Orientation of the slices; "native" keeps the axes of the body's grid.
    tilt
        Turn of the slices about the row and then the column direction, degrees.
    grid
        Scan exactly this grid; overrides ``spacing``, ``plane`` and ``tilt``.
    field
        Field strength in T, 1.5 or 3.
    noise
        Standard deviation of the noise in each channel, relative to the brightest of muscle, fat,
        marrow and cartilage (which give 1000).
    bias
        How much brighter the coil sees its nearest corner than the mean: 0.25 means from 1/1.25 to 1.25.
    shift
        Chemical shift of fat along the rows in mm; by default what follows from the field, the
        bandwidth of the sequence and the column spacing.
    blur
        Width of the point spread within the slice, standard deviation in voxels.
    motion
        Amplitude in mm of a periodic motion along the columns, which makes ghosts.
    metal
        An implant, or None.
    seed
        Seed of the noise and the coil.

    Returns
    -------
    Phantom
        ``volume`` float32 and ``truth`` uint8 (the label that fills most of the voxel) on one grid.

    Raises
    ------
    InputError
        An unknown name or a number out of its range.
    """
    _check(noise=noise, bias=bias, blur=blur, motion=motion)
    settings = find_sequence(sequence)
    target = grid if grid is not None else scan_grid(body.tissue, spacing, plane, tilt)
    if shift is None:
        shift = FAT_SHIFT_PPM * GYROMAGNETIC_MHZ_PER_T * field / settings.bandwidth * target.spacing[2]
    image = _echo(body, settings, field, target, shift)
    if metal is not None:
        image = add_metal(image, target, metal, settings, field)
    if blur > 0:
        image = ndi.gaussian_filter(image, (0, blur, blur), truncate=3)
    if motion > 0:
        image = add_motion(image, target.spacing[1], motion)
    image *= coil(target, body.tissue, bias, np.random.default_rng([seed, 2]))
    # Slices of one seed but at different places get different noise.
    image = add_noise(image, 1000 * noise, np.random.default_rng([seed, 5, *place_key(target)]))
    meta = _meta(sequence, settings, field, noise, shift)
    volume = target.with_array(image, name=f"phantom_{meta['sequence']}", meta=meta)
    return Phantom(volume, target.with_array(average_labels(body.bones, target), name="truth", meta={}))


def place_key(grid: Volume) -> list[int]:
    """Whole numbers that stand for the place of a grid, the same on every machine."""
    return np.rint(np.abs(grid.affine[:3].ravel()) * 1000 + (grid.affine[:3].ravel() < 0)).astype(int).tolist()


def simulate(
    labels: Volume,
    tissues: Mapping[int, str],
    sequence: str | Sequence = "t1",
    *,
    spacing: tuple[float, float, float] | None = None,
    plane: str = "native",
    cortex: float | tuple[float, float] = 1.5,
    flesh: Flesh | None = Flesh(),
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Build a body round a label map and scan it: ``build_body`` and ``scan`` in one call.

    Parameters as of these two. ``label_meshes`` makes a label map of meshes. For several sequences of
    one body, or for more settings, call the two.

    Examples
    --------
    >>> import numpy as np
    >>> from mrbone_nb import Volume
    >>> from mrbone_nb.phantom import simulate
    >>> box = np.zeros((12, 20, 20), np.uint8)
    >>> box[3:9, 5:15, 5:15] = 7
    >>> scan = simulate(Volume(box, (2.0, 1.0, 1.0)), {7: "bone"}, "pdfs")
    >>> int((scan.truth.array == 7).sum())
    600
    """
    body = build_body(labels, tissues, cortex=cortex, flesh=flesh, seed=seed)
    return scan(body, sequence, spacing=spacing, plane=plane, noise=noise, bias=bias, seed=seed)


def scan_radial(
    body: Body,
    sequence: str | Sequence = "t1",
    *,
    center: tuple[float, float, float],
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
    slices: int = 12,
    spacing: tuple[float, float, float] = (3.0, 0.6, 0.6),
    width: float = 140.0,
    height: float = 140.0,
    field: float = 3.0,
    noise: float = 0.02,
    bias: float = 0.25,
    seed: int = 0,
) -> list[Phantom]:
    """Scan slices that turn about a common axis, as for the acetabular rim or the menisci.

    Parameters
    ----------
    center
        A point on the axis in mm (LPS); it becomes the center of each slice.
    axis
        Direction of the axis; it runs up each slice.
    slices
        How many, spread over 180°.
    spacing
        Slice thickness, row and column spacing in mm.
    width, height
        Of each slice in mm.

    The others as of ``scan``.

    Returns
    -------
    list of Phantom
        One slice each, with its own geometry, from the same coil.

    Raises
    ------
    InputError
        An axis of length 0, or less than one slice.
    """
    length = float(np.linalg.norm(axis))
    if not (np.isfinite(length) and length > 0) or slices < 1:
        raise InputError(f"axis={axis}, slices={slices}: expected a direction and at least one slice")
    down = -np.asarray(axis, float) / length
    across = np.cross(np.eye(3)[np.argmin(np.abs(down))], down)
    across /= np.linalg.norm(across)
    size = [max(1, round(v / s)) for v, s in ((height, spacing[1]), (width, spacing[2]))]
    found = []
    for k in range(slices):
        right = _turn(down, np.pi * k / slices) @ across
        axes = np.stack([right, down, np.cross(right, down)], axis=1)
        half = (np.array(size[::-1]) - 1) / 2 * np.array(spacing)[:0:-1]
        origin = np.asarray(center, float) - axes[:, :2] @ half
        grid = Volume(np.zeros((1, *size), np.uint8), spacing, tuple(origin), tuple(axes.ravel()))
        one = scan(body, sequence, grid=grid, field=field, noise=noise, bias=bias, seed=seed)
        found.append(one)
    return found


def _check(**values: float) -> None:
    tops = dict(noise=1.0, bias=5.0, blur=5.0, motion=20.0)
    for name, value in values.items():
        if not (np.isfinite(value) and 0 <= value <= tops[name]):
            raise InputError(f"{name}={value}: expected 0 to {tops[name]:g}")


def _meta(name: str | Sequence, settings: Sequence, field: float, noise: float, shift: float) -> dict:
    """The facts on the acquisition, under the names that a scan read from files has, and those of the simulation."""
    water, fat = signal_tables(settings, field)
    marrow, muscle = ((water + fat)[CODES[tissue]] for tissue in ("marrow", "muscle"))
    return {
        "modality": "MR",
        "sequence": name if isinstance(name, str) else "own",
        "echo_time_ms": settings.te,
        "repetition_time_ms": settings.tr,
        "flip_angle_deg": settings.flip,
        "fat_suppressed": settings.fat < 0.5 or settings.kind == "inversion recovery",
        "marrow": "bright" if marrow > muscle else "dark",
        "marrow_why": f"it gives {marrow:.0f} and muscle {muscle:.0f} in the simulation",
        "field_strength_t": field,
        "settings": settings,
        "noise_sigma": 1000 * noise,
        "fat_shift_mm": shift,
    }


def scan_grid(
    body: Volume,
    spacing: tuple[float, float, float] | None = None,
    plane: str = "native",
    tilt: tuple[float, float] = (0.0, 0.0),
) -> Volume:
    """Place slices so that they cover a body's grid; gives an empty Volume of uint8."""
    if plane != "native" and plane not in PLANES:
        raise InputError(f"plane={plane!r}: expected native, {', '.join(PLANES)}")
    if plane == "native" and spacing is None and tilt == (0.0, 0.0):
        return body.with_array(np.zeros(body.shape, np.uint8))
    axes = np.reshape(body.direction, (3, 3)) if plane == "native" else PLANES[plane]
    for angle, about in zip(np.deg2rad(tilt), (1, 0), strict=True):
        axes = _turn(axes[:, about], angle) @ axes
    own = np.abs(np.reshape(body.direction, (3, 3)).T @ axes)
    spacing = spacing or tuple((np.array(body.spacing)[::-1] @ own)[::-1])
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"spacing={spacing} mm: expected three positive numbers (plane, row, column)")
    step = np.array(spacing)[::-1]
    reach = np.array(body.shape)[::-1] * np.array(body.spacing)[::-1] @ own
    size = np.maximum(1, np.floor(reach / step + 1e-6)).astype(int)
    middle = body.points([(np.array(body.shape) - 1) / 2])[0]
    origin = middle - axes @ ((size - 1) / 2 * step)
    return Volume(np.zeros(size[::-1], np.uint8), tuple(step[::-1]), tuple(origin), tuple(axes.ravel()))


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix about a unit vector (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _echo(body: Body, settings: Sequence, field: float, target: Volume, shift: float) -> np.ndarray:
    """Signal of water and shifted fat on the scan's grid, without artifacts."""
    water, fat = (table[body.tissue.array] * body.texture for table in signal_tables(settings, field))
    along_rows = np.reshape(target.direction, (3, 3))[:, 0]
    displaced = Volume(
        fat, body.tissue.spacing, tuple(np.array(body.tissue.origin) + shift * along_rows), body.tissue.direction
    )
    return average(body.tissue.with_array(water), target) + average(displaced, target)


def _parts(source: Volume, target: Volume) -> list[int]:
    """How many samples a voxel of the scan needs along each of its axes to see each voxel of the body."""
    turn = np.abs(np.reshape(target.direction, (3, 3)).T @ np.reshape(source.direction, (3, 3)))
    fine = turn @ np.array(source.spacing)[::-1]
    parts = np.ceil(np.array(target.spacing)[::-1] / fine - 0.01)
    return np.maximum(1, parts).astype(int)[::-1].tolist()


def _fine_grid(target: Volume, parts: list[int]):
    """The scan's grid divided into parts, as an empty SimpleITK image."""
    import SimpleITK as sitk

    step = np.array(target.spacing) / parts
    first = [[(1 / n - 1) / 2 for n in parts]]
    image = sitk.Image([int(n * p) for n, p in zip(target.shape[::-1], parts[::-1], strict=True)], sitk.sitkUInt8)
    image.SetSpacing(step[::-1].tolist())
    image.SetOrigin(target.points(first)[0].tolist())
    image.SetDirection(target.direction)
    return image


def average(source: Volume, target: Volume) -> np.ndarray:
    """Average a fine image over each voxel of the scan, float32: this is the partial volume effect."""
    import SimpleITK as sitk

    if source.same_grid(target):
        return np.array(source.array, np.float32)
    parts = _parts(source, target)
    fine = sitk.Resample(source.to_sitk(), _fine_grid(target, parts), sitk.Transform(), sitk.sitkLinear, 0.0)
    return _blocks(sitk.GetArrayViewFromImage(fine), target.shape, parts).mean(axis=(1, 3, 5), dtype=np.float32)


def _blocks(array: np.ndarray, shape: tuple[int, int, int], parts: list[int]) -> np.ndarray:
    """View an array divided into parts as (P, parts, M, parts, N, parts)."""
    return array.reshape([n for pair in zip(shape, parts, strict=True) for n in pair])


def average_labels(bones: Volume, target: Volume) -> np.ndarray:
    """Give each voxel of the scan the label that fills most of it."""
    import SimpleITK as sitk

    if bones.same_grid(target):
        return np.array(bones.array)
    parts = _parts(bones, target)
    fine = sitk.Resample(bones.to_sitk(), _fine_grid(target, parts), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    blocks = _blocks(sitk.GetArrayViewFromImage(fine), target.shape, parts)
    if np.prod(parts) == 1:
        return np.array(blocks.reshape(target.shape))
    most, truth = np.zeros(target.shape, np.int32), np.zeros(target.shape, np.uint8)
    # Of two labels that fill just as much, each wins in every other voxel: else one would grow.
    i, j, k = (index.astype(np.uint8) for index in np.ogrid[tuple(slice(n) for n in target.shape)])
    odd = (i + j + k) % 2 == 1
    for number in np.unique(bones.array):
        count = (blocks == number).sum(axis=(1, 3, 5), dtype=np.int32)
        truth[(count > most) | ((count == most) & odd & (count > 0))] = number
        np.maximum(most, count, out=most)
    return truth
