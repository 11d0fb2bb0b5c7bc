"""A scan as a volume in JupyterLab, by itkwidgets, below its surfaces; a picture where it does not start.

itkwidgets is imported only after the page has said that it can show it: to import it where nobody looks (a notebook
that is run by a program) would hold up all later cells.
"""

from __future__ import annotations

import asyncio
import base64
import html
import sys
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np

from ..picture import window_of
from ..volume import Volume
from .drawing import png
from .scene import Scene
from .widgettree import STAND_IN

SECONDS = 180  # that the viewer may take to start; without a graphics card it takes a minute
POLL = 0.3  # seconds between two looks at whether it has started
WAITING = "The volume is shown in JupyterLab; until it has started there, this stands for it."
NO_HOST = (
    "itkwidgets cannot be shown in this page: its offline viewer is not installed here "
    "(`python -m mrbone_nb.nb.offline`, then reload the page), or this is not JupyterLab; this stands for it."
)


def in_jupyterlab() -> bool:
    """Tell whether the cell that runs now was started from a notebook page, which names the cell, not by a program."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return "cellId" in kernel.get_parent("shell")["metadata"]
    except (AttributeError, KeyError, TypeError, LookupError):
        return False


class Probe(anywidget.AnyWidget):
    """Say from the page whether itkwidgets can be shown in it."""

    _esm = Path(__file__).parent / "static" / "probe.js"


class VolumeView(widgets.VBox):
    """Show a scan as a volume with its labels; made by `view3d`."""

    def __init__(self, scene: Scene, light: Any) -> None:
        self.scene, self.light = scene, light
        self.viewer: Any = None  # of itkwidgets, once it runs
        self._up, self._changed, self._since = False, False, 0.0
        self._line = widgets.HTML(_small(WAITING))
        self._out, self._probe = widgets.Output(), Probe()
        self._probe.on_msg(self._told)
        light.add_class(STAND_IN)  # in a page without a kernel it is shown again
        super().__init__([light, self._line, self._out, self._probe])

    def show(self, what: Any = None, **words: Any) -> None:
        """Show other labels, another scan or other surfaces in the same view; the arguments are those of `view3d`."""
        scene = self.scene.changed(what, **words)
        image = scene.image is not self.scene.image
        self.light.show(what, **words)
        self.scene = scene
        if self.viewer is None:
            return
        if self._up:
            self._send(image)
        else:
            self._changed = True  # sent as soon as it has started

    def picture(self) -> Any:
        """The still picture: surfaces from in front, or slices."""
        return self.light.picture()

    def _repr_mimebundle_(self, **words: Any) -> dict[str, Any]:
        bundle = dict(super()._repr_mimebundle_(**words) or {})
        still = base64.b64encode(png(self.picture())).decode()
        return {**bundle, "image/png": still, "text/plain": self.scene.about()}

    # --- itkwidgets ------------------------------------------------------------------------------------

    def _told(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Hear from a page that has just shown this view: also after a reload, which ended the viewer before."""
        if not content.get("host"):
            self._say(NO_HOST)
            return
        loop = asyncio.get_running_loop()
        if self.viewer is not None and not self._up and loop.time() < self._since + SECONDS:
            return  # it is starting
        try:
            self._start()
        except Exception as error:  # whatever another package raises, the light view stays
            self._fail(error)
        else:
            self._since = loop.time()
            loop.call_later(POLL, self._look)

    def _start(self) -> None:
        self._up, self.light.layout.display = False, None
        self._out.outputs = ()
        given = {"label_image": self._labels(), "image": self._image()}
        package, fault = _itkwidgets(), None
        with self._out:  # it would show a traceback and swallow the error
            try:
                self.viewer = package.view(**{name: value for name, value in given.items() if value is not None})
            except Exception as error:
                fault = error
        if fault is not None:
            raise fault
        self._say("The volume view is starting …")

    def _look(self) -> None:
        """Look whether the viewer shows something by now."""
        try:
            loop = asyncio.get_running_loop()
            if self.viewer.viewer_rpc.data_event.is_set():
                self._up = True
                self._say("")
                if not self.scene.surfaces():  # surfaces stay: a volume alone hides where a bone ends
                    self.light.layout.display = "none"
                if self._changed:
                    self._send(True)
            elif loop.time() > self._since + SECONDS:
                self._say(f"The volume view did not start within {SECONDS} s; this stands for it.")
                self.viewer = None
            else:
                loop.call_later(POLL, self._look)
        except Exception as error:
            self._fail(error)

    def _send(self, image: bool) -> None:
        """Give the viewer what is shown now."""
        try:
            if image and self.scene.image is not None:
                self.viewer.set_image(self._image())
            if self.scene.labels is not None:
                self.viewer.set_label_image(self._labels())
            self._changed = False
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.viewer, self._up, self.light.layout.display = None, False, None
        text = str(error).strip().split("\n")[0]
        self._say(f"itkwidgets failed ({type(error).__name__}: {text[:200]}); this stands for it.")

    def _say(self, text: str) -> None:
        self._line.value = _small(text) if text else ""

    def _image(self) -> Any:
        """The scan in 8 bits, between the same gray values as the slices."""
        if self.scene.image is None:
            return None
        low, high = window_of(self.scene.image)
        gray = np.clip((self.scene.image.array.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
        return _placed(self.scene.image.with_array(gray.round().astype(np.uint8)))

    def _labels(self) -> Any:
        if self.scene.labels is None:
            return None
        return _placed(self.scene.labels.with_array(self.scene.labels.array.astype(np.uint8)))


def _itkwidgets() -> Any:
    """The package. Its import takes over how cells are run, to hold them until a viewer is up: that is undone."""
    from IPython import get_ipython

    shell = get_ipython()
    handlers = shell.kernel.shell_handlers
    name, before = "execute_request", "itkwidgets" in sys.modules
    kept = handlers[name]
    try:
        with shell.builtin_trap:  # it looks for the names that a running cell has
            import itkwidgets
    finally:
        if not before:  # a user who has imported it wants it as it is
            handlers[name] = kept
    return itkwidgets


def _placed(volume: Volume) -> Any:
    """A volume as itkwidgets takes it, with spacing and origin, its grid turned to the nearest axes of the body."""
    from ngff_zarr import to_ngff_image

    turned = volume.reorient("LPS")
    scale = dict(zip("zyx", turned.spacing, strict=True))
    translation = dict(zip("xyz", turned.origin, strict=True))
    return to_ngff_image(turned.array, dims=["z", "y", "x"], scale=scale, translation=translation)


def _small(text: str) -> str:
    return f"<span style='opacity:.7'>{html.escape(text)}</span>"
