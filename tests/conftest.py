"""What all tests share. The folder of this file is on the import path, so tests may import `scenes`."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)
