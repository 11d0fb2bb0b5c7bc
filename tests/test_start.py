"""start.py's own decisions, in a copy of the script that stands in an empty folder: no network, nothing installed."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start.py as a module whose ROOT is a small project in tmp_path."""
    shutil.copy(ROOT / "start.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small"\nversion = "1"\n[project.optional-dependencies]\nall = []\n')
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    spec = importlib.util.spec_from_file_location("start", tmp_path / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(start, monkeypatch):
    """What start.py would have run: "venv" or "pip". Instead of running it, pretend that it worked."""
    done = []

    def run(command, **_):
        done.append(command[2])
        if done[-1] == "venv":
            Path(start.BIN).mkdir()
            Path(start.PYTHON).touch()
        return 0, ""

    monkeypatch.setattr(start, "run", run)
    return done


def again(start, commands):
    """Install once more and return what that ran."""
    commands.clear()
    start.install()
    return commands


# --- the right Python ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 9), (3, 13, 0)])
def test_suitable_python_is_taken(start, version):
    assert start.check_python(version) is None


@pytest.mark.parametrize("version, fault", [((2, 7, 18), "2.7 is too old"), ((3, 10, 13), "3.10 is too old"),
                                            ((3, 14, 0), "3.14 is too new"), ((4, 0, 0), "4.0 is too new")])
def test_unsuitable_python_ends_in_one_line(start, monkeypatch, capsys, version, fault):
    monkeypatch.setattr(start.sys, "version_info", version)
    monkeypatch.setattr(start, "other_pythons", lambda: iter(["python3.12"]))
    assert start.main(["demo"]) == 2
    said = capsys.readouterr().err
    assert fault in said and "needs Python 3.11, 3.12 or 3.13; use: python3.12 start.py" in said
    assert said.count("\n") == 1
    assert not os.path.exists(start.VENV) and not os.path.exists(start.LOG)


def test_without_a_suitable_python_it_says_to_install_one(start, monkeypatch):
    monkeypatch.setattr(start, "other_pythons", lambda: iter([]))
    with pytest.raises(start.Stop, match="3.13; install one of these"):
        start.check_python((3, 9, 1))


@pytest.mark.skipif(os.name == "nt", reason="Windows finds Pythons with the py launcher")
def test_other_pythons_must_answer_with_their_version(start, tmp_path, monkeypatch):
    for version, script in (("3.11", "exit 127"), ("3.12", "echo Python 3.12.1"), ("3.13", "echo Python 3.9.1")):
        (tmp_path / f"python{version}").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / f"python{version}").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(start.other_pythons()) == ["python3.12"]


def test_versions_agree_with_pyproject(start):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">={}.{},<{}.{}".format(*start.OLDEST, *start.TOO_NEW)
    assert start.SUITABLE == tuple(f"3.{minor}" for minor in range(start.OLDEST[1], start.TOO_NEW[1]))


def test_old_pythons_can_read_the_script():
    tree = ast.parse((ROOT / "start.py").read_text(encoding="ascii"))  # Python 2 refuses other characters
    new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.AsyncFunctionDef, ast.Await, ast.YieldFrom)
    for node in ast.walk(tree):
        assert not isinstance(node, new), f"line {node.lineno}: {type(node).__name__}"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.kwonlyargs, node.name
            assert all(a.annotation is None for a in node.args.args), node.name
        if isinstance(node, ast.Raise):
            assert node.cause is None, f"line {node.lineno}: raise … from"


