"""What is known of a file and of each frame in it, before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Pixels:
    """Where the pixel data of a file lies, and how it is coded."""

    offset: int = 0  # of the first byte of the value (of the inflated bytes in a deflated file)
    length: int = 0  # bytes of the value; of all fragments where encapsulated
    kind: str = "int"  # "int", "float" or "double"
    vr: str = "OW"
    syntax: str = ""  # transfer syntax UID
    little: bool = True
    encapsulated: bool = False
    deflated: bool = False
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    planar: int = 0
    allocated: int = 16
    stored: int = 16
    high: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    lossy: bool = False

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame when decoded."""
        return (self.rows * self.columns * self.samples * self.allocated + 7) // 8


@dataclass(slots=True, eq=False)
class Source:
    """One DICOM file: whose, of which series, made how."""

    path: Path
    name: str  # as shown in messages: relative to the folder, or the entry of an archive
    size: int
    pixels: Pixels
    patient: tuple[str, str] = ("", "")  # compared, never shown
    study: str = ""
    series: str = ""
    sop: str = ""
    sop_class: str = ""
    modality: str = ""
    number: int | None = None  # of the series
    description: str = ""
    frame_of_reference: str = ""
    manufacturer: str = ""
    model: str = ""
    field_strength: float | None = None
    side: str = ""
    promised: int | None = None  # images that the header counts
    facts: dict = field(default_factory=dict)  # sequence facts: see headers.py


@dataclass(slots=True, eq=False)
class Frame:
    """One plane: a classic image, a frame of a multi-frame file, or a tile of a mosaic."""

    source: Source
    index: int = 0  # frame within the file; -1 for all of a file that cannot be taken apart
    tile: tuple[int, int] | None = None  # first row and column within a mosaic
    rows: int = 0
    columns: int = 0
    position: tuple[float, ...] | None = None  # LPS mm of the center of the first pixel
    step: tuple[float, ...] = ()  # precision to which the position is written, mm
    axes: tuple[float, ...] | None = None  # direction of rows (x y z), then of columns
    spacing: tuple[float, float] | None = None  # between rows, between columns, mm
    thickness: float | None = None
    between: float | None = None  # Spacing Between Slices, mm
    echo_time: float | None = None
    echo_number: int | None = None
    image_type: tuple[str, ...] = ()
    component: str = "magnitude"
    slope: float | None = None
    intercept: float | None = None
    instance: float | None = None
    splitters: dict = field(default_factory=dict)  # what may tell two images at one place apart, most telling first
    faults: list[tuple[str, str]] = field(default_factory=list)  # (name, what is wrong)

    @property
    def label(self) -> str:
        """How messages call it."""
        if self.source.pixels.frames > 1 and self.index >= 0:
            return f"{self.source.name} frame {self.index + 1}"
        return self.source.name
