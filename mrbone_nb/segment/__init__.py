"""Steps that find bone: one family a file. Importing this registers them."""

from . import border, forest, graph, growing, levelset, outlines, rim, thresholds, walker, watershed  # noqa: F401
