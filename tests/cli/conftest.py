"""What the tests of the command line share: a small scan as files, and ways to run a verb."""

import json

import numpy as np
import pytest
from cli_scene import BRIGHT, CLEAN, NAMES, QUICK
from scenes import SPACING, bones

import mrbone_nb as mb
from mrbone_nb.cli import main
from mrbone_nb.export import write_labels
from mrbone_nb.outputs import save_image


@pytest.fixture
def mrbone(capsys, monkeypatch, tmp_path):
    """Run the command line in a folder of its own; gives exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        code = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def ok(mrbone):
    """Run a verb with --json that must succeed; gives its data and what it said besides."""

    def run(*argv):
        code, out, err = mrbone(*argv, "--json")
        assert code == 0, err
        return json.loads(out), err

    return run


@pytest.fixture
def bad(mrbone):
    """Run a verb that must refuse its input: exit code 2, one line, nothing else; gives the line."""

    def run(*argv):
        code, out, err = mrbone(*argv)
        assert code == 2 and out == "", (code, out, err)
        lines = err.splitlines()
        assert lines[-1].startswith("mrbone") and "Traceback" not in err
        rest = [
            line
            for line in lines[:-1]
            if not line.startswith(("note: ", "warning: ", "recipe ", "strokes ", "cropped "))
        ]
        assert rest == []
        return lines[-1]

    return run


@pytest.fixture(scope="module")
def scene():
    return bones((12, 40, 36), SPACING)


@pytest.fixture(scope="module")
def files(scene, tmp_path_factory):
    """A small scan with strokes, labels and recipes, as files."""
    folder = tmp_path_factory.mktemp("scene")
    scan = mb.Volume(np.rint(scene.arrays["image"] * 300).astype(np.float32), SPACING, (7, -8, 9))
    paths = {"scan": save_image(scan, folder / "scan.nii.gz")}
    for name in ("seeds", "labels"):
        paths[name] = write_labels(scan.with_array(scene.arrays[name]), folder / f"{name}.nii.gz", NAMES)
    paths["plain"] = write_labels(scan.with_array(scene.arrays["labels"]), folder / "plain.nrrd")
    paths["plain"].with_suffix(".json").unlink()
    paths["segments"] = write_labels(scan.with_array(scene.arrays["labels"]), folder / "mine.seg.nrrd", NAMES)
    paths["blank"] = save_image(scan.with_array(0 * scan.array), folder / "blank.nii.gz")
    moved = mb.Volume(scene.arrays["seeds"], SPACING, (7, -8, 10))
    paths["moved"] = write_labels(moved, folder / "moved.nii.gz", NAMES)
    for name, data in (("quick", QUICK), ("clean", CLEAN), ("bright", BRIGHT)):
        paths[name] = folder / f"{name}.json"
        paths[name].write_text(json.dumps(data))
    return paths
