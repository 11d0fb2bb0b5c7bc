"""Several sequences of one joint as the channels of one image, checked and, if asked, registered.

Two sequences of one sitting lie in the same frame only as long as nobody moved. So what the headers say
is checked first, and a motion that registration found is told in mm and degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError
from .volume import Volume

LEVELS_MM = (6.0, 3.0, 1.5)  # voxels of the pyramid, coarse to fine; finer ones would add time, not accuracy
BINS = 32
SAMPLES = 60_000  # voxels per level that the similarity is measured on
LARGEST_MM, LARGEST_DEG = 40.0, 20.0  # more is another joint or a failed search
LEAST_WIDTH_MM = 8.0  # thinner scans do not tell how they are turned


@dataclass(frozen=True, eq=False)
class Motion:
    """Hold the rigid motion that brings one scan onto another.

    Parameters
    ----------
    matrix
        4 × 4, LPS mm: where a point of the reference lies in the other scan.
    shift_mm
        How far the middle of the reference moves, (x, y, z).
    angle_deg
        Turn about one axis.
    similarity
        Mutual information before and after, in nats.
    """

    matrix: np.ndarray
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angle_deg: float = 0.0
    similarity: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        x, y, z = self.shift_mm
        return f"moved by ({x:.2f}, {y:.2f}, {z:.2f}) mm and turned by {self.angle_deg:.2f}°"

    def apply(self, volume: Volume) -> Volume:
        """Move a scan onto the reference, without interpolation: only its place in space changes."""
        turn, shift = self.matrix[:3, :3], self.matrix[:3, 3]
        direction = turn.T @ np.reshape(volume.direction, (3, 3))
        return replace(volume, origin=turn.T @ (np.array(volume.origin) - shift), direction=direction.ravel())


def as_channels(
    volumes: Sequence[Volume], *, register: bool = False, least_overlap: float = 0.5
) -> tuple[np.ndarray, Volume]:
    """Put several sequences of one joint onto the first one's grid, as channels of one image.

    Parameters
    ----------
    volumes
        Scans of the same joint; the first is the reference, so put the sharpest there.
    register
        Whether to move the others rigidly onto the first, by mutual information. Needed where the joint
        moved between the sequences or a scan lies in another frame of reference.
    least_overlap
        Share of the reference that each other scan must cover, 0 to 1.

    Returns
    -------
    tuple of numpy.ndarray and Volume
        Channels, (C, P, M, N) float32, in the order given, 0 outside a scan; and the reference, in whose
        ``meta["channels"]`` there is an entry for each: ``name``, ``covered`` (share of the reference),
        ``shift_mm`` and ``angle_deg``.

    Raises
    ------
    InputError
        No scan, something that is no image, other frames of reference without ``register``, or scans
        that do not overlap enough; the text names the scan.

    Notes
    -----
    Frames of reference are compared where ``meta["frame_hash"]`` is there for both. Registration takes some
    seconds for each scan; its random samples are seeded. Chemical shift moves fat against water by up to some
    pixels in scans of low bandwidth; registration then settles in between.

    References
    ----------
    Mattes D et al. (2003). PET-CT image registration in the chest using free-form deformations.
    doi:10.1109/TMI.2003.809072

    Examples
    --------
    >>> t1 = Volume(np.ones((4, 5, 6)), name="t1")
    >>> pd = Volume(np.full((8, 5, 6), 2.0), spacing=(0.5, 1, 1), name="pd")
    >>> channels, reference = as_channels([t1, pd])
    >>> channels.shape, reference.meta["channels"][1]["name"]
    ((2, 4, 5, 6), 'pd')
    """
    volumes = list(volumes)
    if not volumes:
        raise InputError("as_channels: no scan given; expected at least one")
    if not 0 <= least_overlap <= 1:
        raise InputError(f"least_overlap={least_overlap}: expected 0 to 1")
    for volume in volumes:
        check_image(volume, "as_channels")
    reference, layers, facts = volumes[0], [], []
    for volume in volumes:
        motion = Motion(np.eye(4))
        if volume is not reference:
            check_frame(reference, volume, register)
            _check_overlap(reference, volume, least_overlap)
            if register:
                motion = find_motion(volume, reference)
                volume = motion.apply(volume)
        covered = _check_overlap(reference, volume, least_overlap)
        if not volume.same_grid(reference):
            volume = volume.with_array(volume.array.astype(np.float32)).resample(like=reference)
        layers.append(volume.array)
        shift = [round(v, 3) for v in motion.shift_mm]
        facts.append(
            {
                "name": volume.name,
                "covered": round(covered, 3),
                "shift_mm": shift,
                "angle_deg": round(motion.angle_deg, 3),
            }
        )
    return np.stack(layers).astype(np.float32), replace(reference, meta={**reference.meta, "channels": facts})


def find_motion(moving: Volume, reference: Volume, *, seed: int = 0) -> Motion:
    """Find the rigid motion between two scans of one joint by mutual information.

    Parameters
    ----------
    moving, reference
        The scans; contrast may differ, the joint may not.
    seed
        Seed of the voxels that the similarity is measured on.

    Returns
    -------
    Motion
        From the reference to ``moving``; no motion where none makes them more similar.

    Raises
    ------
    InputError
        The scans are too thin or hold one gray value, or the search ran off (more than 40 mm or 20°).
    """
    import SimpleITK as sitk

    for volume in (moving, reference):
        width = min(n * s for n, s in zip(volume.shape, volume.spacing, strict=True))
        if width < LEAST_WIDTH_MM or min(volume.shape) < 4 or np.ptp(volume.array) == 0:
            raise InputError(
                f"{volume.name}: too thin or too uniform to be registered ({width:.3g} mm, {volume.shape})"
            )
    still = sitk.Euler3DTransform()
    still.SetCenter(_middle(reference).tolist())
    transform = sitk.Euler3DTransform(still)
    for level in LEVELS_MM:
        images = [_level(volume, level) for volume in (reference, moving)]
        method = _method(*images, seed)
        method.SetInitialTransform(transform, inPlace=True)
        try:
            method.Execute(*images)
        except RuntimeError:
            raise InputError(
                f"{moving.name}: cannot be registered to {reference.name}: they overlap too little on the way"
            ) from None
    first, last = (_similarity(*images, place, seed) for place in (still, transform))
    return _motion(still if last <= first else transform, reference, moving, (first, last))


def _motion(transform: object, reference: Volume, moving: Volume, similarity: tuple[float, float]) -> Motion:
    """Read the motion from ITK's transform, and refuse one that cannot be."""
    middle = _middle(reference)
    turn = np.reshape(transform.GetMatrix(), (3, 3))
    shift = np.array(transform.TransformPoint(middle.tolist())) - middle
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, middle + shift - turn @ middle
    angle = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    if np.linalg.norm(shift) > LARGEST_MM or angle > LARGEST_DEG:
        raise InputError(
            f"{moving.name}: registration to {reference.name} ran off ({np.linalg.norm(shift):.0f} mm, {angle:.0f}°); "
            f"expected at most {LARGEST_MM:g} mm and {LARGEST_DEG:g}°; check that both show the same joint"
        )
    return Motion(matrix, tuple(shift.tolist()), angle, similarity)


