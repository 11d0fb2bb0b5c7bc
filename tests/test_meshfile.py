"""Mesh files as other programs read them: units, axes, names, colors; whole or not there."""

import json
import struct

import numpy as np
import pytest
import trimesh
from scenes import SPACING, ball

from mrbone_nb import InputError, Volume
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.mesh import Mesh
from mrbone_nb.meshfile import write_mesh
from mrbone_nb.surface import mesh_names, surface, write_meshes

FORMATS = ["stl", "ply", "obj", "glb"]


@pytest.fixture(scope="module")
def mesh():
    """A ball far from the origin: x from 110, y from -80, z from 300."""
    scan = Volume(ball(8, (10, 26, 22), SPACING), SPACING, origin=(110.0, -80.0, 300.0))
    return surface(scan)


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_programs_read_the_same_closed_surface(tmp_path, mesh, suffix):
    path = write_mesh(mesh, tmp_path / f"femur.{suffix}")
    read = trimesh.load(path, force="mesh")
    scale = 0.001 if suffix == "glb" else 1
    assert read.is_watertight and read.is_winding_consistent
    assert read.volume == pytest.approx(mesh.volume * scale**3, rel=1e-4)
    if suffix != "glb":
        assert np.allclose(read.bounds, mesh.bounds, atol=1e-3)


def test_glb_is_in_meters_with_the_head_up_and_the_front_forward(tmp_path, mesh):
    read = trimesh.load(write_mesh(mesh, tmp_path / "a.glb"), force="mesh")
    low, high = mesh.bounds / 1000
    assert np.allclose(read.bounds[:, 0], [low[0], high[0]], atol=1e-6), "x stays: to the left"
    assert np.allclose(read.bounds[:, 1], [low[2], high[2]], atol=1e-6), "up is where the head is"
    assert np.allclose(read.bounds[:, 2], [-high[1], -low[1]], atol=1e-6), "the front faces +Z"


def test_glb_carries_name_and_color(tmp_path, mesh):
    data = write_mesh(mesh, tmp_path / "a.glb", name="right femur", color=(1.0, 0.5, 0.0)).read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    (size,) = struct.unpack("<I", data[12:16])
    scene = json.loads(data[20 : 20 + size])
    assert scene["nodes"][0]["name"] == "right femur"
    color = scene["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"]
    assert color == pytest.approx([1, 0.5**2.2, 0, 1])
    low, high = scene["accessors"][1]["min"], scene["accessors"][1]["max"]
    assert np.all(np.subtract(high, low) < 0.02)


def test_stl_says_lps_and_mm_where_3d_slicer_looks(tmp_path, mesh):
    data = write_mesh(mesh, tmp_path / "a.stl", note="accepted: gap").read_bytes()
    assert b"SPACE=LPS" in data[:80] and b"UNIT=mm" in data[:80] and b"accepted: gap" in data[:80]
    assert not data.startswith(b"solid"), "it would be taken for a text"
    assert struct.unpack("<I", data[80:84])[0] == len(mesh.faces) and len(data) == 84 + 50 * len(mesh.faces)


