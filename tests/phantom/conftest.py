"""Knees that many tests scan."""

import pytest

from mrbone_nb import phantom as ph


@pytest.fixture(scope="session")
def small_knee():
    return ph.knee_body(size=56)


@pytest.fixture(scope="session")
def knee():
    return ph.knee_body(size=96)
