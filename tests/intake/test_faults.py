"""One bad file in a good series, or all of them: named with tag and number, never built as if whole."""

import os
import time

import numpy as np
import pytest
from made_dicom import plane, put_text, save, stack, turn, uid, values

from mrbone_nb import intake
from mrbone_nb.errors import InputError
from mrbone_nb.intake import files


def with_one(k, **tags):
    """The usual series with other tags in its k-th file; None takes the tag out."""
    images = stack()
    for key, value in tags.items():
        if value is None:
            delattr(images[k], key)
        else:
            setattr(images[k], key, value)
    return images


ONE_BAD = {
    "position": (dict(ImagePositionPatient=None), "no Image Position .Patient. .0020,0032."),
    "orientation": (dict(ImageOrientationPatient=None), "no Image Orientation .Patient. .0020,0037."),
    "spacing": (dict(PixelSpacing=["0.35", "0.35"]), "0.35 × 0.35 mm, in the others 0.7 × 0.6"),
    "size": (dict(Rows=6, PixelData=values()[3, :6].tobytes()), "6 × 10, in the others 12 × 10"),
    "frame-of-reference": (dict(FrameOfReferenceUID=uid("x")), "Frame of Reference UID .0020,0052. is another"),
    "echo": (dict(EchoTime="99"), "Echo Time .0018,0081. is 99 ms, in the others 12 ms"),
    "type": (dict(ImageType=["ORIGINAL", "PRIMARY", "P"]), "a phase image"),
    "truncated": (dict(PixelData=b"\0" * 100), "cut short: 100 bytes .* need 240 bytes"),
    "bits": (dict(BitsAllocated=8, BitsStored=8, HighBit=7), "240 bytes of pixels do not fit the bits"),
    "pixels": (dict(PixelData=None), "no Pixel Data .7FE0,0010."),
}


@pytest.mark.parametrize("name", ONE_BAD)
@pytest.mark.parametrize("where", [3, 7])
def test_one_bad_file_stops_the_series_until_it_is_left_out_by_name(tmp_path, name, where):
    tags, text = ONE_BAD[name]
    save(tmp_path, with_one(where, **tags))
    with pytest.raises(InputError, match=text) as error:
        intake.read(tmp_path)
    said = str(error.value)
    assert f"im{where:03d}.dcm (1 of 8 files)" in said and f'accept "{name}" to use the other 7' in said
    assert ("leaves a gap" in said) is (where == 3)
    volume = intake.read(tmp_path, accept=(name,))
    kept = [k for k in range(volume.shape[0]) if k != where]
    assert np.array_equal(volume.array[kept], values()[kept])
    assert volume.meta["blocking"] == (("gap",) if where == 3 else ())
    assert any(i.name == name for i in volume.issues) and len(volume.files) == 7


def test_another_orientation_in_one_file(tmp_path):
    save(tmp_path, [plane(i, axes=turn(21) if i == 7 else turn()) for i in range(8)])
    with pytest.raises(InputError, match=r"turned by 1\.00° against the others"):
        intake.read(tmp_path)


def test_a_slope_that_one_file_lacks(tmp_path):
    images = stack(RescaleSlope="2", RescaleIntercept="0")
    del images[2].RescaleSlope
    with pytest.raises(InputError, match="im002.dcm .* no Rescale Slope"):
        intake.read(save(tmp_path, images))
    assert intake.read(tmp_path, accept=("slope",)).array[0].max() == 2 * values()[0].max()


def test_a_slope_of_one_in_some_files_means_the_same_as_none(tmp_path):
    images = stack()
    images[3].RescaleSlope, images[3].RescaleIntercept = "1", "0"
    assert intake.read(save(tmp_path, images)).issues == ()


