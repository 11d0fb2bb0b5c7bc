"""DICOM Segmentation objects: label maps that stay with the study they were drawn on."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bones import FIRST, LAST, Label, LabelTable, default_color, find_bone, split_side
from .errors import InputError
from .files import write_atomic
from .volume import Volume

if TYPE_CHECKING:
    import highdicom
    from pydicom import DataElement, Dataset

SAME_ORIENTATION = 1e-4  # GE writes orientations that differ in the sixth decimal from slice to slice
MAX_PACKED = 2000  # voxels of empty slices in a byte of a compressed file
SIDE_CODES = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}
# The standard demands these, if only empty; sources that lack them are common.
DEMANDED = """
    PatientID PatientName PatientBirthDate PatientSex ReferringPhysicianName
    StudyID StudyDate StudyTime AccessionNumber
""".split()


class IdentityWarning(UserWarning):
    """Says that a file carries the patient's identity."""


def write_dicom_seg(
    labels: Volume, path: Path, table: LabelTable, scan: Volume | None, dicom_type: str, overwrite: bool
) -> Path:
    """Write labels as a DICOM-SEG that belongs to the scan's study, read it back and compare every voxel.

    Warns that the file carries the patient's identity (`IdentityWarning`).
    """
    if dicom_type not in ("BINARY", "LABELMAP"):
        raise InputError(f"dicom_type={dicom_type!r}: expected 'BINARY' or 'LABELMAP'")
    if scan is None or not scan.files:
        raise InputError(
            f"{path.name}: a DICOM-SEG belongs to a DICOM series; give the scan as it was read from DICOM files"
        )
    sources = _sources(scan)
    with _plain_errors(path):
        made = _segmentation(labels, table, sources, dicom_type)

    def check(part: Path) -> None:
        read, _ = read_dicom_seg(part)
        numbers = {v: n for n, v in enumerate(table, FIRST)} if dicom_type == "BINARY" else {v: v for v in table}
        wanted = np.zeros(labels.shape, np.uint8)
        for value, number in numbers.items():
            wanted[labels.array == value] = number
        if not _equal_in_space(read, labels.with_array(wanted)):
            raise InputError("read back, the segments are not what was written")

    write_atomic(path, lambda part: made.save_as(part), check, overwrite)
    warnings.warn(
        f"{path.name}: carries the patient's identity (name, ID, dates) as the scan has it, since DICOM demands it; "
        "to pass the mask on without, write NIfTI or NRRD",
        IdentityWarning,
        stacklevel=3,
    )
    return path


def read_dicom_seg(path: Path) -> tuple[Volume, LabelTable]:
    """Read a DICOM-SEG whose segments do not overlap."""
    import highdicom

    _refuse_bomb(path)
    try:
        with _quiet():
            seg = highdicom.seg.segread(path)
            volume = seg.get_volume(combine_segments=True)
    except RuntimeError as error:
        if "overlap" in str(error):
            raise InputError(f"{path.name}: its segments overlap, so they are no label map") from None
        raise InputError(f"{path.name}: cannot be read as a DICOM-SEG ({str(error)[:160]})") from None
    except Exception as error:  # highdicom and pydicom raise many kinds on files that are none of theirs
        raise InputError(
            f"{path.name}: cannot be read as a DICOM-SEG ({type(error).__name__}: {str(error)[:160]})"
        ) from None
    values = volume.array
    if values.max() > LAST:
        raise InputError(f"{path.name}: {int(values.max())} segments; at most {LAST} can be read")
    turn = volume.affine[:3, :3]
    spacing = np.linalg.norm(turn, axis=0)
    labels = Volume(
        values.astype(np.uint8),
        tuple(spacing),
        tuple(volume.affine[:3, 3]),
        tuple((turn / spacing)[:, ::-1].ravel()),
        name=path.stem,
        files=(path,),
    )
    found = {n: _label(seg.get_segment_description(n)) for n in seg.segment_numbers if FIRST <= n <= LAST}
    return labels, LabelTable(found)


def _refuse_bomb(path: Path) -> None:
    """Refuse a file that would unpack to far more than it is, before memory is taken."""
    import pydicom

    try:
        syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID")
        if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian:
            raise InputError(f"{path.name}: is deflated as a whole; save it uncompressed")
        head = pydicom.dcmread(path, stop_before_pixels=True)
        voxels = int(head.get("Rows", 0)) * int(head.get("Columns", 0)) * int(head.get("NumberOfFrames", 1))
        held = path.stat().st_size * (MAX_PACKED if syntax.is_encapsulated else 8)
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, TypeError, AttributeError, EOFError):
        raise InputError(f"{path.name}: cannot be read as DICOM") from None
    if voxels > held:
        raise InputError(
            f"{path.name}: its header promises {voxels:.3g} voxels, its {path.stat().st_size} bytes cannot hold them"
        )


def _segmentation(
    labels: Volume, table: LabelTable, sources: list[Dataset], dicom_type: str
) -> highdicom.seg.Segmentation:
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    from . import __version__

    numbers = {v: n for n, v in enumerate(table, FIRST)} if dicom_type == "BINARY" else {v: v for v in table}
    lookup = np.zeros(LAST + 1, np.uint8)  # the segments of the BINARY type count from 1 without gaps
    lookup[list(numbers)] = list(numbers.values())
    first = sources[0]
    accepted = f"; accepted: {', '.join(labels.accepted)}" if labels.accepted else ""
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=highdicom.Volume(
            lookup[labels.array.astype(np.uint8)],
            labels.affine,
            "PATIENT",
            frame_of_reference_uid=first.FrameOfReferenceUID,
        ),
        segmentation_type=dicom_type,
        segment_descriptions=[_description(number, table[value], __version__) for value, number in numbers.items()],
        series_instance_uid=highdicom.UID(),
        series_number=int(first.get("SeriesNumber") or 0) % 10_000 + 10_000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="mrbone_nb",
        manufacturer_model_name="mrbone_nb",
        software_versions=__version__,
        device_serial_number="0",
        content_label="BONE",
        content_description=f"Bone segmentation{accepted}"[:64],
        series_description="Bone segmentation",
        transfer_syntax_uid=RLELossless if dicom_type == "LABELMAP" else ExplicitVRLittleEndian,
        omit_empty_frames=False,  # else the slices without bone would be missing
    )


