"""The verb on stacks: fuse."""

import json
import sys
from pathlib import Path

import pytest

import mrbone_nb as mb
from mrbone_nb.outputs import save_image

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_fuse import stack  # noqa: E402


@pytest.fixture
def here(tmp_path):
    for plane in ("sagittal", "coronal", "axial"):
        save_image(stack(plane)[0], tmp_path / f"{plane}.nii.gz")
    return tmp_path


def test_stacks_become_one_volume(here, ok):
    words = ("fuse", "sagittal.nii.gz", "coronal.nii.gz", "axial.nii.gz", "-o", "joined.nii.gz", "--spacing", "1")
    data, _ = ok(*words)
    assert [entry["name"] for entry in data["stacks"]] == ["sagittal", "coronal", "axial"]
    volume = mb.read("joined.nii.gz")
    assert list(volume.shape) == data["shape"] and volume.spacing == pytest.approx((1, 1, 1))
    record = json.loads(Path("joined_record.json").read_text())
    assert record["kind"] == "mrbone_nb fuse" and set(record["outputs"]["files"]) == {"joined.nii.gz"}
    assert len(record["inputs"]["stacks"]) == 3 and all(one["sha256"] for one in record["inputs"]["stacks"])
    assert len(record["motions"][2]["matrix"]) == 4 and str(here) not in json.dumps(record)
    data, _ = ok(*words, "--no-register", "--overwrite")
    assert [entry["angle_deg"] for entry in data["stacks"]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("axial.nii.gz", "-o", "out.nii.gz"), "1 stacks given"),
        (("axial.nii.gz", "coronal.nii.gz", "-o", "out.png"), "out.png: expected a name that ends in .nii.gz"),
        (("axial.nii.gz", "coronal.nii.gz", "-o", "nowhere/out.nii.gz"), "its folder does not exist"),
        (("axial.nii.gz", "coronal.nii.gz", "-o", "axial.nii.gz"), "--overwrite"),
        (("axial.nii.gz", "coronal.nii.gz", "-o", "out.nii.gz", "--spacing", "0"), "spacing=0.0 mm"),
        (("axial.nii.gz", "none.nii.gz", "-o", "out.nii.gz"), "none.nii.gz"),
    ],
)
def test_what_is_wrong_is_said(words, said, here, bad):
    before = {path: path.read_bytes() for path in here.iterdir()}
    assert said in bad("fuse", *words)
    assert before == {path: path.read_bytes() for path in here.iterdir()}
