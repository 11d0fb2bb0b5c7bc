"""Files are whole or not there, whatever happens while they are written."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrbone_nb import InputError
from mrbone_nb.files import (
    check_writable,
    make_folder,
    part_of,
    refuse_blocked,
    safe_name,
    safe_path,
    write_atomic,
    write_text,
)

PACKAGE = Path(__file__).parents[1]


def one_line(caught):
    text = str(caught.value)
    return "\n" not in text and len(text) < 600 and text


def contents(folder):
    return {p.name: p.read_text() for p in folder.iterdir()}


def test_a_file_is_written_and_its_path_given(tmp_path):
    assert write_text(tmp_path / "a.txt", "fémur\n") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == "fémur\n".encode()
    assert list(contents(tmp_path)) == ["a.txt"]


def test_the_writer_gets_the_same_folder_and_extension(tmp_path):
    seen = []
    write_atomic(tmp_path / "knee.nii.gz", lambda part: (seen.append(part), part.write_text("x")))
    assert seen[0].parent == tmp_path
    assert seen[0].name == ".knee.part.nii.gz"


def test_an_existing_file_stays_unless_overwriting_is_allowed(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(InputError, match="a.txt: exists already"):
        write_text(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == {"a.txt": "old"}
    write_text(tmp_path / "a.txt", "new", overwrite=True)
    assert contents(tmp_path) == {"a.txt": "new"}


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "a.txt"

    def write(part):
        part.write_text("mine")
        path.write_text("another's")

    with pytest.raises(InputError, match="exists already"):
        write_atomic(path, write)
    assert contents(tmp_path) == {"a.txt": "another's"}


def test_a_leftover_of_a_killed_run_is_no_hindrance(tmp_path):
    part_of(tmp_path / "a.txt").write_text("half of a long fi")
    write_text(tmp_path / "a.txt", "whole")
    assert contents(tmp_path) == {"a.txt": "whole"}


def test_a_link_left_aside_is_not_followed(tmp_path):
    (tmp_path / "other.txt").write_text("precious")
    try:
        part_of(tmp_path / "a.txt").symlink_to(tmp_path / "other.txt")
    except OSError:
        pytest.skip("this system makes no links here")
    write_text(tmp_path / "a.txt", "mine")
    assert contents(tmp_path) == {"a.txt": "mine", "other.txt": "precious"}


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    write_text(tmp_path / "a.txt", "x")
    assert order[:2] == ["fsync", "replace"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, InputError, OSError, RuntimeError, MemoryError])
def test_a_failing_writer_leaves_the_old_file_and_nothing_aside(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write(part):
        part.write_text("half")
        raise error("no")

    with pytest.raises(BaseException) as caught:
        write_atomic(tmp_path / "a.txt", write, overwrite=True)
    assert isinstance(caught.value, InputError if error in (InputError, OSError, RuntimeError) else error)
    assert contents(tmp_path) == {"a.txt": "old"}


def test_what_reads_back_wrong_is_not_put_in_place(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def check(part):
        raise InputError("read back, it is different")

    with pytest.raises(InputError, match="a.txt: read back, it is different"):
        write_atomic(tmp_path / "a.txt", lambda part: part.write_text("new"), check, overwrite=True)
    assert contents(tmp_path) == {"a.txt": "old"}


def test_the_check_sees_what_was_written(tmp_path):
    seen = []
    write_atomic(tmp_path / "a.txt", lambda p: p.write_text("new"), lambda p: seen.append(p.read_text()))
    assert seen == ["new"]


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        write_text(tmp_path, "x", overwrite=True)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no/a.txt: its folder does not exist".replace("/", "[/\\\\]")) as caught:
        write_text(tmp_path / "no" / "a.txt", "x")
    assert one_line(caught)


def test_a_file_as_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="not a folder|does not exist"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.mark.parametrize("name", ["x" * 300 + ".txt", "/".join(["x" * 200] * 30)])
def test_a_path_too_long_is_told(tmp_path, name):
    with pytest.raises(InputError, match="too long|does not exist"):
        write_text(tmp_path / name, "x")


def test_the_longest_name_that_the_system_takes_works(tmp_path):
    name = "é" * 120 + "a.nii.gz"  # 248 bytes; the name aside must not be longer than 255 either
    assert len(part_of(tmp_path / name).name.encode()) <= 255
    write_text(tmp_path / name, "x")
    assert list(contents(tmp_path)) == [name]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"):
            write_text(tmp_path / "a.txt", "x")
        with pytest.raises(InputError, match="no permission"):
            check_writable(tmp_path, ["a.txt"])
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "code, told",
    [
        ("ENOSPC", "disk is full"),
        ("EDQUOT", "quota"),
        ("EACCES", "no permission"),
        ("EROFS", "read-only"),
        ("EIO", "not written: "),
    ],
)
def test_the_systems_reasons_are_told_in_words(tmp_path, code, told):
    import errno

    def write(part):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    with pytest.raises(InputError, match=f"a.txt: not written: .*{told}" if "written" not in told else told) as caught:
        write_atomic(tmp_path / "a.txt", write)
    assert one_line(caught)
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from mrbone_nb import InputError, Volume
from mrbone_nb.export import write_labels
from mrbone_nb.files import write_text
import SimpleITK
folder, what = Path(sys.argv[1]), sys.argv[2]
noise = Volume(np.random.default_rng(0).integers(0, 9, (40, 64, 64)).astype(np.uint8))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    if what == "txt":
        write_text(folder / "a.txt", "x" * 100_000, overwrite=True)
    else:
        write_labels(noise, folder / f"a.{what}", overwrite=True)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file size on Windows")
@pytest.mark.parametrize("what", ["txt", "nii.gz", "nii", "nrrd", "seg.nrrd", "mha"])
def test_a_full_disk_leaves_the_old_file(tmp_path, what):
    old = tmp_path / f"a.{what}"
    old.write_text("old")
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), what], cwd=PACKAGE, capture_output=True, text=True, timeout=120
    )
    assert f"a.{what}: " in run.stdout and "larger than this system" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("\n") == 1
    assert old.read_text() == "old"
    assert not [p for p in tmp_path.iterdir() if "part" in p.name]


# Forks a writer for each line it reads, and prints its process number.
WRITERS = """
import os, sys
from pathlib import Path
from mrbone_nb.files import write_text
path, texts = Path(sys.argv[1]), [letter * 3_000_000 for letter in "ab"]
for line in sys.stdin:
    writer = os.fork()
    if writer:
        print(writer, flush=True)
        os.waitpid(writer, 0)
        print("ended", flush=True)
    while not writer:
        for text in texts:
            write_text(path, text, overwrite=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="uses fork and SIGKILL")
