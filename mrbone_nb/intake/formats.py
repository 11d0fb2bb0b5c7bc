"""NIfTI, NRRD and MetaImage: the header is checked here, with limits, before SimpleITK reads the file."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..volume import Volume
from .files import Entry, kind_of, read_head
from .issues import Issue

MAX_GROWTH = 1100  # no deflated byte grows to more
NIFTI_TYPES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
UNITS = {1: ("m", 1000.0), 2: ("mm", 1.0), 3: ("µm", 1e-3)}


@dataclass(slots=True)
class Described:
    """What the header of a file says, before its values are read."""

    entry: Entry
    kind: str
    shape: tuple[int, ...]  # (plane, row, column), or (time, plane, row, column)
    bytes_needed: int
    issues: list[Issue] = field(default_factory=list)


def describe(entry: Entry) -> Described:
    """Check a file's header, and the number of its bytes, without reading the values.

    Raises
    ------
    InputError
        Where it is broken, cut short, too large, refers to another file, or is no gray volume.
    """
    head = _head(entry)
    kind = kind_of(read_head(entry, 1024), entry.name)
    reader = {"nifti": _nifti, "nrrd": _nrrd, "metaimage": _metaimage}[kind]
    try:
        found = reader(entry, head)
    except (struct.error, ValueError, LookupError, OverflowError, StopIteration) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{entry.name}: the {kind} header is damaged ({error}); not read. Copy it again") from None
    if len(found.shape) not in (3, 4) or min(found.shape) < 1:
        shown = " × ".join(str(n) for n in found.shape[::-1])
        raise InputError(f"{entry.name}: holds {shown} values: expected a volume of 3 dimensions. Export one volume")
    return found


def _head(entry: Entry, size: int = 64 << 10) -> bytes:
    """The first bytes, inflated where the file is packed."""
    raw = read_head(entry, size)
    if raw[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(31).decompress(raw, size)
        except zlib.error:
            raise InputError(f"{entry.name}: the packed data is damaged; not read. Copy it again") from None
    return raw


def _fits(entry: Entry, need: int, start: int, packed: bool) -> None:
    """Refuse a file that is cut short, or whose header claims more than it can hold."""
    have = entry.size * MAX_GROWTH if packed else entry.size - start
    if have < need:
        raise InputError(
            f"{entry.name}: cut short: {entry.size} bytes, but its header claims {need} bytes of values; not read. "
            "Copy it again from its source"
        )


def _nifti(entry: Entry, head: bytes) -> Described:
    little = struct.unpack("<i", head[:4])[0] in (348, 540)
    order = "<" if little else ">"
    if struct.unpack(order + "i", head[:4])[0] == 540:
        raise InputError(f"{entry.name}: NIfTI-2 is not read here; save it as NIfTI-1 (nibabel does it)")
    if struct.unpack(order + "i", head[:4])[0] != 348:
        raise ValueError("no NIfTI header")
    dim = struct.unpack(order + "8h", head[40:56])
    if not 1 <= dim[0] <= 7 or any(n < 1 for n in dim[1 : dim[0] + 1]):
        raise ValueError(f"dim is {list(dim)}")
    (datatype,) = struct.unpack(order + "h", head[70:72])
    pixdim = struct.unpack(order + "8f", head[76:108])
    offset = int(struct.unpack(order + "f", head[108:112])[0])
    qform, sform = struct.unpack(order + "2h", head[252:256])
    if datatype in (128, 2304):
        raise InputError(f"{entry.name}: a color image; not read. Export one gray channel")
    if datatype not in NIFTI_TYPES:
        raise InputError(f"{entry.name}: datatype {datatype} is not a plain number; not read. Save it as float32")
    if head[344:348] == b"ni1\0":
        raise InputError(f"{entry.name}: a NIfTI pair (.hdr with .img); not read. Save it as one .nii file")
    shape = list(dim[1 : dim[0] + 1])
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    shape += [1] * (3 - len(shape))
    need = int(np.prod(shape, dtype=float)) * NIFTI_TYPES[datatype]
    _fits(entry, need, offset, entry.name.lower().endswith(".gz"))
    found = Described(entry, "nifti", tuple(shape[::-1]), need)
    steps = pixdim[1:4]
    if not all(np.isfinite(v) and v > 0 for v in steps):
        raise InputError(f"{entry.name}: voxel size {steps} mm (pixdim) is not positive; not read. Repair the header")
    if qform <= 0 and sform <= 0:
        text = (
            f"{entry.name}: neither qform nor sform code is set, so the file does not say where the scan lies, nor which "
            "side is left; it was read with the voxel sizes alone. Convert the DICOM again, or accept \"geometry\""
        )
        found.issues.append(Issue("geometry", text, blocks=True))
    return found


def _fields(text: str, mark: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition(mark)
        if sign and not line.startswith("#"):
            found[key.strip().lower()] = value.strip().lstrip("=").strip()
    return found


def _nrrd(entry: Entry, head: bytes) -> Described:
    text, _, _ = head.partition(b"\n\n")
    fields = _fields(text.replace(b"\r\n", b"\n").decode("latin-1"), ":")
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .nrrd file")
    sizes = [int(n) for n in fields["sizes"].split()]
    if len(sizes) != int(fields["dimension"]) or any(n < 1 for n in sizes):
        raise ValueError(f"sizes {sizes}")
    kinds = fields.get("kinds", "").split()
    if any("color" in k or "vector" in k or "matrix" in k or k == "list" for k in kinds) or len(sizes) > 4:
        raise InputError(f"{entry.name}: several values a voxel ({fields.get('kinds')}); not read. Export one gray channel")
    width = _nrrd_width(fields["type"])
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f"{entry.name}: encoding {encoding!r} is not read here; save it raw or packed with gzip")
    need = int(np.prod(sizes, dtype=float)) * width
    _fits(entry, need, len(text), encoding != "raw")
    found = Described(entry, "nrrd", tuple(sizes[::-1]), need)
    if "space directions" not in fields or not ({"space", "space dimension"} & set(fields)):
        issue = f"{entry.name}: no space and space directions, so the file does not say where the scan lies; it was read "
        found.issues.append(Issue("geometry", issue + 'as it is. Export it again, or accept "geometry"', blocks=True))
    if "space directions" not in fields and "spacings" not in fields:
        raise InputError(f"{entry.name}: neither space directions nor spacings: the voxel size is unknown; not read")
    return found


def _nrrd_width(kind: str) -> int:
    kind = kind.lower()
    for names, width in ((("char", "int8", "uint8"), 1), (("short", "int16"), 2), (("double", "long", "int64"), 8)):
        if any(n in kind for n in names):
            return width
    if "int" in kind or "float" in kind:
        return 4
    raise ValueError(f"type {kind!r}")


def _metaimage(entry: Entry, head: bytes) -> Described:
    text = re.split(rb"(?<=ElementDataFile)\s*=\s*\S+", head)[0].decode("latin-1")
    where = re.search(rb"ElementDataFile\s*=\s*(\S+)", head)
    fields = _fields(text, "=")
    if where is None or where.group(1) != b"LOCAL":
        raise InputError(f"{entry.name}: its values lie in another file; not read. Save it as one .mha file")
    sizes = [int(n) for n in fields["dimsize"].split()]
    if len(sizes) != int(fields["ndims"]) or any(n < 1 for n in sizes):
        raise ValueError(f"DimSize {sizes}")
    if int(fields.get("elementnumberofchannels", "1")) != 1:
        raise InputError(f"{entry.name}: several values a voxel; not read. Export one gray channel")
    widths = {"CHAR": 1, "SHORT": 2, "LONG": 8, "DOUBLE": 8, "INT": 4, "FLOAT": 4}
    kind = fields["elementtype"].upper()
    width = next(w for name, w in widths.items() if name in kind)
    need = int(np.prod(sizes, dtype=float)) * width
    _fits(entry, need, where.end(), fields.get("compresseddata", "").lower() == "true")
    found = Described(entry, "metaimage", tuple(sizes[::-1]), need)
    if not ({"elementspacing", "elementsize"} & set(fields)):
        raise InputError(f"{entry.name}: no ElementSpacing: the voxel size is unknown; not read. Export it again")
    return found


def load(described: Described, name: str, time: int | None = None) -> Volume:
    """Give the volume of a file that `describe` found in order.

    Raises
    ------
    InputError
        Where SimpleITK cannot read it, or holds more than one value a voxel.
    """
    import SimpleITK as sitk

    entry = described.entry
    _check_packed(described)
    try:
        image = sitk.ReadImage(str(entry.path))
    except RuntimeError as error:
        raise InputError(f"{entry.name}: not read ({_reason(str(error))}). Export or copy it again") from None
    if image.GetDimension() == 4:
        image = image[:, :, :, time or 0]
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{entry.name}: {image.GetNumberOfComponentsPerPixel()} values a voxel; not read. Export one")
    wide = image.GetPixelID() in (sitk.sitkFloat64, sitk.sitkInt32, sitk.sitkUInt32, sitk.sitkInt64, sitk.sitkUInt64)
    array = sitk.GetArrayFromImage(image)
    if array.dtype != np.float32:
        array = array.astype(np.float64 if wide and _needs_double(array) else np.float32)
    return Volume(array, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection(), name=name)


def _needs_double(array: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.array_equal(array.astype(np.float32).astype(array.dtype), array, equal_nan=array.dtype.kind == "f")


def _check_packed(described: Described) -> None:
    """Inflate a packed NIfTI once without keeping it: SimpleITK does not notice a stream that ends early."""
    entry = described.entry
    if not entry.name.lower().endswith(".gz"):
        return
    have = 0
    try:
        with gzip.open(entry.path) as file:
            while chunk := file.read(1 << 20):
                have += len(chunk)
    except (OSError, EOFError, zlib.error):
        raise InputError(
            f"{entry.name}: cut short or damaged after {have} of {described.bytes_needed} bytes of values; not read. "
            "Copy it again from its source"
        ) from None
    if have < described.bytes_needed:
        raise InputError(f"{entry.name}: cut short: {have} of {described.bytes_needed} bytes of values; not read")


def _reason(error: str) -> str:
    """The telling line of a long message of ITK."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    if "orthonormal" in error:
        return "its axes are not at right angles, so the scan is sheared"
    return lines[-1][:160].rpartition("): ")[2] if lines else "no reason given"
