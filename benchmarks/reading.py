"""Time the opening of a DICOM folder against SimpleITK's own series reader, and measure its memory.

    python benchmarks/reading.py [--slices 500] [--side 512] [--rounds 5]

A folder is made in a temporary place. Both readers run in turns in one process, so that load on the machine
hits both alike; memory is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mrbone_nb import Volume, intake


def make_folder(folder: Path, slices: int, side: int) -> None:
    """Write a sound classic MR series with a header of the usual length."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    series, study, frame = (generate_uid(entropy_srcs=[w]) for w in ("series", "study", "frame"))
    rng = np.random.default_rng(0)
    for k in range(slices):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = MRImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["image", str(k)])
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = series, study, frame
        ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "MR", "BENCH", 3, k + 1
        ds.PatientName, ds.PatientID, ds.SeriesDescription = "Bench^Mark", "B1", "t1_vibe_sag"
        ds.ImageType, ds.ScanningSequence, ds.SequenceVariant = ["ORIGINAL", "PRIMARY", "M"], "GR", "SP"
        ds.EchoTime, ds.RepetitionTime, ds.FlipAngle, ds.SliceThickness = "2.5", "6.1", "10", "0.7"
        ds.PixelSpacing, ds.ImageOrientationPatient = ["0.5", "0.5"], ["0", "1", "0", "0", "0", "-1"]
        ds.ImagePositionPatient = [f"{0.7 * k - 175:.4f}", "-128", "128"]
        block = ds.private_block(0x0019, "BENCH PRIVATE", create=True)
        for element in range(60):  # scanners write many private elements
            block.add_new(element, "LO", f"value {element} of the sequence")
        ds.Rows = ds.Columns = side
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = rng.integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
        pydicom.dcmwrite(folder / f"IM{k:04d}.dcm", ds, enforce_file_format=True)


def with_simpleitk(folder: Path) -> sitk.Image:
    """Read as the SimpleITK examples do."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def with_mrbone(folder: Path) -> Volume:
    """Read with inventory, checks and float32 values."""
    return intake.read(folder)


def seconds(reader, folder: Path) -> float:
    start = time.perf_counter()
    reader(folder)
    return time.perf_counter() - start


PEAK = """
import json, sys, threading, time
from mrbone_nb import intake
import pydicom.filereader
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
before, peak, done = held(), [0], threading.Event()
def look():
    while not done.wait(0.005):
        peak[0] = max(peak[0], held())
watch = threading.Thread(target=look)
watch.start()
volume = intake.read(sys.argv[1])
peak[0] = max(peak[0], held())
done.set()
watch.join()
print(json.dumps([peak[0] - before, volume.array.nbytes]))
"""


def memory(folder: Path) -> tuple[int, int]:
    """Bytes that reading takes at its peak, and those of the volume itself (Linux only)."""
    out = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True)
    return tuple(json.loads(out.stdout))


def main() -> int:
    """Print both times, their ratio and the memory; give 0 where the aims are reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_folder(folder, args.slices, args.side)
        same = np.array_equal(with_mrbone(folder).array, sitk.GetArrayFromImage(with_simpleitk(folder)))
        if not same:
            raise SystemExit("the two readers disagree")
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(seconds(with_mrbone, folder))
            theirs.append(seconds(with_simpleitk, folder))
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"{args.slices} slices of {args.side} x {args.side}, {args.rounds} rounds in turns")
        print(f"mrbone_nb  median {statistics.median(ours):.2f} s, best {min(ours):.2f} s")
        print(f"SimpleITK  median {statistics.median(theirs):.2f} s, best {min(theirs):.2f} s")
        print(f"ratio      {ratio:.2f} of medians, {min(ours) / min(theirs):.2f} of the best (aim: at most 1.5)")
        share = 0.0
        if sys.platform == "linux":
            peak, volume = memory(folder)
            share = peak / volume
            print(f"memory     {peak / 1e6:.0f} MB at the peak for a volume of {volume / 1e6:.0f} MB (float32): "
                  f"{share:.2f} times; {2 * share:.2f} times the stored 16 bits (aim: at most 2.5)")  # fmt: skip
    return 0 if ratio <= 1.5 and 2 * share <= 2.5 else 1


if __name__ == "__main__":
    sys.exit(main())
