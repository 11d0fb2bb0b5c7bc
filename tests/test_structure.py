"""The rules of the house: which way imports run, what loads what, how long files and functions get."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mrbone_nb"

# Each part may import those above it alone. A new part gets its place here.
ORDER = """
    errors volume step files bones memory progress privacy
    morphology grids diffusion slices mesh meshfile packed
    intake labelfile strokes
    bias filters segment shape cleanup lift
    trace surface elements measure
    recipe record background
    priors leaks tighten consensus rating shaking channels fuse
    phantom dicomseg export verify agreement agreementplot methods
    learn
    views picture tornado outputs
    cohort nb cli
""".split()
NOTEBOOK_ONLY = {"IPython", "traitlets", "comm", "vtk", "vtkmodules", "pyvista"}  # beside the extra "notebook"
IN_A_RUNNING_KERNEL = {"progress": {"IPython"}}  # writes a line of text into a cell, no widget
IMPORT_NAMES = {  # where the package's import is not called as the package is
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "connected-components-3d": "cc3d",
    "pillow": "PIL",
    "pylibjpeg-openjpeg": "openjpeg",
    "pyjpegls": "jpeg_ls",
}


def tracked(pattern):
    """The project's own files: those in git, or all where there is no git."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, check=True, text=True)
        names = [name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
    files = [ROOT / name for name in names] or [
        p
        for p in ROOT.rglob(pattern)
        if not any(part.startswith(".") or part in ("out", "__pycache__") for part in p.relative_to(ROOT).parts)
    ]
    return sorted(p for p in files if p.is_file())


SOURCES = [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in tracked("*.py")]
OURS = [s for s in SOURCES if PACKAGE in s.values[0].parents]


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path):
    """The first name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """All that a file imports anywhere, as dotted names from the top."""
    package = ["mrbone_nb", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = start + (node.module.split(".") if node.module else [])
            yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("path", OURS)
def test_imports_run_one_way(path):
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    assert part in ORDER, f"give {part} its place in ORDER"
    for name in imports(path):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "mrbone_nb" and other not in (part, "__version__"):
            assert other in ORDER, f"{name}: give {other} its place in ORDER"
            assert ORDER.index(other) < ORDER.index(part), f"{part} stands above {other} and may not import it"


def declared(*extras):
    """Import names of the dependencies in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    names = [re.match(r"[\w.-]+", line)[0] for lines in lists for line in lines]
    return {IMPORT_NAMES.get(name.lower(), name.replace("-", "_")) for name in names}


@pytest.mark.parametrize("path", OURS)
def test_only_nb_imports_widgets_and_all_imports_are_declared(path):
    allowed = declared() | set(sys.stdlib_module_names) | {"mrbone_nb"} | IN_A_RUNNING_KERNEL.get(part_of(path), set())
    if part_of(path) == "nb":
        allowed |= declared("notebook") | NOTEBOOK_ONLY
    if part_of(path) == "cohort":
        allowed |= declared("cohort")
    assert {name.partition(".")[0] for name in imports(path)} <= allowed


@pytest.mark.parametrize("path", SOURCES)
def test_files_and_functions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            words = node.body[0] if ast.get_docstring(node) else None
            lines = node.end_lineno - node.lineno + 1 - (words.end_lineno - words.lineno + 1 if words else 0)
            assert lines <= 50, f"{node.name} has {lines} lines beside its docstring"


def public(nodes, prefix=""):
    """Functions, classes and their methods whose names do not begin with an underscore."""
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


@pytest.mark.parametrize("path", OURS)
def test_public_names_are_documented(path):
    tree = parse(path)
    assert ast.get_docstring(tree), "the file says nothing on itself"
    assert not [name for name, node in public(tree.body) if not ast.get_docstring(node)]
    for name, node in public(tree.body):
        first = ast.get_docstring(node).split("\n")[0]
        assert first.endswith((".", ":", "…")), f"{name}: the first line of its docstring ends without a full stop"


def test_import_is_light():
    """No widgets, no VTK, no torch, no Dask; a second of processor time at most."""
    heavy = ("ipywidgets", "anywidget", "IPython", "vtk", "vtkmodules", "torch", "dask", "itkwidgets", "matplotlib")
    code = f"import mrbone_nb, sys; print(*[m for m in {heavy} if m in sys.modules])"
    seconds = []
    for _ in range(3):
        before = os.times().children_user
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        seconds.append(os.times().children_user - before)
        assert done.stdout.split() == []
    assert statistics.median(seconds) <= 1.0


def test_files_name_no_machine():
    """Neither folders of one machine nor hosts of a private package index."""
    folders = "|".join(f"(?<![\\w.]){re.escape('/' + name + '/')}" for name in ("tmp", "work", "root", "opt"))
    hosts = "|".join(["arti" + "factory", "extra-index" + "-url", "trusted" + "-host", r"\." + r"(?:internal|corp|lan)\b"])
    telling = re.compile(f"{folders}|{hosts}", re.IGNORECASE)
    found = []
    for path in tracked("*"):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or a scan
        found += [f"{path.relative_to(ROOT)}: {line.strip()[:80]}" for line in text.splitlines() if telling.search(line)]
    assert not found
