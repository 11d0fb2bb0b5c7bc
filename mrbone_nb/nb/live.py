"""Whether somebody looks at the notebook while it runs."""

from __future__ import annotations


def someone_watches() -> bool:
    """Tell whether a front end that can answer runs the cells, rather than a program that executes a notebook.

    Such a program lets no cell ask for input, and the kernel knows that of each cell it runs.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))
