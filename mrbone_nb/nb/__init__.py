"""The notebook's face: sliders from signatures, slices to scroll, bones to turn, pages to send.

The only folder that may import widgets. Each view shows itself as a widget where there is a front end, and
as a picture everywhere else.
"""

try:
    import anywidget as _anywidget  # noqa: F401
    import ipywidgets as _ipywidgets  # noqa: F401
except ImportError as _error:
    from ..errors import InputError as _InputError

    raise _InputError(
        f"the notebook views need the package {_error.name}: install them with `pip install mrbone_nb[notebook]`"
    ) from None

from .modeview import explore
from .painting import edit, paint
from .picker import pick
from .project import enter_project
from .retell import notebook_of
from .share import write_html
from .sliceview import look
from .threed import view3d
from .tuner import Tuned, tune
from .workbench import Workbench, workbench

__all__ = [
    "Tuned",
    "Workbench",
    "edit",
    "enter_project",
    "explore",
    "look",
    "notebook_of",
    "paint",
    "pick",
    "tune",
    "view3d",
    "workbench",
    "write_html",
]
