"""Bright or dark marrow, from how the image was made."""

from pathlib import Path

import pytest

from mrbone_nb.intake.marrow import fat_suppressed, polarity
from mrbone_nb.intake.records import Frame, Pixels, Source


def frame(te=15.0, component="magnitude", modality="MR", description="", **facts):
    usual = dict(
        sequence=("SE",), variant=(), options=(), name="", protocol="", tr=600.0, ti=None, flip=90.0, train=None,
        suppression=(), pulse="", contrast="",
    )  # fmt: skip
    source = Source(Path("a"), "a", 1, Pixels(), modality=modality, description=description, facts=usual | facts)
    return Frame(source, echo_time=te, component=component)


CASES = [
    ("bright", dict()),
    ("bright", dict(te=90.0)),
    ("dark", dict(options=("FS",))),
    ("dark", dict(options=("FAST_GEMS", "FS", "TRF_GEMS"))),
    ("dark", dict(description="pd_tse_fs_sag")),
    ("dark", dict(description="PD SPAIR cor")),
    ("dark", dict(description="t2_stir")),
    ("dark", dict(sequence=("SE", "IR"), ti=150.0)),
    ("bright", dict(sequence=("SE", "IR"), ti=900.0, te=10.0)),
    ("dark", dict(suppression=("FAT",))),
    ("dark", dict(excitation="WATER")),
    ("dark", dict(component="water")),
    ("bright", dict(component="fat")),
    ("bright", dict(component="in phase")),
    ("unknown", dict(component="phase")),
    ("dark", dict(sequence=("GR",), te=4.7, name="*de3d1", description="sag_3d_dess_we")),
    ("dark", dict(sequence=("GR",), te=4.7, description="DESS")),
    ("bright", dict(sequence=("GR",), te=2.5)),
    ("dark", dict(sequence=("GR",), te=20.0)),
    ("unknown", dict(sequence=("GR",), te=9.0)),
    ("dark", dict(sequence=("EP",), te=30.0)),
    ("unknown", dict(te=None)),
    ("unknown", dict(sequence=())),
    ("bright", dict(sequence=(), pulse="SPIN")),
    ("unknown", dict(modality="CT")),
]


@pytest.mark.parametrize(("wanted", "facts"), CASES)
def test_polarity(wanted, facts):
    found, why = polarity(frame(**facts))
    assert found == wanted and why


@pytest.mark.parametrize("text", ["offset", "FSE", "tse fsx", "wet", "answer", "power"])
def test_words_that_only_look_like_fat_suppression(text):
    assert fat_suppressed(frame(description=text))[0] is False


def test_unknown_fat_suppression():
    assert fat_suppressed(frame(sequence=()))[0] is None