def test_only_the_standard_library_is_imported_at_the_top():
    tree = ast.parse((ROOT / "start.py").read_text())
    names = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in tree.body if isinstance(n, ast.ImportFrom)}
    assert "subprocess" in names
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_names_the_debian_package(start, monkeypatch, capsys, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert start.main(["test"]) == 2
    said = capsys.readouterr().err
    assert f"no module {module}" in said and "apt install python3-venv" in said
    assert not os.path.exists(start.VENV)


# --- installing once, and again when needed -----------------------------------------------------------------------

def test_the_second_run_installs_nothing(start, commands):
    start.install()
    assert commands == ["venv", "pip"]
    assert again(start, commands) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_list_installs_again_in_place(start, commands, name):
    start.install()
    with open(os.path.join(start.ROOT, name), "a") as file:
        file.write("# changed\n")
    assert again(start, commands) == ["pip"]
    assert again(start, commands) == []


def test_line_ends_of_a_windows_checkout_are_no_change(start, commands):
    start.install()
    path = Path(start.ROOT, "constraints.txt")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert again(start, commands) == []


def test_another_python_makes_the_environment_anew(start, commands, monkeypatch):
    start.install()
    old = Path(start.VENV, "old")
    old.touch()
    monkeypatch.setattr(start.sys, "version_info", (3, 13 if sys.version_info[1] < 13 else 12, 0))
    assert again(start, commands) == ["venv", "pip"]
    assert not old.exists()


def test_a_moved_project_makes_the_environment_anew(start, commands):
    start.install()
    text = Path(start.STAMP).read_text()
    Path(start.STAMP).write_text(text.replace(start.ROOT, start.ROOT + "_before"))
    assert again(start, commands) == ["venv", "pip"]


def test_a_vanished_python_makes_the_environment_anew(start, commands):
    start.install()
    os.remove(start.PYTHON)
    assert again(start, commands) == ["venv", "pip"]


@pytest.mark.parametrize("at", ["venv", "pip"])
def test_an_interrupted_installation_begins_again(start, commands, monkeypatch, at):
    pretend = start.run

    def interrupted(command, **options):
        done = pretend(command, **options)
        if command[2] == at:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(start, "run", interrupted)
        assert start.main(["test"]) == 130
    assert again(start, commands) == ["venv", "pip"]
    assert again(start, commands) == []


def test_a_failed_update_keeps_the_old_environment(start, commands, monkeypatch):
    start.install()
    Path(start.ROOT, "constraints.txt").write_text("numpy==3.0\n")
    with monkeypatch.context() as patch:
        patch.setattr(start, "run", lambda *_, **__: (1, "connection broken by NewConnectionError"))
        with pytest.raises(start.Stop, match="no network"):
            start.install()
    assert again(start, commands) == ["pip"]


def test_an_environment_of_someone_else_is_left_alone(start, commands, capsys):
    theirs = Path(start.VENV, "pyvenv.cfg")
    theirs.parent.mkdir()
    theirs.touch()
    assert start.main(["test"]) == 2
    assert ".venv exists, but start.py did not make it" in capsys.readouterr().err
    assert theirs.exists() and commands == []


# --- saying what is wrong -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, line", [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
    ("WARNING: Retrying after connection broken by 'ReadTimeoutError(...)'\nERROR: No matching distribution found "
     "for hatchling", "no network"),
    ("ERROR: No matching distribution found for numpy==9.9", "the package index has no numpy==9.9 for Python 3"),
    ("ERROR: ResolutionImpossible: for help visit", "ask for versions that exclude each other"),
    ("  ERROR: Failed building wheel for numcodecs", "numcodecs has no ready-made build"),
    ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
    ("[Errno 13] Permission denied: '.venv'", "no permission to write in"),
])
def test_reason_in_one_line(start, text, line):
    assert line in start.reason(text)
    assert "\n" not in start.reason(text)


def test_an_early_warning_of_the_network_is_no_reason(start):
    assert start.reason("NewConnectionError\n" + "fine\n" * 50 + "strange") is None


def test_a_full_disk_under_the_script_itself_is_told_in_one_line(start, monkeypatch, capsys):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(start, "install", full)
    assert start.main(["test"]) == 2
    assert re.fullmatch(r"start.py: the disk is full: .*\n", capsys.readouterr().err)


