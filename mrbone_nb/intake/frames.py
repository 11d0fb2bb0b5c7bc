"""Multi-frame files (Enhanced MR, CT and the like): position, spacing, echo, type and scale of every single frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .planes import component, read_place, read_scale
from .records import Frame
from .tags import BadValue, get, item, items, number, numbers, text, texts

if TYPE_CHECKING:
    from pydicom import Dataset

    from .files import Opened
    from .records import Source

SHARED, PER_FRAME = 0x52009229, 0x52009230
PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES = 0x00209113, 0x00209116, 0x00289110
VALUE_TRANSFORMATION, FRAME_CONTENT, MR_ECHO = 0x00289145, 0x00209111, 0x00189114
MR_TIMING, MR_MODIFIER, MR_TYPE, CT_TYPE = 0x00189112, 0x00189115, 0x00189226, 0x00189329
MR_DIFFUSION, CARDIAC, PHILIPS_FRAME = 0x00189117, 0x00189118, 0x2005140F
MAX_FRAMES = 100_000


class Groups:
    """Look a functional group up: in the frame's own item first, then in the shared one."""

    def __init__(self, shared: Dataset | None, own: Dataset | None) -> None:
        self.shared, self.own = shared, own

    def get(self, tag: int) -> Dataset | None:
        """Give the group's item, or None."""
        found = item(self.own, tag)
        return found if found is not None else item(self.shared, tag)


def is_multiframe(opened: Opened) -> bool:
    """Whether the header describes its frames one by one."""
    return get(opened.header, PER_FRAME) is not None or get(opened.header, SHARED) is not None


def read_multiframe(opened: Opened, source: Source) -> list[Frame]:
    """Give every frame of a multi-frame file with its own facts.

    Notes
    -----
    Where fewer groups than frames are described, the frames beyond have no position and say so.
    """
    ds, p = opened.header, source.pixels
    shared, own = item(ds, SHARED), items(ds, PER_FRAME)
    first = Groups(shared, own[0] if own else None)
    _add_facts(source, first)
    frames = []
    for k in range(min(p.frames, MAX_FRAMES)):
        groups = Groups(shared, own[k] if k < len(own) else None)
        frames.append(_read_frame(ds, source, k, groups))
    return frames


def _read_frame(ds: Dataset, source: Source, k: int, groups: Groups) -> Frame:
    p = source.pixels
    frame = Frame(source=source, index=k, rows=p.rows, columns=p.columns)
    measures = groups.get(PIXEL_MEASURES)
    read_place(frame, groups.get(PLANE_POSITION), groups.get(PLANE_ORIENTATION), measures)
    scale = groups.get(VALUE_TRANSFORMATION)
    read_scale(frame, scale if scale is not None else ds)
    if measures is not None:
        frame.thickness, frame.between = number(measures, 0x00180050), number(measures, 0x00180088)
    echo, kind = groups.get(MR_ECHO), groups.get(MR_TYPE) or groups.get(CT_TYPE)
    frame.echo_time = number(echo, 0x00189082, "FD") if echo is not None else number(ds, 0x00180081)
    frame.image_type = (texts(kind, 0x00089007) if kind is not None else ()) or texts(ds, 0x00080008)
    part = text(kind, 0x00089208) if kind is not None else text(ds, 0x00089208)
    frame.component = component(frame.image_type, part, _philips_part(groups))
    frame.instance = float(k + 1)
    frame.splitters = _splitters(groups)
    return frame


def _philips_part(groups: Groups) -> str:
    """Philips tells the kind of frame in a private group, also where Frame Type is the same for all."""
    own = groups.get(PHILIPS_FRAME)
    return (text(own, 0x20051011) or text(own, 0x00089208)).upper()[:1] if own is not None else ""


def _splitters(groups: Groups) -> dict:
    content, timing = groups.get(FRAME_CONTENT), groups.get(MR_TIMING)
    diffusion, cardiac, modifier = groups.get(MR_DIFFUSION), groups.get(CARDIAC), groups.get(MR_MODIFIER)
    found = {}
    if content is not None:
        found["time point"] = number(content, 0x00209128, "UL")
    if cardiac is not None:
        found["trigger time"] = number(cardiac, 0x00209153, "FD")
    if modifier is not None:
        found["inversion time"] = number(modifier, 0x00189079, "FD")
    if timing is not None:
        found["flip angle"] = number(timing, 0x00181314)
    if diffusion is not None:
        found["b-value"] = number(diffusion, 0x00189087, "FD")
        gradient = item(diffusion, 0x00189076)
        if gradient is not None:
            found["diffusion direction"] = text(gradient, 0x00189089)
    if content is not None:
        found["stack"] = text(content, 0x00209056) or None
        found["acquisition number"] = number(content, 0x00209156, "US")
        found["acquisition time"] = text(content, 0x00189074) or None
        found.update(_dimensions(content))
    return found


def _dimensions(content: Dataset) -> dict[str, float]:
    """The dimension indices of a frame; which of them tells volumes apart is found out later."""
    try:
        found = numbers(content, 0x00209157, "UL")
    except BadValue:
        return {}
    return {f"dimension {k + 1}": value for k, value in enumerate(found[:9])}


def _add_facts(source: Source, first: Groups) -> None:
    facts = source.facts
    timing, modifier = first.get(MR_TIMING), first.get(MR_MODIFIER)
    if timing is not None:
        for key, tag, kind in (("tr", 0x00180080, "DS"), ("flip", 0x00181314, "DS"), ("train", 0x00189240, "US")):
            value = number(timing, tag, kind)
            facts[key] = value if value is not None else facts[key]
    if modifier is not None:
        times = number(modifier, 0x00189079, "FD")
        facts["ti"] = times if times is not None else facts["ti"]
        facts["suppression"] = facts["suppression"] or texts(modifier, 0x00189025)
        facts["excitation"] = text(modifier, 0x00189026).upper()
        facts["inversion"] = text(modifier, 0x00189009).upper()
    anatomy = first.get(0x00209071)
    if anatomy is not None and not source.side:
        source.side = {"R": "right", "L": "left"}.get(text(anatomy, 0x00209072).upper(), "")
