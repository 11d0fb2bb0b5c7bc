"""The plane of an image: its place in space, the scale of its values, its echo and what kind of values it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import tags
from .files import Opened
from .records import Frame, Source
from .tags import BadValue, items, number, numbers, private, tag_name, text, texts

if TYPE_CHECKING:
    from pydicom import Dataset

PLAUSIBLE_MM = (0.002, 30.0)  # distance between pixels
MAX_VIEW_MM = 4000.0
MAX_PLACE_MM = 1e5
UNIT_TOLERANCE = 5e-3


def read_classic(opened: Opened, source: Source) -> Frame:
    """Give the one frame of a classic image."""
    ds = opened.header
    p = source.pixels
    frame = Frame(source=source, rows=p.rows, columns=p.columns, image_type=texts(ds, 0x00080008)[:12])
    read_place(frame, ds, ds, ds)
    read_scale(frame, ds)
    frame.thickness = number(ds, 0x00180050)
    frame.between = number(ds, 0x00180088)
    frame.echo_time = number(ds, 0x00180081)
    echo = number(ds, 0x00180086, "IS")
    frame.echo_number = int(echo) if echo is not None and 0 <= echo < 1e4 else None
    frame.instance = number(ds, 0x00200013, "IS")
    frame.component = component(frame.image_type, text(ds, 0x00089208), _ge_part(ds))
    frame.splitters = {
        "time point": number(ds, 0x00200100, "IS"),
        "trigger time": number(ds, 0x00181060),
        "inversion time": number(ds, 0x00180082),
        "flip angle": number(ds, 0x00181314),
        "b-value": number(ds, 0x00189087, "FD"),
        "acquisition number": number(ds, 0x00200012, "IS"),
        "acquisition time": text(ds, 0x00080032) or None,
        "content time": text(ds, 0x00080033) or None,
    }
    return frame


def _ge_part(ds: Dataset) -> str:
    tag = private(ds, 0x0043, "GEMS_PARM_01", 0x2F)
    part = number(ds, tag, "SS") if tag else None
    return {0: "M", 1: "P", 2: "R", 3: "I"}.get(part, "")


def component(image_type: tuple[str, ...], complex_part: str = "", vendor_part: str = "") -> str:
    """Tell what the values are: "magnitude", "phase", "real", "imaginary", "field map", "projection", "water", "fat", …"""
    words = set(image_type[2:])
    if words & {"PROJECTION IMAGE", "MIP", "CSA MIP", "MIN IP", "MNIP"}:
        return "projection"
    if any(w in words for w in ("P", "SW_P", "PHASE", "PHASE MAP", "PHASE_MAP", "P_FFE", "P_SE", "P_IR")):
        return "phase"
    if any(w in words for w in ("B0", "B0 MAP", "FIELD_MAP", "FIELDMAP", "FIELD MAP", "FREQUENCY", "FM")):
        return "field map"
    if any("VELOCITY" in w for w in words):
        return "velocity"
    for names, kind in (
        (("R", "REAL", "R_FFE", "R_SE", "R_IR"), "real"),
        (("I", "IMAGINARY", "I_FFE", "I_SE", "I_IR"), "imaginary"),
        (("WATER", "W", "DIXON_W", "W_FFE"), "water"),
        (("FAT", "F", "DIXON_F", "F_FFE"), "fat"),
        (("IN_PHASE", "IP", "DIXON_IP", "IP_FFE"), "in phase"),
        (("OUT_PHASE", "OUT_OF_PHASE", "OPP_PHASE", "OP", "DIXON_OP", "OP_FFE"), "out of phase"),
        (("T1 MAP", "T2 MAP", "T2_STAR MAP", "T2STAR MAP", "ADC", "FA", "R2STAR MAP"), "map"),
    ):
        if words & set(names):
            return kind
    part = complex_part.strip().upper()[:1] or vendor_part
    return {"P": "phase", "R": "real", "I": "imaginary"}.get(part, "magnitude")


def read_place(frame: Frame, position: Dataset, orientation: Dataset, measures: Dataset) -> None:
    """Put position, orientation and pixel spacing into a frame; what is missing or broken becomes a fault."""
    try:
        found = numbers(position, 0x00200032) if position is not None else ()
        if len(found) == 3 and max(map(abs, found)) > MAX_PLACE_MM:
            what = " × ".join(f"{v:g}" for v in found)
            frame.faults.append(("position", f"{tag_name(0x00200032)} is {what} mm, implausibly far away"))
        elif len(found) == 3:
            frame.position = found
            frame.step = tags.written_step(position, 0x00200032)
        else:
            frame.faults.append(("position", _missing(0x00200032, found, 3)))
    except BadValue as error:
        frame.faults.append(("position", str(error)))
    try:
        found = numbers(orientation, 0x00200037) if orientation is not None else ()
        if len(found) == 6:
            _check_axes(frame, found)
        else:
            frame.faults.append(("orientation", _missing(0x00200037, found, 6)))
    except BadValue as error:
        frame.faults.append(("orientation", str(error)))
    try:
        found = numbers(measures, 0x00280030) if measures is not None else ()
        if len(found) == 2:
            _check_spacing(frame, found)
        else:
            frame.faults.append(("spacing", _missing(0x00280030, found, 2)))
    except BadValue as error:
        frame.faults.append(("spacing", str(error)))


def _missing(tag: int, found: tuple[float, ...], wanted: int) -> str:
    return f"{tag_name(tag)} holds {len(found)} numbers, not {wanted}" if found else f"no {tag_name(tag)}"


def _check_axes(frame: Frame, axes: tuple[float, ...]) -> None:
    """Take unit vectors at right angles; what is off by more than rounding is a fault."""
    lengths = [sum(v * v for v in axes[k : k + 3]) ** 0.5 for k in (0, 3)]
    slant = sum(axes[k] * axes[k + 3] for k in range(3))
    if any(abs(length - 1) > UNIT_TOLERANCE for length in lengths) or abs(slant) > UNIT_TOLERANCE:
        frame.faults.append(
            (
                "orientation",
                f"{tag_name(0x00200037)}: the vectors are not orthogonal unit vectors "
                f"(lengths {lengths[0]:.3f} and {lengths[1]:.3f}, cosine between them {slant:.3f})",
            )
        )
    else:
        frame.axes = axes


def _check_spacing(frame: Frame, spacing: tuple[float, ...]) -> None:
    view = max(spacing[0] * frame.rows, spacing[1] * frame.columns)
    if not all(PLAUSIBLE_MM[0] <= v <= PLAUSIBLE_MM[1] for v in spacing) or view > MAX_VIEW_MM:
        frame.faults.append(
            ("spacing", f"{tag_name(0x00280030)} is {spacing[0]:g} × {spacing[1]:g} mm, an implausible size")
        )
    else:
        frame.spacing = (spacing[0], spacing[1])


def read_scale(frame: Frame, ds: Dataset | None) -> None:
    """Put slope and intercept into a frame; both stay None where the header has none."""
    if ds is None:
        return
    try:
        slope, intercept = numbers(ds, 0x00281053), numbers(ds, 0x00281052)
    except BadValue as error:
        frame.faults.append(("slope", str(error)))
        return
    if slope and slope[0] == 0:
        frame.faults.append(("slope", f"{tag_name(0x00281053)} is 0"))
        return
    frame.slope = slope[0] if slope else None
    frame.intercept = intercept[0] if intercept else None
    if items(ds, 0x00283000) and frame.slope is None:
        frame.faults.append(("slope", "a Modality LUT Sequence (0028,3000) instead of a slope, which is not applied"))
