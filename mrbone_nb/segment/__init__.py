"""Steps that find bone: one family a file. Importing this registers them."""

from . import (  # noqa: F401
    border,
    forest,
    graph,
    growing,
    halfmax,
    levelset,
    outlines,
    rim,
    split,
    thresholds,
    walker,
    watershed,
)
