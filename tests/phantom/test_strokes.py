"""Strokes of a simulated user."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from mrbone_nb import phantom as ph


@pytest.mark.parametrize("every", [6.0, 15.0])
def test_strokes_lie_inside_their_bone_and_some_slices_apart(every, small_knee):
    truth = ph.scan(small_knee, spacing=(3.0, 1.5, 1.5)).truth
    seeds = ph.simulated_strokes(truth, every).array
    for number in ph.KNEE:
        drawn = seeds == number
        assert drawn.any(), ph.KNEE[number]
        assert (truth.array[drawn] == number).all()
        assert drawn.sum() < 0.1 * (truth.array == number).sum()
        planes = np.flatnonzero(drawn.any(axis=(1, 2)))
        assert (np.diff(planes) % round(every / 3.0) == 0).all()
        assert number > 1 or np.diff(planes).min() == round(every / 3.0)
    elsewhere = seeds == 255
    away = ndi.distance_transform_edt(truth.array == 0, sampling=truth.spacing)
    assert elsewhere.any() and away[elsewhere].min() > 1.4
    assert set(np.unique(seeds)) == {0, 1, 2, 3, 4, 255}


def test_strokes_are_the_same_for_the_same_seed(small_knee):
    one, two, other = (ph.simulated_strokes(small_knee.bones, 9.0, seed=s).array for s in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
