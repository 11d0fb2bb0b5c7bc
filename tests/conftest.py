"""What all tests share. The folder of this file is on the import path, so tests may import `scenes`."""

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run, however busy the machine.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture
def bench_of():
    """A workbench on the small knee; its process ends with the test."""
    from nbscene import GROW, SEEDS, TABLE, VOLUME

    import mrbone_nb as mb

    made = []

    def make(recipe=GROW, volume=VOLUME, **words):
        made.append(mb.workbench(volume, recipe, **{"bones": TABLE, "seeds": SEEDS, **words}))
        return made[-1]

    yield make
    for bench in made:
        bench.runs.worker.close()
