"""Write simulated scans as DICOM, one file a slice, as a scanner sends them."""

from __future__ import annotations

from collections.abc import Sequence as Many
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ..errors import InputError
from ..volume import Volume
from .tissue import GYROMAGNETIC_MHZ_PER_T, SEQUENCES, Sequence, inversion_time

_KINDS = {  # Scanning Sequence, Sequence Variant, Acquisition Type
    "spin echo": ("SE", "SK", "2D"),
    "inversion recovery": (["SE", "IR"], ["SK", "MP"], "2D"),
    "gradient echo": ("GR", ["SP", "OSP"], "3D"),
    "double echo steady state": ("GR", ["SS", "OSP"], "3D"),
}


def write_dicom(
    volume: Volume | Many[Volume],
    folder: str | Path,
    *,
    series: int = 1,
    description: str | None = None,
    gap: float = 0.0,
    seed: int = 0,
) -> list[Path]:
    """Write a scan as a DICOM series of classic MR images.

    Parameters
    ----------
    volume
        A simulated scan; several of them (as the slices of a radial scan) make one series.
    folder
        Where to write; made if it does not exist.
    series
        Series number; scans with the same ``seed`` and different numbers belong to one study and
        share the frame of reference.
    description
        Series description; by default from the sequence and the plane.
    gap
        Gap between slices in mm: the slices are written that much thinner than they lie apart.
    seed
        All UIDs follow from it, the series number and the position: the same call writes the same bytes.

    Returns
    -------
    list of Path
        The files, in the order of the slices.

    Raises
    ------
    InputError
        Nothing to write, values that are negative, or a gap that leaves no slice.

    Notes
    -----
    Values are rounded to whole numbers, so they lose up to 0.5. The patient is called PHANTOM.
    """
    scans = [volume] if isinstance(volume, Volume) else list(volume)
    if not scans:
        raise InputError("no scan given: expected a volume or a list of them")
    for scan in scans:
        low, high = float(np.min(scan.array)), float(np.max(scan.array))
        if not (0 <= low and high <= 65535):
            raise InputError(f"values from {low:g} to {high:g}: expected 0 to 65535")
        if not 0 <= gap < scan.spacing[0]:
            raise InputError(f"gap={gap} mm: expected 0 to below the slice spacing of {scan.spacing[0]:g} mm")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = scans[0].meta.get("settings", SEQUENCES["t1"])
    header = _header(scans[0], settings, series, description, seed)
    written, number = [], 0
    for scan in scans:
        for plane in range(scan.shape[0]):
            number += 1
            path = folder / f"MR{series:03d}{number:04d}.dcm"
            _slice(header, scan, plane, number, gap, path).save_as(path, enforce_file_format=True)
            written.append(path)
    return written


def _header(scan: Volume, settings: Sequence, series: int, description: str | None, seed: int) -> pydicom.Dataset:
    """What all slices of a series share."""
    field = float(scan.meta.get("field_strength_t", 3.0))
    kind, variant, acquisition = _KINDS[settings.kind]
    name = str(scan.meta.get("sequence", "t1"))
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = MRImageStorage
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", {"water": "WATER", "fat": "FAT"}.get(name, "NORM")]
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20200101"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "120000"
    header.AccessionNumber = ""
    header.Modality = "MR"
    header.Manufacturer = "mrbone_nb"
    header.ManufacturerModelName = "simulated scanner"
    header.ReferringPhysicianName = ""
    header.StudyDescription = "Simulated MR"
    header.SeriesDescription = description or f"{_plane(scan)}_{name}"
    header.PatientName, header.PatientID = "PHANTOM", f"PHANTOM{seed:04d}"
    header.PatientBirthDate, header.PatientSex = "", "O"
    header.ScanningSequence, header.SequenceVariant, header.MRAcquisitionType = kind, variant, acquisition
    header.ScanOptions = "FS" if settings.fat < 0.5 and name not in ("water", "fat") else ""
    header.SequenceName = name
    header.RepetitionTime, header.EchoTime, header.FlipAngle = settings.tr, settings.te, settings.flip
    if settings.kind == "inversion recovery":
        header.InversionTime = round(inversion_time(settings, field), 3)
    header.EchoTrainLength = 8 if settings.kind == "spin echo" and settings.tr > 1500 else 1
    header.NumberOfAverages, header.EchoNumbers = 1, 1
    header.MagneticFieldStrength = field
    header.ImagingFrequency = round(GYROMAGNETIC_MHZ_PER_T * field, 4)
    header.ImagedNucleus, header.PixelBandwidth = "1H", settings.bandwidth
    header.InPlanePhaseEncodingDirection, header.PatientPosition = "COL", "FFS"
    header.StudyInstanceUID = _uid(seed, "study")
    header.SeriesInstanceUID = _uid(seed, "series", series)
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = _uid(seed, "frame"), ""
    header.Laterality, header.BodyPartExamined = "", "EXTREMITY"
    header.StudyID, header.SeriesNumber, header.AcquisitionNumber = "1", series, 1
    return header


def _slice(header: pydicom.Dataset, scan: Volume, plane: int, number: int, gap: float, path: Path) -> FileDataset:
    """Make one slice: the shared header, its place and its pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"{header.SeriesInstanceUID}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.update(header)
    one.SOPInstanceUID, one.InstanceNumber = meta.MediaStorageSOPInstanceUID, number
    axes = np.reshape(scan.direction, (3, 3))
    place = scan.points([[plane, 0, 0]])[0]
    one.ImagePositionPatient = [_ds(v) for v in place]
    one.ImageOrientationPatient = [_ds(v) for v in axes[:, :2].T.ravel()]
    one.SliceLocation = _ds(place @ axes[:, 2])
    one.SliceThickness, one.SpacingBetweenSlices = _ds(scan.spacing[0] - gap), _ds(scan.spacing[0])
    one.PixelSpacing = [_ds(scan.spacing[1]), _ds(scan.spacing[2])]
    pixels = np.rint(scan.array[plane]).astype("<u2")
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation = 15, 0
    one.SmallestImagePixelValue, one.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    one.WindowCenter, one.WindowWidth = 500, 1000
    one.PixelData = pixels.tobytes()
    return one


def _plane(scan: Volume) -> str:
    """The standard plane that is nearest to the slices."""
    return ("SAG", "COR", "TRA")[int(np.abs(np.reshape(scan.direction, (3, 3))[:, 2]).argmax())]


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters, as DICOM wants it."""
    return f"{value:.10f}"[:16].rstrip("0").rstrip(".") if abs(value) >= 1e-9 else "0"


def _uid(seed: int, *what: object) -> str:
    return generate_uid(entropy_srcs=["mrbone_nb phantom", str(seed), *map(str, what)])[:58]
