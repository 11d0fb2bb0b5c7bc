"""Set mrbone_nb up in .venv and use it, with Python's standard library alone.

    python3 start.py demo      run the knee notebook from start to end; the results are in out/
    python3 start.py lab       open JupyterLab
    python3 start.py test      run the tests (at most 15 minutes); --all adds the long ones

The first run installs (about 1.6 GB); later runs reuse .venv. All that the tools print goes to start.log.
Exit codes: 0 done, 1 the notebook failed, 2 something is missing or the command is wrong; `test` ends with
pytest's own code. Written for Linux, macOS and Windows, but so far only tried on Linux.

Old Pythons must be able to read this file, to be told that they are too old: so neither f-strings nor annotations.
"""
from __future__ import print_function

import argparse
import codecs
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time

OLDEST, TOO_NEW = (3, 11), (3, 14)
SUITABLE = ("3.11", "3.12", "3.13")

ROOT = os.path.dirname(os.path.realpath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
STAMP = os.path.join(VENV, "start.stamp")
LOG = os.path.join(ROOT, "start.log")
OUT = os.path.join(ROOT, "out")
NOTEBOOK = os.path.join(ROOT, "notebooks", "01_segment_a_knee.ipynb")

# What pip says when it fails, most telling first, and what that means to a person.
REASONS = (
    (r"No space left on device|not enough space on the disk|Disk quota exceeded",
     "the disk is full: the environment needs 2.5 GB in {root}"),
    (r"Windows Long Path support",
     "paths get too long for Windows: move this folder nearer to the drive's root, or turn long paths on"),
    (r"CERTIFICATE_VERIFY_FAILED",
     "the package index's certificate was refused: behind a company proxy, give pip its certificate (PIP_CERT)"),
    (r"NewConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|Read timed out|ProxyError"
     r"|Connection ?(?:broken|refused|reset|aborted|Error)|name resolution|getaddrinfo failed|Network is unreachable",
     "no network: the package index cannot be reached (behind a proxy, set HTTPS_PROXY)"),
    (r"No matching distribution found for (\S+)",
     "the package index has no {0} for Python {python} on this machine ({machine})"),
    (r"ResolutionImpossible", "pyproject.toml and constraints.txt ask for versions that exclude each other"),
    (r"(?:Failed building wheel for|Failed to build) (\S+)",
     "{0} has no ready-made build for this machine ({machine}) and could not be compiled here"),
    (r"Permission denied|Access is denied", "no permission to write in {root}"),
)


class Stop(Exception):
    """End here, with one line for the person and, if `log` is set, the last lines of the log above it."""

    def __init__(self, line, code=2, log=False):
        Exception.__init__(self, line)
        self.code, self.log = code, log


# --- what must be there -------------------------------------------------------------------------------------------

def other_pythons():
    """Yield the commands of suitable Pythons on this machine, the best tested first."""
    for version in SUITABLE:
        command = ["py", "-" + version] if os.name == "nt" else ["python" + version]
        try:
            said = subprocess.check_output(command + ["--version"], stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError):
            continue  # absent, or a pyenv shim with nothing behind it
        if said.decode("ascii", "replace").startswith("Python " + version):
            yield " ".join(command)


def check_python(version=None):
    """Stop unless this Python's version is one that every dependency has builds for."""
    version = tuple(version or sys.version_info)[:2]
    if OLDEST <= version < TOO_NEW:
        return
    fault = "too old" if version < OLDEST else "too new"
    advice = ["use: {0} start.py".format(command) for command in other_pythons()][:1] or ["install one of these"]
    raise Stop("Python {0}.{1} is {2}: mrbone_nb needs Python {3} or {4}; {5}".format(
        version[0], version[1], fault, ", ".join(SUITABLE[:-1]), SUITABLE[-1], advice[0]))


def check_modules():
    """Stop if this Python cannot make environments, as Debian's cannot until a package is added."""
    for name in ("venv", "ensurepip"):
        try:
            __import__(name)
        except ImportError:
            raise Stop("this Python has no module {0}: on Debian and Ubuntu, apt install python3-venv".format(name))


def reason(text):
    """Return in one line what the end of a tool's output, or an error's text, says is wrong; None if unknown."""
    text = "\n".join(text.splitlines()[-40:])  # earlier, pip may have warned of a connection that it then got
    facts = {"root": ROOT, "python": platform.python_version(), "machine": sys.platform + " " + platform.machine()}
    for pattern, line in REASONS:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return line.format(*found.groups(), **facts)
    return None


# --- running things -----------------------------------------------------------------------------------------------

def environment(**more):
    """Return the variables for a child process: as if .venv were active and nothing else were in the way."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "JUPYTER_PATH", "MPLBACKEND"):
        env.pop(name, None)
    env.update(VIRTUAL_ENV=VENV, PATH=BIN + os.pathsep + env.get("PATH", ""), PYTHONNOUSERSITE="1",
               PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8", PIP_DISABLE_PIP_VERSION_CHECK="1",
               JUPYTER_PREFER_ENV_PATH="1")  # so that `python3` is this environment's kernel, not the user's
    env.update(more)
    return env


def quiet_threads():
    """Return the variable that keeps OpenMP's threads from spinning against each other on shared cores."""
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


def run(command, echo=False, env=None):
    """Run a command with all its output in the log (and on the terminal too with `echo`); return code and output."""
    decoder, said, began = codecs.getincrementaldecoder("utf-8")("replace"), [], time.time()
    child = subprocess.Popen(command, cwd=ROOT, env=env or environment(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with child.stdout, open(LOG, "ab") as log:
            for chunk in iter(lambda: child.stdout.read1(65536), b""):
                log.write(chunk)
                log.flush()
                said.append(decoder.decode(chunk))
                if echo:
                    print(said[-1], end="")
                elif sys.stdout.isatty():
                    print("\r  {0:.0f} s ".format(time.time() - began), end="")
                sys.stdout.flush()
        if not echo and sys.stdout.isatty():
            print("\r", end="")
        return child.wait(), "".join(said)
    finally:
        end(child)


def end(child):
    """Leave nothing running behind after Ctrl-C (which the child got too) or a full disk."""
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait()


def last_lines(count=12, width=200):
    """Return the end of the log, long lines cut."""
    with codecs.open(LOG, encoding="utf-8", errors="replace") as log:
        return "\n".join(line[:width] for line in log.read().splitlines()[-count:])


# --- the environment ----------------------------------------------------------------------------------------------

def wanted():
    """Return the stamp of an environment that fits: what it was made for, and what was installed in it."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n"))
    return ["Python {0}.{1} in {2}".format(sys.version_info[0], sys.version_info[1], ROOT), digest.hexdigest()]


def stamped():
    """Return the lines of .venv's stamp; None if this script did not make .venv."""
    try:
        with open(STAMP, "rb") as file:
            return file.read().decode("utf-8").splitlines()
    except (IOError, OSError):
        return None


def write_stamp(lines):
    with open(STAMP, "wb") as file:
        file.write("\n".join(lines).encode("utf-8"))


def state():
    """Return "ready", "outdated" (install again) or "unusable" (make anew); stop at a .venv of someone else's."""
    stamp, want = stamped(), wanted()
    if stamp is None and os.path.exists(VENV) and os.listdir(VENV):
        raise Stop(".venv exists, but start.py did not make it: move it away or delete it, then run this again")
    if stamp is None or stamp[:1] != want[:1] or len(stamp) < 2 or not os.path.exists(PYTHON):
        return "unusable"  # absent, interrupted, moved, or its Python has gone
    return "ready" if stamp == want else "outdated"


def make_venv(want):
    """Make .venv from nothing."""
    print("Making the environment .venv with Python {0} ...".format(platform.python_version()))
    if os.path.exists(VENV):
        shutil.rmtree(VENV)
    os.makedirs(VENV)
    write_stamp(want[:1])  # half a stamp: ours, but not finished
    # An active .venv is the one just deleted, so ask the Python that it was made from.
    code, text = run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", VENV])
    if code:
        raise Stop(reason(text) or "the installation failed", log=True)


def install():
    """Bring .venv to what pyproject.toml and constraints.txt ask for; do nothing if it is there already."""
    now, before, want = state(), stamped(), wanted()
    if now == "ready":
        return
    began = time.time()
    if now == "unusable":
        check_modules()
        make_venv(want)
    print("Installing mrbone_nb and what it needs (1 to 6 minutes the first time) ...")
    write_stamp(want[:1])
    code, text = run([PYTHON, "-m", "pip", "install", "-e", ".[all]", "-c", "constraints.txt"])
    if code:
        if now == "outdated":
            write_stamp(before)  # pip puts back what it could not replace: the old environment still works
        raise Stop(reason(text) or "the installation failed", log=True)
    write_stamp(want)  # last of all, so that whatever interrupts this makes the next run begin again
    print("Installed in {0:.0f} s.".format(time.time() - began))


def offline_viewer():
    """Fetch, once, what shows volumes in JupyterLab without a network; say so where that fails: all else works."""
    said = run([PYTHON, "-m", "mrbone_nb.nb.offline"])[1].strip().splitlines()
    if said and "already" not in said[-1]:
        print(said[-1][:300])


# --- the commands -------------------------------------------------------------------------------------------------

def execute():
    """Run the notebook in ROOT and write it and its HTML to out/. Called by `demo`, with .venv's Python."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    from mrbone_nb import write_html

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    target = os.path.join(OUT, os.path.basename(NOTEBOOK))
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": ROOT}})
    try:
        client.execute()
    except CellExecutionError as error:
        print(error)
        return 1
    finally:
        nbformat.write(notebook, target)  # after an error too: it shows the cell that failed
    write_html(notebook, target[:-len("ipynb")] + "html", overwrite=True)  # unlike nbconvert's, it needs no network
    return 0


def show_results(since):
    """List what was written to out/ since that time."""
    print("In {0}:".format(OUT))
    for folder, _, names in sorted(os.walk(OUT)):
        for path in (os.path.join(folder, name) for name in sorted(names)):
            if os.path.getmtime(path) >= since - 2:  # some file systems count in steps of two seconds
                print("  {0:8.2f} MB  {1}".format(os.path.getsize(path) / 1e6, os.path.relpath(path, OUT)))


def demo(_):
    if not os.path.exists(NOTEBOOK):
        raise Stop("there is no notebook {0}".format(os.path.relpath(NOTEBOOK, ROOT)))
    began = time.time()
    if not os.path.isdir(OUT):
        os.makedirs(OUT)
    print("Running {0} ...".format(os.path.relpath(NOTEBOOK, ROOT)))
    # The user's own IPython start-up files must not change what the demo does.
    env = environment(IPYTHONDIR=os.path.join(VENV, "ipython"), **quiet_threads())
    code, _ = run([PYTHON, os.path.join(ROOT, "start.py"), "_execute"], env=env)
    if code:
        raise Stop("the notebook failed; as far as it came, it is in out/", code=1, log=True)
    print("Done in {0:.0f} s.".format(time.time() - began))
    show_results(began)
    return 0


def keep_views():
    """Let JupyterLab save what the views show along with the notebook; somebody's own choice is left alone."""
    path = os.path.join(VENV, "share", "jupyter", "lab", "settings", "overrides.json")
    if not os.path.exists(path):
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w") as file:
            file.write('{"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": true}}\n')


def lab(arguments):
    keep_views()
    print("Opening JupyterLab; Ctrl-C ends it.")
    child = subprocess.Popen([PYTHON, "-m", "jupyterlab"] + arguments, cwd=ROOT, env=environment())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            pass  # it got the same Ctrl-C, and asks whether it is meant


def pytest_arguments(arguments, every):
    """Return pytest's arguments: two at a time, without the slow ones, unless the person said otherwise."""
    chosen = []
    if not any(a.startswith(("-n", "--numprocesses")) for a in arguments):
        chosen += ["-n", "2"]
    if not every and not any(a.startswith("-m") for a in arguments):
        chosen += ["-m", "not slow"]
    return chosen + arguments


def test(arguments, every=False):
    env = environment(MPLBACKEND="Agg", **quiet_threads())
    return run([PYTHON, "-m", "pytest"] + pytest_arguments(arguments, every), echo=True, env=env)[0]


def parse(argv):
    """Return the chosen command and the arguments meant for the tool behind it."""
    parser = argparse.ArgumentParser(prog="start.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="demo | lab | test")
    commands.required = True
    for name in ("demo", "lab"):
        commands.add_parser(name)
    commands.add_parser("test", usage="start.py test [--all] [pytest's arguments]").add_argument(
        "--all", action="store_true", help="the long tests too")
    chosen, rest = parser.parse_known_args(argv)
    if rest and chosen.command == "demo":
        parser.error("demo takes no arguments: " + " ".join(rest))
    return chosen, rest


def main(argv):
    if argv == ["_execute"]:
        return execute()
    try:
        check_python()
        chosen, rest = parse(argv)
        sys.stdout.reconfigure(errors="replace")  # a console that lacks a character must not end a run
        with open(LOG, "w") as log:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), platform.platform(), "Python", sys.version, file=log)
        install()
        if chosen.command != "demo":
            offline_viewer()
        if chosen.command == "test":
            return test(rest, every=chosen.all)
        return {"demo": demo, "lab": lab}[chosen.command](rest)
    except Stop as stop:
        if stop.log:
            print(last_lines(), file=sys.stderr)
        print("start.py: {0}{1}".format(stop, " (all of it: start.log)" if stop.log else ""), file=sys.stderr)
        return stop.code
    except EnvironmentError as error:
        print("start.py: {0}".format(reason(str(error)) or error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstart.py: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
