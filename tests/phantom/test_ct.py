"""The simulated CT: Hounsfield units where they belong, at the right place, with the noise that was asked for."""

import numpy as np
import pytest
from bodies import made_of, sphere

import mrbone_nb as mb
from mrbone_nb import phantom as ph
from mrbone_nb.measure import assd, dice
from mrbone_nb.phantom.tissue import CODES


def test_every_tissue_has_its_number():
    assert set(ph.HOUNSFIELD) == set(CODES)
    for name, value in ph.HOUNSFIELD.items():
        body = made_of(np.full((4, 5, 6), CODES[name]), spacing=(2.0, 1.0, 1.5))
        volume, _ = ph.scan_ct(body, plane="native", spacing=(2.0, 1.0, 1.5), noise=0, blur=0)
        assert np.allclose(volume.array[1:-1, 1:-1, 1:-1], value, atol=0.5)
    assert ph.HOUNSFIELD["air"] == -1000


def test_noise_and_blur_are_as_asked():
    body = made_of(np.full((12, 40, 40), CODES["muscle"]), spacing=(1.0, 0.5, 0.5))
    words = dict(plane="native", spacing=(1.0, 0.5, 0.5))
    one, two = (ph.scan_ct(body, noise=30, blur=0.6, seed=s, **words).volume.array for s in (1, 2))
    middle = np.s_[2:-2, 6:-6, 6:-6]
    assert np.std(one[middle]) == pytest.approx(30, rel=0.15) and not np.array_equal(one, two)
    assert np.array_equal(one, ph.scan_ct(body, noise=30, blur=0.6, seed=1, **words).volume.array)
    near = np.corrcoef(one[middle][..., 1:].ravel(), one[middle][..., :-1].ravel())[0, 1]
    assert near > 0.5  # grain as wide as the point spread


@pytest.mark.parametrize(("words", "said"), [({"noise": -1}, "noise=-1 HU"), ({"blur": 9}, "blur=9 mm")])
def test_numbers_out_of_range_are_refused(words, said, small_knee):
    with pytest.raises(mb.InputError, match=said):
        ph.scan_ct(small_knee, **words)


def test_the_preset_finds_a_ball_with_a_shell():
    labels, _ = sphere(16, shape=(60, 60, 60), spacing=(0.8, 0.8, 0.8))
    body = ph.build_body(labels, {1: "bone"}, cortex=1.5)
    volume, truth = ph.scan_ct(body, spacing=(1.0, 0.5, 0.7), plane="native")
    assert mb.choose_preset(volume)[0] == "ct"
    found = mb.preset("ct").run(volume).labels.array
    assert found.max() == 1 and dice(found == 1, truth.array == 1) > 0.98
    assert assd(found == 1, truth.array == 1, volume.spacing) < 0.25


@pytest.mark.slow
def test_the_preset_finds_the_bones_of_a_knee():
    volume, truth = ph.scan_ct(ph.knee_body())
    found = mb.preset("ct").run(volume).labels.array
    numbers = [int(np.bincount(found[truth.array == n]).argmax()) for n in ph.KNEE]
    assert len(set(numbers)) == 4 and 0 not in numbers
    scores = [dice(found == k, truth.array == n) for n, k in zip(ph.KNEE, numbers, strict=True)]
    assert min(scores) > 0.97 and dice(found > 0, truth.array > 0) > 0.985
