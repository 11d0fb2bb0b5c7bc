"""Every notebook: kept clean and short, runs with nobody at the sliders, and exports what the command line makes."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KNEE = ROOT / "data_samples" / "knee_t2map"
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path, kind="code"):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [(cell, "".join(cell["source"])) for cell in notebook["cells"] if cell["cell_type"] == kind]


# --- how they are kept ----------------------------------------------------------------------------------


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_outputs_are_stripped(path):
    assert re.fullmatch(r"\d\d(_[a-z0-9]+)+\.ipynb", path.name)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"]
    for cell, _ in cells_of(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None, "clear the outputs before committing"
        assert set(cell["metadata"]) <= {"tags"}


@each_notebook
def test_it_is_short(path):
    sources = [source for _, source in cells_of(path)]
    lines = [[line for line in source.splitlines() if line.strip()] for source in sources]
    assert len(sources) <= 12
    assert max(map(len, lines)) <= 10
    assert sum(map(len, lines)) <= 60


@each_notebook
def test_it_computes_by_calling(path):
    tree = ast.parse("\n".join(source for _, source in cells_of(path)))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While)
    assert not [type(node).__name__ for node in ast.walk(tree) if isinstance(node, kinds)]
    assert {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} == {"mrbone_nb"}


@each_notebook
def test_it_is_laid_out_as_all_are(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    texts = [source for _, source in cells_of(path, "markdown")]
    assert notebook["cells"][0]["cell_type"] == "markdown" and texts[0].startswith("# ")
    assert cells_of(path)[0][1].startswith("import mrbone_nb as mb\n")
    assert [source for cell, source in cells_of(path) if "parameters" in cell["metadata"].get("tags", [])], (
        "no parameters cell"
    )
    assert all(text.startswith("## ") for text in texts[1:])
    assert texts[-1].startswith("## References") and "https://doi.org/" in texts[-1]
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert "code code" not in " ".join(kinds), "each cell has its section"


# --- what they do ---------------------------------------------------------------------------------------


@pytest.fixture
def ran(tmp_path):
    """Run a notebook where Jupyter would, in a project like ours, with some lines of its parameters changed."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebook`")
    client = pytest.importorskip("nbclient", reason="needs the extra `notebook`")

    def run(path, **changed):
        shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
        notebook = nbformat.read(path, as_version=4)
        cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
        for name, value in changed.items():
            cell.source, count = re.subn(rf"(?m)^{re.escape(name)} = .*$", f"{name} = {value}", cell.source)
            assert count == 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
            (tmp_path / "notebooks").mkdir()
            where = {"metadata": {"path": str(tmp_path / "notebooks")}}
            client.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
        return notebook

    return run


def command(*words, cwd):
    """Run the command line; gives its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "mrbone_nb", *map(str, words), "--json"], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def said(notebook, name):
    """All text that a cell has printed or shown."""
    cell = next(c for c in notebook.cells if c.id == name)
    texts = [o.get("text") or "".join(o.get("data", {}).get("text/plain", "")) for o in cell.outputs]
    return "\n".join(texts)


def voxels(folder, pattern="*_dseg.nii.gz"):
    import mrbone_nb as mb

    (path,) = folder.glob(pattern)
    return mb.read_labels(path)[0]


def check_pictures(notebook):
    for name in ("read", "normalize", "denoise", "strokes", "grow", "clean-up", "models", "export"):
        cell = next(c for c in notebook.cells if c.id == name)
        assert any("image/png" in o.get("data", {}) for o in cell.outputs), name
    assert "bright" in said(notebook, "read") and "right femur" in said(notebook, "models")
    assert not [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]


def check_files(notebook, folder):
    names = [p.name for p in folder.iterdir()]
    for bone in ("femur", "tibia", "patella", "fibula"):
        assert any(name.endswith(f"_label-{bone}_mesh.stl") for name in names)
    assert "the same bits" in said(notebook, "record") and "NOT" not in said(notebook, "record")


def check_replay(folder):
    """The command line makes the mask again from the record."""
    (record,) = (folder / "out" / "knee").glob("*_record.json")
    answer = command("replay", record, "data_samples/knee_t2map/dicom", "--echo", 1, "-o", "again.nii.gz", cwd=folder)
    assert answer["same"] is True and answer["differ"] == 0
    assert (voxels(folder, "again.nii.gz").array == voxels(folder / "out" / "knee").array).all()


def check_run(folder):
    """The command line makes the mask from the preset, without the notebook's record."""
    seeds = "data_samples/knee_t2map/seeds.nii.gz"
    command("segment", "data_samples/knee_t2map/dicom", "--echo", 1, "--seeds", seeds, "-o", "run.nii.gz", cwd=folder)
    assert (voxels(folder, "run.nii.gz").array == voxels(folder / "out" / "knee").array).all()


