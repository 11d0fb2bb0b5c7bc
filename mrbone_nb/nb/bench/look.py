"""What to look at after a run: the bones in 3D, and the places that are most in doubt."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from ...background import one_line
from ...consensus import where_to_look
from ...errors import InputError
from ...leaks import check_leaks
from ...recipe import Result
from ...step import EVERYTHING_ELSE
from ..meshview import MeshView
from ..scene import Scene, scene_of
from .files import WIDE, Part, said

if TYPE_CHECKING:
    from .panel import BenchPanel

SIZE = (346, 300)  # pixels of the 3D view
PLACES = 8


def beside(work: Callable[[], Any], then: Callable[[Any], None]) -> None:
    """Do something in a thread and go on with what it gives; at once, where no event loop runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        then(_caught(work))
        return

    def run() -> None:
        found = _caught(work)
        try:
            loop.call_soon_threadsafe(then, found)
        except RuntimeError:  # the session is over
            pass

    threading.Thread(target=run, daemon=True).start()


def _caught(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # a thread's traceback would be lost
        return error


class Bones(Part):
    """The result in 3D, new after each whole run."""

    def __init__(self, panel: BenchPanel) -> None:
        super().__init__(panel)
        self.view: MeshView | None = None
        self.shown: Result | None = None
        self.box = widgets.VBox([])

    def show(self) -> None:
        """Show the surfaces of the newest result."""
        result, table = self.bench.result, self.bench.table
        if result is None or result is self.shown:
            return
        self.shown = result

        def work() -> Scene:
            scene = scene_of(result.labels, table=table.filled(result.present), settings=result.recipe.surface)
            scene.surfaces()  # the slow part
            return scene

        beside(work, lambda scene: self._take(result, scene))

    def _take(self, result: Result, scene: Any) -> None:
        if result is not self.shown:
            return  # a newer one is on its way
        if isinstance(scene, Exception) or not scene.surfaces():
            text = one_line(scene) if isinstance(scene, Exception) else "no bone in the result: nothing to show in 3D"
            self.line.value = said(text, wrong=True)
            self.box.children = (self.line,)
            return
        if self.view is None:
            self.view = MeshView(scene, width=SIZE[0], height=SIZE[1])
        else:
            self.view.show({name: mesh for name, mesh, _ in scene.surfaces()}, table=scene.table)
        self.box.children = (self.view,)


class Doubts(Part):
    """List the places that are most in doubt; a click goes there."""

    def __init__(self, panel: BenchPanel) -> None:
        super().__init__(panel)
        self.places: list[tuple[str, tuple[float, float, float]]] = []
        self.list = widgets.Select(options=[], rows=6, layout={"width": "98%", "display": "none"})
        self.list.add_class("mb-doubts")
        self.list.observe(self._go, "index")
        find = self.button("Find places", "List the places of the result that are most in doubt", self.find)
        self.box = widgets.VBox([find, self.list, self.line])

    def find(self) -> str:
        """Look for places; gives what is said meanwhile."""
        result = self.bench.result
        if result is None:
            raise InputError("nothing has run yet: press Run first")
        probability = self._probability(result)
        beside(lambda: places_of(result, probability, self.bench.table), self._take)
        return "looking …" if not self.places else f"{len(self.places)} places; choose one to go there"

    def _probability(self, result: Result) -> np.ndarray | None:
        """The last probability that the run of this result gave, where it is kept."""
        states, _ = self.bench.runner.kept(result.recipe.calls)
        return next((s["probability"] for s in reversed(states) if "probability" in s), None)

    def _take(self, found: Any) -> None:
        if isinstance(found, Exception):
            self.line.value = said(one_line(found), wrong=True)
            return
        self.places = found
        self.list.options = [f"{number}. {text}" for number, (text, _) in enumerate(found, 1)]
        self.list.index = None
        self.list.layout.display = None if found else "none"
        text = f"{len(found)} places; choose one to go there" if found else "nothing stands out; look at every slice all the same"
        self.line.value = said(text)

    def _go(self, change: Any) -> None:
        number = change["new"]
        if number is not None and number < len(self.places):
            text, position = self.places[number]
            self.panel.go(position)
            self.line.value = said(text)


def places_of(result: Result, probability: np.ndarray | None, table: Any) -> list[tuple[str, tuple[float, float, float]]]:
    """What is odd about shapes, then where probabilities are close: in words, with the place in LPS mm."""
    if not result.present:
        return []
    seeds = result.seeds
    leaks = check_leaks(result.labels, table.filled(result.present), seeds=seeds)
    found = [(str(leak), leak.position) for leak in leaks]
    if probability is not None and seeds is not None:
        bones = sorted({int(n) for n in np.unique(seeds.array)} - {0, EVERYTHING_ELSE})
        if len(bones) + 1 == len(probability):
            places = where_to_look(result.labels, probability=probability, bones=bones, table=table, n=PLACES)
            found += [(str(place), place.position) for place in places]
    return found