@pytest.mark.slow
def test_without_a_network_the_last_lines_and_the_reason_are_shown(start):
    """The real thing: a new environment, and an index that nobody serves."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env.update(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull, PIP_NO_CACHE_DIR="1",
               PIP_RETRIES="1")
    done = subprocess.run([sys.executable, "start.py", "test"], cwd=start.ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "No matching distribution found for hatchling" in done.stderr
    assert "start.py: no network: the package index cannot be reached" in done.stderr.splitlines()[-1]
    assert start.stamped() == start.wanted()[:1]  # half a stamp: the next run begins again


@pytest.mark.parametrize("argv", [[], ["dmeo"], ["demo", "x"]])
def test_wrong_use_ends_with_2(start, argv, capsys):
    with pytest.raises(SystemExit) as error:
        start.main(argv)
    assert error.value.code == 2
    assert "start.py: error:" in capsys.readouterr().err


# --- running things -----------------------------------------------------------------------------------------------

def test_output_goes_to_the_log_and_only_with_echo_to_the_terminal(start, capfd):
    command = [sys.executable, "-c", "import sys; print('0.7 \\xb5m', file=sys.stderr); sys.exit(3)"]
    assert start.run(command) == (3, f"0.7 \u00b5m{os.linesep}")
    assert capfd.readouterr().out == ""
    assert start.run(command, echo=True)[0] == 3
    assert "0.7 \u00b5m" in capfd.readouterr().out
    assert Path(start.LOG).read_text(encoding="utf-8").count("0.7 \u00b5m") == 2


def test_children_see_only_the_environment(start, monkeypatch):
    for name in ("PYTHONPATH", "PIP_TARGET", "JUPYTER_PATH", "MPLBACKEND"):
        monkeypatch.setenv(name, "theirs")
    env = start.environment()
    assert "theirs" not in env.values()
    assert env["PATH"].split(os.pathsep)[0] == start.BIN


@pytest.mark.parametrize("given, every, passed", [
    ([], False, ["-n", "2", "-m", "not slow"]),
    (["-k", "dice"], True, ["-n", "2", "-k", "dice"]),
    (["-n0", "-m", "browser"], False, ["-n0", "-m", "browser"]),
    (["--maxfail=1"], False, ["-n", "2", "-m", "not slow", "--maxfail=1"]),
])
def test_arguments_of_pytest(start, given, every, passed):
    assert start.pytest_arguments(given, every) == passed


def test_the_tests_own_code_and_arguments_are_passed_on(start, monkeypatch):
    ran = {}
    monkeypatch.setattr(start, "install", lambda: None)
    monkeypatch.setattr(start, "offline_viewer", lambda: None)
    monkeypatch.setattr(start, "run", lambda command, echo, env: (ran.update(command=command, env=env), (5, ""))[1])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert start.main(["test", "--all", "-k", "x"]) == 5
    assert ran["command"][1:] == ["-m", "pytest", "-n", "2", "-k", "x"]
    assert ran["env"]["OMP_NUM_THREADS"] == "1" and ran["env"]["MPLBACKEND"] == "Agg"


@pytest.mark.parametrize("said, shown", [
    ("the offline viewer of itkwidgets is there already", ""),
    ("warning\nno offline viewer for itkwidgets (no network)", "no offline viewer for itkwidgets (no network)\n"),
])
def test_the_offline_viewer_costs_a_line_at_most(start, monkeypatch, capsys, said, shown):
    monkeypatch.setattr(start, "run", lambda command: (1, said))
    start.offline_viewer()
    assert capsys.readouterr().out == shown


# --- the demo -----------------------------------------------------------------------------------------------------

@pytest.fixture
def notebook(start, monkeypatch):
    """Write a one-cell notebook as the demo's; it runs with the Python of these tests."""
    if not all(map(importlib.util.find_spec, ("nbclient", "nbconvert", "ipykernel"))):
        pytest.skip("needs the extra `notebook`")
    monkeypatch.setattr(start, "PYTHON", sys.executable)
    monkeypatch.setattr(start, "install", lambda: None)

    def write(code):
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": code, "outputs": [], "execution_count": None}
        Path(start.NOTEBOOK).parent.mkdir()
        Path(start.NOTEBOOK).write_text(json.dumps(
            {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))

    return write


@pytest.fixture
def users_own_jupyter(tmp_path, monkeypatch):
    """Settings of the user that would spoil the demo: another `python3` kernel, and a start-up file."""
    kernel, startup = tmp_path / "kernels" / "python3", tmp_path / "profile_default" / "startup"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["no-such-python"], "display_name": "own", "language": "python"}')
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import os; os.chdir(os.sep)")
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")


def test_demo_runs_in_the_project_with_the_environments_python(start, notebook, users_own_jupyter, capsys):
    notebook("import os, sys\nopen('out/mask.bin', 'wb').write(bytes(250_000))\nprint(sys.prefix, os.getcwd())")
    assert start.main(["demo"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"0\.25 MB  mask\.bin", said)
    assert "01_segment_a_knee.html" in said and "01_segment_a_knee.ipynb" in said
    executed = json.loads(Path(start.OUT, "01_segment_a_knee.ipynb").read_text(encoding="utf-8"))
    assert executed["cells"][0]["outputs"][0]["text"] == [f"{sys.prefix} {start.ROOT}\n"]


def test_demo_that_fails_shows_the_error_and_keeps_the_notebook(start, notebook, capsys):
    notebook("raise ValueError('sigma=-1.0 mm: expected 0 to 5')")
    assert start.main(["demo"]) == 1
    said = capsys.readouterr().err
    assert "sigma=-1.0 mm" in said and "start.py: the notebook failed" in said
    assert "ValueError" in Path(start.OUT, "01_segment_a_knee.ipynb").read_text(encoding="utf-8")


def test_demo_without_its_notebook_says_so(start, monkeypatch, capsys):
    monkeypatch.setattr(start, "install", lambda: None)
    assert start.main(["demo"]) == 2
    assert "there is no notebook" in capsys.readouterr().err


# --- the lists of packages ----------------------------------------------------------------------------------------

def test_every_requirement_has_its_tested_version():
    requirements = pytest.importorskip("packaging.requirements")
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            name, version = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)", line).groups()  # no paths, no addresses
            pins[name] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in project["dependencies"] + extras["notebook"] + extras["test"]:
        wanted = requirements.Requirement(line)
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert wanted.specifier.contains(pins[name], prereleases=True), f"{line}: {pins[name]} was tested"