ALL_BAD = {
    "missing spacing": (dict(PixelSpacing=None), "no Pixel Spacing .0028,0030."),
    "zero spacing": (dict(PixelSpacing=[0, 0]), "0 × 0 mm, an implausible"),
    "huge spacing": (dict(PixelSpacing=[700, 700]), "700 × 700 mm"),
    "missing orientation": (dict(ImageOrientationPatient=None), "no Image Orientation"),
    "slanted orientation": (dict(ImageOrientationPatient=[1, 0, 0, 0.5, 0.5, 0]), "not orthogonal unit vectors"),
    "missing position": (dict(ImagePositionPatient=None), "no Image Position"),
    "far away": (dict(ImagePositionPatient=[1e30, 0, 0]), "implausibly far"),
    "color": (dict(PhotometricInterpretation="RGB"), "color image"),
    "no pixels": (dict(PixelData=None), "no Pixel Data"),
    "bits": (dict(BitsAllocated=12), "Bits Allocated"),
    "slope of zero": (dict(RescaleSlope="0", RescaleIntercept="0"), "Rescale Slope .0028,1053. is 0"),
}


@pytest.mark.parametrize("case", ALL_BAD)
def test_a_series_that_is_bad_throughout_is_refused(tmp_path, case):
    tags, text = ALL_BAD[case]
    images = stack()
    for ds in images:
        for key, value in tags.items():
            if value is None:
                delattr(ds, key)
            else:
                setattr(ds, key, value)
    save(tmp_path, images)
    with pytest.raises(InputError, match=text) as error:
        intake.read(tmp_path, accept=tuple(intake.issues.NAMES))
    assert "(8 of 8 files)" in str(error.value) and "accept" not in str(error.value)
    ((image, issues),) = intake.read_all(tmp_path)
    assert image is None and issues


@pytest.mark.parametrize(
    ("old", "new"), [(b"0.7\\0.6", b"0,7\\0,6"), (b"0.7\\0.6", b"abcdefg"), (b"0.7\\0.6", b"nan\\0.6")]
)
def test_spacing_that_is_no_number(tmp_path, old, new):
    for path in sorted(save(tmp_path, stack()).iterdir()):
        put_text(path, old, new)
    with pytest.raises(InputError, match="Pixel Spacing .0028,0030. is .*, not a number"):
        intake.read(tmp_path)


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        (dict(Rows=65535, Columns=65535), "65535 × 65535"),
        (dict(NumberOfFrames=2_000_000_000), "2000000000"),
        (dict(Rows=0), "0 × 10"),
    ],
)
def test_headers_that_claim_too_much(tmp_path, tags, text):
    save(tmp_path, [plane(0, **tags)])
    with pytest.raises(InputError, match=text):
        intake.read(tmp_path)


def test_several_values_for_rows(tmp_path):
    (path,) = save(tmp_path, [plane(0)]).iterdir()
    put_text(
        path, b"\x28\0\x10\0US\x02\0\x0c\0\x28\0\x11\0US\x02\0\x0a\0", b"\x28\0\x10\0US\x0c\0\0\x80\0\0" + b"\0" * 8
    )
    with pytest.raises(InputError, match="Rows .0028,0010. is 32768 and 0"):
        intake.read(tmp_path)


def test_an_unknown_transfer_syntax_is_named(tmp_path):
    for path in save(tmp_path, stack()).iterdir():
        put_text(path, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0")
    with pytest.raises(InputError, match=r"transfer syntax .*1\.2\.840\.10008\.1\.9\.9"):
        intake.read(tmp_path)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def test_a_file_cut_in_its_header_belongs_to_its_series(tmp_path):
    save(tmp_path, stack())
    cut(tmp_path / "im007.dcm", 900)
    with pytest.raises(InputError, match="im007.dcm .*cut short in the header"):
        intake.read(tmp_path)


@pytest.mark.parametrize("size", [140, 200, 500])
def test_a_file_cut_so_early_that_its_series_is_unknown_warns_all(tmp_path, size):
    save(tmp_path, stack())
    cut(tmp_path / "im007.dcm", size)
    volume = intake.read(tmp_path)
    assert volume.meta["blocking"] == ("damaged",) and "im007.dcm" in volume.issues[0]
    assert intake.read(tmp_path, accept=("damaged",)).meta["blocking"] == ()


def test_copies_are_dropped_and_noted(tmp_path):
    save(tmp_path, stack())
    (tmp_path / "im005 (1).dcm").write_bytes((tmp_path / "im005.dcm").read_bytes())
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values())
    assert [i.is_note for i in volume.issues] == [True] and "im005" in volume.issues[0]


