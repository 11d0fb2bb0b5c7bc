"""The verbs on label maps: mesh, compare, labels."""

import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from cli_scene import KNEE, NAMES, QUICK
from scenes import SPACING

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.cli import masks
from mrbone_nb.export import read_labels, write_labels


def test_mesh_into_a_folder(ok, files):
    data, _ = ok("mesh", files["labels"], "-o", "models/new", "--formats", "stl,glb", "--reduction", "0.5")
    assert sorted(p.name for p in Path("models/new").iterdir()) == [
        "labels_hemi-L_label-femur_mesh.glb",
        "labels_hemi-L_label-femur_mesh.stl",
        "labels_label-tibia_mesh.glb",
        "labels_label-tibia_mesh.stl",
    ]
    full = ok("mesh", files["labels"], "-o", "full")[0]["models"]
    for half, whole in zip(data["models"], full, strict=True):
        assert half["watertight"] and half["triangles"] == pytest.approx(whole["triangles"] / 2, rel=0.05)


@pytest.mark.parametrize("label", ["1", "femur", "Left femur"])
def test_mesh_of_one_label_into_a_file(label, ok, files, scene):
    import trimesh

    data, _ = ok("mesh", files["labels"], "-o", "femur.ply", "--label", label)
    (row,) = data["models"]
    mesh = trimesh.load(Path("femur.ply"))
    volume = np.count_nonzero(scene.arrays["labels"] == 1) * np.prod(SPACING)
    assert row["label"] == 1 and mesh.is_watertight and mesh.volume == pytest.approx(volume, rel=0.03)
    assert mesh.volume == pytest.approx(row["volume_mm3"], rel=1e-3)


def test_mesh_of_a_label_that_fails_costs_that_label(mrbone, files, monkeypatch):
    real = masks.extract_surface

    def fails(labels, number, **words):
        if number == 1:
            raise mb.InputError("too thin")
        return real(labels, number, **words)

    monkeypatch.setattr(masks, "extract_surface", fails)
    code, out, err = mrbone("mesh", files["labels"], "-o", "models", "--json")
    assert code == 1 and "no model of left femur: too thin" in err and len(json.loads(out)["models"]) == 1
    code, out, err = mrbone("mesh", files["labels"], "-o", "one.stl", "--label", "1")
    assert code == 2 and "left femur: too thin" in err and out == ""


def test_a_map_that_does_not_say_where_it_lies_needs_consent(ok, bad, files):
    data = bytearray(gzip.decompress(files["labels"].read_bytes()))
    data[252:256] = bytes(4)  # qform and sform codes
    Path("lost.nii").write_bytes(data)
    for verb, *rest in (["mesh", "-o", "models"], ["labels", "-o", "l.nii"], ["compare", "lost.nii"]):
        assert "--accept geometry" in bad(verb, "lost.nii", *rest)
        assert "warning: " in ok(verb, "lost.nii", *rest, "--accept", "geometry")[1]
    assert all(b"accepted: geometry" in path.read_bytes()[:80] for path in Path("models").iterdir())


def test_compare_by_name_by_number_and_by_map(ok, mrbone, files, scene):
    scan = mb.read(files["scan"])
    swapped = np.array([0, 7, 1])[scene.arrays["labels"]].astype(np.uint8)
    write_labels(scan.with_array(swapped), "b.nii.gz", LabelTable({7: NAMES[1], 1: NAMES[2]}))
    rows, _ = ok("compare", files["labels"], "b.nii.gz")
    assert [(r["label_a"], r["label_b"], r["dice"], r["hd95_mm"]) for r in rows] == [(1, 7, 1, 0), (2, 1, 1, 0)]
    rows, _ = ok("compare", files["plain"], "b.nii.gz")
    assert {(r["label_a"], r["label_b"]) for r in rows} == {(1, 1), (2, None), (None, 7)}
    assert [r["assd_mm"] for r in rows if r["label_b"] is None] == [None]  # NaN is not JSON
    rows, _ = ok("compare", files["plain"], "b.nii.gz", "--map", "1:7", "--map", "2:tibia")
    assert [(r["label_a"], r["label_b"], r["dice"]) for r in rows] == [(1, 7, 1), (2, 1, 1)]
    assert "left femur" in mrbone("compare", files["labels"], "b.nii.gz")[1]


