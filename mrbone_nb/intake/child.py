"""Have compressed pixels decoded by a child process that may die, hang or eat memory without harm.

The child (`_decode.py`) runs under a limit of memory: the system's own where there is one, else this process looks how
much it holds. Each file has a limit of time. A child that breaks down costs the file it was busy with; another one goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .records import Source

SCRIPT = Path(__file__).with_name("_decode.py")
SECONDS = 20.0  # for one file, and one more for every 4 MB of pixels
MAX_RESTARTS = 8
SPARE = 1 << 30  # bytes beyond the pixels themselves
LOOK_EVERY = 0.1  # seconds between looks at the child's memory, where the system sets no limit


def decode(sources: list[Source]) -> Iterator[tuple[Source, np.ndarray | str]]:
    """Give the frames of each file as an array (frames, rows, columns), or a text that says why not."""
    child: Child | None = None
    restarts = 0
    try:
        for source in sources:
            if child is None:
                if restarts > MAX_RESTARTS:
                    yield source, f"not tried, since {restarts} other files broke the decoder"
                    continue
                child = Child(max(s.pixels.frame_bytes * s.pixels.frames for s in sources))
            result = child.ask(source)
            yield source, result
            if child.broken:
                child.close()
                child, restarts = None, restarts + 1
    finally:
        if child is not None:
            child.close()


class Child:
    """One decoding process."""

    def __init__(self, largest: int) -> None:
        self.limit = 6 * largest + SPARE
        self.broken = ""
        env = {**os.environ, "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        env["MRBONE_NB_PATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT), str(self.limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
        )

    def ask(self, source: Source) -> np.ndarray | str:
        """Give the decoded frames of one file, or the reason why there are none."""
        p = source.pixels
        job = {f: getattr(p, f) for f in p.__slots__} | {"path": str(source.path), "name": source.name}
        watch = _Watch(self, SECONDS + p.frame_bytes * p.frames / 4e6)
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline() or b"null")
            if answer is None:
                raise EOFError
            if "error" in answer:
                return f"the pixels cannot be decoded ({answer['error']})"
            return self._array(answer, source)
        except (OSError, EOFError, ValueError):
            self.broken = watch.reason or "the decoder broke down on it"
            return f"the pixels cannot be decoded ({self.broken})"
        finally:
            watch.stop()

    def _array(self, answer: dict, source: Source) -> np.ndarray:
        p = source.pixels
        shape, dtype = tuple(answer["shape"]), np.dtype(answer["dtype"])
        if shape != (p.frames, p.rows, p.columns) or dtype.kind not in "iuf":
            raise ValueError("another shape")
        out = np.empty(shape, dtype)
        view = memoryview(out).cast("B")
        done = 0
        while done < len(view):
            got = self.process.stdout.readinto(view[done:])
            if not got:
                raise EOFError
            done += got
        return out

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        self.process.wait()


class _Watch:
    """Kill the child when its time is over, or its memory where the system does not limit that."""

    def __init__(self, child: Child, seconds: float) -> None:
        self.child, self.end, self.reason = child, time.monotonic() + seconds, ""
        self.seconds = seconds
        self.done = threading.Event()
        self.look = sys.platform != "linux"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.done.wait(LOOK_EVERY if self.look else max(0.01, self.end - time.monotonic())):
            if time.monotonic() >= self.end:
                self.reason = f"not done after {self.seconds:.0f} s"
            elif self.look and memory_of(self.child.process.pid) > self.child.limit:
                self.reason = f"more than {self.child.limit / 1e9:.1f} GB of memory"
            if self.reason:
                self.child.process.kill()
                return

    def stop(self) -> None:
        self.done.set()
        self.thread.join()


def memory_of(pid: int) -> int:
    """Give the bytes of memory that a process holds, 0 where that cannot be found out."""
    try:
        if sys.platform == "win32":
            return _windows_memory(pid)
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5)
        return int(shown.stdout.strip() or 0) << 10
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _windows_memory(pid: int) -> int:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [("cb", wintypes.DWORD), ("PageFaultCount", wintypes.DWORD)] + [
            (name, ctypes.c_size_t)
            for name in (
                "PeakWorkingSetSize",
                "WorkingSetSize",
                "QuotaPeakPagedPoolUsage",
                "QuotaPagedPoolUsage",
                "QuotaPeakNonPagedPoolUsage",
                "QuotaNonPagedPoolUsage",
                "PagefileUsage",
                "PeakPagefileUsage",
            )
        ]

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000 | 0x0010, False, pid)  # query limited information, read
    if not handle:
        return 0
    try:
        counters = Counters(cb=ctypes.sizeof(Counters))
        kernel.K32GetProcessMemoryInfo.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
        ok = kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb)
        return int(counters.PagefileUsage) if ok else 0
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
