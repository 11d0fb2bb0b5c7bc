"""Decode compressed DICOM pixels: run as a process of its own by `child.py`, never imported.

Each line on standard input is a job in JSON; each answer on standard output is a line of JSON, followed by the values
where decoding went well. Nothing of the package is imported, so that this process starts quickly.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import tempfile

RLE, JPEG_LS, JPEG_2000, JPEG = "pydicom", "pyjpegls", "pylibjpeg", "pillow"
PLUGIN = {
    "1.2.840.10008.1.2.5": RLE,
    "1.2.840.10008.1.2.4.50": JPEG,
    "1.2.840.10008.1.2.4.80": JPEG_LS,
    "1.2.840.10008.1.2.4.81": JPEG_LS,
    "1.2.840.10008.1.2.4.90": JPEG_2000,
    "1.2.840.10008.1.2.4.91": JPEG_2000,
    "1.2.840.10008.1.2.4.201": JPEG_2000,
    "1.2.840.10008.1.2.4.202": JPEG_2000,
    "1.2.840.10008.1.2.4.203": JPEG_2000,
}  # the others are read by GDCM, inside SimpleITK


def limit_memory(size: int) -> None:
    """Let the system refuse memory beyond what is held now plus ``size`` bytes, where it can."""
    try:
        import resource
    except ImportError:  # Windows: the parent looks
        return
    try:
        with open("/proc/self/statm") as file:
            held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        held = 1 << 30
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + size
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ValueError, OSError):
        pass


def read_value(job: dict) -> bytes:
    """Give the encapsulated pixel data of a file."""
    with open(job["path"], "rb") as file:
        file.seek(job["offset"])
        return file.read(job["length"])


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG or JPEG 2000 stream claims, so that a lie is found before memory is taken."""
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:
        width, height, left, top = struct.unpack(">IIII", frame[8:24])
        return height - top, width - left
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC) or marker == 0xF7:
            return struct.unpack(">HH", frame[at + 5 : at + 9])
        if marker == 0xFF:
            at += 1
            continue
        at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    return None


def decode(job: dict):
    """Give the frames of a job as an array (frames, rows, columns)."""
    from pydicom.encaps import generate_frames

    data = read_value(job)
    first = next(generate_frames(data, number_of_frames=job["frames"]), b"")
    claimed = codestream_size(first)
    if claimed and claimed != (job["rows"], job["columns"]):
        raise ValueError(f"a frame is {claimed[0]} x {claimed[1]}, the header says {job['rows']} x {job['columns']}")
    plugin = PLUGIN.get(job["syntax"])
    return with_pydicom(job, data, plugin) if plugin else with_gdcm(job, data)


def with_pydicom(job: dict, data: bytes, plugin: str):
    """Decode with one named plugin of pydicom, so that what else is installed changes nothing."""
    import numpy as np
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    options = dict(
        rows=job["rows"],
        columns=job["columns"],
        number_of_frames=job["frames"],
        samples_per_pixel=1,
        photometric_interpretation=job["photometric"],
        bits_allocated=job["allocated"],
        bits_stored=job["stored"],
        pixel_representation=int(job["signed"]),
        pixel_keyword="PixelData",
        transfer_syntax_uid=UID(job["syntax"]),
    )
    out = None
    frames = get_decoder(UID(job["syntax"])).iter_array(data, raw=True, decoding_plugin=plugin, **options)
    for k, (frame, _) in enumerate(frames):
        if out is None:
            out = np.empty((job["frames"], job["rows"], job["columns"]), frame.dtype)
        out[k] = frame.reshape(out.shape[1:])
    if out is None or k + 1 != job["frames"]:
        raise ValueError("fewer frames than the header counts")
    return out


def with_gdcm(job: dict, data: bytes):
    """Decode with GDCM through a small file that holds the pixels and nothing else of the original."""
    import numpy as np
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(job["syntax"])
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "OT", 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.NumberOfFrames = job["rows"], job["columns"], job["frames"]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = job["allocated"], job["stored"], job["high"]
    ds.PixelRepresentation = int(job["signed"])
    ds.PixelData = data  # the mark of its end is written by pydicom
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "pixels.dcm")
        ds.save_as(path, enforce_file_format=True)
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        image = sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO"))
    image = image.reshape(job["frames"], job["rows"], job["columns"])
    kind = f"{'i' if job['signed'] else 'u'}{job['allocated'] // 8}"
    if image.dtype != np.dtype(kind):
        image = image.astype(kind)
    return image


def main() -> None:
    """Answer jobs until standard input ends."""
    sys.path.extend(p for p in os.environ.get("MRBONE_NB_PATH", "").split(os.pathsep) if p and p not in sys.path)
    import numpy as np

    limit_memory(int(sys.argv[1]))
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            array = np.ascontiguousarray(decode(json.loads(line)))
        except MemoryError:
            answer, array = {"error": "more memory needed than allowed"}, None
        except Exception as error:  # any decoder, any error: the text is all that matters
            answer, array = {"error": f"{type(error).__name__}: {str(error)[:300]}"}, None
        else:
            answer = {"shape": array.shape, "dtype": array.dtype.str}
        out.write(json.dumps(answer).encode() + b"\n")
        if array is not None:
            out.write(array.data.cast("B"))
        out.flush()


if __name__ == "__main__":
    main()