def test_the_knee_from_start_to_end(ran, tmp_path):  # one test, since each worker would run the notebook for its own
    import mrbone_nb as mb

    notebook = ran(ROOT / "notebooks" / "01_segment_a_knee.ipynb")
    check_pictures(notebook)
    check_files(notebook, tmp_path / "out" / "knee")
    assert str(mb.preset("bright-marrow")) in said(notebook, "record")
    check_replay(tmp_path)
    check_run(tmp_path)


def test_the_workbench_from_start_to_end(ran, tmp_path):
    notebook = ran(ROOT / "notebooks" / "02_workbench.ipynb")
    for name in ("workbench", "save", "models"):
        cell = next(c for c in notebook.cells if c.id == name)
        assert any("image/png" in o.get("data", {}) for o in cell.outputs), name
    assert "recipe = mb.Recipe((" in said(notebook, "workbench") and "'sigma': 0.5" in said(notebook, "tune")
    assert "the same bits" in said(notebook, "record") and "NOT" not in said(notebook, "record")
    assert not [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]
    out = tmp_path / "out" / "knee_workbench"
    (record,) = out.glob("*_record.json")
    answer = command("replay", record, "data_samples/knee_t2map/dicom", "--echo", 1, "-o", "again.nii.gz", cwd=tmp_path)
    assert answer["same"] is True and answer["differ"] == 0
    mask = voxels(out)
    assert (voxels(tmp_path, "again.nii.gz").array == mask.array).all() and mask.array.max() == 4
    assert (voxels(out, "*_dseg.seg.nrrd").array == mask.array).all()


def test_bone_from_mr_is_compared_with_ct(ran, tmp_path):
    notebook = ran(ROOT / "notebooks" / "13_compare_with_ct.ipynb", size=96)
    figures = dict(re.findall(r"(\w+): (-?[\d.]+)", said(notebook, "distance")))
    assert float(figures["rms_mm"]) < 2 and 0.7 < float(figures["share"]) < 1
    assert (tmp_path / "out" / "compare_with_ct" / "distances.ply").is_file()


def test_a_shape_model_is_made_and_used(ran, tmp_path):
    import mrbone_nb as mb

    notebook = ran(ROOT / "notebooks" / "15_shape_model.ipynb", people=5)
    assert mb.load_model(tmp_path / "out" / "femur_model.npz").recipe["meshes"] == 4
    (off,) = re.findall(r"; ([\d.]+) mm", said(notebook, "points"))
    assert float(off) < 1.5


def test_a_model_learns_from_masks_and_hears_strokes(ran, tmp_path):
    notebook = ran(ROOT / "notebooks" / "14_learn_from_my_masks.ipynb")
    alone, both = (
        [float(value) for value in re.findall(r"[01]\.\d+", re.findall(r"^\[.*\]$", said(notebook, name), re.M)[0])]
        for name in ("segment", "strokes-code")
    )
    assert len(alone) == len(both) == 4 and sum(both) > sum(alone)
    assert (tmp_path / "out" / "learned" / "knee.npz").is_file()


def test_three_stacks_are_joined(ran, tmp_path):
    smaller = {"sequence, size, slices": '"t1", 96, (4.0, 1.0, 1.0)'}
    notebook = ran(ROOT / "notebooks" / "16_join_three_stacks.ipynb", **smaller)
    lines = said(notebook, "truth").splitlines()[:2]
    joined, alone = ([float(value) for value in re.findall(r"([\d.]+) mm", line)] for line in lines)
    assert len(joined) == len(alone) == 4 and sum(joined) < 0.8 * sum(alone)
    assert voxels(tmp_path / "out" / "joined_stacks").array.max() == 4
    assert not [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]


