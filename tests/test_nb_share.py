"""What becomes of boxes, controls and texts in a page without a kernel."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("anywidget", reason="needs the extra `notebook`")
pytest.importorskip("nbconvert", reason="needs the extra `notebook`")

import ipywidgets as widgets
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbscene import LABELS, VOLUME

import mrbone_nb as mb
from mrbone_nb.nb.share import STATE, not_run, page_of, unsaved, weights
from mrbone_nb.nb.widgettree import Tree


def executed(*shown):
    """A notebook as it looks after a run, with a cell for each widget."""
    cells, states = [], {}
    for view in shown:
        data = view._repr_mimebundle_()
        data = dict(data[0] if isinstance(data, tuple) else data)
        cells.append(new_code_cell("view", execution_count=1, outputs=[new_output("display_data", data)]))
        states |= widgets.Widget.get_manager_state(widgets=[view])["state"]
        states |= widgets.Widget.get_manager_state()["state"]  # as nbclient stores it: all there are
    return new_notebook(cells=cells, metadata={"widgets": {STATE: {"state": states}}})


def tree_of(view):
    tree = Tree(widgets.Widget.get_manager_state()["state"])
    return tree, tree.html(view.model_id)


def test_a_box_shows_its_views_live_and_its_controls_as_text():
    slices, bones = mb.look(VOLUME, LABELS), mb.view3d(VOLUME.with_array(LABELS))
    box = widgets.VBox(
        [
            widgets.HTML("<b>about</b> it"),
            widgets.Label("a < b"),
            widgets.HBox([widgets.FloatSlider(1.5, description="sigma"), widgets.IntSlider(0, description="slice:")]),
            widgets.Dropdown(options=[("bright marrow", 1), ("dark marrow", 2)], index=1, description="kind"),
            widgets.Checkbox(True, description="fill"),
            widgets.SelectMultiple(options=["a", "b", "c"], index=(0, 2), description="which"),
            widgets.Button(description="Press me"),
            widgets.Password("hush", description="key"),
            widgets.HBox([slices, bones, slices]),
        ]
    )
    page = page_of(executed(box))
    for text in (
        "<b>about</b> it",
        "a &lt; b",
        "sigma: 1.5",
        "slice: 0",
        "kind: dark marrow",
        "fill: yes",
        "which: a, c",
    ):
        assert text in page, text
    assert "Press me" not in page and "hush" not in page
    assert page.count('class="mb-view"') == 3
    assert len(re.findall(r'<script id="mb-\d+"', page)) == 2, "the state of a view that is shown twice is held once"


def test_views_of_one_scan_hold_it_once():
    one, two = page_of(executed(mb.look(VOLUME))), page_of(executed(mb.look(VOLUME), mb.look(VOLUME, LABELS)))
    count = len(re.findall(r'<script id="mb-data-', one))
    assert len(re.findall(r'<script id="mb-data-', two)) == count + 1  # the labels


def test_what_is_hidden_stays_out_and_titles_are_kept():
    hidden = widgets.Label("hidden", layout={"display": "none"})
    tabs = widgets.Tab([widgets.Label("one"), widgets.Label("two")], titles=("First", "Second"))
    stack = widgets.Stack([widgets.Label("three"), widgets.Label("four")], selected_index=1)
    _, page = tree_of(widgets.VBox([hidden, tabs, stack]))
    for text in ("First", "one", "Second", "two", "four"):
        assert text in page
    assert "hidden" not in page and "three" not in page


def test_surfaces_stand_in_for_a_volume_that_needs_a_kernel():
    view = mb.view3d(VOLUME, labels=LABELS, backend="itkwidgets")
    view.light.layout.display = "none"  # as it is while itkwidgets runs
    tree, page = tree_of(view)
    assert tree.has_views(view.model_id) and 'class="mb-view"' in page
    assert "data" in tree._buffers(view.light.model_id)


def test_pictures_and_outputs_in_boxes_are_kept():
    output = widgets.Output(outputs=({"output_type": "stream", "name": "stdout", "text": "<said>"},))
    _, page = tree_of(widgets.VBox([mb.view3d(VOLUME, labels=LABELS, backend="picture"), output]))
    assert "data:image/png;base64," in page and "&lt;said&gt;" in page


def test_a_style_comes_along_and_a_circle_does_not_hang():
    state = {
        "a": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_b"]}},
        "b": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_c", "IPY_MODEL_gone"]}},
        "c": {"model_name": "AnyModel", "state": {"_esm": "export default {}", "_css": ".x { color: red }"}},
    }
    assert "color: red" in Tree(state).html("a")
    state["b"]["state"]["children"].append("IPY_MODEL_a")
    assert Tree(state).has_views("a") and Tree(state).html("a")


def test_what_is_missing_and_what_is_large_is_known():
    notebook = executed(mb.look(VOLUME), widgets.Label("x"))
    notebook.cells.append(new_code_cell("1 + 1"))
    assert not_run(notebook) == [3] and unsaved(notebook) == []
    size, cell, about = weights(notebook)[0]
    assert size > 1000 and cell == 1 and about == "slices of knee"
    notebook.metadata["widgets"][STATE]["state"].clear()
    assert unsaved(notebook) == [1, 2]
