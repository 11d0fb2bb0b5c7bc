"""What the simulation refuses, it names."""

import numpy as np
import pytest
from bodies import made_of

from mrbone_nb import InputError, Volume
from mrbone_nb import phantom as ph


BOX = Volume(np.ones((4, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ph.tissue_signal("honey"), "'honey'"),
        (lambda: ph.tissue_signal("fat", "t9"), "'t9'.*stir"),
        (lambda: ph.tissue_signal("fat", "t1", 7.0), "7.0 T"),
        (lambda: ph.build_body(BOX, {}), r"labels \[1\]"),
        (lambda: ph.build_body(BOX, {1: "wood"}), "'wood'"),
        (lambda: ph.build_body(BOX, {1: "bone"}, cortex=-1.0), "cortex=-1.0 mm"),
        (lambda: ph.build_body(BOX.with_array(BOX.array * 0.5), {1: "bone"}), "whole numbers"),
        (lambda: ph.scan(made_of(BOX.array), plane="diagonal"), "'diagonal'"),
        (lambda: ph.scan(made_of(BOX.array), noise=-0.1), "noise=-0.1"),
        (lambda: ph.scan(made_of(BOX.array), spacing=(1.0, 0.0, 1.0)), "spacing"),
        (lambda: ph.scan_radial(made_of(BOX.array), center=(0, 0, 0), axis=(0, 0, 0)), "axis"),
        (lambda: ph.knee_body(size=3), "size=3"),
        (lambda: ph.knee_body(shape="round"), "'round'"),
        (lambda: ph.simulated_strokes(BOX, 0.0), "every_mm=0.0"),
        (lambda: ph.simulated_strokes(BOX.with_array(BOX.array * 255)), "255"),
        (lambda: ph.write_dicom([], "nowhere"), "no scan"),
        (lambda: ph.write_dicom(BOX.with_array(BOX.array * -1.0), "nowhere"), "-1"),
        (lambda: ph.write_dicom(BOX, "nowhere", gap=1.0), "gap=1.0"),
    ],
)
def test_errors_quote_what_was_given(call, says):
    with pytest.raises(InputError, match=says):
        call()
