"""What view3d shows with which backend, without a browser; and the build of the offline viewer from small packages."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import types

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

from nbscene import LABELS, SCENE
from PIL import Image

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.nb import offline, volumeview
from mrbone_nb.nb.meshview import MeshView
from mrbone_nb.nb.threed import StillView
from mrbone_nb.nb.volumeview import VolumeView
from mrbone_nb.volume import Volume

VOLUME = Volume(SCENE.arrays["image"] + np.float32(0.003), SCENE.spacing, (10, 20, 30), name="knee")


def still(view):
    bundle = view._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    return Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"labels": LABELS}, MeshView),
        ({"labels": LABELS, "backend": "mesh"}, MeshView),
        ({"labels": LABELS, "backend": "picture"}, StillView),
        ({"labels": LABELS, "backend": "itkwidgets"}, VolumeView),
        ({"backend": "itkwidgets"}, VolumeView),
        ({}, StillView),  # no surface, and nobody who could show a volume
    ],
)
def test_each_backend_shows_a_scan_and_keeps_a_picture(given, kind):
    view = mb.view3d(VOLUME, **given)
    assert isinstance(view, kind)
    assert np.asarray(still(view)).std() > 10
    assert "itkwidgets" not in sys.modules, "where nobody looks, its import would hold up later cells"


def test_labels_alone_and_surfaces_are_shown_as_before():
    labels = VOLUME.with_array(LABELS)
    names = ["label 1", "label 2"]
    assert [m["name"] for m in mb.view3d(labels).meshes] == names
    assert [m["name"] for m in mb.view3d(VOLUME.with_array(LABELS.astype(np.float32))).meshes] == names
    surface = mb.extract_surface(labels, 1)
    for view in (mb.view3d({"a": surface}), mb.view3d(mesh={"a": surface}), mb.view3d(VOLUME, mesh={"a": surface})):
        assert [m["name"] for m in view.meshes] == ["a"]


def test_a_view_follows_a_slider_down_to_nothing():
    for view in (mb.view3d(VOLUME, labels=LABELS), mb.view3d(labels=VOLUME.with_array(LABELS))):
        view.show(labels=LABELS * (LABELS == 1))
        assert [m["name"] for m in view.meshes] == ["label 1"]
        bounds = view.bounds
        view.show(labels=np.zeros_like(LABELS))
        assert view.meshes == [] and view.bounds == bounds and still(view).size
        view.show(labels=LABELS)
        assert len(view.meshes) == 2
    picture = mb.view3d(VOLUME, labels=LABELS, backend="picture")
    before = picture.value
    picture.show(labels=LABELS * (LABELS == 1))
    assert picture.value != before


@pytest.mark.parametrize(
    ("what", "words", "told"),
    [
        (VOLUME, {"backend": "vtk"}, "backend='vtk': expected one of auto, itkwidgets, mesh, picture"),
        (VOLUME, {"backend": "mesh"}, "nothing to show"),
        (VOLUME, {"labels": LABELS[1:]}, "labels"),
        (None, {"labels": LABELS}, "labels: ndarray; without a scan give a Volume"),
        (None, {}, "nothing to show"),
        ({}, {"mesh": {}}, "mesh: surfaces were given first as well"),
    ],
)
def test_what_cannot_be_shown_is_said(what, words, told):
    with pytest.raises(InputError, match=told):
        mb.view3d(what, **words)


# --- itkwidgets, played ---------------------------------------------------------------------------------


class Event:
    """An event that is set when the test says so."""

    def __init__(self):
        self.done = False

    def is_set(self):
        return self.done


class Viewer:
    """What itkwidgets' view gives, as far as it is used."""

    def __init__(self, **given):
        self.given, self.sent = given, []
        self.viewer_rpc = types.SimpleNamespace(data_event=Event())

    def set_image(self, image):
        self.sent.append("image")

    def set_label_image(self, labels):
        self.sent.append(labels)


