"""Steps that find bone: one family a file. Importing this registers them."""

from . import (  # noqa: F401
    border, cortex, forest, graph, growing, halfmax, levelset, limb, mser, outlines, rim, split, thresholds, walker,
    watershed,
)  # fmt: skip