def _method(fixed: object, moving: object, seed: int) -> object:
    """Mutual information, gradient descent in small steps; all of it repeatable."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.REGULAR if fixed.GetNumberOfPixels() > SAMPLES else method.NONE)
    method.SetMetricSamplingPercentage(min(1.0, SAMPLES / fixed.GetNumberOfPixels()), seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    pixel = max(fixed.GetSpacing()[:2])
    method.SetOptimizerAsRegularStepGradientDescent(pixel, 0.004 * pixel, 120, 0.6, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _similarity(fixed: object, moving: object, transform: object, seed: int) -> float:
    method = _method(fixed, moving, seed)
    method.SetInitialTransform(transform)
    return -method.MetricEvaluate(fixed, moving)


def _level(volume: Volume, level: float) -> object:
    """A scan with voxels of at least this size in mm, brightest values cut so that they take no bins."""
    import SimpleITK as sitk

    array = volume.array.astype(np.float32)
    low, high = np.percentile(array, (0.5, 99.5))
    cut = volume.with_array(np.clip(array, low, high) if high > low else array)
    return sitk.Cast(cut.resample(tuple(max(s, level) for s in volume.spacing)).to_sitk(), sitk.sitkFloat32)


def _middle(volume: Volume) -> np.ndarray:
    return volume.points([(np.array(volume.shape) - 1) / 2])[0]


def check_image(volume: Volume, caller: str) -> None:
    """Refuse what is no scan of finite gray values."""
    if not isinstance(volume, Volume):
        raise InputError(f"{caller}: {type(volume).__name__} given; expected Volumes, as mb.read gives them")
    if volume.array.dtype.kind not in "fiub" or not np.isfinite(volume.array).all():
        raise InputError(f"{volume.name}: has values that are NaN, infinite or no numbers; replace them first")


def check_frame(reference: Volume, volume: Volume, register: bool) -> None:
    """Refuse scans whose headers say that their positions cannot be compared."""
    frames = [v.meta.get("frame_hash") for v in (reference, volume)]
    if all(frames) and frames[0] != frames[1] and not register:
        raise InputError(
            f"{volume.name}: lies in another frame of reference than {reference.name} (the patient was positioned "
            "anew between them), so places cannot be compared; say register=True"
        )


def _check_overlap(reference: Volume, volume: Volume, least: float) -> float:
    """Share of the reference that a scan covers; refuse too little of it."""
    lines = [np.linspace(0, n - 1, min(n, 24)) for n in reference.shape]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    index = volume.index(reference.points(grid))
    inside = (index > -0.51) & (index < np.array(volume.shape) - 0.49)  # to the outer faces of the voxels
    share = float(inside.all(axis=1).mean())
    if share < least:
        raise InputError(
            f"{volume.name}: covers {share:.0%} of {reference.name}; expected at least {least:.0%} (least_overlap); "
            "take scans of the same joint, the one with the smallest field of view first"
        )
    return share
