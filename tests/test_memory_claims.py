"""The memory that a step says it needs, against the peak of a process that runs it on a filled scan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import Scene, layers

import mrbone_nb as mb

SHAPE, SPACING = (40, 208, 208), (2.0, 0.45, 0.45)

CHILD = """
import os, sys
sys.path.insert(0, {tests!r})
import mrbone_nb as mb
from test_memory_claims import SHAPE, SPACING, filled

step = mb.STEPS[{name!r}]
filled((6, 20, 20), (3, 1, 1)).run(step)  # what is loaded at the first call counts for nothing
scene = filled(SHAPE, SPACING)
for name in set(scene.arrays) - set(step.inputs):
    del scene.arrays[name]
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
scene.run(step)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
print((peak - before) / {voxels})
"""


def filled(shape, spacing):
    """Two bones that touch and fill the scan, so that no step gets away with a small box."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    far = np.sqrt(z**2 + y**2 + x**2)
    image = np.select([far < 0.85, far < 0.95], [0.8, 0.1], 0.5)
    image = np.maximum(image + np.random.default_rng(0).normal(0, 0.05, shape), 0).astype(np.float32)
    labels = np.where(far < 0.85, np.where(x > 0, 2, 1), 0).astype(np.uint8)
    core = (np.abs(np.abs(x) - 0.4) < 0.1) & (np.hypot(y, z) < 0.2)
    seeds = np.where(far > 0.98, 255, np.where(core, labels, 0)).astype(np.uint8)
    arrays = dict(image=image, channels=np.stack([image, 1 - image]), mask=far < 0.85, labels=labels, seeds=seeds)
    return Scene(arrays | dict(probability=layers(seeds, labels)), spacing)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to reset the peak")
@pytest.mark.parametrize("name", sorted(mb.STEPS))
def test_claim_holds_and_is_not_far_too_large(name):
    code = CHILD.format(tests=str(Path(__file__).parent), name=name, voxels=int(np.prod(SHAPE)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env={"MALLOC_MMAP_THRESHOLD_": "100000", "PATH": ""},  # freed memory goes back at once, so nothing hides
        capture_output=True,
        text=True,
        check=True,
    )
    measured, claim = float(done.stdout), mb.STEPS[name].bytes_per_voxel
    assert measured <= 1.1 * claim + 1, f"{name} takes {measured:.1f} bytes a voxel and says {claim}"
    assert measured >= 0.3 * claim
