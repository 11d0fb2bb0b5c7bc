"""Write the recipe files of mrbone_nb/recipes with the full values of every parameter."""

from pathlib import Path

import mrbone_nb  # noqa: F401  (registers all steps)
from mrbone_nb.recipe import Recipe
from mrbone_nb.step import Call

FOLDER = Path(__file__).parents[1] / "mrbone_nb" / "recipes"


RIM = [Call("rim_border", {"far": 2.4}), Call("cortical_border", {"outward": 0.5})]  # bright marrow: walks find the rim


def bones(contrast: float, likeness: float, share: float, border: list[Call]) -> list[Call]:
    """From the strokes to the bone: walks and a forest, the likeliest label, the usual tidying, and the border."""
    return [
        Call("normalize"),
        Call("lowpass_bias_correction"),
        Call("gaussian", {"sigma": 0.4}),
        Call("random_walker", {"contrast": contrast, "likeness": likeness}),
        Call("stroke_forest", {"share": share, "contrast": contrast, "likeness": likeness}),
        Call("most_likely"),
        Call("islands"),
        Call("fill_holes"),
        Call("slice_islands"),
        Call("closing", {"radius": 2.0}),
        Call("median_smoothing", {"size": 3.0}),
        *border,
        Call("fill_holes", {"planes": "slices"}),
        Call("islands"),
    ]


REGIONS = [  # bright marrow, with or without strokes: stable regions of gray levels
    Call("normalize"),
    Call("lowpass_bias_correction"),
    Call("limb_mask"),
    Call("adaptive_equalization"),
    Call("trabecular_regions"),
    Call("regions_on_slices"),
    Call("closing", {"radius": 2.0}),
    Call("fill_holes", {"planes": "slices"}),
    Call("cortical_regions"),
    Call("rim_border", {"core": 2.0}),
    Call("cortical_border", {"outward": 1.0}),
    Call("fill_holes", {"planes": "slices"}),
    Call("median_smoothing"),
    Call("islands"),
]

CT = [  # cortex stands out by its CT number, and what it encloses is bone too; the border lies at half the height
    Call("hounsfield_threshold", {"lower": 300.0}),
    Call("split_islands"),
    Call("split_at_dim_bridges"),
    Call("closing", {"radius": 3.0}),
    Call("fill_holes", {"planes": "slices"}),  # the shaft's cavity is open where the scan ends
    Call("closing", {"radius": 3.0}),
    Call("fill_holes"),
    Call("half_maximum_border"),
    Call("joint_smoothing", {"radius": 0.5}),
    Call("islands"),
]

PRESETS = {
    "bright-marrow": bones(0.05, 0.02, 0.45, RIM),
    "dark-marrow": bones(0.03, 0.005, 0.3, [Call("cortical_border")]),
    "extremal-regions": REGIONS,
    "ct": CT,
}

if __name__ == "__main__":
    for name, calls in PRESETS.items():
        (FOLDER / f"{name}.json").write_text(Recipe(tuple(calls), name=name).to_json(), encoding="utf-8")
