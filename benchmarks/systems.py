"""Print one table of what the systems reach: extremal regions, radial and active fits, CT route, models, stacks.

    OMP_NUM_THREADS=1 python benchmarks/systems.py [--data FOLDER] [--only regions,fit,models,learn,stacks]

FOLDER holds the folders ``hips`` and ``meshes`` of scans and shapes with a truth; without it only what the project can
make itself is measured. Each system's own file, ``system_NAME.py``, can be run alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import system_fit
import system_learn
import system_models
import system_regions
import system_stacks

SYSTEMS = {
    "regions": lambda data: system_regions.rows(),
    "fit": system_fit.rows,
    "models": system_models.rows,
    "learn": system_learn.rows,
    "stacks": system_stacks.rows,
}


def main() -> None:
    """Print a row for each figure, and whether it reaches what it should."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default=",".join(SYSTEMS))
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - set(SYSTEMS):
        parser.error(f"--only {','.join(sorted(unknown))}: expected some of {', '.join(SYSTEMS)}")
    print(f"{'work':24} {'case':28} {'measure':32} {'value':>8} {'least':>7} {'aim':>7} {'seconds':>8}")
    for name in given.only.split(","):
        for work, case, measure, value, least, aim, seconds in SYSTEMS[name](given.data):
            goals = ["" if goal is None else f"{goal:g}" for goal in (least, aim)]
            print(f"{work:24} {case:28} {measure:32} {value:8.3f} {goals[0]:>7} {goals[1]:>7} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
