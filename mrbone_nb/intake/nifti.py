"""NIfTI headers, read here: the libraries at hand turn NaN into 0 and pass over packed files that end early."""

from __future__ import annotations

import math
import struct

import numpy as np

from ..errors import InputError
from .files import Entry
from .issues import Issue, note
from .stored import Stored, check_matrix

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # to mm: not stated, m, mm, µm
SCANNER = 1  # code of a form that gives places in the scanner
SAME_MM = 0.01
FLIP = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # NIfTI counts to the right, to the front and up; DICOM to the left, to the back, up


def read_header(entry: Entry, head: bytes) -> Stored:
    """Check a header of NIfTI-1 or NIfTI-2.

    Parameters
    ----------
    entry
        The file.
    head
        Its first bytes, inflated.

    Raises
    ------
    InputError
        Where it holds no gray volume, or does not give its voxel size.
    """
    size = struct.unpack("<i", head[:4])[0]
    order = "<" if size in (348, 540) else ">"
    size = struct.unpack(order + "i", head[:4])[0]
    if size == 348:
        dim = struct.unpack(order + "8h", head[40:56])
        code, pixdim = struct.unpack(order + "h", head[70:72])[0], struct.unpack(order + "8f", head[76:108])
        offset, slope, intercept = struct.unpack(order + "3f", head[108:120])
        forms, quaternion = struct.unpack(order + "2h", head[252:256]), struct.unpack(order + "6f", head[256:280])
        rows, unit, magic = struct.unpack(order + "12f", head[280:328]), head[123], head[344:348]
    elif size == 540:
        dim = struct.unpack(order + "8q", head[16:80])
        code, pixdim = struct.unpack(order + "h", head[12:14])[0], struct.unpack(order + "8d", head[104:168])
        offset = struct.unpack(order + "q", head[168:176])[0]
        slope, intercept = struct.unpack(order + "2d", head[176:192])
        forms, quaternion = struct.unpack(order + "2i", head[344:352]), struct.unpack(order + "6d", head[352:400])
        rows, unit, magic = (
            struct.unpack(order + "12d", head[400:496]),
            struct.unpack(order + "i", head[500:504])[0],
            head[4:8],
        )
    else:
        raise ValueError("it does not begin with its length, 348 or 540")
    if magic[:2] == b"ni":
        raise InputError(f"{entry.name}: a NIfTI pair (.hdr with .img); not read. Save it as one .nii file")
    if magic[:2] != b"n+":
        raise ValueError('the mark "n+1" or "n+2" is missing')
    dtype = _dtype(entry, code, order)
    if not (math.isfinite(offset) and size <= offset <= 1 << 30):
        raise ValueError(f"values begin at byte {offset}")
    scaled = math.isfinite(slope) and slope != 0 and math.isfinite(intercept)
    packed = entry.name.lower().endswith(".gz")
    found = Stored(
        _shape(dim), dtype, 0 if packed else int(offset), "gzip" if packed else "", int(offset) if packed else 0
    )
    found.slope, found.intercept = (slope, intercept) if scaled else (1.0, 0.0)
    _place(entry, found, pixdim, forms, quaternion, np.reshape(rows, (3, 4)), unit & 7)
    return found


def _dtype(entry: Entry, code: int, order: str) -> np.dtype:
    if code in (128, 2304):
        raise InputError(f"{entry.name}: a color image; not read. Export one gray channel")
    if code not in TYPES:
        raise InputError(f"{entry.name}: datatype {code} is not a plain number; not read. Save it as float32")
    return np.dtype(order + TYPES[code])


def _shape(dim: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= dim[0] <= 7 or any(n < 1 for n in dim[1 : dim[0] + 1]):
        raise ValueError(f"dim is {list(dim)}")
    shape = list(dim[1 : dim[0] + 1])
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


# ---------------------------------------------------------------------------------------------------- place


def _place(entry, found: Stored, pixdim, forms, quaternion, rows, stated: int) -> None:
    """Choose between the two forms that a header may hold, and say where they are missing or disagree."""
    unit = UNITS.get(stated, math.nan)
    steps = np.array(pixdim[1:4], float)
    if not (np.isfinite(steps).all() and (steps > 0).all() and math.isfinite(unit)):
        shown = " × ".join(f"{v:g}" for v in steps)
        raise InputError(f"{entry.name}: voxel size {shown} (pixdim) is not positive; not read. Repair the header")
    qform = _qform(quaternion, pixdim) if forms[0] > 0 else None
    sform = np.vstack([rows, [0, 0, 0, 1]]) if forms[1] > 0 else None
    if sform is not None and (qform is None or forms[1] == SCANNER):
        matrix, chosen = sform, "sform"
    else:
        matrix, chosen = qform, "qform"
    if matrix is None:
        matrix, chosen = np.diag([*steps, 1.0]), "none"
        text = (
            f"{entry.name}: neither qform_code nor sform_code is set, so the file says neither where the scan lies nor "
            'which side is left; it was read by its voxel sizes alone. Convert the DICOM again, or accept "geometry"'
        )
        found.issues.append(Issue("geometry", text, blocks=True))
    check_matrix(entry, np.vstack([unit * matrix[:3], matrix[3:]]), chosen)
    if qform is not None and sform is not None:
        _compare(entry, found, qform, sform, chosen)
    if stated == 0:
        found.issues.append(note("unit", f"{entry.name}: the header states no unit of length; mm were taken"))
    matrix = matrix.copy()
    matrix[:3] *= unit
    found.matrix = FLIP @ matrix
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.abs(sizes / (steps * unit) - 1).max() > 0.01:
        a, b = (" × ".join(f"{v:.4g}" for v in s) for s in (sizes, steps * unit))
        text = f"{entry.name}: voxels of {a} mm by the {chosen}, of {b} mm by pixdim; the {chosen} was used. Repair the header"
        found.issues.append(Issue("geometry", f'{text}, or accept "geometry"', blocks=True))


def _qform(quaternion, pixdim) -> np.ndarray:
    b, c, d, *shift = quaternion
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * pixdim[1:4] * [1, 1, -1 if pixdim[0] < 0 else 1]
    matrix[:3, 3] = shift
    return matrix


def _compare(entry: Entry, found: Stored, qform: np.ndarray, sform: np.ndarray, chosen: str) -> None:
    if len(found.shape) < 3 or not np.isfinite(qform).all() or not np.isfinite(sform).all():
        return
    ends = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * [
        *(np.array(found.shape[:3]) - 1),
        1,
    ]
    apart = float(np.abs(ends @ qform.T - ends @ sform.T).max())
    if apart > max(SAME_MM, 1e-5 * float(np.abs(ends @ sform.T).max())):
        text = (
            f"{entry.name}: qform and sform place the scan up to {apart:.2f} mm apart; the {chosen} was used. Look whether "
            "the scan lies where it should"
        )
        found.issues.append(Issue("forms", text))
