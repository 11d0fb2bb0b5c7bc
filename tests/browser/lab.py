"""A JupyterLab of its own for a test, and a browser that counts what it asks for outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CHROMIUM = os.environ.get("MRBONE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
# Software WebGL, so that it works without a graphics card; the sandbox cannot run as root in a container.
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
BROWSER = {"executable_path": CHROMIUM, "args": FLAGS}
INSIDE = ("http://127.0.0.1", "file:", "data:", "blob:")
# An extension of itkwidgets asks for this whenever Lab opens, unless the offline viewer stands in for it.
KNOWN = "vue.min.js"


def page_of(browser, width=1280, height=1000):
    """A page whose requests to outside are blocked, and listed in ``page.outside``."""
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.outside, page.errors = [], []

    def route(request):
        url = request.request.url
        if url.startswith(INSIDE):
            request.continue_()
            return
        page.outside.append(url)
        request.abort()

    page.route("**/*", route)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    return page


class Lab:
    """A JupyterLab that serves one notebook of some cells, from a folder of its own."""

    def __init__(self, cells, links=None):
        self.cells, self.links = cells, links or {}

    def __enter__(self):
        import nbformat
        from nbformat.v4 import new_code_cell, new_notebook

        self.folder = Path(tempfile.mkdtemp(prefix="mrbone_lab_"))
        root = self.folder / "root"
        root.mkdir()
        for name, target in self.links.items():
            (shutil.copytree if target.is_dir() else shutil.copy)(target, root / name)
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=[new_code_cell(c) for c in self.cells], metadata=spec), root / "t.ipynb")
        news = self.folder / "set" / "@jupyterlab" / "apputils-extension"  # no question that covers half of the page
        news.mkdir(parents=True)
        (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}', "utf-8")
        widgets = self.folder / "set" / "@jupyter-widgets" / "jupyterlab-manager"  # what `start.py lab` sets too
        widgets.mkdir(parents=True)
        (widgets / "plugin.jupyterlab-settings").write_text('{"saveState": true}', "utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        kept = {
            "JUPYTER_CONFIG_DIR": "cfg",
            "JUPYTERLAB_SETTINGS_DIR": "set",
            "JUPYTERLAB_WORKSPACES_DIR": "ws",
            "IPYTHONDIR": "ipy",
        }
        env = dict(os.environ, OMP_NUM_THREADS="1", **{name: str(self.folder / sub) for name, sub in kept.items()})
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--expose-app-in-browser",
            "--ip=127.0.0.1",
        ]
        command += [f"--port={port}", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}", "--LabApp.news_url="]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 90
        while True:
            try:
                urllib.request.urlopen(self.url + "/api/status", timeout=1).close()
                return self
            except OSError:
                if time.time() > end or self.process.poll() is not None:
                    self.__exit__()
                    raise
                time.sleep(0.2)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def idle(self, page):
        """Wait until the kernel has nothing to do."""
        busy = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
        page.wait_for_function(f"() => {busy} === 'idle'", timeout=120_000)

    def run(self, page):
        """Open the notebook and run all its cells."""
        page.goto(f"{self.url}/lab/tree/t.ipynb?reset", wait_until="domcontentloaded")
        self.idle(page)
        page.evaluate("() => { window.jupyterapp.commands.execute('application:toggle-left-area') }")
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.idle(page)
        page.wait_for_timeout(1000)

    def ask(self, page, code):
        """Run code in the last cell; gives its printed text, once it is this run's."""
        self.asked = getattr(self, "asked", 0) + 1
        mark = f"#{self.asked}#"
        page.evaluate(
            """(code) => {
                const notebook = window.jupyterapp.shell.currentWidget.content, last = notebook.model.cells.length - 1;
                notebook.model.cells.get(last).sharedModel.setSource(code);
                notebook.activeCellIndex = last;
                return window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            f"{code}\nprint('{mark}')",
        )
        output = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-child", has_text=mark)
        output.wait_for(timeout=60_000)
        return output.inner_text().replace(mark, "").strip()
