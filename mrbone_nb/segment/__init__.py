"""Steps that find bone: one family a file. Importing this registers them."""

from . import growing, levelset, thresholds, walker, watershed  # noqa: F401
