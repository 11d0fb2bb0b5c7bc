"""The common checks of real and built folders, where they lie beside the repository."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mrbone_nb.intake import read_all

ROOT = Path(__file__).parents[2]
CHECKS = ROOT.parent / "shared" / "intake"
pytestmark = pytest.mark.shared


@pytest.fixture
def checks(monkeypatch):
    """The module that judges, with its folder on the import path."""
    if not (CHECKS / "common.py").is_file():
        pytest.skip("needs ../shared/intake, which is not beside the repository")
    pytest.importorskip("nibabel")
    monkeypatch.syspath_prepend(str(CHECKS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks' own writing and reading of broken files
        import common

        yield common


def failed(verdicts):
    return {
        v.get("case"): (v["verdict"], v.get("why") or v.get("error") or v.get("issues"))
        for v in verdicts
        if v["verdict"] != "PASS"
    }


def test_real_folders(checks):
    cases = json.loads((CHECKS / "cases.json").read_text())
    assert len(cases) > 20
    assert failed(checks.judge_case(c, read_all, CHECKS / "corpus") for c in cases) == {}


def test_built_faults(checks, tmp_path):
    import make_faults

    make_faults.build(tmp_path / "faults")
    faults = json.loads((tmp_path / "faults" / "faults.json").read_text())
    judged = [f for f in faults if f["expect"] != "manual"]
    assert len(judged) > 20
    assert failed(checks.judge_fault(f, read_all, tmp_path / "faults") for f in judged) == {}


@pytest.mark.slow
@pytest.mark.parametrize("script", ["check_reference.py", "check_faults.py"])
def test_each_case_in_a_process_of_its_own_under_limits(checks, tmp_path, script):
    out = tmp_path / "verdicts.json"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    args = [sys.executable, str(CHECKS / script), "--loader", "mrbone_nb.intake:read_all", "--json", str(out)]
    subprocess.run(args, env=env, cwd=tmp_path, capture_output=True, timeout=580)
    assert failed(json.loads(out.read_text())) == {}
