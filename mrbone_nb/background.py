"""Run calls in a process of its own, so that they can be stopped at once and nothing else waits for them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from .errors import InputError
from .recipe import run_call
from .step import STEPS, Call, find_step

State = Mapping[str, np.ndarray]
Event = tuple[str, Any]  # "step": number and name; "state": number, arrays and seconds; "done"; "error": text
GONE = "the process that computed has ended, perhaps for want of memory: crop the scan, or use a coarser resolution"


class Worker:
    """Hold a process that runs calls; it is started when first needed, and again after it was stopped.

    Parameters
    ----------
    tell
        Called in another thread with each event, in order; the last one is "done" or "error", unless stopped.
    """

    def __init__(self, tell: Callable[[int, Event], None]) -> None:
        self.tell = tell
        self.number = 0  # of the run that counts; events of older ones are dropped
        self.busy = False
        self._process: subprocess.Popen | None = None
        self._stop = threading.Event()

    @property
    def pid(self) -> int | None:
        """The number of the process, where there is one."""
        return None if self._process is None else self._process.pid

    def start(self, calls: Sequence[Call], state: State, spacing: tuple[float, float, float], first: int = 0) -> bool:
        """Run calls on arrays; ``first`` is the number of the first one in its chain.

        Gives whether they run in a process of their own. Steps that only this session knows run in a thread
        instead, where a stop takes effect between two steps.
        """
        self.stop()
        self.number += 1
        self.busy = True
        self._stop = threading.Event()
        apart = all(_importable(call.step) for call in calls)
        work = self._in_process if apart else self._in_thread
        words = (self.number, self._stop, list(calls), dict(state), spacing, first)
        threading.Thread(target=work, args=words, daemon=True).start()
        return apart

    def stop(self) -> None:
        """Stop what runs, at once; nothing more is told of it."""
        self._stop.set()
        if self.busy:
            self.number += 1
            self.busy = False
            self._kill()

    def close(self) -> None:
        """Stop, and end the process even where it only waits."""
        self.stop()
        self._kill()

    def __del__(self) -> None:
        self._kill()

    # --- where it runs -------------------------------------------------------------------------------

    def _in_thread(self, number: int, stop: threading.Event, calls: list[Call], state: dict, spacing: Any, first: int) -> None:
        def tell(event: Event) -> None:
            if not stop.is_set():
                self._say(number, event)

        _run(calls, state, spacing, first, tell, stop.is_set)

    def _in_process(self, number: int, stop: threading.Event, calls: list[Call], state: dict, spacing: Any, first: int) -> None:
        event: Event = ("error", GONE)
        try:
            process = self._ready()
            if stop.is_set():
                return
            modules = sorted({find_step(call.step).function.__module__ for call in calls})
            plain = [(call.step, dict(call.params)) for call in calls]
            _send(process.stdin, (plain, modules, spacing, first, _threads()), state)
            while event[0] not in ("done",) and not stop.is_set():
                event = _receive(process.stdout)
                self._say(number, event)
                if event[0] == "error":
                    return
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            if not stop.is_set():
                self._kill()
                self._say(number, ("error", GONE))

    def _say(self, number: int, event: Event) -> None:
        if number != self.number:
            return
        if event[0] in ("done", "error"):
            self.busy = False
        self.tell(number, event)

    def _ready(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.background"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=env,
            )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                try:
                    pipe.close()
                except OSError:
                    pass


def _importable(step: str) -> bool:
    """Tell whether another process can load a step."""
    module = find_step(step).function.__module__
    try:
        return module != "__main__" and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _threads() -> int | None:
    """How many threads SimpleITK uses here: results may hang on it."""
    sitk = sys.modules.get("SimpleITK")
    return None if sitk is None else sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()


def _run(
    calls: Sequence[Call],
    state: dict[str, np.ndarray],
    spacing: tuple[float, float, float],
    first: int,
    tell: Callable[[Event], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run calls and tell of each."""
    for number, call in enumerate(calls, first):
        if stopped():
            return
        tell(("step", (number, call.step)))
        began, before = time.perf_counter(), dict(state)
        try:
            run_call(call, state, spacing)
        except Exception as error:  # whatever it is, it is one line where somebody looks
            tell(("error", one_line(error)))
            return
        new = {n: a for n, a in state.items() if before.get(n) is not a}
        tell(("state", (number, sorted(state), new, time.perf_counter() - began)))
    tell(("done", None))


def one_line(error: Exception) -> str:
    """Give an error as one line."""
    text = str(error).strip().split("\n")[0][:500] or type(error).__name__
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


# --- what goes through the pipes: a head, then the bytes of each array ----------------------------------


def _send(pipe: BinaryIO, head: Any, arrays: State) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    data = pickle.dumps((head, about))
    pipe.write(len(data).to_bytes(8, "little") + data)
    for array in arrays.values():
        pipe.write(memoryview(array.reshape(-1)).cast("B"))
    pipe.flush()


def _receive_all(pipe: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    size = int.from_bytes(_exactly(pipe, bytearray(8)), "little")
    head, about = pickle.loads(_exactly(pipe, bytearray(size)))
    arrays = {}
    for name, (dtype, shape) in about.items():
        arrays[name] = np.empty(shape, dtype)
        _exactly(pipe, memoryview(arrays[name].reshape(-1)).cast("B"))
    return head, arrays


def _receive(pipe: BinaryIO) -> Event:
    (kind, rest), arrays = _receive_all(pipe)
    return (kind, (rest[0], rest[1], arrays, rest[2])) if kind == "state" else (kind, rest)


def _exactly(pipe: BinaryIO, room: Any) -> Any:
    view, done = memoryview(room), 0
    while done < len(view):
        got = pipe.readinto(view[done:])
        if not got:
            raise EOFError
        done += got
    return room


def _serve() -> None:
    """Run what is asked for until nobody asks any more."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    asked = sys.stdin.buffer

    def tell(event: Event) -> None:
        if event[0] == "state":
            number, names, new, seconds = event[1]
            _send(out, ("state", (number, names, seconds)), new)
        else:
            _send(out, event, {})

    while True:
        try:
            (plain, modules, spacing, first, threads), state = _receive_all(asked)
        except EOFError:
            return
        _load(modules, threads)
        missing = [name for name, _ in plain if name not in STEPS]
        if missing:
            tell(("error", f"{missing[0]}: this step cannot be loaded from {' or '.join(modules)}"))
            continue
        _run([Call(*call) for call in plain], state, spacing, first, tell)
        del state


def _load(modules: Sequence[str], threads: int | None) -> None:
    """Have the steps registered, and count threads as the session does."""
    importlib.import_module(__package__)
    for name in modules:
        importlib.import_module(name)
    if threads is not None:
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


if __name__ == "__main__":
    from mrbone_nb import background  # under its own name, so that there is one of it

    background._serve()
