"""Sliders of a shape model make the shape that they say."""

import numpy as np
import pytest
from boneshapes import knob

import mrbone_nb as mb
from mrbone_nb.phantom import similar_bones

pytest.importorskip("ipywidgets", reason="needs the extra `notebook`")
MODEL = mb.build_model(similar_bones(knob(2), 6, seed=2))


def test_a_slider_moves_the_shape():
    view = mb.explore(MODEL, modes=2, weights=(1.0,))
    assert view.weights == [1.0, 0.0] and len(view.sliders) == 2
    before = view.view.data
    view.sliders[1].value = -2.0
    assert np.array_equal(view.mesh.vertices, mb.shape_of(MODEL, [1.0, -2.0]).vertices)
    assert view.view.data != before
    assert "mode 1" in view.sliders[0].description and view.sliders[0].max == 3


def test_more_weights_than_sliders_are_refused():
    with pytest.raises(mb.InputError, match="modes=1 with 2 weights"):
        mb.explore(MODEL, modes=1, weights=(1.0, 1.0))
    assert len(mb.explore(MODEL, modes=99).sliders) == MODEL.count