def test_a_damaged_copy_gives_way_to_the_sound_one(tmp_path):
    save(tmp_path, stack())
    data = (tmp_path / "im005.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(data[:-10])
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values()) and all(i.is_note for i in volume.issues)


def test_the_same_uid_on_all_images_is_told(tmp_path):
    save(tmp_path, stack(SOPInstanceUID="1.2.3"))
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values()) and "SOP Instance UID" in volume.issues[0]


def test_two_images_at_one_place(tmp_path):
    extra = plane(5, values(seed=8)[5], SOPInstanceUID=uid("extra"))
    save(tmp_path, [*stack(), extra])
    with pytest.raises(InputError, match="im005.dcm.*two different images at one position"):
        intake.read(tmp_path)
    volume = intake.read(tmp_path, accept=("duplicates",))
    assert volume.shape == (8, 12, 10)


def test_the_same_pixels_at_one_place_under_another_uid(tmp_path):
    save(tmp_path, [*stack(), plane(5, SOPInstanceUID=uid("again"), InstanceNumber=90)])
    volume = intake.read(tmp_path)
    assert np.array_equal(volume.array, values()) and all(i.is_note for i in volume.issues)


def test_no_series_uid_at_all(tmp_path):
    images = stack()
    for ds in images:
        del ds.SeriesInstanceUID
    assert np.array_equal(intake.read(save(tmp_path, images)).array, values())


def test_an_unreadable_file_is_told(tmp_path):
    save(tmp_path, stack())
    (tmp_path / "im004.dcm").chmod(0)
    if os.access(tmp_path / "im004.dcm", os.R_OK):
        pytest.skip("this user may read everything")
    assert intake.read(tmp_path).meta["blocking"] == ("gap", "damaged")


def test_inputs_stay_as_they_are(tmp_path):
    save(tmp_path, with_one(3, EchoTime="99"))
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    intake.inventory(tmp_path)
    intake.read(tmp_path, accept=("echo", "gap"))
    intake.read_all(tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_file_called_notes_does_not_turn_a_warning_into_a_note(tmp_path):
    save(tmp_path, stack(), ["notes.dcm", *(f"im{k}.dcm" for k in range(1, 8))])
    data = (tmp_path / "notes.dcm").read_bytes()
    (tmp_path / "notes.dcm").write_bytes(data[:-30])
    ((image, (issue, *_)),) = intake.read_all(tmp_path)
    assert image is None and not issue.lower().startswith("note") and not issue.is_note


START = bytes(128) + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"  # up to where the data set begins


def test_a_header_of_millions_of_empty_elements_ends_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_READS", 100_000)
    save(tmp_path, stack(3))
    numbers = np.arange(300_000, dtype="<u4")
    empty = np.zeros((len(numbers), 4), "<u2")
    empty[:, 0], empty[:, 1] = 0x0009 + 2 * (numbers >> 16), numbers & 0xFFFF
    empty[:, 2] = int.from_bytes(b"LO", "little")
    (tmp_path / "bomb.dcm").write_bytes(START + empty.tobytes())
    began = time.monotonic()
    found = intake.inventory(tmp_path)
    assert time.monotonic() - began < 10
    assert [name for name, _ in found.damaged] == ["bomb.dcm"] and "steps" in found.damaged[0][1]


def test_sequences_nested_without_end(tmp_path):
    save(tmp_path, stack(3))
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    (tmp_path / "deep.dcm").write_bytes(START + nested * 100_000)
    found = intake.inventory(tmp_path)
    assert [name for name, _ in found.damaged] == ["deep.dcm"]
