"""The series picker without a browser: what it shows, what it chooses, and that the call it gives reads the same."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from pickscene import copied, scan, write_many, write_series
from PIL import Image

import mrbone_nb as mb
from mrbone_nb.errors import InputError
from mrbone_nb.intake import SliceSet, inventory
from mrbone_nb.phantom.dicom import write_dicom
from mrbone_nb.volume import Volume

KNEE = "data_samples/knee_t2map/dicom"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("series")
    write_series(place)
    return place


@pytest.fixture(autouse=True)
def at_home(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


def same(a, b):
    """Whether two volumes hold the same bits."""
    facts = ("spacing", "origin", "direction", "name", "meta", "issues", "files", "accepted")
    return a.array.tobytes() == b.array.tobytes() and all(getattr(a, f) == getattr(b, f) for f in facts)


def drawn(picker, number):
    """The pixels of a row's picture."""
    kind, _, data = picker.thumbs[str(number)].partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


# --- the choice ---------------------------------------------------------------------------------------


def test_nobody_has_to_choose(folder):
    picker = mb.pick(KNEE)
    assert picker.chosen == 1 and [r["echo"] for r in picker.rows] == ["echo 1", "echo 5"]
    assert picker.call == f"mb.read('{KNEE}', series='109a14d8', echo=1)"
    assert same(picker.volume, mb.read(KNEE, echo=1))
    assert picker.volume is picker.volume, "read once"
    assert mb.pick(folder).chosen == 1, "the first that can be read"
    assert mb.pick(folder / "3").call == f"mb.read({str(folder / '3')!r}, series='{inventory(folder / '3')[0].key}')"


def test_every_call_reads_the_row_it_stands_for(folder):
    picker = mb.pick(folder)
    numbers = [r["number"] for r in picker.rows if all(i["level"] != "reading waits" for i in r["issues"])]
    assert numbers == [1, 2, 3, 4]
    for number in numbers:
        picker.chosen = number
        assert same(eval(picker.call, {"mb": mb}), mb.read(folder, series=number))
        assert same(picker.volume, mb.read(folder, series=number))


def test_series_and_echo_preset_the_choice(folder):
    assert mb.pick(KNEE, echo=5).chosen == 2 and mb.pick(KNEE, series=2).chosen == 2
    assert mb.pick(KNEE, series="109a14d8").chosen == 1
    picker = mb.pick(folder, series=5)
    assert picker.chosen is None, "it has to be accepted first"
    for ask in ("call", "volume", "row"):
        with pytest.raises(InputError, match="none is chosen"):
            getattr(picker, ask)
    with pytest.raises(InputError, match="echo=3: expected one of 1, 5"):
        mb.pick(KNEE, echo=3)
    with pytest.raises(InputError, match="not here"):
        mb.pick(KNEE, series="abc")


def test_choices_are_told(folder):
    picker, heard = mb.pick(folder), []
    picker.observe(lambda change: heard.append((change["old"], change["new"])), "chosen")
    picker.chosen = 3
    assert heard == [(1, 3)]
    with pytest.raises(InputError, match="chosen=77: expected one of 1, 2"):
        picker.chosen = 77


def test_what_waits_is_chosen_only_when_accepted_by_name(folder):
    picker = mb.pick(folder)
    with pytest.raises(InputError, match=r'chosen=5: .*cut short.*accept "truncated"'):
        picker.chosen = 5
    assert picker.chosen == 1 and drawn(picker_complete(picker), 5).std() > 20, "it can be looked at"
    picker.accepted = {"4": ["truncated"]}
    with pytest.raises(InputError, match="chosen=5"):
        picker.chosen = 5
    picker.accepted = {"5": ["truncated"]}
    picker.chosen = 5
    assert picker.call.endswith(", accept=('truncated',))")
    assert same(picker.volume, mb.read(folder, series=5, accept=("truncated",)))
    assert picker.volume.meta["blocking"] == ("gap",)
    picker.accepted = {"5": ["truncated", "gap"]}
    assert picker.volume.meta["blocking"] == ()
    picker.accepted = {}
    assert picker.chosen is None
    given = mb.pick(folder, series=5, accept=["truncated"])
    assert given.chosen == 5 and given.call.endswith(", accept=('truncated',))")
    with pytest.raises(InputError, match="accept='typo'"):
        mb.pick(folder, accept="typo")


def test_a_localizer_is_never_taken_by_itself(tmp_path):
    write_dicom(scan(), tmp_path, description="localizer")
    picker = mb.pick(tmp_path)
    assert picker.chosen is None and "localizer" in picker.rows[0]["tags"]
    picker.chosen = 1
    assert same(picker.volume, mb.read(tmp_path, series=1))