def test_compare_with_a_part_of_the_grid(ok, files, scene):
    """3D Slicer saves only the box around the segments."""
    scan = mb.read(files["scan"])
    part = scan.with_array(scene.arrays["labels"]).crop((slice(1, 12), slice(2, 39), slice(1, 35)))
    write_labels(part, "part.seg.nrrd", NAMES)
    for order in ((files["labels"], "part.seg.nrrd"), ("part.seg.nrrd", files["labels"])):
        assert [r["dice"] for r in ok("compare", *order)[0]] == [1, 1]


def test_merge(ok, files, scene):
    data, _ = ok("labels", files["labels"], "-o", "out.nii.gz", "--merge", "femur,2:9")
    labels, table = read_labels("out.nii.gz")
    assert np.array_equal(labels.array, (scene.arrays["labels"] > 0) * 9) and dict(table) == {9: NAMES[1]}
    assert data["labels"][0]["voxels"] == np.count_nonzero(scene.arrays["labels"])
    ok("labels", files["labels"], "-o", "kept.nii.gz", "--merge", "1:2")
    assert read_labels("kept.nii.gz")[1][2].name == "tibia"


def islands_map(direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    """Three blocks of label 4: one large and one small at low columns, one of middle size at high columns."""
    array = np.zeros((3, 12, 20), np.uint8)
    array[:, 1:7, 1:6], array[0, 10, 2], array[:, 2:6, 13:18] = 4, 4, 4
    array[2, 10, 10] = 8
    return mb.Volume(array, SPACING, direction=direction)


def test_split_into_parts(ok):
    volume = islands_map()
    write_labels(volume, "in.nii.gz", LabelTable({4: Label("rib"), 5: Label("free")}))
    data, _ = ok("labels", "in.nii.gz", "-o", "out.nii.gz", "--split", "rib")
    array = read_labels("out.nii.gz")[0].array
    assert (array[0, 2, 2], array[0, 3, 14], array[0, 10, 2], array[2, 10, 10]) == (4, 1, 2, 8)
    assert np.array_equal(array > 0, volume.array > 0)
    assert [(r["label"], r["name"]) for r in data["labels"]] == [
        (1, "rib part 2"),
        (2, "rib part 3"),
        (4, "rib"),
        (8, "label 8"),
    ]
    assert len({r["color"] for r in data["labels"]}) == 4


def test_parts_that_touch_at_a_corner_are_one(ok):
    array = np.zeros((2, 4, 4), np.uint8)
    array[0, :2, :2], array[1, 2:, 2:] = 1, 1
    write_labels(mb.Volume(array), "in.nii.gz")
    assert len(ok("labels", "in.nii.gz", "-o", "out.nii.gz", "--split", "1")[0]["labels"]) == 1


def test_split_of_specks_on_an_odd_grid(ok):
    array = np.zeros((3, 3, 3), np.uint8)
    array[::2, ::2, ::2] = 1
    write_labels(mb.Volume(array, spacing=SPACING), "in.nii.gz")
    assert len(ok("labels", "in.nii.gz", "-o", "out.nii.gz", "--split", "1")[0]["labels"]) == 8


def test_split_of_one_part_is_told(ok, files):
    data, said = ok("labels", files["labels"], "-o", "out.nii.gz", "--split", "1")
    assert [r["label"] for r in data["labels"]] == [1, 2] and "nothing to split" in said


@pytest.mark.parametrize("mirrored", [False, True])
def test_split_by_side_is_the_patients_side(ok, mirrored):
    """Columns grow to the patient's left, or, mirrored, to the right: the array alone does not tell."""
    volume = islands_map((-1, 0, 0, 0, 1, 0, 0, 0, 1) if mirrored else (1, 0, 0, 0, 1, 0, 0, 0, 1))
    write_labels(volume, "in.nii.gz", LabelTable({4: Label("femur")}))
    ok("labels", "in.nii.gz", "-o", "out.nii.gz", "--split", "4:sides")
    labels, table = read_labels("out.nii.gz")
    low, small, high = labels.array[0, 2, 2], labels.array[0, 10, 2], labels.array[0, 3, 14]
    right, left = (high, low) if mirrored else (low, high)
    assert low == small and right == 4 and (table[right].title, table[left].title) == ("right femur", "left femur")
    assert labels.array[2, 10, 10] == 8


@pytest.mark.parametrize("other", ["5", "not bone"])
def test_strokes_whose_everything_else_has_another_number(other, ok, mrbone, files, scene):
    """As 3D Slicer exports them: segments are numbered from 1."""
    seeds, names = read_labels(files["seeds"])
    strokes = seeds.with_array(np.where(seeds.array == 255, 5, seeds.array))
    write_labels(strokes, "strokes.nii.gz", LabelTable({**names, 5: Label("not bone")}))
    given = ["labels", "strokes.nii.gz", "--everything-else", other, "-o"]
    data, _ = ok(*given, "seeds.nii.gz")
    again, table = read_labels("seeds.nii.gz")
    assert (again.array == seeds.array).all() and table == names
    assert [r["label"] for r in data["labels"]] == [1, 2]
    assert data["everything_else"] == (seeds.array == 255).sum()
    assert "255  everything else" in mrbone(*given, "more.nii.gz")[1]


def test_rename_and_side(ok, files):
    given = ["--rename", "1=right humerus,tibia=ulna", "--side", "2=left", "--side", "humerus=none"]
    data, _ = ok("labels", files["labels"], "-o", "out.seg.nrrd", *given)
    assert [(r["name"], r["side"], r["color"]) for r in data["labels"]] == [
        ("humerus", "", "#ff0000"),
        ("ulna", "left", "#00ff00"),
    ]
    assert read_labels("out.seg.nrrd")[1][2].title == "left ulna"


def test_convert_and_the_order_of_changes(ok, files):
    ok("labels", files["labels"], "-o", "out.seg.nrrd")
    ok("labels", "out.seg.nrrd", "-o", "back.nii.gz")
    (one, names), (two, others) = read_labels(files["labels"]), read_labels("back.nii.gz")
    assert np.array_equal(one.array, two.array) and one.same_grid(two) and dict(names) == dict(others)
    ok(
        "labels",
        files["labels"],
        "-o",
        "m.nii.gz",
        "--side",
        "3=right",
        "--rename",
        "3=leg",
        "--split",
        "3",
        "--merge",
        "1,2:3",
    )
    table = read_labels("m.nii.gz")[1]
    assert {label.side for label in table.values()} == {"right", "left"} and table[3].title == "right leg"


def test_labels_to_dicom_needs_the_scan(ok):
    given = ["segment", KNEE / "dicom", "--echo", 1, "--seeds", KNEE / "seeds.nii.gz", "--recipe"]
    Path("r.json").write_text(json.dumps({**QUICK, "calls": QUICK["calls"][:2]}))
    ok(*given, "r.json", "-o", "knee.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # as outside of tests
        _, said = ok("labels", "knee.nii.gz", "-o", "knee.dcm", "--scan", KNEE / "dicom", "--echo", 1)
    assert said.startswith("warning: knee.dcm: carries the patient's identity") and said.count("\n") == 1
    one, two = (
        read_labels(name, like=mb.read(KNEE / "dicom", echo=1))[0].array for name in ("knee.nii.gz", "knee.dcm")
    )
    assert np.array_equal(one, two)


def test_mesh_for_finite_elements(ok, bad, files):
    rows = ok("mesh", files["labels"], "-o", "even", "--remesh", "2.5")[0]["models"]
    assert all(row["crossing"] == 0 and row["watertight"] and row["smallest_angle"] > 20 for row in rows)
    assert all(abs(row["edge_mm"] - 2.5) < 0.3 for row in rows)
    assert "a third of the model's width" in bad("mesh", files["labels"], "-o", "coarse", "--remesh", "500")