def _description(number: int, label: Label, version: str) -> highdicom.seg.SegmentDescription:
    """Describe one segment: its name, its codes, its color."""
    import highdicom
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    bone = find_bone(label.name)
    described = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.title[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure if bone else codes.SCT.Tissue,
        segmented_property_type=Code(bone.code, bone.scheme, bone.meaning) if bone else codes.SCT.Tissue,
        algorithm_type="SEMIAUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            "mrbone_nb", codes.cid7162.NeighborhoodAnalysis, version
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*(round(255 * c) for c in label.rgb)),
    )
    if bone and bone.sides and label.side:
        side = highdicom.sr.CodedConcept(*SIDE_CODES[label.side])
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return described


def _label(description: Any) -> Label:
    """Read name, side and color of one segment; what an odd file says is cleaned, not trusted."""
    import highdicom

    title = "".join(c for c in str(description.get("SegmentLabel") or "") if c.isprintable()).strip()[:80]
    name, side = split_side(title or f"label {description.segment_number}")
    color = default_color(int(description.segment_number))
    if "RecommendedDisplayCIELabValue" in description:
        with contextlib.suppress(ValueError, TypeError):
            lab = highdicom.color.CIELabColor.from_dicom_value(description.RecommendedDisplayCIELabValue)
            color = "#" + "".join(f"{round(min(255, max(0, c))):02x}" for c in lab.to_rgb())
    return Label(name, side, color)


def _sources(scan: Volume) -> list[Dataset]:
    """Read the headers of the scan's files, with what highdicom stumbles over put right in memory."""
    import pydicom

    sources = []
    for file in scan.files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except (OSError, pydicom.errors.InvalidDicomError):
            hint = "unpack the archive" if file.suffix.lower() == ".zip" else "a DICOM-SEG needs the files of the scan"
            raise InputError(f"{file.name}: cannot be read as DICOM; {hint}") from None
        if not header.get("FrameOfReferenceUID"):
            raise InputError(
                f"{file.name}: has no FrameOfReferenceUID, so a DICOM-SEG cannot refer to its place; "
                "write NIfTI or NRRD instead"
            )
        for keyword in DEMANDED:
            if keyword not in header or not _is_valid(header[keyword]):
                setattr(header, keyword, "")
        if "NumberOfFrames" not in header and not header.get("ImagePositionPatient"):  # tiled, its places are elsewhere
            turn = np.reshape(scan.direction, (3, 3))
            header.ImagePositionPatient = [f"{v:.9g}" for v in scan.origin]
            header.ImageOrientationPatient = [f"{v:.9g}" for v in turn[:, :2].T.ravel()]
        sources.append(header)
    _share_orientation(sources)
    for header in sources:
        _share_frame_groups(header)
    return sources


def _is_valid(element: DataElement) -> bool:
    """Whether a date or time is one; some anonymizers write "***"."""
    from pydicom.valuerep import DA, TM

    kind = {"DA": DA, "TM": TM}.get(element.VR)
    try:
        return kind is None or not element.value or kind(str(element.value)) is not None
    except ValueError:
        return False


def _share_orientation(sources: list[Dataset]) -> None:
    """Give all slices one orientation where they differ by rounding alone."""
    with_one = [s for s in sources if s.get("ImageOrientationPatient")]
    if not with_one:
        return
    first = with_one[0].ImageOrientationPatient
    for source in with_one:
        off = np.abs(np.subtract(source.ImageOrientationPatient, first, dtype=float)).max()
        if off >= SAME_ORIENTATION:
            raise InputError(
                f"{Path(source.filename).name}: its orientation differs by {off:.2g} from the first slice's"
            )
        source.ImageOrientationPatient = first


def _share_frame_groups(header: Dataset) -> None:
    """Put spacing and orientation of the first frame into the shared group, where highdicom looks for them."""
    frames, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    if not frames or not shared:
        return
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if keyword not in shared[0] and keyword in frames[0]:
            setattr(shared[0], keyword, frames[0][keyword].value)


def _equal_in_space(read: Volume, wanted: Volume) -> bool:
    """Whether both hold the same labels at the same places; a reader may stack the planes the other way."""
    for flipped in (read, Volume(read.array[::-1], read.spacing, _last_plane(read), _flipped(read))):
        if flipped.same_grid(wanted):
            return bool(np.array_equal(flipped.array, wanted.array))
    return False


def _last_plane(volume: Volume) -> tuple[float, ...]:
    return tuple(volume.points([[volume.shape[0] - 1, 0, 0]])[0])


def _flipped(volume: Volume) -> tuple[float, ...]:
    return tuple((np.reshape(volume.direction, (3, 3)) * [1, 1, -1]).ravel())


@contextlib.contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn what highdicom refuses into one line."""
    try:
        with _quiet():
            yield
    except InputError:
        raise
    except Exception as error:  # highdicom raises ValueError, TypeError, AttributeError, RuntimeError …
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name}: the scan's headers do not allow a DICOM-SEG ({reason}); write NIfTI or NRRD"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom and highdicom from telling of odd values that the source has, and hands on."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