@pytest.fixture
def page(monkeypatch):
    """A page that can show itkwidgets, and a clock that the test turns."""

    class Loop:
        now, due = 0.0, []

        def time(self):
            return self.now

        def call_later(self, seconds, function):
            self.due.append(function)

        def turn(self, seconds):
            self.now += seconds
            due, self.due = self.due, []
            for function in due:
                function()

    loop = Loop()
    monkeypatch.setattr(volumeview.asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr(volumeview, "_itkwidgets", lambda: types.SimpleNamespace(view=Viewer))
    return loop


def tell(view, host=True):
    view._told(view._probe, {"host": host}, [])


def test_the_volume_is_given_with_its_place_and_labels_follow(page):
    view = mb.view3d(VOLUME, labels=LABELS, backend="itkwidgets")
    view.show(labels=LABELS * (LABELS == 1))  # before anybody looks
    tell(view)
    image = view.viewer.given["image"]
    turned = VOLUME.reorient("LPS")
    assert image.dims == ["z", "y", "x"] and list(image.scale.values()) == pytest.approx(list(turned.spacing))
    assert [image.translation[a] for a in "xyz"] == pytest.approx(list(turned.origin))
    assert image.data.shape == turned.shape and image.data.dtype == np.uint8
    viewer = view.viewer
    tell(view)
    assert view.viewer is viewer, "a second display while it starts does not start another"
    view.show(labels=LABELS)  # while it starts
    page.turn(1)
    assert viewer.sent == [] and view.light.layout.display is None
    viewer.viewer_rpc.data_event.done = True
    page.turn(1)
    assert view.light.layout.display is None and len(viewer.sent) == 2
    view.show(labels=LABELS * (LABELS == 2))
    assert set(np.unique(np.asarray(viewer.sent[-1].data))) == {0, 2}
    tell(view)
    assert view.viewer is not viewer, "after a reload it starts anew"


def test_a_picture_goes_when_the_volume_is_there(page):
    view = mb.view3d(VOLUME, backend="itkwidgets")
    tell(view)
    assert view.light.layout.display is None and "label_image" not in view.viewer.given
    view.viewer.viewer_rpc.data_event.done = True
    page.turn(1)
    assert view.light.layout.display == "none" and view._line.value == ""


@pytest.mark.parametrize("kind", ["no host", "broken", "slow"])
def test_without_a_viewer_a_line_says_so_and_the_surfaces_stay(page, monkeypatch, kind):
    view = mb.view3d(VOLUME, labels=LABELS, backend="itkwidgets")
    if kind == "broken":
        monkeypatch.setattr(volumeview, "_itkwidgets", lambda: 1 / 0)
    tell(view, host=kind != "no host")
    if kind == "slow":
        for _ in range(10):
            page.turn(volumeview.SECONDS / 5)
    line = {"no host": "not installed here", "broken": "ZeroDivisionError", "slow": "did not start within"}[kind]
    assert line in view._line.value and view.light.layout.display is None and view.viewer is None
    view.show(labels=LABELS * (LABELS == 1))
    assert [m["name"] for m in view.light.meshes] == ["label 1"]


# --- the offline viewer ---------------------------------------------------------------------------------

PARTS = {
    "imjoy-core": {
        "dist/imjoy-core.min.js": '{"Jupyter-Engine-Manager":{"src":"x","startup":true},'
        '"WebPythonWorker":{"src":"y","startup":true}}',
        "dist/imjoy-loader.min.js": "", "dist/imjoy-rpc.min.js": "",
    },
    "itk-vtk-viewer": {
        "dist/index.html": "<script src='https://lib.imjoy.io/imjoy-loader.js'></script>{api_version: '0.2.3'}",
        "dist/itk/pipeline/BloscZarr.umd.js": "", "dist/itk/image-io/Nrrd.js": "",
    },
    "itk-viewer-bootstrap-ui": {"dist/bootstrapUIMachineOptions.js.es.js": ""},
}  # fmt: skip


@pytest.fixture
def tarballs(tmp_path, monkeypatch):
    """Small packages in place of the real ones, with their checksums."""
    folder, packages = tmp_path / "tarballs", []
    folder.mkdir()
    for package in offline.PACKAGES:
        file = folder / f"{package.name}-{package.version}.tgz"
        with tarfile.open(file, "w:gz") as archive:
            for name, text in {**PARTS[package.name], "LICENSE": "terms"}.items():
                entry = tarfile.TarInfo("package/" + name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        sha = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
        packages.append(offline.Package(package.name, package.version, package.license, sha))
    monkeypatch.setattr(offline, "PACKAGES", tuple(packages))
    monkeypatch.setattr(offline.sys, "prefix", str(tmp_path))
    return folder


def test_the_offline_viewer_is_built_whole_and_asks_no_host(tarballs):
    assert not offline.installed()
    place = offline.install(tarballs=tarballs)
    assert offline.installed() and place == offline.folder()
    texts = [p.read_text(encoding="utf-8") for p in (place / "static").rglob("*") if p.suffix in (".js", ".html")]
    assert not any("https://" in text or '"startup":true' in text for text in texts)
    assert len(list((place / "licenses").iterdir())) == 3
    assert (place / "static/viewer/itk/pipeline/BloscZarr.umd.js").exists()
    assert not (place / "static/viewer/itk/image-io").exists()
    assert "imjoy-jupyterlab-extension" in (place / "package.json").read_text(encoding="utf-8")
    assert [p.name for p in place.parent.iterdir()] == [offline.NAME], "nothing is left beside it"


def test_another_package_is_refused_and_the_old_viewer_stays(tarballs):
    offline.install(tarballs=tarballs)
    next(tarballs.glob("itk-vtk*")).write_bytes(b"something else")
    with pytest.raises(InputError, match="SHA-512 differs"):
        offline.install(tarballs=tarballs)
    assert offline.installed()
    next(tarballs.glob("itk-vtk*")).unlink()
    with pytest.raises(InputError, match="not in tarballs"):
        offline.install(tarballs=tarballs)


def test_without_npm_and_network_it_is_said_in_one_line(tarballs, monkeypatch, capsys):
    monkeypatch.setattr(offline.shutil, "which", lambda _: None)
    monkeypatch.setattr(offline, "NODE", "--no-such-option")
    monkeypatch.setattr(offline.sys, "argv", ["offline"])
    monkeypatch.setattr(offline.sys, "executable", sys.executable)
    assert offline.main() == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "there is no npm" in said and "all other views work" in said
