"""A scan with its place in space: the array and the geometry that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID_TOLERANCE_MM = 1e-3  # two grids whose corners lie closer than this are the same grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Hold an array of shape (P, M, N) together with its place in the scanner.

    Parameters
    ----------
    array
        Values, (plane, row, column). The volume looks at them read-only and makes no copy, so do not
        change them elsewhere.
    spacing
        Distance between voxel centers in mm, in the order of the array: (plane, row, column).
    origin
        Center of voxel [0, 0, 0] in mm, (x, y, z) in LPS as in ITK.
    direction
        Nine numbers, row by row; column k is the unit vector (LPS) along which the ITK index k
        (0 column, 1 row, 2 plane) grows.
    name
        Short name for file names and titles; holds no personal data.
    meta
        Facts on the acquisition that steps and presets may read (modality, echo time in ms, …).
    issues
        What is doubtful about this scan, one sentence each.
    files
        The files it was read from, used only to compute their hash for the record.
    accepted
        Names of the doubts that the user accepted when reading ("gap", "shear", …).
    """

    array: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY
    name: str = "scan"
    meta: Mapping[str, Any] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    accepted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 3 or 0 in array.shape:
            raise InputError(f"array of shape {array.shape}: expected (planes, rows, columns), none of them 0")
        array = array.view() if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        array.flags.writeable = False
        spacing = tuple(float(v) for v in self.spacing)
        if len(spacing) != 3 or not all(np.isfinite(v) and v > 0 for v in spacing):
            raise InputError(f"spacing={spacing} mm: expected three positive numbers (plane, row, column)")
        origin = tuple(float(v) for v in self.origin)
        if len(origin) != 3 or not np.all(np.isfinite(origin)):
            raise InputError(f"origin={origin} mm: expected three numbers (x, y, z)")
        matrix = np.asarray(self.direction, float)
        if matrix.size == 9:
            matrix = matrix.reshape(3, 3)
        if matrix.size != 9 or not np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-4):
            raise InputError(f"direction={matrix.ravel().tolist()}: expected three orthogonal unit vectors")
        for key, value in dict(
            array=array,
            spacing=spacing,
            origin=origin,
            direction=tuple(matrix.ravel().tolist()),
            meta=MappingProxyType(dict(self.meta)),
            files=tuple(self.files),
        ).items():
            object.__setattr__(self, key, value)

    def __reduce__(self) -> tuple:  # `meta` is read-only, which cannot be copied or sent to another process
        return Volume, tuple(dict(v) if f.name == "meta" else v for f in fields(self) for v in [getattr(self, f.name)])

    @classmethod
    def from_sitk(cls, image: sitk.Image, **facts: Any) -> Volume:
        """Take over a 3D SimpleITK image with its geometry."""
        import SimpleITK as sitk

        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(
                f"image with {image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} "
                "values a voxel: expected 3 dimensions and one gray value; pick one channel or time point"
            )
        return cls(
            sitk.GetArrayFromImage(image),
            spacing=image.GetSpacing()[::-1],
            origin=image.GetOrigin(),
            direction=image.GetDirection(),
            **facts,
        )

    def to_sitk(self) -> sitk.Image:
        """Give a SimpleITK image with the same voxels and geometry (bool becomes uint8)."""
        import SimpleITK as sitk

        array = self.array.astype(np.uint8) if self.array.dtype == bool else self.array
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing[::-1])
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of planes, rows and columns."""
        return self.array.shape

    @property
    def affine(self) -> np.ndarray:
        """4 × 4 matrix from array index (plane, row, column, 1) to LPS mm (x, y, z, 1)."""
        matrix = np.eye(4)
        matrix[:3, :3] = (np.reshape(self.direction, (3, 3)) * self.spacing[::-1])[:, ::-1]
        matrix[:3, 3] = self.origin
        return matrix

    def points(self, index: np.ndarray) -> np.ndarray:
        """Give LPS mm positions, (K, 3), of array indices (plane, row, column), (K, 3)."""
        return np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, points: np.ndarray) -> np.ndarray:
        """Give fractional array indices, (K, 3), of LPS mm positions, (K, 3)."""
        return np.linalg.solve(self.affine[:3, :3], (np.asarray(points, float) - self.affine[:3, 3]).T).T

    def corners(self) -> np.ndarray:
        """Give the LPS mm positions of the eight corner voxels' centers, (8, 3)."""
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, 8).T
        return self.points(ends)

    def same_grid(self, other: Volume) -> bool:
        """Tell whether both have the same shape and every corner lies at the same place."""
        return self.shape == other.shape and bool(
            np.abs(self.corners() - other.corners()).max() <= GRID_TOLERANCE_MM
        )

    def with_array(self, array: np.ndarray, **facts: Any) -> Volume:
        """Put other values of the same shape into the same place, as for a mask of this scan."""
        if np.shape(array) != self.shape:
            raise InputError(f"array of shape {np.shape(array)}: expected the scan's shape {self.shape}")
        return replace(self, array=array, **facts)

    def crop(self, box: tuple[slice, slice, slice]) -> Volume:
        """Cut out a box of whole voxels; the rest keeps its place in mm."""
        bounds = [s.indices(n) for s, n in zip(box, self.shape, strict=False)]
        if len(box) != 3 or any(step != 1 or stop <= start for start, stop, step in bounds):
            raise InputError(f"crop {box}: expected slices of at least one voxel inside {self.shape}")
        start = [b[0] for b in bounds]
        return replace(self, array=self.array[box], origin=tuple(self.points([start])[0]))

    def paste(self, part: Volume) -> np.ndarray:
        """Put a part made by `crop` back: an array of this shape, 0 outside the part."""
        start = np.rint(self.index(np.array([part.origin]))[0]).astype(int)
        stop = start + part.shape
        if not part.same_grid(replace(part, spacing=self.spacing, direction=self.direction, origin=self.points(start))):
            raise InputError("paste: the part lies on another grid; resample it first, like=this volume")
        if (start < 0).any() or (stop > self.shape).any():
            raise InputError(f"part from voxel {start.tolist()} to {stop.tolist()}: does not lie inside {self.shape}")
        full = np.zeros(self.shape, part.array.dtype)
        full[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = part.array
        return full

    def reorient(self, axes: str = "LPS") -> Volume:
        """Flip and swap axes, without interpolation, so that columns, rows and planes run as named.

        ``axes`` names, in the order of ITK (column, row, plane), where each index grows to: "LPS"
        gives planes from foot to head.
        """
        import SimpleITK as sitk

        if sorted(axes.upper().translate(str.maketrans("RAI", "LPS"))) != ["L", "P", "S"]:
            raise InputError(f"axes={axes!r}: expected three letters, one of L/R, A/P and S/I each, as in 'LPS'")
        turned = sitk.DICOMOrient(self.to_sitk(), axes.upper())
        facts = {key: getattr(self, key) for key in ("name", "meta", "issues", "files", "accepted")}
        result = Volume.from_sitk(turned, **facts)
        return result.with_array(result.array.astype(bool)) if self.array.dtype == bool else result

    def resample(
        self, spacing: tuple[float, float, float] | None = None, *, like: Volume | None = None, labels: bool = False
    ) -> Volume:
        """Interpolate onto another grid: a new ``spacing`` (plane, row, column) in mm, or the grid of ``like``.

        Gray values are interpolated linearly, after smoothing where the new grid is coarser, so that
        nothing folds over; ``labels=True`` takes the nearest voxel. Outside the scan the value is 0. A
        mask stays a mask: without ``labels``, True where more than half is.
        """
        import SimpleITK as sitk

        if (spacing is None) == (like is None):
            raise InputError("resample: give either spacing or like, not both or none")
        image = self.to_sitk()
        target = like.to_sitk() if like is not None else _same_box(self, spacing)
        if not labels:
            image = _smooth_for(sitk.Cast(image, sitk.sitkFloat32), target)
        how = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
        moved = sitk.Resample(image, target, sitk.Transform(), how, 0.0, image.GetPixelID())
        array = sitk.GetArrayFromImage(moved)
        return replace(
            self,
            array=array > 0.5 if self.array.dtype == bool else array,
            spacing=target.GetSpacing()[::-1],
            origin=target.GetOrigin(),
            direction=target.GetDirection(),
        )


def _same_box(volume: Volume, spacing: tuple[float, float, float]) -> sitk.Image:
    """An empty image that covers the same box of space, to half a voxel, with another spacing."""
    import SimpleITK as sitk

    new = np.array(spacing, float)
    if new.shape != (3,) or not (np.isfinite(new).all() and (new > 0).all()):
        raise InputError(f"spacing={spacing} mm: expected three positive numbers (plane, row, column)")
    new, old, count = new[::-1], np.array(volume.spacing)[::-1], np.array(volume.shape)[::-1]
    size = np.maximum(1, np.rint(count * old / new)).astype(int)
    target = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    target.SetSpacing(new.tolist())
    target.SetDirection(volume.direction)
    shift = ((count - 1) * old - (size - 1) * new) / 2  # the middle stays in place, and so do faces that can
    target.SetOrigin((np.reshape(volume.direction, (3, 3)) @ shift + volume.origin).tolist())
    return target


def _smooth_for(image: sitk.Image, target: sitk.Image) -> sitk.Image:
    """Smooth along the axes that become coarser (sigma = half the ratio of spacings, in voxels)."""
    import SimpleITK as sitk

    turn = np.reshape(image.GetDirection(), (3, 3)).T @ np.reshape(target.GetDirection(), (3, 3))
    wanted = np.sqrt(turn**2 @ np.square(target.GetSpacing()))  # equal voxels stay equal however they are turned
    for axis, (old, new) in enumerate(zip(image.GetSpacing(), wanted, strict=True)):
        if new > 1.01 * old and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(image, float(np.sqrt(new**2 - old**2) / 2), False, 0, axis)
    return image
