"""A page for people who do not want to see code: choose a series, work on it, save the bones and what was done."""

from __future__ import annotations

import html
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..errors import InputError
from ..files import safe_name
from ..outputs import save
from ..volume import Volume
from .picker import pick
from .retell import notebook_of, words_of
from .threed import view3d
from .workbench import Workbench, workbench

TEMPLATES = Path(__file__).parent / "static" / "app"
# All that the page needs of what is installed for JupyterLab; others may ask the network. The second is Voilà's own.
EXTENSIONS = ("@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget")
SECONDS = 60  # that the server may take to start
HELLO = "<h2>mrbone</h2><p>Choose a series, work on it, then save. For research only: not a medical device.</p>"


def page(folder: Path | str, output: Path | str = "results") -> widgets.VBox:
    """Give the page for a folder: a picker of series, what works on the chosen one, and buttons that save.

    Parameters
    ----------
    folder
        Folder, file or archive with scans.
    output
        Folder for what is saved; made when something is.

    Returns
    -------
    VBox
        A widget that shows itself.
    """
    return Page(Path(folder), Path(output))


class Page(widgets.VBox):
    """Show the page; made by `page`. ``picker`` chooses, ``bench`` is the workbench on what is chosen."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder, self.output = folder, output
        self.bench: Workbench | None = None
        self.picker: Any = None
        self._note = widgets.HTML()
        self._place, self._models = widgets.VBox(), widgets.VBox()
        self.bones = widgets.Text(
            value="bone", description="bones", continuous_update=False, layout={"width": "420px"},
            tooltip="Names with commas between them, such as: right femur, right tibia",
            style={"description_width": "46px"},
        )  # fmt: skip
        self.bones.observe(lambda _: self._try(self._open), "value")
        wide = {"layout": {"width": "auto"}, "disabled": True}
        self._buttons = [
            widgets.Button(description="Save masks and models", tooltip="Run all steps on the whole scan", **wide),
            widgets.Button(description="Save what was done as a notebook", tooltip="It gives the same masks", **wide),
        ]
        for button, action in zip(self._buttons, (self.save, self.tell), strict=True):
            button.on_click(lambda _, action=action: self._try(action))
        head = [widgets.HTML(HELLO), self.bones]
        super().__init__([*head, self._place, widgets.HBox(self._buttons), self._note, self._models])
        self._try(self._begin)

    def _begin(self) -> None:
        self.picker = pick(self.folder)
        self.children = (self.children[0], self.picker, *self.children[1:])
        self.picker.observe(lambda _: self._try(self._open), "chosen")
        self._open()

    def _open(self) -> None:
        """Work on the series that is chosen now, with strokes for these bones."""
        self.bench, self._place.children, self._models.children = None, (), ()
        for button in self._buttons:
            button.disabled = True
        if self.picker is None or self.picker.chosen is None:
            return
        volume = self.picker.volume
        if not isinstance(volume, Volume):
            raise InputError("the slices of this series make no stack: choose another one")
        names = [name.strip() for name in self.bones.value.split(",") if name.strip()]
        self.bench = workbench(volume, bones=names, file=self.output / f"{safe_name(volume.name)}_strokes.json")
        panel = self.bench.panel
        for box in (panel.call, panel.code, panel.json):
            box.layout.display = "none"  # no code here
        self._place.children = (panel.widget,)
        for button in self._buttons:
            button.disabled = False

    def save(self) -> None:
        """Save what the recipe makes of the whole scan, and show the bones."""
        bench = self.bench
        result = bench.run() if bench.result is None or bench.stale else bench.result
        files = save(result, self.output, table=bench.table, overwrite=True)
        self._models.children = (view3d(result.labels, table=bench.table),) if result.present else ()
        self._say("Saved: " + ", ".join(path.name for path in files.values()))

    def tell(self) -> None:
        """Write the notebook that does the same."""
        bench = self.bench
        path = self.output / f"{safe_name(bench.volume.name)}.ipynb"
        made = notebook_of(
            bench.recipe(),
            path,
            bench.volume,
            scan=self.folder,
            words=words_of(self.picker.call),
            seeds=bench.seeds,
            table=bench.table,
            output=".",
            overwrite=True,
        )
        self._say(f"Saved: {made.name} in {made.parent.name or 'this folder'}")

    def _try(self, action: Callable[[], None]) -> None:
        """Do something; what goes wrong is one line."""
        self._say("working …")
        try:
            action()
        except Exception as error:  # a traceback would be lost in the server's log
            text = str(error).strip().split("\n")[0] or type(error).__name__
            self._say(text if isinstance(error, InputError) else f"{type(error).__name__}: {text}", "#c00")
        else:
            if self._note.value == _line("working …"):
                self._note.value = ""

    def _say(self, text: str, color: str = "inherit") -> None:
        self._note.value = _line(text[:500], color)


def _line(text: str, color: str = "inherit") -> str:
    return f"<span role='status' style='color:{color}'>{html.escape(text)}</span>"


# --- serving ------------------------------------------------------------------------------------------------


def available() -> bool:
    """Tell whether what serves the page is installed."""
    return importlib.util.find_spec("voila") is not None


def serve(
    folder: Path | str,
    output: Path | str = "results",
    *,
    port: int | None = None,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> str:
    """Serve the page from this machine alone until it is interrupted; gives its address.

    Each opening of the address works with a kernel of its own, which ends with the page.
    """
    if not available():
        raise InputError("the app needs the package voila: install it with `pip install mrbone_nb[notebook]`")
    folder, output = Path(folder), Path(output)
    if not folder.exists():
        raise InputError(f"{folder}: no such file or folder")
    with socket.socket() as free:
        try:
            free.bind(("127.0.0.1", port or 0))
        except (OSError, OverflowError):
            raise InputError(f"port {port}: in use, or not allowed; leave --port out to take a free one") from None
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mrbone-app-", ignore_cleanup_errors=True) as work:
        process = subprocess.Popen(_command(Path(work), folder, output, port), env=_environment())
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(process, url)
            say(f"{url} is open on this machine; Ctrl-C ends it")
            if browser:
                webbrowser.open(url)
            process.wait()
        except KeyboardInterrupt:
            say("ended")
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
    return url


def _command(work: Path, folder: Path, output: Path, port: int) -> list[str]:
    """The server's command, for a notebook of one cell."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    places = tuple(os.path.abspath(place) for place in (folder, output))
    code = f"from mrbone_nb.nb.app import page\npage(*{places!r})"
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = work / "mrbone.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(code)], metadata=spec), notebook)
    options = {
        "port": port,
        "template": "mrbone",
        "Voila.ip": "127.0.0.1",
        "Voila.log_level": "ERROR",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    words += [f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS]
    return [sys.executable, "-m", "voila", str(notebook), "--no-browser", *words]


def _environment() -> dict[str, str]:
    """The server finds this page's template, and the kernel of this environment."""
    paths = [str(TEMPLATES), os.environ.get("JUPYTER_PATH", "")]
    return {**os.environ, "JUPYTER_PATH": os.pathsep.join(filter(None, paths)), "JUPYTER_PREFER_ENV_PATH": "1"}


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the server answers; its page itself would start a kernel."""
    end = time.time() + SECONDS
    while True:
        try:
            urllib.request.urlopen(url + "voila/static/voila.js", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.time() > end:
                raise InputError("the server of the app did not start; its words are above") from None
            time.sleep(0.2)
