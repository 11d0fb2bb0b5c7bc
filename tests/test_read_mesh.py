"""Surfaces read from files, and written with a number at each vertex."""

import numpy as np
import pytest
from boneshapes import knob

from mrbone_nb import InputError
from mrbone_nb.mesh import Mesh, check
from mrbone_nb.meshfile import read_mesh, write_mesh, write_values

BONE = knob(2)


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj", "glb"])
def test_what_was_written_is_read(suffix, tmp_path):
    read = read_mesh(write_mesh(BONE, tmp_path / f"a.{suffix}"))
    assert check(read).reason == "" and len(read.vertices) == len(BONE.vertices)
    assert np.allclose(read.vertices[read.faces], BONE.vertices[BONE.faces], atol=1e-3)


def test_a_file_that_says_ras_is_turned(tmp_path):
    path = write_mesh(BONE, tmp_path / "a.stl")
    path.write_bytes(path.read_bytes().replace(b"SPACE=LPS", b"SPACE=RAS"))
    read = read_mesh(path)
    assert np.allclose(read.bounds[0], -BONE.bounds[1] * [1, 1, 0] + BONE.bounds[0] * [0, 0, 1], atol=1e-3)
    assert check(read).outward


def test_what_is_no_bone_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_mesh(tmp_path / "none.stl")
    with pytest.raises(InputError, match="unknown kind"):
        read_mesh(tmp_path / "a.vtk")
    (tmp_path / "bad.ply").write_bytes(b"ply\nnonsense")
    with pytest.raises(InputError, match=r"bad\.ply"):
        read_mesh(tmp_path / "bad.ply")
    meters = write_mesh(Mesh(BONE.vertices / 1000, BONE.faces), tmp_path / "meters.obj")
    with pytest.raises(InputError, match="save it in mm"):
        read_mesh(meters)


def test_values_are_stored_and_colored(tmp_path):
    import trimesh

    values = np.linspace(-3, 3, len(BONE.vertices))
    values[0] = np.nan
    read = trimesh.load(write_values(BONE, tmp_path / "d.ply", values, limit=2), process=False)
    stored = read.metadata["_ply_raw"]["vertex"]["data"]["distance_mm"]
    assert np.allclose(stored[1:], values[1:], atol=1e-6) and np.isnan(stored[0])
    red, _, blue = read.visual.vertex_colors[:, :3].T.astype(int)
    assert blue[1] > 200 > red[1] and red[-1] > 200 > blue[-1]
    assert read.visual.vertex_colors[0, :3].tolist() == [128, 128, 128]
    assert read.visual.vertex_colors[len(values) // 2, :3].min() > 245
    for path, given, said in (("d.stl", values, "to .ply"), ("e.ply", values[1:], "expected one for each")):
        with pytest.raises(InputError, match=said):
            write_values(BONE, tmp_path / path, given)
