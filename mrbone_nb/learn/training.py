"""Training: every pass learns from what the pass before says of scans that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..bones import LabelTable
from ..errors import InputError
from ..measure import dice
from ..phantom import simulated_strokes
from ..recipe import Recipe
from ..volume import Volume
from .atlas import RESOLUTION, Atlas, votes
from .frame import Frame, pooled_labels
from .model import Model
from .passes import PASSES, Pass, asked, away_of, places_of, rows_of, samples_of
from .predicting import CLEAN, seen_in
from .ready import READY, ready
from .settle import settled
from .shapes import LEAST, Shape, fields_of, shapes_of
from .together import EVERY_MM, TOGETHER, check_seeds, recipe_of, voices
from .trees import Trees, grow
from .unlike import Likeness

MOST_CASES = 10
PARTS = 4  # of the scans in turn, at most; each is judged by the trees that have not seen it
SLABS, PLANES = 3, 2  # of a single scan: parts in turn, and planes that lie together in one


@dataclass(frozen=True, eq=False)
class Case:
    """Hold a scan with its mask.

    Parameters
    ----------
    name
        What the scores call it.
    scan
        The scan.
    truth
        A label map on the scan's grid, drawn with care: the model imitates it, its border too.
    seeds
        Strokes as a user draws them on such scans, or None; the model then learns from these too how far to trust
        strokes, beside those of a simulated user.
    """

    name: str
    scan: Volume
    truth: Volume
    seeds: Volume | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """Hold a model, and how well scans did that it had not seen.

    Parameters
    ----------
    model
        Learned from all scans.
    scores
        Dice by case and label, each by trees that have not seen it; empty where not asked for.
    unseen
        The probabilities behind the scores, (L, p, m, n) in the body's axes.
    parts
        Which of the model's trees have not seen a case.
    shapes
        For each case, the shape models that were made without it.
    """

    model: Model
    scores: dict[str, dict[int, float]]
    unseen: dict[str, np.ndarray]
    parts: dict[str, int]
    shapes: dict[str, tuple[Shape | None, ...]]


def train(
    cases: Sequence[Case],
    table: LabelTable | None = None,
    *,
    score: bool = True,
    strokes: bool = True,
    effort: float = 1.0,
    seed: int = 0,
    say: Callable[[str], object] = lambda text: None,
) -> Trained:
    """Learn bones from scans with masks.

    Every scan becomes an atlas that is pulled into new scans, and three or more make a shape model of each bone;
    boosted trees see gray values, the place in the body, what the atlases say around, and how far the fitted shapes
    are. A single scan has no atlas beside it: a first, coarser pass of trees takes their place.

    Parameters
    ----------
    cases
        1 to 10 scans of one kind with their masks.
    table
        Names of the labels.
    score
        Whether to tell how well each scan does by those trees that have not seen it.
    strokes
        Whether to learn how to go together with strokes too, from those of a simulated user; takes two scans or more.
    effort
        0.1 to 2: less is quicker, by fewer trees and fewer voxels to learn from.
    seed
        Of the random choice of voxels.
    say
        Told what goes on.

    Returns
    -------
    Trained
        The model and the scores.

    Raises
    ------
    InputError
        No cases or too many, or a mask that is empty or lies on another grid.

    Notes
    -----
    The scans are dealt into parts, four at most, and a boosting learns without each; the model is their mean. A pass
    learns from what those say of a scan that have not seen it, and so are the scores made: of up to four scans each is
    left out alone, of more two or three together. Votes on a scan come from all other atlases, so what the trees learn
    from has heard the atlas of the scan that is judged, though never its labels as answers. Shapes fitted to a scan are
    those of the other parts. The same seed gives the same bits.

    References
    ----------
    Friedman (2001), doi:10.1214/aos/1013203451; Tu & Bai (2010), doi:10.1109/TPAMI.2009.186 (auto-context);
    Wolpert (1992), doi:10.1016/S0893-6080(05)80023-1 (stacking)
    """
    numbers, steps = _numbers(cases), _steps(effort, len(cases))
    table = (table or LabelTable()).filled(numbers)
    parts = SLABS if len(cases) == 1 else min(PARTS, len(cases))
    students = [_Student(case, numbers, place % parts, len(cases) == 1) for place, case in enumerate(cases)]
    atlases = _atlases(students, numbers, say) if len(cases) > 1 else ()
    shapes = _shapes(students, atlases, table, say)
    passes, seen = [], []
    for place, this in enumerate(steps, 1):
        say(f"pass {place} of {len(steps)}: looking at {len(cases)} scans, then learning")
        for student in students:
            student.look(this, seed)
        rows, answers, part = (np.concatenate([getattr(s, n) for s in students]) for n in ("rows", "answers", "parts"))
        passes.append(grow(rows, answers, part, len(numbers) + 1, rounds=this.rounds, balance=this.balance, seed=seed))
        if place == 1:
            seen = [seen_in(this, Frame.of(student.turned, this.resolution)) for student in students]
        for student in students if place < len(steps) or score or strokes else ():
            student.listen(this, passes[-1])
    pair = _together(cases, students, effort, seed, say) if strokes and len(cases) > 1 else (None, None)
    pairs = list(zip(cases, students, strict=True)) if score else []
    unseen = {case.name: student.before for case, student in pairs}
    scores = {case.name: _score(case, student, table) for case, student in pairs}
    volumes, images = [case.scan for case in cases], [student.turned.array for student in students]
    without_names = [{str(n): round(value, 4) for n, value in row.items()} for row in scores.values()]
    facts = {"scans": len(cases), "seed": seed, "effort": effort, "scores": without_names}
    model = Model(table, READY, steps, tuple(passes), atlases, shapes, *pair, Likeness.of(volumes, images, seen), facts)
    by_name = {case.name: student for case, student in zip(cases, students, strict=True)}
    others = {name: student.shapes for name, student in by_name.items()}
    return Trained(model, scores, unseen, {name: student.part for name, student in by_name.items()}, others)


def _atlases(students: Sequence[_Student], numbers: tuple[int, ...], say: Callable[[str], object]) -> tuple[Atlas, ...]:
    """Make an atlas of every scan, and let each scan hear the votes of all others."""
    frames = [Frame.of(student.turned, RESOLUTION) for student in students]
    atlases = tuple(Atlas.of(f, student.labels, numbers) for f, student in zip(frames, students, strict=True))
    for place, (frame, student) in enumerate(zip(frames, students, strict=True)):
        say(f"atlases: pulling the others into scan {place + 1} of {len(students)}")
        student.before = votes(frame, atlases[:place] + atlases[place + 1 :], len(numbers) + 1)
    return atlases


def _shapes(
    students: Sequence[_Student], atlases: Sequence[Atlas], table: LabelTable, say: Callable[[str], object]
) -> tuple[Shape | None, ...]:
    """Learn how bones vary from all atlases; each scan in training hears the shapes of those of other parts."""
    if len(atlases) < LEAST:
        say(f"shapes: left out, since they take {LEAST} scans with masks")
        return ()
    say("shapes: learning how bones vary")
    fields = [fields_of(atlas, len(table)) for atlas in atlases]
    found = shapes_of(fields)
    lacking = [label.title for label, shape in zip(table.values(), found, strict=True) if shape is None]
    if lacking:
        say(f"shapes: left out for {', '.join(lacking)}, shown by fewer than {LEAST} scans")
    if len(lacking) == len(found):
        return ()
    for part in {student.part for student in students}:
        kept = [own for own, student in zip(fields, students, strict=True) if student.part != part]
        others = shapes_of(kept, least=2)
        for student in students:
            student.shapes = others if student.part == part else student.shapes
    return found


def _together(
    cases: Sequence[Case], students: Sequence[_Student], effort: float, seed: int, say: Callable[[str], object]
) -> tuple[Trees, Recipe]:
    """Learn how strokes and model go together, from given and simulated strokes and what the model says unseen."""
    recipe = recipe_of([case.scan for case in cases], [case.truth for case in cases])
    this = _scaled(TOGETHER, effort)
    rows, answers, parts = [], [], []
    for place, (case, student) in enumerate(zip(cases, students, strict=True)):
        say(f"strokes: drawing on scan {place + 1} of {len(cases)}, and looking")
        drawings = [simulated_strokes(case.truth, EVERY_MM, seed=seed + place)]
        drawings += [] if case.seeds is None else [case.seeds]
        for seeds in drawings:
            heard = voices(case.scan, student.turned, seeds, recipe, student.before, student.numbers, student.shapes)
            right = pooled_labels(student.labels, student.numbers, heard.frame.image.shape)
            chosen = samples_of(this, heard.frame, right, heard.asked_at(), seed + place)
            rows.append(heard.rows(this, chosen))
            answers.append(right.ravel()[chosen])
            parts.append(np.full(len(chosen), student.part))
    say("strokes: learning")
    known = (np.concatenate(part) for part in (rows, answers, parts))
    return grow(*known, len(students[0].numbers) + 1, rounds=this.rounds, balance=this.balance, seed=seed), recipe


def _scaled(this: Pass, effort: float) -> Pass:
    """A pass with fewer or more trees and samples."""
    return replace(this, rounds=max(1, round(this.rounds * effort)), samples=max(1, round(this.samples * effort)))


def _steps(effort: float, cases: int) -> tuple[Pass, ...]:
    """The passes with fewer or more trees and samples; half of the effort takes a quarter of the time."""
    if not 0.1 <= effort <= 2:
        raise InputError(f"effort={effort}: expected 0.1 to 2; 1 is the usual")
    passes = PASSES if cases == 1 else PASSES[1:]
    return tuple(_scaled(this, effort) for this in passes)


def _score(case: Case, student: _Student, table: LabelTable) -> dict[int, float]:
    """Dice of every label after the clean-up."""
    labels = settled(student.before, student.turned, case.scan, tuple(table), student.shapes)
    found = CLEAN.run(case.scan, labels=labels).labels.array
    return {n: dice(found == n, case.truth.array == n) for n in table if (case.truth.array == n).any()}


class _Student:
    """A scan in training, its truth, and what the pass before said of it unseen."""

    def __init__(self, case: Case, numbers: tuple[int, ...], part: int, alone: bool) -> None:
        self.turned = ready(case.scan)
        self.labels = case.truth.reorient("LPS").array
        self.numbers, self.part, self.alone = numbers, part, alone
        self.before: np.ndarray | None = None
        self.shapes: tuple[Shape | None, ...] = ()

    def look(self, this: Pass, seed: int) -> None:
        """Collect what a pass sees of some voxels, what these are, and which part they belong to."""
        frame = Frame.of(self.turned, this.resolution)
        truth = pooled_labels(self.labels, self.numbers, frame.image.shape)
        places, layers = places_of(this, frame, self.before)
        chosen = samples_of(this, frame, truth, places, seed + self.part)
        away = away_of(frame, self.before, self.shapes)
        self.rows, self.answers = rows_of(this, frame, layers, chosen, away), truth.ravel()[chosen]
        self.parts = self._slabs(frame).ravel()[chosen] if self.alone else np.full(len(chosen), self.part)

    def listen(self, this: Pass, trees: Trees) -> None:
        """Hear what those trees say that have not seen this scan, or the slab of a single scan."""
        frame = Frame.of(self.turned, this.resolution)
        if self.alone:
            said = [asked(this, trees, frame, self.before, part=slab) for slab in range(SLABS)]
            self.before = np.choose(self._slabs(frame), said)
        else:
            self.before = asked(this, trees, frame, self.before, self.shapes, self.part)

    def _slabs(self, frame: Frame) -> np.ndarray:
        """The part of each voxel of a single scan."""
        axis = int(np.argmax(frame.spacing))
        return np.broadcast_to(
            np.arange(frame.image.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)]) // PLANES % SLABS,
            frame.image.shape,
        )


def _slabs_of(shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """The parts that a single scan's thickest axis is dealt into."""
    return np.unique(np.arange(shape[int(np.argmax(spacing))]) // PLANES % SLABS)


def _numbers(cases: Sequence[Case]) -> tuple[int, ...]:
    """The labels of all masks; refuses what cannot be learned from."""
    if not 1 <= len(cases) <= MOST_CASES:
        raise InputError(f"{len(cases)} cases: expected 1 to {MOST_CASES} scans with a mask each")
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise InputError(f"cases {', '.join(names)}: expected a different name for each")
    found: set[int] = set()
    for case in cases:
        if not case.scan.same_grid(case.truth):
            raise InputError(f"case {case.name}: the mask lies on another grid than the scan; resample it to the scan")
        if len(cases) == 1 and len(_slabs_of(case.scan.shape, case.scan.spacing)) < SLABS:
            raise InputError(f"case {case.name}: a single scan of so few slices cannot be judged; give two scans or more")
        if (case.truth.array == 255).any():
            raise InputError(f"case {case.name}: its mask holds 255, which is no bone's number; make it 0 or renumber it")
        mine = {int(n) for n in np.unique(case.truth.array) if 0 < n < 255}
        if not mine:
            raise InputError(f"case {case.name}: the mask is empty; draw its bones or leave the case out")
        found |= mine
    numbers = tuple(sorted(found))
    for case in cases:
        if case.seeds is not None:
            try:
                check_seeds(case.seeds, case.scan, numbers)
            except InputError as error:
                raise InputError(f"case {case.name}: {error}") from None
    return numbers
