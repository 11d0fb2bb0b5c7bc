"""Small DICOM series made for the tests: an oblique, anisotropic stack with known values, and ways to break it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UID, generate_uid

SHAPE = (8, 12, 10)
SPACING = (3.3, 0.7, 0.6)
ORIGIN = np.array([-31.5, -20.25, 12.75])
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def uid(*words) -> str:
    """A UID that depends on the words alone."""
    return generate_uid(entropy_srcs=[str(w) for w in words])


def turn(a: float = 20, b: float = -12) -> np.ndarray:
    """Columns: directions of increasing column, row and plane."""
    a, b = np.radians([a, b])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return about_z @ about_x


AXES = turn()


def values(shape=SHAPE, seed: int = 3) -> np.ndarray:
    """Values of 12 bits, no two planes alike."""
    return np.random.default_rng(seed).integers(0, 4096, shape).astype("u2")


def plane(
    i: int = 0, array: np.ndarray | None = None, axes=AXES, origin=ORIGIN, spacing=SPACING, **tags
) -> FileDataset:
    """One MR image, the i-th of a stack."""
    series = tags.pop("SeriesInstanceUID", uid("series"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MR
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = tags.pop(
        "SOPInstanceUID", uid(series, i, tags.get("InstanceNumber"), tags.get("EchoTime"))
    )
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    place = np.asarray(origin) + axes[:, 2] * spacing[0] * i
    facts = dict(
        SOPClassUID=MR, SOPInstanceUID=meta.MediaStorageSOPInstanceUID, SeriesInstanceUID=series,
        StudyInstanceUID=uid("study"), FrameOfReferenceUID=uid("frame"), Modality="MR", PatientName="Doe^Jane",
        PatientID="JD1", StudyDate="20250101", SeriesNumber=3, SeriesDescription="t1_sag_knee",
        ImageType=["ORIGINAL", "PRIMARY", "M"], ScanningSequence="SE", SequenceVariant="NONE", EchoTime="12",
        RepetitionTime="600", InstanceNumber=i + 1, SliceThickness="3.0", SpacingBetweenSlices=str(spacing[0]),
        PixelSpacing=[str(spacing[1]), str(spacing[2])], Manufacturer="TEST",
        ImageOrientationPatient=[f"{v:.8f}" for v in [*axes[:, 0], *axes[:, 1]]],
        ImagePositionPatient=[f"{v:.6f}" for v in place],
    )  # fmt: skip
    array = values()[i] if array is None else np.asarray(array)
    facts |= dict(
        Rows=array.shape[0], Columns=array.shape[1], SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, value in (facts | tags).items():
            if value is None:
                if key in ds:
                    delattr(ds, key)
            else:
                setattr(ds, key, value)
    ds.PixelData = array.astype(array.dtype if array.dtype.itemsize == 2 else "u2").tobytes()
    return ds


def stack(n: int = SHAPE[0], **tags) -> list[FileDataset]:
    """A sound series of n slices."""
    return [plane(i, **tags) for i in range(n)]


def save(folder: Path, images: list[Dataset], names: list[str] | None = None) -> Path:
    """Write files; give the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k, ds in enumerate(images):
            ds.save_as(folder / (names[k] if names else f"im{k:03d}.dcm"), enforce_file_format=False)
    return folder


def put_text(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of a file by as many others, as a broken writer would."""
    assert len(old) == len(new)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def _item(**tags) -> Dataset:
    ds = Dataset()
    for key, value in tags.items():
        setattr(ds, key, value)
    return ds


def enhanced(frames: list[dict], array: np.ndarray, axes=AXES, spacing=SPACING, **tags) -> FileDataset:
    """An Enhanced MR file; each frame is a dict with `position` and perhaps `te`, `time`, `kind`, `slope`."""
    ds = plane(0, array[0], axes=axes)
    for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "EchoTime", "SliceThickness",
                "SpacingBetweenSlices", "RepetitionTime"):  # fmt: skip
        delattr(ds, key)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    ds.NumberOfFrames = len(frames)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[f"{v:.8f}" for v in [*axes[:, 0], *axes[:, 1]]])]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[str(spacing[1]), str(spacing[2])], SliceThickness="3")]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for k, facts in enumerate(frames):
        group = Dataset()
        if facts.get("position") is not None:
            place = [f"{v:.6f}" for v in facts["position"]]
            group.PlanePositionSequence = [_item(ImagePositionPatient=place)]
        group.MREchoSequence = [_item(EffectiveEchoTime=float(facts.get("te", 12)))]
        group.MRImageFrameTypeSequence = [_item(FrameType=["ORIGINAL", "PRIMARY", facts.get("kind", "M"), "NONE"])]
        group.FrameContentSequence = [_item(TemporalPositionIndex=facts.get("time", 1), StackID="1")]
        if "slope" in facts:
            group.PixelValueTransformationSequence = [
                _item(RescaleSlope=str(facts["slope"]), RescaleIntercept="0", RescaleType="US")
            ]
        ds.PerFrameFunctionalGroupsSequence.append(group)
    ds.PixelData = np.ascontiguousarray(array).tobytes()
    for key, value in tags.items():
        setattr(ds, key, value)
    return ds


def places(n: int = SHAPE[0], axes=AXES, spacing=SPACING, origin=ORIGIN) -> list[np.ndarray]:
    """Positions of the planes of the usual stack."""
    return [np.asarray(origin) + axes[:, 2] * spacing[0] * k for k in range(n)]


__all__ = ["UID"] + [n for n in dir() if not n.startswith("_")]
