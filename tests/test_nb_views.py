"""What the notebook shows: models in 3D, slices, and pages to send; without a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("nbconvert", reason="needs the extra `notebook`")

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbscene import LABELS, SCENE, SEEDS, TABLE, VOLUME, opened

import mrbone_nb as mb
from mrbone_nb.bones import Label, LabelTable
from mrbone_nb.errors import InputError
from mrbone_nb.mesh import Mesh
from mrbone_nb.nb.render import picture_of
from mrbone_nb.packed import pack
from mrbone_nb.picture import window_of
from mrbone_nb.volume import Volume

# --- 3D -----------------------------------------------------------------------------------------------


def box(center, half):
    """A box with outward faces, in LPS mm."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half + center
    faces = [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
    mesh = Mesh(corners, faces)
    assert mesh.volume > 0
    return mesh


def unpacked(sent):
    """Vertices in mm and faces, from what the front end gets."""
    data, (low, high) = gzip.decompress(sent["data"]), np.array(sent["bounds"])
    found = []
    for mesh in sent["meshes"]:
        size = 6 * mesh["vertices"]
        places = np.frombuffer(data[:size], "<u2").reshape(-1, 3) / 65535 * (high - low) + low
        data = data[size + -size % 4 :]
        found.append((places, np.frombuffer(data[: 12 * mesh["triangles"]], "<u4").reshape(-1, 3)))
        data = data[12 * mesh["triangles"] :]
    assert not data
    return found


def test_surfaces_are_sent_whole():
    meshes = [("a", box((0, 0, 0), 10), (1, 0, 0)), ("b", box((50, 5, 9), (3, 4, 5)), (0, 1, 0))]
    for (_, mesh, _), (places, faces) in zip(meshes, unpacked(pack(meshes)), strict=True):
        assert Mesh(places, faces).volume == pytest.approx(mesh.volume, rel=1e-3)
        assert np.allclose(Mesh(places, faces).bounds, mesh.bounds, atol=1e-3)


def test_still_picture_shows_the_side_that_faces_the_reader():
    view = mb.view3d(
        {
            "right": box((-30, 0, 0), 10),
            "left": box((30, 0, 0), 10),
            "behind": box((0, 40, 25), 10),
            "front": box((0, -40, 25), 9),
        }
    )
    picture = np.asarray(view.picture())[: view.height].astype(int)
    middle = {}
    for mesh in view.meshes:
        hue = np.array(mesh["color"]) / max(mesh["color"])
        like = np.abs(picture / np.maximum(picture.max(axis=2, keepdims=True), 1) - hue).max(axis=2) < 0.2
        rows, columns = np.nonzero(like & (picture.max(axis=2) > 60))
        middle[mesh["name"]] = (rows.mean(), columns.mean(), len(rows))
    assert middle["right"][1] < middle["left"][1], "the patient's right is on the left"
    assert middle["front"][0] < middle["right"][0], "the head is up"
    assert middle["front"][2] > 1.5 * middle["behind"][2], "what is in front is larger, and hides what is behind"


def test_still_picture_has_no_holes():
    sphere = mb.extract_surface(Volume(SCENE.arrays["mask"], SCENE.spacing))
    picture = np.asarray(picture_of([("ball", sphere, (1, 1, 1))], (300, 240), (0, 0)))[:240].astype(int)
    rows, columns = np.nonzero(picture.max(axis=2) > 40)
    middle = picture[int(rows.mean()) - 20 : int(rows.mean()) + 20, int(columns.mean()) - 20 : int(columns.mean()) + 20]
    assert middle.min() > 40


def test_labels_are_traced_and_named():
    view = mb.view3d(Volume(LABELS, SCENE.spacing), table=TABLE)
    assert [m["name"] for m in view.meshes] == ["right femur", "right tibia"]
    assert view.meshes[0]["color"] == [228, 26, 28]
    bundle = view._repr_mimebundle_()[0]
    assert opened(base64.b64decode(bundle["image/png"])).std() > 10 and "right femur" in bundle["text/plain"]
    view.show(Volume(LABELS * (LABELS == 1), SCENE.spacing), table=TABLE)
    assert len(view.meshes) == 1
    assert [m["name"] for m in mb.view3d([box((0, 0, 0), 1)]).meshes] == ["label 1"]


@pytest.mark.parametrize(
    ("what", "words", "message"),
    [
        (Volume(np.zeros((3, 3, 3), np.uint8)), {}, "nothing to show"),
        ({"a": 7}, {}, "a: int; expected a Mesh"),
        ([], {}, "nothing to show"),
        ([box((0, 0, 0), 1)], {"width": 5}, "width=5: expected 100 to 4000"),
    ],
)
def test_what_cannot_be_shown_in_3d_is_said(what, words, message):
    with pytest.raises(InputError, match=message):
        mb.view3d(what, **words)


# --- slices -------------------------------------------------------------------------------------------

TURNED = Volume(VOLUME.array, (3.0, 0.8, 1.1), (5, -7, 9), (0, 0, -1, 1, 0, 0, 0, -1, 0), name="turned")


def stored(view, name):
    return np.frombuffer(gzip.decompress(getattr(view, name)), np.uint8).reshape(view.shape)


@pytest.mark.parametrize("volume", [VOLUME, TURNED], ids=["straight", "turned"])
def test_slices_are_sent_in_lps_with_their_place(volume):
    view = mb.look(volume, volume.with_array(LABELS), seeds=SEEDS, table=TABLE)
    lps = volume.reorient("LPS")
    low, high = window_of(lps)
    assert np.abs(stored(view, "image") / 255 * (high - low) + low - np.clip(lps.array, low, high)).max() < 0.01
    assert np.array_equal(stored(view, "labels"), volume.with_array(LABELS).reorient("LPS").array)
    assert np.array_equal(stored(view, "seeds"), volume.with_array(SEEDS).reorient("LPS").array)
    affine, axes = np.array(view.affine), np.eye(3)
    assert np.allclose(np.sign(affine[:3, :3][::-1].diagonal()), 1) or np.allclose(affine[:3, :3] @ axes[::-1] > 0, axes > 0)
    position = np.array([2, 3, 4])
    own = volume.index([(affine @ [*position, 1])[:3]])[0]
    assert np.allclose(volume.array[tuple(np.rint(own).astype(int))], lps.array[tuple(position)])


def test_slices_are_numbered_as_in_the_scan():
    view = mb.look(TURNED)
    lps, sizes = TURNED.reorient("LPS"), TURNED.shape
    axis = {view: k for k, view in enumerate(("axial", "coronal", "sagittal"))}[view.planes[0]]
    native = 0  # the scan's own axis across its planes
    for k in range(lps.shape[axis]):
        number = lps.shape[axis] - 1 - k if view.flipped[axis] else k
        own = np.take(TURNED.array, number, axis=native)
        assert np.array_equal(np.sort(own.ravel()), np.sort(np.take(lps.array, k, axis=axis).ravel()))
    assert lps.shape[axis] == sizes[native]


def test_large_scans_are_sent_as_jpeg(monkeypatch):
    monkeypatch.setattr("mrbone_nb.nb.sliceview.MANY", 100)
    view = mb.look(VOLUME)
    lps = VOLUME.reorient("LPS")
    first = opened(view.image[: view.ends[0]])[..., 0]
    low, high = view.values
    assert view.codec == "jpeg" and len(view.ends) == lps.shape[view.across]
    assert np.abs(first / 255 * (high - low) + low - np.take(lps.array, 0, axis=view.across)).mean() < 0.05


def test_look_names_labels_and_starts_where_bone_is():
    view = mb.look(VOLUME, LABELS, seeds=SEEDS, table=TABLE)
    assert (
        view.names["1"] == {"name": "right femur", "color": [228, 26, 28]} and view.names["255"]["name"] == "everything else"
    )
    assert stored(view, "labels")[tuple(view.position)] > 0
    view.show(np.full(VOLUME.shape, 3, np.uint8))
    assert view.names["3"]["name"] == "label 3"
    bundle = view._repr_mimebundle_()[0]
    assert opened(base64.b64decode(bundle["image/png"])).std() > 10


def test_look_takes_planes_and_scale():
    assert mb.look(VOLUME).planes == ["axial", "coronal", "sagittal"], "native first"
    assert mb.look(VOLUME, planes=("native", "axial", "coronal"), scale=2).planes == ["axial", "coronal"]
    assert mb.look(VOLUME, scale=2).scale == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(volume="knee"), "str: expected a Volume"),
        (dict(labels=LABELS[:3]), "labels of shape"),
        (dict(seeds=LABELS * 0), "no bone is marked"),
        (dict(planes=("frontal",)), "plane='frontal'"),
        (dict(planes=()), "give at least one"),
        (dict(scale=0), "scale=0"),
    ],
)
def test_what_cannot_be_looked_at_is_said(words, message):
    with pytest.raises(InputError, match=re.escape(message)):
        mb.look(**{"volume": VOLUME, **words})


