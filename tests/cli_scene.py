"""Names, recipes and places that the tests of the command line share."""

from pathlib import Path

from mrbone_nb.bones import Label, LabelTable

ROOT = Path(__file__).parents[1]
KNEE = ROOT / "data_samples" / "knee_t2map"
NAMES = LabelTable({1: Label("femur", "left", "#ff0000"), 2: Label("tibia", "", "#00ff00")})
QUICK = {
    "schema": 1,
    "name": "quick",
    "calls": [{"step": "normalize"}, {"step": "watershed", "params": {"sigma": 0.8}}, {"step": "islands"}],
}
CLEAN = {"schema": 1, "name": "clean", "calls": [{"step": "closing", "params": {"radius": 3}}]}
BRIGHT = {
    "schema": 1,
    "name": "bright",
    "calls": [
        {"step": "normalize"},
        {"step": "threshold", "params": {"lower": 0.8}},
        {"step": "islands", "params": {"keep": "all"}},
    ],
}
