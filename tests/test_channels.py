"""Several sequences as channels: same frame, same grid, and a known motion found again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mrbone_nb import InputError, Volume
from mrbone_nb import phantom as ph
from mrbone_nb.channels import Motion, as_channels, find_motion


@pytest.fixture(scope="module")
def body():
    return ph.knee_body(size=72, shape="parametric")


@pytest.fixture(scope="module")
def t1(body):
    return ph.scan(body, "t1", spacing=(3.0, 1.6, 1.6), bias=0.2, noise=0.02, shift=0.0).volume


@pytest.fixture(scope="module")
def pdfs(body):
    return ph.scan(
        body, "pdfs", spacing=(3.4, 1.9, 1.7), plane="coronal", bias=0.3, noise=0.03, shift=0.0, seed=4
    ).volume


def motion(volume, shift=(3.0, -5.0, 4.0), angles=(4.0, -3.0, 5.0)):
    """A known motion about the middle of a scan, in mm and degrees."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    middle = volume.points([(np.array(volume.shape) - 1) / 2])[0]
    matrix[:3, 3] = middle + shift - matrix[:3, :3] @ middle
    return Motion(matrix)


def error(found, wanted, volume):
    """Largest error at the corners in mm, and of the angle in degrees."""
    corners = np.c_[volume.corners(), np.ones(8)]
    apart = np.linalg.norm((corners @ (found.matrix - wanted.matrix).T)[:, :3], axis=1).max()
    turn = found.matrix[:3, :3].T @ wanted.matrix[:3, :3]
    return apart, np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))


def test_scans_come_onto_the_grid_of_the_first(body, t1, pdfs):
    channels, reference = as_channels([t1, pdfs])
    assert channels.shape == (2, *t1.shape) and channels.dtype == np.float32
    assert reference.same_grid(t1)
    assert np.array_equal(channels[0], t1.array)
    # What the other sequence shows lies in the same place as a direct scan on this grid shows it.
    direct = ph.scan(body, "pdfs", grid=t1, bias=0.3, noise=0.0, shift=0.0).volume.array
    inside = channels[1] > 0
    assert np.corrcoef(direct[inside], channels[1][inside])[0, 1] > 0.9
    names = [entry["name"] for entry in reference.meta["channels"]]
    assert names == [t1.name, pdfs.name]
    assert reference.meta["channels"][1]["covered"] > 0.9


def test_one_scan_is_one_channel(t1):
    channels, reference = as_channels([t1])
    assert channels.shape == (1, *t1.shape) and reference.meta["channels"][0]["angle_deg"] == 0


def test_a_known_motion_is_found_again(t1, pdfs):
    known = motion(t1)
    inverse = Motion(np.linalg.inv(known.matrix))
    moved = inverse.apply(pdfs)  # where the scanner would have seen the joint after it moved
    found = find_motion(moved, t1)
    apart, angle = error(found, known, t1)
    assert apart < 1.0 and angle < 0.5
    assert np.linalg.norm(np.array(found.shift_mm) - (3, -5, 4)) < 0.5
    assert found.similarity[1] > found.similarity[0]
    assert "turned by" in str(found)


def test_registration_makes_channels_agree_and_tells_the_motion(t1, pdfs):
    moved = replace(Motion(np.linalg.inv(motion(t1).matrix)).apply(pdfs), meta={"frame_hash": "b"})
    t1 = replace(t1, meta={"frame_hash": "a"})
    with pytest.raises(InputError, match="another frame of reference.*register=True"):
        as_channels([t1, moved])
    channels, reference = as_channels([t1, moved], register=True)
    wanted = as_channels([t1, replace(pdfs, meta={})])[0]
    inside = (channels[1] > 0) & (wanted[1] > 0)
    assert np.corrcoef(channels[1][inside], wanted[1][inside])[0, 1] > 0.96  # two interpolations of noise
    entry = reference.meta["channels"][1]
    assert np.linalg.norm(np.array(entry["shift_mm"]) - (3, -5, 4)) < 0.5
    assert entry["angle_deg"] == pytest.approx(
        np.degrees(Rotation.from_euler("xyz", [4, -3, 5], True).magnitude()), abs=0.5
    )


def test_scans_in_place_stay_there(t1, pdfs):
    found = find_motion(pdfs, t1)
    assert np.linalg.norm(found.shift_mm) < 0.5 and found.angle_deg < 0.5
    again = find_motion(pdfs, t1)
    assert np.allclose(again.matrix, found.matrix, atol=1e-9)


def test_a_motion_moves_points_and_keeps_the_voxels(t1):
    known = motion(t1)
    moved = known.apply(t1)
    assert moved.array is t1.array or np.array_equal(moved.array, t1.array)
    index = np.array([[0, 0, 0], [3, 10, 20]])
    there = np.c_[moved.points(index), np.ones(2)] @ known.matrix.T
    assert np.allclose(there[:, :3], t1.points(index), atol=1e-6)


def test_scans_of_other_places_are_refused(t1):
    far = replace(t1, origin=np.array(t1.origin) + [500.0, 0, 0], name="other")
    for register in (False, True):
        with pytest.raises(InputError, match="other: covers 0% of"):
            as_channels([t1, far], register=register)
    half = replace(t1, origin=np.array(t1.origin) + [0, 0, 70.0], name="half")
    with pytest.raises(InputError, match="expected at least 90%"):
        as_channels([t1, half], least_overlap=0.9)


def test_what_is_no_scan_is_refused(t1):
    with pytest.raises(InputError, match="no scan given"):
        as_channels([])
    with pytest.raises(InputError, match="ndarray given"):
        as_channels([t1.array])
    with pytest.raises(InputError, match="NaN"):
        as_channels([Volume(np.full((4, 4, 4), np.nan))])
    with pytest.raises(InputError, match="least_overlap=2"):
        as_channels([t1], least_overlap=2)
    with pytest.raises(InputError, match="too thin or too uniform"):
        find_motion(Volume(np.ones((9, 9, 9)), name="flat"), t1)