# --- pages --------------------------------------------------------------------------------------------


def executed(*views):
    """A notebook with these views as a kernel would have left it."""
    from ipywidgets import Widget

    cells, states = [], {}
    for view in views:
        data = dict(view._repr_mimebundle_()[0])
        cells.append(new_code_cell("view", outputs=[new_output("execute_result", data, execution_count=1)]))
        states |= Widget.get_manager_state(widgets=[getattr(view, "panel", None) and view.panel.widget or view])["state"]
    kept = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": states}}
    return new_notebook(cells=cells, metadata={"widgets": kept})


def test_a_page_holds_views_pictures_and_code(tmp_path):
    notebook = executed(
        mb.look(VOLUME, LABELS, seeds=SEEDS), mb.view3d(Volume(LABELS, SCENE.spacing)), mb.tune("gaussian", VOLUME)
    )
    before = nbformat.writes(notebook)
    page = mb.write_html(notebook, tmp_path / "page.html").read_text(encoding="utf-8")
    assert nbformat.writes(notebook) == before, "the notebook is left as it is"
    assert page.count('class="mb-view"') == 2 and page.count("data:image/png;base64,") >= 3
    assert "image = mb.gaussian(image, spacing=volume.spacing, sigma=0.7)" in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=[\"'](https?:)?//", page)
    states = [json.loads(s) for s in re.findall(r'<script id="mb-\d+" type="application/json">(.*?)</script>', page, re.S)]
    assert [set(s["buffers"]) for s in states] == [{"image", "labels", "seeds", "other", "after"}, {"data"}]
    assert all(f'id="{s["module"]}"' in page for s in states)