def test_killed_at_any_moment_the_old_or_the_new_file_is_there(tmp_path):
    path, moments, leftovers = tmp_path / "f.txt", random.Random(5), 0
    path.write_text("b" * 3_000_000)
    command = [sys.executable, "-W", "ignore", "-c", WRITERS, str(path)]
    with subprocess.Popen(command, cwd=PACKAGE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        for _ in range(20):
            print("go", file=starter.stdin, flush=True)
            writer = int(starter.stdout.readline())
            time.sleep(moments.uniform(0, 0.1))
            os.kill(writer, signal.SIGKILL)
            assert starter.stdout.readline() == "ended\n"
            assert path.read_text() in ("a" * 3_000_000, "b" * 3_000_000)
            leftovers += part_of(path).exists()
        starter.stdin.close()
    assert leftovers, "never killed while writing: the test proves nothing"
    write_text(path, "last", overwrite=True)
    assert contents(tmp_path) == {"f.txt": "last"}


def test_writable_is_checked_before_a_long_run(tmp_path):
    check_writable(tmp_path, ["a.txt"])
    check_writable(tmp_path / "new" / "deeper", ["a.txt"])
    assert not list(tmp_path.iterdir()), "the check must leave nothing behind"
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(InputError, match="a.txt: exists already"):
        check_writable(tmp_path, ["b.txt", "a.txt"])
    check_writable(tmp_path, ["a.txt"], overwrite=True)
    with pytest.raises(InputError, match="not a folder"):
        check_writable(tmp_path / "a.txt", ["b.txt"])
    with pytest.raises(InputError, match="MB are free"):
        check_writable(tmp_path, needed=10**18)
    with pytest.raises(InputError, match="plain name"):
        check_writable(tmp_path, ["../a.txt"])


def test_making_a_folder(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        make_folder(tmp_path / "f")
    with pytest.raises(InputError, match="not a folder"):
        make_folder(tmp_path / "f" / "g")


@given(st.text())
def test_safe_names_are_safe(text):
    name = safe_name(text)
    assert 0 < len(name) <= 80
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name[0] not in ".-" and name[-1] != "." and ".." not in name
    assert safe_name(name) == name
    assert safe_path("folder", name).parent == Path("folder")


@pytest.mark.parametrize(
    "text, name", [("Müller, right", "Muller-right"), ("Mu\u0308ller", "Muller"), ("Łódź-2", "odz-2"), ("CON", "x-CON"), ("nul.txt", "x-nul.txt"), ("", "unnamed")]
)
def test_safe_names_stay_readable(text, name):
    assert safe_name(text) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "C:a", "a\0b", "a\nb"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="plain name"):
        safe_path(tmp_path, name)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    try:
        (inside / "link").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("this system makes no links here")
    with pytest.raises(InputError, match="plain name"):
        safe_path(inside, "link")


def test_faults_that_nobody_accepted_block_writing():
    def scan(blocking, accepted):
        return SimpleNamespace(name="knee", meta={"blocking": blocking}, accepted=accepted)

    refuse_blocked(scan((), ()))
    refuse_blocked(scan(("gap",), ("gap",)))
    with pytest.raises(InputError, match=r'knee: .*shear.*accept=\("shear",\) or --accept shear') as caught:
        refuse_blocked(scan(("gap", "shear"), ("gap",)))
    assert "gap" not in str(caught.value)
