"""Tighter settings for a recipe whose result leaked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .errors import InputError
from .leaks import LACKING, Leak
from .recipe import Recipe
from .step import Call, find_step

# Step, parameter: factor and what is added. Smaller contrast means that fainter edges stop a walk.
TIGHTER = {
    "random_walker": {"contrast": (0.7, 0.0)},
    "stroke_forest": {"contrast": (0.7, 0.0)},
    "most_likely": {"certainty": (1.0, 0.1)},
}


def tightened(recipe: Recipe, leaks: Iterable[Leak]) -> Recipe:
    """Give a recipe whose settings leak less, to run again on the same scan and strokes.

    Edges hold up a random walk sooner, more certainty is asked for, and where a neck was found, an opening
    cuts it before islands are dropped. Tighter settings make thin bone thinner, too: compare the results.

    Parameters
    ----------
    recipe
        The recipe whose result leaked.
    leaks
        What `check_leaks` found; without any that has too much, the recipe is given back.

    Returns
    -------
    Recipe
        With other values, named after the first.

    Raises
    ------
    InputError
        Nothing in the recipe can be tightened.
    """
    leaks = [leak for leak in leaks if leak.kind not in LACKING]
    if not leaks:
        return recipe
    calls = [_tighter(call) for call in recipe.calls]
    necks = [leak.neck_mm for leak in leaks if leak.kind == "neck"]
    if necks:
        calls = _with_opening(calls, min(5.0, round(max(necks) / 2 + 0.5, 1)))
    if tuple(calls) == recipe.calls:
        raise InputError(
            f"{recipe.name}: has no setting that holds leaks back ({', '.join(TIGHTER)}); add strokes of everything "
            "else where the leaks are"
        )
    return replace(recipe, calls=tuple(calls), name=f"{recipe.name}, tighter"[:80])


def _tighter(call: Call) -> Call:
    """The call with its leak-prone settings moved to the safe side, within their ranges."""
    params, known = dict(call.params), find_step(call.step).params
    for name, (factor, more) in TIGHTER.get(call.step, {}).items():
        bounds = known[name].range
        params[name] = round(min(max(params[name] * factor + more, bounds.lower), bounds.upper), 4)
    return Call(call.step, params)


def _with_opening(calls: Sequence[Call], radius: float) -> list[Call]:
    """An opening of at least this radius in mm, before the first islands are dropped."""
    there = [k for k, call in enumerate(calls) if call.step == "opening"]
    calls = list(calls)
    if there:
        k = there[0]
        calls[k] = Call("opening", {"radius": max(radius, calls[k].params["radius"])})
        return calls
    islands = [k for k, call in enumerate(calls) if call.step == "islands"]
    place = islands[0] if islands else len(calls)
    tail = calls[place:] or [Call("islands", {"keep": "largest"})]
    return [*calls[:place], Call("opening", {"radius": radius}), *tail]