def test_the_forearm_from_start_to_end(ran, tmp_path):
    notebook = ran(ROOT / "notebooks" / "10_find_extremal_regions.ipynb", slices="(6.0, 1.2, 1.2)")
    assert "the same bits" in said(notebook, "export") and "NOT" not in said(notebook, "export")
    assert voxels(tmp_path / "out" / "forearm").array.max() == 2
    assert not [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.get("name") == "stderr"]


@pytest.mark.slow
def test_a_scan_of_ones_own_needs_only_other_parameters(ran, tmp_path):
    """A NIfTI file, whose tags tell nothing."""
    import mrbone_nb as mb
    from mrbone_nb.outputs import save_image

    mine = tmp_path / "mine"
    mine.mkdir()
    save_image(mb.read(KNEE / "dicom", echo=5), mine / "scan.nii.gz")
    shutil.copy(KNEE / "seeds.nii.gz", mine / "strokes.nii.gz")
    words = dict(scan=mine / "scan.nii.gz", strokes=mine / "strokes.nii.gz", output=mine / "out")
    changed = {name: repr(str(path)) for name, path in words.items()} | {"series, echo": "None, None"}
    notebook = ran(ROOT / "notebooks" / "01_segment_a_knee.ipynb", recipe="'dark-marrow'", **changed)
    assert str(mb.preset("dark-marrow")) in said(notebook, "record") and "the same bits" in said(notebook, "record")
    assert voxels(mine / "out").array.max() == 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder"), [("11_fit_radial_slices", "radial"), ("12_fit_active_model", "active")])
def test_a_template_is_fitted_from_start_to_end(name, folder, ran, tmp_path):
    notebook = ran(ROOT / "notebooks" / f"{name}.ipynb")
    scores = [float(value) for value in re.findall(r"0\.\d{3}", said(notebook, "score"))]
    assert len(scores) >= 3 and max(scores) <= 1 and scores[1] > 0.88
    files = sorted(path.name for path in (tmp_path / "out" / folder).iterdir())
    assert files == ["femur.json", "femur.nii.gz", "femur.stl", "landmarks.json"]


# --- the README -----------------------------------------------------------------------------------------


def blocks(language):
    """The code blocks of the README."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)


def test_the_readmes_ten_lines_run(tmp_path):
    (code,) = (block for block in blocks("python") if "mb.save" in block)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the same bits" in done.stdout or "True" in done.stdout
    assert list((tmp_path / "out").rglob("*_mesh.stl"))


def test_the_readmes_commands_run(tmp_path):
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines() if "mrbone_nb" in line]
    assert len(lines) >= 3
    for line in lines:
        words = line.split("#")[0].split()
        assert words[:3] == ["python", "-m", "mrbone_nb"]
        done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, line + done.stderr


def test_the_readmes_way_from_3d_slicer_runs(tmp_path):
    import mrbone_nb as mb

    seeds, names = mb.read_labels(KNEE / "seeds.nii.gz")
    mb.write_labels(seeds.with_array(seeds.array.clip(0, 5)), tmp_path / "strokes.nii.gz", names)
    (line,) = re.findall(r"`mrbone (labels [^`]*)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    subprocess.run([sys.executable, "-W", "error", "-m", "mrbone_nb", *line.split()], cwd=tmp_path, check=True)
    again, table = mb.read_labels(tmp_path / "seeds.nii.gz")
    assert (again.array == seeds.array).all() and table[1].title == "right femur"


def test_a_filter_is_one_function_as_the_readme_says():
    from mrbone_nb.step import STEPS

    (code,) = (block for block in blocks("python") if "@step" in block)
    names = set(STEPS)
    try:
        scope = {}
        exec(code, scope)
        (new,) = set(STEPS) - names
        import numpy as np

        image = np.random.default_rng(1).random((3, 8, 8))
        assert STEPS[new](image, spacing=(3, 1, 1)).shape == image.shape
    finally:
        for name in set(STEPS) - names:
            del STEPS[name]


def test_what_the_readme_points_at_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", text) + re.findall(r'src="(?!https?://)([^"]+)"', text):
        assert (ROOT / target).exists(), target
