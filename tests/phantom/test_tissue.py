"""What tissues give in sequences: against numbers worked out by hand and the Bloch equations."""

import numpy as np
import pytest

from mrbone_nb import phantom as ph
from mrbone_nb.phantom import tissue
from mrbone_nb.phantom.tissue import CODES, Sequence, pool_signal, signal_tables


def test_spin_echo_by_hand():
    # (1 - exp(-500/1000)) * exp(-20/100) = 0.393469 * 0.818731
    assert pool_signal(1000, 100, Sequence("spin echo", tr=500, te=20)) == pytest.approx(0.322145, abs=1e-6)


def test_spoiled_gradient_echo_by_hand():
    # flip 60: sin 0.866025, cos 0.5; E1 = exp(-0.1) = 0.904837; decay exp(-10/50) * exp(-10 ms * 10/s)
    # 0.866025 * 0.095163 / (1 - 0.452419) * 0.818731 * 0.904837
    one = pool_signal(1000, 50, Sequence("gradient echo", tr=100, te=10, flip=60), dephasing=10)
    assert one == pytest.approx(0.111496, abs=1e-6)


def test_inversion_recovery_by_hand():
    # |1 - 2 exp(-0.2) + exp(-4)| * exp(-0.3) = |1 - 1.637462 + 0.018316| * 0.740818
    one = pool_signal(1000, 100, Sequence("inversion recovery", tr=4000, te=30), ti=200)
    assert one == pytest.approx(0.458674, abs=1e-6)


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_stir_nulls_fat_at_a_clinical_inversion_time(field):
    stir = tissue.SEQUENCES["stir"]
    assert 150 < tissue.inversion_time(stir, field) < 270
    assert ph.tissue_signal("fat", stir, field)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("t1", "t2"), [(1240.0, 36.9), (371.0, 133.0), (3620.0, 767.0)])
def test_dess_equals_the_bloch_equations(t1, t2):
    """Step 240 isochromats, dephased evenly over one turn, through pulses until nothing changes."""
    dess = tissue.SEQUENCES["dess"]
    flip, turn = np.deg2rad(dess.flip), np.exp(1j * np.linspace(0, 2 * np.pi, 240, endpoint=False))
    e1, e2 = np.exp(-dess.tr / t1), np.exp(-dess.tr / t2)
    plus, along = np.zeros(240, complex), np.ones(240)
    for _ in range(int(8 * t1 / dess.tr)):
        y = plus.imag * np.cos(flip) + along * np.sin(flip)
        before, along = plus, along * np.cos(flip) - plus.imag * np.sin(flip)
        after = before.real + 1j * y
        plus, along = after * turn * e2, 1 + (along - 1) * e1
    fid, echo = abs(after.mean()) * np.exp(-dess.te / t2), abs(plus.mean()) * np.exp(dess.te / t2)
    assert pool_signal(t1, t2, dess) == pytest.approx(fid + echo, rel=2e-3)


@pytest.mark.parametrize("field", [1.5, 3.0])
@pytest.mark.parametrize("sequence", ["t1", "pd", "t2", "gre", "fat"])
def test_marrow_is_bright_where_fat_is_kept(sequence, field):
    total = dict(zip(CODES, sum(signal_tables(sequence, field)), strict=True))
    assert total["fat"] > total["marrow"] > 1.5 * total["muscle"]
    assert total["cortex"] < 0.05 * total["marrow"]
    assert max(total["fat"], total["muscle"], total["marrow"], total["cartilage"]) == pytest.approx(1000)


@pytest.mark.parametrize("field", [1.5, 3.0])
@pytest.mark.parametrize("sequence", ["pdfs", "t2fs", "stir", "dess", "water"])
def test_marrow_is_dark_where_fat_is_taken_out(sequence, field):
    total = dict(zip(CODES, sum(signal_tables(sequence, field)), strict=True))
    assert total["marrow"] < 0.6 * total["muscle"]
    assert total["cartilage"] > 2 * total["marrow"] > 2 * total["cortex"]


def test_fluid_is_bright_on_t2_and_dark_on_t1():
    t1, t2 = (dict(zip(CODES, sum(signal_tables(s)), strict=True)) for s in ("t1", "t2"))
    assert t2["fluid"] > 4 * t2["muscle"]
    assert t1["fluid"] < t1["muscle"]


def test_in_a_dixon_scan_water_and_fat_make_the_whole():
    water, fat = (np.array(ph.tissue_signal("marrow", s)) for s in ("water", "fat"))
    both = ph.tissue_signal("marrow", Sequence("gradient echo", tr=6, te=2.4, flip=10))
    assert water[1] == fat[0] == 0
    assert water + fat == pytest.approx(np.array(both))
