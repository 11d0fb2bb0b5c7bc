"""The ready-made knee, hip and shoulder."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage as ndi

from mrbone_nb import InputError
from mrbone_nb import phantom as ph
from mrbone_nb.phantom import joints


LITERS = {  # of each bone, the least and the most that is human within the field of view
    "knee": {1: (0.10, 0.30), 2: (0.08, 0.25), 3: (0.01, 0.03), 4: (0.004, 0.02)},
    "hip": {1: (0.12, 0.30), 2: (0.15, 0.40)},
    "shoulder": {1: (0.08, 0.25), 2: (0.05, 0.13)},
    "forearm": {1: (0.02, 0.05), 2: (0.012, 0.03)},
}


@pytest.mark.parametrize("joint", LITERS)
def test_ready_made_joints_have_whole_bones_of_human_size(joint, knee):
    body = knee if joint == "knee" else getattr(ph, f"{joint}_body")(size=96)
    assert set(np.unique(body.bones.array)) == {0, *LITERS[joint]}
    for number, (low, high) in LITERS[joint].items():
        bone = body.bones.array == number
        pieces, _ = ndi.label(bone)
        assert np.bincount(pieces[bone]).max() > 0.995 * bone.sum(), number
        assert low < bone.sum() * np.prod(body.bones.spacing) / 1e6 < high, number
    beside = ndi.binary_dilation(body.bones.array == 1)
    assert not (beside & (body.bones.array == 2)).any(), "a joint has a gap"


@pytest.mark.skipif(not joints._SAMPLE.is_file(), reason="installed without data_samples")
def test_the_sample_knee_keeps_every_voxel_of_its_bones():
    original = sitk.GetArrayFromImage(sitk.ReadImage(joints._SAMPLE))
    labels = joints._sample_knee(None).array
    for old, new in {5: 1, 6: 2, 7: 3, 8: 4}.items():
        assert np.array_equal(labels == new, original == old)


def test_without_the_sample_the_parametric_knee_steps_in(monkeypatch, tmp_path):
    monkeypatch.setattr(joints, "_SAMPLE", tmp_path / "none.nrrd")
    with pytest.raises(InputError, match="parametric"):
        ph.knee_body(shape="sample")
    monkeypatch.setattr(joints, "_sample_knee", None)
    monkeypatch.setattr(joints, "_step", lambda longest, size: longest / 40)
    assert set(np.unique(ph.knee_body(size=40).bones.array)) == {0, 1, 2, 3, 4}


def test_the_same_knee_is_built_twice():
    one, two, other = (ph.knee("t1", size=32, seed=s) for s in (1, 1, 2))
    assert one.volume.array.tobytes() == two.volume.array.tobytes()
    assert one.truth.array.tobytes() == two.truth.array.tobytes()
    assert not np.array_equal(one.volume.array, other.volume.array)


@pytest.mark.parametrize("make", [ph.hip, ph.shoulder, ph.forearm])
def test_the_other_joints_scan_in_one_call(make):
    volume, truth = make("pdfs", size=48, spacing=(8.0, 4.0, 4.0))
    assert volume.spacing == (8.0, 4.0, 4.0)
    assert volume.same_grid(truth)
    assert set(np.unique(truth.array)) == {0, 1, 2}


def test_the_forearm_has_thick_shafts_a_thin_wrist_and_muscle_between_its_bones():
    body = ph.forearm_body(size=110)
    codes, bone = body.tissue.array, body.bones.array > 0
    z = np.broadcast_to(body.tissue.points(np.argwhere(np.ones(bone.shape)))[:, 2].reshape(bone.shape), bone.shape)
    shell = bone & (codes == ph.tissue.CODES["cortex"])
    share = [shell[bone & part].mean() for part in ((z > 2) & (z < 12), z > 70)]
    assert share[1] > 1.4 * share[0] > 0.1
    rows, columns = (np.flatnonzero(bone.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    between = codes[z[:, 0, 0] > 70][:, rows[0] : rows[-1], columns[0] : columns[-1]]
    assert (between == ph.tissue.CODES["muscle"]).sum() > 2 * (between == ph.tissue.CODES["fat"]).sum()
