"""Write the recipe files of mrbone_nb/recipes with the full values of every parameter."""

from pathlib import Path

import mrbone_nb  # noqa: F401  (registers all steps)
from mrbone_nb.recipe import Recipe
from mrbone_nb.step import Call

FOLDER = Path(__file__).parents[1] / "mrbone_nb" / "recipes"
PRESETS = {
    "bright-marrow": [
        Call("normalize"),
        Call("n4_bias_correction"),
        Call("watershed", {"relief": "gradient", "sigma": 0.6}),
        Call("islands"),
        Call("fill_holes"),
        Call("closing"),
        Call("cortical_shell"),
    ],
    "dark-marrow": [
        Call("normalize"),
        Call("n4_bias_correction"),
        Call("watershed", {"relief": "gradient", "sigma": 0.6}),
        Call("islands"),
        Call("fill_holes"),
        Call("closing"),
    ],
    "ct": [Call("hounsfield_threshold"), Call("islands"), Call("median_smoothing")],
}

if __name__ == "__main__":
    for name, calls in PRESETS.items():
        (FOLDER / f"{name}.json").write_text(Recipe(tuple(calls), name=name).to_json(), encoding="utf-8")
