"""Zip archives: read like a folder, or refused before anything is unpacked."""

import os
import tempfile
import zipfile

import numpy as np
import pytest
from made_dicom import save, stack, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError
from mrbone_nb.intake import archive


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A place for temporary files that can be looked at afterwards."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def good(tmp_path):
    folder = save(tmp_path / "scan", stack())
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("scan/", "")
        for file in sorted(folder.iterdir()):
            out.write(file, f"scan/{file.name}")
        out.writestr("scan/notes.txt", "hello")
    return path


def test_an_archive_is_read_like_a_folder(good, scratch):
    found = intake.inventory(good)
    assert len(found) == 1 and found.skipped == [("scan/notes.txt", "not a medical image")]
    volume = intake.read(good)
    assert np.array_equal(volume.array, values()) and volume.files == (good,)
    assert list(scratch.iterdir()) == []


def test_messages_name_the_entry(tmp_path, scratch):
    folder = save(tmp_path / "scan", stack())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        for k, file in enumerate(sorted(folder.iterdir())):
            out.writestr(f"in/{file.name}", file.read_bytes()[: -30 if k == 2 else None])
    with pytest.raises(InputError, match="in/im002.dcm .1 of 8 files.: cut short"):
        intake.read(tmp_path / "a.zip")
    assert list(scratch.iterdir()) == []


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("../../evil.dcm", "leads out of its folder"),
        ("a/../../evil.dcm", "leads out of its folder"),
        ("..\\evil.dcm", "leads out of its folder"),
        ("/etc/evil", "absolute path"),
        ("C:\\evil", "absolute path"),
        (link("a/link"), "is a link"),
    ],
)
def test_entries_that_lead_astray(good, tmp_path, scratch, entry, text):
    with zipfile.ZipFile(good, "a") as out:
        out.writestr(entry, "x")
    before = sorted(p for p in tmp_path.rglob("*"))
    with pytest.raises(InputError, match=f"entry .*{text}"):
        intake.read(good)
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_a_bomb_is_refused_before_it_grows(tmp_path, scratch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out, out.open("big.dcm", "w") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match="grow .* times"):
        intake.inventory(tmp_path / "a.zip")
    assert list(scratch.iterdir()) == []


def test_limits_on_size_and_number(good, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(InputError, match="10 entries, more than 3"):
        intake.inventory(good)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 300)
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="would grow to"):
        intake.inventory(good)


def test_an_entry_longer_than_it_says(good, tmp_path, scratch):
    data = bytearray(good.read_bytes())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)  # the first file in the list at the end
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    good.write_bytes(data)
    with pytest.raises(InputError, match="longer than it says|damaged"):
        intake.read(good)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_cut_archive(good, scratch, keep):
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="scan.zip: the archive is damaged or cut short"):
        intake.read(good)
    assert list(scratch.iterdir()) == []


def test_a_damaged_entry(good, scratch):
    data = bytearray(good.read_bytes())
    data[len(data) // 3] ^= 0xFF
    good.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        intake.read(good)
    assert list(scratch.iterdir()) == []


def test_blank_slices_may_be_packed_tightly(tmp_path):
    blank = np.zeros((512, 512), "u2")
    blank[0, 0] = 9
    folder = save(tmp_path / "scan", stack(3, array=blank))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.iterdir()):
            out.write(file, file.name)
    assert os.path.getsize(tmp_path / "a.zip") * 200 < 3 * 512 * 512 * 2
    assert intake.read(tmp_path / "a.zip").shape == (3, 512, 512)