def test_a_page_from_a_file_and_over_one(tmp_path):
    nbformat.write(executed(mb.tune("gaussian", VOLUME)), tmp_path / "n.ipynb")
    mb.write_html(tmp_path / "n.ipynb", tmp_path / "n.html")
    with pytest.raises(InputError, match="exists"):
        mb.write_html(tmp_path / "n.ipynb", tmp_path / "n.html")
    mb.write_html(tmp_path / "n.ipynb", tmp_path / "n.html", overwrite=True)
    with pytest.raises(InputError, match="no such notebook"):
        mb.write_html(tmp_path / "m.ipynb", tmp_path / "m.html")


def test_a_page_without_saved_state_shows_the_picture(tmp_path):
    notebook = executed(mb.look(VOLUME))
    notebook.metadata.pop("widgets")
    page = mb.write_html(notebook, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "mb-view" not in page


def test_text_cannot_leave_its_place_in_a_page(tmp_path):
    table = LabelTable({1: Label("</script><script>alert(1)</script>"), 2: Label("b")})
    page = mb.write_html(executed(mb.look(VOLUME, LABELS, table=table)), tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page


# --- where a notebook works ---------------------------------------------------------------------------


def test_a_notebook_finds_the_project(tmp_path, monkeypatch):
    (tmp_path / "data_samples").mkdir()
    (tmp_path / "data_samples" / "SHA256SUMS").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    mb.enter_project()
    assert Path.cwd() == tmp_path
    mb.enter_project()
    assert Path.cwd() == tmp_path


def test_outside_a_project_a_notebook_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mb.enter_project()
    assert Path.cwd() == tmp_path
