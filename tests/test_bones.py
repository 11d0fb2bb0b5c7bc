"""Names, sides, colors and codes of labels."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts

from mrbone_nb import InputError
from mrbone_nb.bones import (
    LAST,
    OKABE_ITO,
    Label,
    LabelTable,
    _bones,
    default_color,
    find_bone,
    read_table,
    sidecar,
    split_side,
    stem_of,
)

GENERIC = "272673000"


def test_every_code_is_one_that_pydicom_lists_with_that_meaning():
    listed = {(code, text) for terms in concepts["SCT"].values() for code, (text, _) in terms.items()}
    for bone in _bones().values():
        assert bone.scheme == "SCT" and (bone.code, bone.meaning) in listed, bone
        assert bone.generic == (bone.code == GENERIC and bone.name != "bone"), bone


def test_no_two_bones_share_a_code_of_their_own():
    own = {bone.code: bone.name for bone in _bones().values() if not bone.generic}
    assert len(own) == len({bone.name for bone in _bones().values() if not bone.generic})


@pytest.mark.parametrize(
    "text, name, code",
    [
        ("femur", "femur", "71341001"),
        ("Left_Thigh-bone", "femur", "71341001"),
        ("TIBIA right", "tibia", "12611008"),
        ("kneecap", "patella", "64234005"),
        ("fibula", "fibula", "87342007"),
        ("L3", "L3 vertebra", "36470004"),
        ("third lumbar vertebra", "L3 vertebra", "36470004"),
        ("metacarpal 3", "metacarpal", "36455000"),
        ("fifth metacarpal", "metacarpal", "36455000"),
        ("first cuneiform", "medial cuneiform", GENERIC),
        ("hip bone", "hip bone", GENERIC),
    ],
)
def test_bones_are_found_by_name_synonym_side_and_number(text, name, code):
    bone = find_bone(text)
    assert (bone.name, bone.code) == (name, code)


@pytest.mark.parametrize("text", ["", "left", "liver", "femoral cartilage", "label 1", "femurs of a whale"])
def test_what_is_no_bone_is_not_found(text):
    assert find_bone(text) is None


@pytest.mark.parametrize(
    "title, parts",
    [
        ("Right femur", ("femur", "right")),
        ("femur, left", ("femur", "left")),
        ("hip bone (right)", ("hip bone", "right")),
        ("femur", ("femur", "")),
        ("left", ("left", "")),
        ("left and right femur", ("left and right femur", "")),
    ],
)
def test_a_title_is_parted_into_name_and_side(title, parts):
    assert split_side(title) == parts


@pytest.mark.parametrize(
    "wrong",
    [
        dict(name=""),
        dict(name="  "),
        dict(name=5),
        dict(name="a" * 81),
        dict(name="fe\nmur"),
        dict(name="fe\x1b[2Jmur"),
        dict(name="fe\u202emur"),
        dict(side="l"),
        dict(side=None),
        dict(color="red"),
        dict(color="#12345"),
        dict(color="#12345g"),
        dict(color=7),
    ],
)
def test_a_label_refuses_what_is_no_name_side_or_color(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Label(**{"name": "femur", **wrong})


def test_a_label_tells_its_title_and_color():
    label = Label("femur", "right", "#ff8000")
    assert label.title == "right femur"
    assert label.rgb == pytest.approx((1, 128 / 255, 0))


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80)
labels = st.builds(Label, names, st.sampled_from(["", "left", "right"]), st.from_regex(r"\A#[0-9a-f]{6}\Z"))


@given(st.dictionaries(st.integers(1, LAST), labels, max_size=6))
def test_a_table_survives_json(entries):
    table = LabelTable(entries)
    read = LabelTable.from_json(table.to_json())
    assert dict(read) == dict(table) == entries
    assert list(read) == sorted(entries)


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"1":' * 100_000, "not valid JSON"),
        ("[]", "expected"),
        ('{"1": NaN}', "NaN"),
        ('{"1": {"name": "a"}, "1": {"name": "b"}}', "twice"),
        ('{"0": {"name": "a"}}', "number of a label"),
        ('{"01": {"name": "a"}}', "number of a label"),
        ('{"1.5": {"name": "a"}}', "number of a label"),
        ('{"-1": {"name": "a"}}', "number of a label"),
        ('{"255": {"name": "a"}}', "255"),
        ('{"1": "femur"}', "label 1"),
        ('{"1": {}}', "label 1"),
        ('{"1": {"name": "a", "run": "b"}}', "label 1"),
        ('{"1": {"name": ["a"]}}', "label 1.*name"),
        ('{"1": {"name": "a", "color": "blue"}}', "label 1.*color"),
        ('{"1": {"name": "a\\u0000b"}}', "label 1.*name"),
        (json.dumps({"1": {"name": "x" * 1_000_001}}), "at most"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(text, told):
    with pytest.raises(InputError, match=f"T.json: .*{told}") as caught:
        LabelTable.from_json(text, "T.json")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


def test_side_and_color_may_be_missing():
    assert LabelTable.from_json('{"2": {"name": "tibia"}}')[2] == Label("tibia", "", default_color(2))


@pytest.mark.parametrize("value", [0, 255, -1, 1.5, True])
def test_numbers_that_are_no_labels_are_refused(value):
    with pytest.raises(InputError, match="1 to 254"):
        LabelTable({value: Label("femur")})


def test_default_colors_are_okabe_and_itos_and_never_two_alike():
    colors = [default_color(v) for v in range(1, LAST + 1)]
    assert tuple(colors[:8]) == OKABE_ITO
    assert len(set(colors)) == LAST


def test_filling_names_what_is_there_and_takes_no_color_twice():
    table = LabelTable({5: Label("femur", color=default_color(1).upper()), 9: Label("tibia", color=default_color(2))})
    filled = table.filled([1, 2, 5])
    assert list(filled) == [1, 2, 5]
    assert filled[5] == table[5] and filled[1].name == "label 1"
    everything = table.filled(range(1, LAST + 1))
    assert len({label.color.lower() for label in everything.values()}) == LAST


@pytest.mark.parametrize("name", ["knee.nii.gz", "knee.nii", "knee.NRRD", "knee.seg.nrrd", "knee.mha", "knee.dcm"])
def test_the_sidecar_lies_beside(name):
    assert sidecar(f"folder/{name}").as_posix() == "folder/knee.json"
    assert stem_of(name) == "knee"


def test_a_table_is_read_from_beside_the_label_map(tmp_path):
    (tmp_path / "a.json").write_text('{"1": {"name": "fémur"}}', encoding="utf-8")
    assert read_table(tmp_path / "a.nii.gz")[1].name == "fémur"
    assert len(read_table(tmp_path / "b.nii.gz")) == 0


def test_other_programs_sidecars_are_no_tables(tmp_path):
    (tmp_path / "a.json").write_text('{"EchoTime": 0.01, "Modality": "MR"}')
    assert len(read_table(tmp_path / "a.nii.gz")) == 0


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'{"1": 3}', b" " * 1_000_001], ids=["bytes", "entry", "size"])
def test_a_broken_sidecar_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match="a.json"):
        read_table(tmp_path / "a.nii.gz")


def test_the_sample_has_a_table_of_known_bones(pytestconfig):
    table = read_table(pytestconfig.rootpath / "data_samples" / "knee_anatomy.nrrd")
    found = {v: find_bone(label.name) for v, label in table.items()}
    assert {v: bone.name for v, bone in found.items() if bone} == {5: "femur", 6: "tibia", 7: "patella", 8: "fibula"}