def test_stl_normals_point_outward(tmp_path, mesh):
    data = write_mesh(mesh, tmp_path / "a.stl").read_bytes()
    record = np.frombuffer(data[84:], [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    away = record["c"].mean(axis=1) - mesh.vertices.mean(axis=0)
    assert ((record["n"] * away).sum(axis=1) > 0).mean() > 0.99
    assert np.allclose(np.linalg.norm(record["n"], axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("suffix, mark", [("ply", b"comment"), ("obj", b"#")])
def test_ply_and_obj_say_lps_and_mm_in_a_comment(tmp_path, mesh, suffix, mark):
    lines = write_mesh(mesh, tmp_path / f"a.{suffix}", note="accepted: gap").read_bytes().splitlines()[:8]
    comments = b"\n".join(line for line in lines if line.startswith(mark))
    assert b"SPACE=LPS" in comments and b"UNIT=mm" in comments and b"accepted: gap" in comments


def test_ply_carries_the_color(tmp_path, mesh):
    read = trimesh.load(write_mesh(mesh, tmp_path / "a.ply", color=(1, 0.2, 0)), force="mesh")
    assert read.visual.vertex_colors[0, :3].tolist() == [255, 51, 0]


@pytest.mark.parametrize("name", ["evil\nv 0 0 0", "größe", "a" * 300, ""])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_is_text_and_breaks_no_file(tmp_path, mesh, suffix, name):
    path = write_mesh(mesh, tmp_path / f"a.{suffix}", name=name, note=name)
    assert len(trimesh.load(path, force="mesh").faces) == len(mesh.faces)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_file_stays(tmp_path, mesh, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        write_mesh(mesh, path)
    assert path.read_text() == "old"
    write_mesh(mesh, path, overwrite=True)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_reads_back_different_is_not_kept(tmp_path, mesh, suffix, monkeypatch):
    from mrbone_nb import meshfile

    moved = Mesh(mesh.vertices + [0, 0, 0.01], mesh.faces)
    writer = meshfile.WRITERS[f".{suffix}"]
    monkeypatch.setitem(meshfile.WRITERS, f".{suffix}", lambda _, *rest: writer(moved, *rest))
    with pytest.raises(InputError, match="read back, it is not the mesh"):
        write_mesh(mesh, tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cut_file_is_not_kept(tmp_path, mesh, suffix, monkeypatch):
    from mrbone_nb import meshfile

    writer = meshfile.WRITERS[f".{suffix}"]
    monkeypatch.setitem(meshfile.WRITERS, f".{suffix}", lambda *given: writer(*given)[:-5000])
    with pytest.raises(InputError, match="read back"):
        write_mesh(mesh, tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())


def test_what_is_no_mesh_file_or_no_mesh_is_refused(tmp_path, mesh):
    with pytest.raises(InputError, match=r"a.vtk: unknown kind of mesh file; known are .stl, .ply, .obj, .glb"):
        write_mesh(mesh, tmp_path / "a.vtk")
    with pytest.raises(InputError, match="no triangles; nothing to export"):
        write_mesh(Mesh(np.zeros((0, 3)), np.zeros((0, 3), int)), tmp_path / "a.stl")
    broken = mesh.vertices.copy()
    broken[0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        write_mesh(Mesh(broken, mesh.faces), tmp_path / "a.stl")


# --- one file a label -----------------------------------------------------------------------------------


@pytest.fixture
def labels():
    array = np.zeros((8, 30, 30), np.uint8)
    array[2:6, 3:12, 3:12], array[2:6, 16:26, 16:26] = 2, 5
    return Volume(array, SPACING, name="knee_desc-bone_dseg")


def test_each_label_becomes_a_file_with_a_bids_name(tmp_path, labels):
    table = LabelTable({2: Label("hip bone", "right", "#ff0000"), 5: Label("femur", "left")})
    paths = write_meshes(labels, tmp_path, table, formats=("stl", "glb"), settings={"smoothing": 0.3, "reduction": 0.5})
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    assert {p.name for p in paths} == {
        f"knee_desc-bone_{bone}_mesh.{suffix}"
        for bone in ("hemi-R_label-hipBone", "hemi-L_label-femur")
        for suffix in ("stl", "glb")
    }
    read = trimesh.load(paths[0])
    wanted = surface(labels, 2, smoothing=0.3, reduction=0.5)
    assert np.allclose(read.bounds, wanted.bounds, atol=1e-3)


def test_names_are_never_alike():
    table = LabelTable(
        {
            1: Label("femur"),
            2: Label("Femur"),
            3: Label("femur2"),
            4: Label("femur 2"),
            5: Label("股骨"),
            6: Label("é/../x"),
        }
    )
    names = mesh_names(table, "scan")
    assert len({n.lower() for n in names.values()}) == len(names)
    assert all(len(n) <= 76 and set(n) <= set(map(chr, range(33, 127))) - set("/\\") for n in names.values())
    assert names[5] == "scan_label-unnamed_mesh"
    names = mesh_names(LabelTable({1: Label("femur"), 2: Label("Femur"), 3: Label("femur2")}), "scan")
    assert len({n.lower() for n in names.values()}) == 3


def test_long_names_stay_short():
    long = Label("a very long name of a bone that nobody would ever write down like this", "right")
    (name,) = mesh_names(LabelTable({1: long}), "x" * 300).values()
    assert len(name + ".stl") <= 80 and "_hemi-R_label-aVery" in name
    scan = "sub-01_ses-02_acq-highres_T1w_desc-bone"
    assert mesh_names(LabelTable({1: Label("femur", "left")}), scan) == {1: f"{scan}_hemi-L_label-femur_mesh"}


def test_nothing_is_written_where_one_file_exists(tmp_path, labels):
    (tmp_path / "knee_desc-bone_label-label5_mesh.stl").write_text("old")
    with pytest.raises(InputError, match="exists already"):
        write_meshes(labels, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_empty_and_blocked_label_maps_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="the mask is empty; nothing to export"):
        write_meshes(labels.with_array(0 * labels.array), tmp_path)
    with pytest.raises(InputError, match="--accept gap"):
        write_meshes(labels.with_array(labels.array, meta={"blocking": ("gap",)}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_accepted_fault_is_repeated_in_the_file(tmp_path, labels):
    accepted = labels.with_array(labels.array, meta={"blocking": ("gap",)}, accepted=("gap",))
    paths = write_meshes(accepted, tmp_path, formats=FORMATS)
    assert all(b"accepted: gap" in p.read_bytes() for p in paths)


def test_nothing_personal_reaches_a_mesh_file(tmp_path, labels):
    secret = labels.with_array(
        labels.array,
        name="knee",
        meta={"patient": "Doe^Jane"},
        issues=("IM1.dcm of Doe^Jane",),
        files=("/home/doe/IM1.dcm",),
    )
    for path in write_meshes(secret, tmp_path, formats=FORMATS):
        assert b"doe" not in path.read_bytes().lower() and "doe" not in path.name.lower()