def test_the_choice_is_kept_in_a_file(folder, tmp_path):
    kept = tmp_path / "choice.json"
    mb.pick(folder, save_to=kept).chosen = 3
    again = mb.pick(folder, series=1, save_to=kept)
    assert again.chosen == 3, "a rerun needs no hand"
    again.accepted = {"5": ["gap", "truncated"]}
    again.chosen = 5
    third = mb.pick(folder, save_to=str(kept))
    assert third.call == again.call and third.call.endswith("accept=('truncated', 'gap'))")
    assert str(folder) not in kept.read_text()
    before = kept.read_bytes()
    other = mb.pick(KNEE, save_to=kept)
    assert other.chosen == 1 and "saved choice" in other.common[0] and kept.read_bytes() == before
    other.chosen = 2
    assert json.loads(kept.read_text())["pick"]["echo"] == 5


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"pick": {"schema": 2}}', '{"pick": {"schema": 1, "series": []}}']
)
def test_no_other_file_is_overwritten(tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(InputError, match="mine.json: not a choice that pick saved"):
        mb.pick(KNEE, save_to=tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == text


# --- what is shown ------------------------------------------------------------------------------------


def picker_complete(picker):
    picker.complete()
    return picker


def test_pictures_are_middle_slices_in_true_proportions(folder):
    picker = picker_complete(mb.pick(folder))
    for number, (high, wide) in {1: (40, 48), 2: (32, 64), 3: (24, 80)}.items():
        picture, volume = drawn(picker, number), mb.read(folder, series=number)
        assert max(picture.shape) == 160
        assert picture.shape[0] / picture.shape[1] == pytest.approx(high / wide, rel=0.02)
        middle = volume.array[volume.shape[0] // 2]
        low, upper = np.percentile(middle, (1, 99.5))
        gray = Image.fromarray((np.clip((middle - low) / (upper - low), 0, 1) * 255).astype(np.uint8))
        wanted = np.asarray(gray.resize(picture.shape[::-1], Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(picture - wanted).mean() < 6


def test_one_file_of_a_series_is_opened(folder, monkeypatch):
    from mrbone_nb.intake import middle

    asked = []
    real = middle.stored_values
    monkeypatch.setattr(middle, "stored_values", lambda frames: (asked.append(len(frames)), real(frames))[1])
    picker_complete(mb.pick(folder))
    assert asked == [1] * 5


def test_other_files_have_pictures_too(tmp_path):
    import SimpleITK as sitk

    values = np.arange(5 * 6 * 8, dtype=np.int16).reshape(5, 6, 8)
    for name in ("a.nrrd", "b.nii", "c.nii.gz", "d.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / name))
    cut = (tmp_path / "c.nii.gz").read_bytes()
    (tmp_path / "e.nii.gz").write_bytes(cut[:-200])
    picker = picker_complete(mb.pick(tmp_path))
    assert [p.startswith("data:") for p in picker.thumbs.values()] == [True] * 4 + [False]
    assert "cut short" in picker.thumbs["5"]
    from mrbone_nb.intake.middle import middle_slices

    for row, found in middle_slices(inventory(tmp_path).rows[:4]):
        whole = mb.read(tmp_path, series=row.number)
        assert np.array_equal(found.array[0], whole.array[2])
        assert np.allclose(found.origin, whole.points([[2, 0, 0]])[0]) and found.direction == whole.direction


def test_a_zip_is_shown_as_its_folder(folder, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", folder)
    packed, plain = picker_complete(mb.pick(archive)), picker_complete(mb.pick(folder))
    assert packed.thumbs == plain.thumbs
    packed.chosen = 2
    assert same(packed.volume, mb.read(archive, series=2))


def test_nobody_is_named(tmp_path):
    paths = write_dicom(scan(), tmp_path / "one")
    import pydicom

    for path in paths:
        one = pydicom.dcmread(path)
        one.PatientName, one.PatientID, one.PatientBirthDate = "Doe^Jane", "ID-4711", "19700203"
        one.StudyDate, one.AccessionNumber, one.InstitutionName = "20240506", "ACC-99", "Clinic"
        one.save_as(path)
    picker = picker_complete(mb.pick(tmp_path))
    told = json.dumps(picker.get_state(), default=str) + json.dumps(picker._bundle()[0], default=str)
    for secret in (
        "Doe",
        "4711",
        "19700203",
        "20240506",
        "ACC-99",
        "Clinic",
        one.SeriesInstanceUID,
        one.StudyInstanceUID,
    ):
        assert secret not in told


def test_what_is_said_is_plain_and_safe(tmp_path):
    write_dicom(scan(), tmp_path / "1", description="<script>alert(1)</script>")
    write_dicom(scan(), tmp_path / "2", series=2, seed=9)
    picker = picker_complete(mb.pick(tmp_path))
    assert [text for text in picker.common if "2 patients" in text] and picker.rows[0]["issues"] == []
    page = picker._repr_mimebundle_()[0]["text/html"]
    assert "<script" not in page and "&lt;script&gt;" in page
    assert page.count("<img ") == 2 and picker.call.replace("'", "&#x27;") in page


def test_long_runs_of_time_points_are_one_line(tmp_path):
    import SimpleITK as sitk

    values = np.random.default_rng(0).integers(0, 99, (9, 3, 4, 5)).astype(np.int16)
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(v) for v in values]), str(tmp_path / "t.nii"))
    assert len(inventory(tmp_path)) == 9
    assert [r["number"] for r in mb.pick(tmp_path).rows] == [1]
    picker = picker_complete(mb.pick(tmp_path, series=7))
    assert picker.call.endswith("series=7)") and "one of rows 1 to 9" in picker.rows[0]["tags"][-1]
    assert np.array_equal(picker.volume.array, values[6]) and list(picker.thumbs) == ["7"]


def test_nothing_to_choose_is_said(tmp_path):
    with pytest.raises(InputError, match="the folder is empty"):
        mb.pick(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        mb.pick(tmp_path / "away")


def test_slices_that_make_no_stack_can_be_chosen(tmp_path):
    turned = []
    for k in range(6):
        a = np.pi * k / 6
        way = (np.cos(a), 0, np.sin(a), np.sin(a), 0, -np.cos(a), 0, 1, 0)
        turned.append(Volume(scan((1, 24, 24), (4.0, 1.0, 1.0), seed=k).array, (4.0, 1.0, 1.0),
                             tuple(-11.5 * np.array([way[0], way[3], way[6]])), way))  # fmt: skip
    write_dicom(turned, tmp_path)
    picker = picker_complete(mb.pick(tmp_path))
    assert isinstance(picker.volume, SliceSet) and picker.rows[0]["plane"] == "radial" and drawn(picker, 1).std() > 20


def test_forty_series_are_there_in_seconds(tmp_path):
    write_many(tmp_path, 40)
    start = time.process_time()
    picker = mb.pick(tmp_path)
    table = time.process_time() - start
    picker.complete()
    whole = time.process_time() - start
    assert len(picker.thumbs) == 40 and all(p.startswith("data:") for p in picker.thumbs.values())
    assert table < 6 and whole - table < 3, f"{table:.1f} s and {whole - table:.1f} s"


def test_bad_bytes_never_break_the_table(folder, tmp_path):
    place = copied(folder, tmp_path / "broken")
    files, dice = sorted(place.rglob("*.dcm")), np.random.default_rng(7)
    for _ in range(25):
        path = files[dice.integers(len(files))]
        data = bytearray(path.read_bytes())
        for at in dice.integers(0, len(data), 20):
            data[at] = dice.integers(256)
        path.write_bytes(bytes(data[: dice.integers(len(data) // 2, len(data) + 1)]))
        picker = picker_complete(mb.pick(place))
        assert len(picker.thumbs) == len(picker.rows) and picker._bundle()[0]["text/html"]
        if picker.chosen is not None:
            picker.call  # noqa: B018 (it must not fail)


@pytest.mark.shared
def test_hard_cases_never_break_the_table(request):
    place = request.config.rootpath.parent / "shared" / "intake" / "corpus"
    if not place.is_dir():
        pytest.skip("needs ../shared/intake, which is not beside the repository")
    for one in [place, *sorted(place.iterdir())]:
        if not inventory(one).rows:
            continue
        picker = picker_complete(mb.pick(one))
        assert len(picker.thumbs) == len(picker.rows)
        for row in picker.rows:
            if all(i["level"] != "reading waits" for i in row["issues"]):
                assert picker.thumbs[str(row["number"])].startswith("data:"), row["title"]


# --- a notebook without hands -------------------------------------------------------------------------

SLOW = """
import time, mrbone_nb.nb.picker as p
real = p.middle_slices
p.middle_slices = lambda rows: (time.sleep(0.3) or pair for pair in real(rows))
p.HASTE = 0.5
"""


@pytest.mark.parametrize("before", ["", SLOW], ids=["quick", "slow"])
def test_a_notebook_keeps_the_whole_table(folder, tmp_path, before):
    from nbclient import NotebookClient

    cells = [
        f"{before}\nimport mrbone_nb as mb",
        f"picker = mb.pick({str(folder)!r})\npicker",
        "volume = picker.volume\nprint(picker.call, volume.shape)",
    ]
    notebook = new_notebook(cells=[new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (shown,) = notebook.cells[1].outputs
    assert shown.data["text/html"].count("<img ") == 5 and "5 volumes" in shown.data["text/plain"]
    assert "(9, 40, 24)" in notebook.cells[2].outputs[0].text
    model = shown.data["application/vnd.jupyter.widget-view+json"]["model_id"]
    state = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"][model]["state"]
    assert len(state["thumbs"]) == 5 and state["chosen"] == 1
    nbformat.validate(notebook)
    page = mb.write_html(notebook, tmp_path / "page.html").read_text()
    assert '<div class="mb-view"' in page and page.count("<table>") == 1
