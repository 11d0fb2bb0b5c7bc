"""Enhanced multi-frame files: every frame has its own place, echo, type and scale."""

import numpy as np
import pytest
from made_dicom import AXES, ORIGIN, enhanced, places, plane, save, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError


def test_frames_in_any_order_make_one_volume(tmp_path):
    order = [3, 1, 7, 0, 6, 2, 5, 4]
    ds = enhanced([dict(position=places()[k]) for k in order], values()[order])
    volume = intake.read(save(tmp_path, [ds]))
    assert np.array_equal(volume.array, values()) and np.allclose(volume.origin, ORIGIN, atol=1e-6)
    assert volume.spacing == pytest.approx((3.3, 0.7, 0.6)) and volume.issues == ()


def test_echoes_come_apart_and_are_numbered(tmp_path):
    frames = [dict(position=p, te=te) for p in places() for te in (10, 50)]
    array = np.repeat(values(), 2, axis=0)
    array[1::2] //= 2
    save(tmp_path, [enhanced(frames, array)])
    assert [r.echo_time_ms for r in intake.inventory(tmp_path)] == [10, 50]
    assert np.array_equal(intake.read(tmp_path, echo=2).array, values() // 2)


def test_one_file_for_each_echo(tmp_path):
    files = [enhanced([dict(position=p, te=te) for p in places()], values() // k, SOPInstanceUID=f"1.2.{k}", InstanceNumber=k)
             for k, te in ((1, 10), (2, 50))]  # fmt: skip
    save(tmp_path, files)
    assert [r.echo for r in intake.inventory(tmp_path)] == [1, 2]
    assert np.array_equal(intake.read(tmp_path, echo=2).array, values() // 2)


def test_one_file_for_each_time_point(tmp_path):
    files = [
        enhanced([dict(position=p) for p in places()], values() // k, SOPInstanceUID=f"1.2.{k}") for k in (1, 2, 3)
    ]
    found = intake.inventory(save(tmp_path, files))
    assert len(found) == 3 and all(r.size == (8, 12, 10) for r in found)


def test_kinds_of_values_and_time_points_come_apart(tmp_path):
    frames = [dict(position=p, kind=kind, time=t) for t in (1, 2) for kind in ("M", "P") for p in places()]
    rows = intake.inventory(save(tmp_path, [enhanced(frames, np.concatenate([values()] * 4))]))
    assert [r.component for r in rows] == ["magnitude", "magnitude", "phase", "phase"]
    assert all(r.size == (8, 12, 10) for r in rows)


def test_each_frame_has_its_own_scale(tmp_path):
    frames = [dict(position=p, slope=1 + k) for k, p in enumerate(places())]
    volume = intake.read(save(tmp_path, [enhanced(frames, values())]))
    assert np.array_equal(volume.array, values() * np.arange(1, 9)[:, None, None])


def test_uneven_frames_are_told(tmp_path):
    moved = [p + AXES[:, 2] * 1.5 * (k > 4) for k, p in enumerate(places())]
    volume = intake.read(save(tmp_path, [enhanced([dict(position=p) for p in moved], values())]))
    assert volume.meta["blocking"] == ("gap",) and "frame 5 and im000.dcm frame 6" in volume.issues[0]


def test_a_frame_without_place(tmp_path):
    frames = [dict(position=p if k != 5 else None) for k, p in enumerate(places())]
    with pytest.raises(InputError, match=r"im000.dcm frame 6 \(1 of 8 frames\): no Image Position"):
        intake.read(save(tmp_path, [enhanced(frames, values())]))


def test_time_points_at_one_place(tmp_path):
    frames = [dict(position=ORIGIN, time=k) for k in range(8)]
    with pytest.raises(InputError, match="one and the same position"):
        intake.read(save(tmp_path, [enhanced(frames, values())]))


def test_frames_that_nothing_is_known_of(tmp_path):
    ds = plane(0, NumberOfFrames=8)
    ds.PixelData = values().tobytes()
    with pytest.raises(InputError, match="8 frames in one file that says nothing of their places"):
        intake.read(save(tmp_path, [ds]))


def test_a_multiframe_file_cut_short(tmp_path):
    (path,) = save(tmp_path, [enhanced([dict(position=p) for p in places()], values())]).iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short"):
        intake.read(tmp_path)
