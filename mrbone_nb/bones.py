"""The names of bones: what a label map's numbers mean, in which color, and by which standard code."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

MAX_FILE_BYTES = 1_000_000
MAX_NAME = 80
FIRST, LAST = 1, 254  # 0 is background; 255 means "everything else" among seeds
SIDES = ("", "left", "right")
IMAGE_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".dcm")

# Okabe and Ito's palette, told apart with every kind of color blindness; gray stands for its black,
# which would vanish on a dark slice.
OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


@dataclass(frozen=True)
class Label:
    """Name one structure of a label map.

    Parameters
    ----------
    name
        What it is, for instance ``"femur"``; at most 80 characters.
    side
        ``"left"``, ``"right"`` or nothing.
    color
        ``"#rrggbb"``.
    """

    name: str
    side: str = ""
    color: str = OKABE_ITO[0]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"name={_quote(self.name)}: expected a text, such as 'femur'")
        if len(self.name) > MAX_NAME or not self.name.isprintable():
            raise InputError(
                f"name={_quote(self.name)}: expected at most {MAX_NAME} characters, none a control character"
            )
        if self.side not in SIDES:
            raise InputError(f"side={_quote(self.side)}: expected 'left', 'right' or ''")
        if not isinstance(self.color, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            raise InputError(f"color={_quote(self.color)}: expected '#rrggbb', such as '#e69f00'")

    @property
    def title(self) -> str:
        """Name with its side: ``"right femur"``."""
        return f"{self.side} {self.name}".strip()

    @property
    def rgb(self) -> tuple[float, float, float]:
        """Color as three numbers from 0 to 1."""
        return tuple(int(self.color[i : i + 2], 16) / 255 for i in (1, 3, 5))


class LabelTable(Mapping[int, Label]):
    """Map the numbers of a label map to what they mean; not changed once made."""

    def __init__(self, labels: Mapping[int, Label] | Iterable[tuple[int, Label]] = ()) -> None:
        self._labels: dict[int, Label] = {}
        for value, label in sorted(dict(labels).items()):
            _check_value(value)
            if not isinstance(label, Label):
                raise InputError(f"label {value}: {_quote(label)}; expected a Label")
            self._labels[int(value)] = label

    def __getitem__(self, value: int) -> Label:
        return self._labels[value]

    def __iter__(self) -> Iterator[int]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return f"LabelTable({self._labels!r})"

    @classmethod
    def from_json(cls, text: str, source: str = "label table") -> LabelTable:
        """Read a table from JSON text, ``{"1": {"name": "femur", "side": "left", "color": "#e69f00"}}``.

        Side and color may be missing. Anything else is refused, naming ``source`` and the entry.
        """
        entries = _load_json(text, source)
        labels: dict[int, Label] = {}
        for key, entry in entries.items():
            if not re.fullmatch(r"[1-9][0-9]{0,2}", key):
                raise InputError(f"{source}: {_quote(key)}; expected the number of a label, {FIRST} to {LAST}")
            if not isinstance(entry, dict) or not set(entry) <= {"name", "side", "color"} or "name" not in entry:
                raise InputError(f'{source}: label {key}; expected {{"name": …, "side": …, "color": …}}')
            try:
                _check_value(int(key))
                labels[int(key)] = Label(**{"color": default_color(int(key)), **entry})
            except InputError as error:
                raise InputError(f"{source}: label {key}: {error}") from None
        return cls(labels)

    def to_json(self) -> str:
        """Give the table as JSON text, one label a line."""
        rows = [
            f'  "{value}": '
            + json.dumps({"name": label.name, "side": label.side, "color": label.color}, ensure_ascii=False)
            for value, label in self.items()
        ]
        return "{\n" + ",\n".join(rows) + "\n}\n"

    def filled(self, values: Iterable[int]) -> LabelTable:
        """Give the table of exactly these values; what has no name becomes ``label N`` in a color of its own."""
        values = sorted({int(v) for v in values})
        taken = {label.color.lower() for label in self.values()}
        labels: dict[int, Label] = {}
        for value in values:
            _check_value(value)
            if value in self:
                labels[value] = self[value]
                continue
            color = next(c for c in (default_color(value), *_all_colors()) if c not in taken)
            taken.add(color)
            labels[value] = Label(f"label {value}", color=color)
        return LabelTable(labels)


def default_color(value: int) -> str:
    """Give the color of a label that has none: Okabe and Ito's eight, then lighter and darker ones, never two alike."""
    _check_value(value)
    return _all_colors()[value - FIRST]


def stem_of(path: Path | str) -> str:
    """Give a file's name without its image suffix: ``knee.nii.gz`` becomes ``knee``."""
    name = Path(path).name
    suffix = next((s for s in IMAGE_SUFFIXES if name.lower().endswith(s)), Path(name).suffix)
    return name[: len(name) - len(suffix)] if suffix else name


def sidecar(path: Path | str) -> Path:
    """Give the path of the label table beside a label map: ``knee.nii.gz`` has ``knee.json``."""
    return Path(path).with_name(stem_of(path) + ".json")


def read_table(path: Path | str) -> LabelTable:
    """Read the label table beside a label map; an empty table if there is none.

    A sidecar without any label number (other programs write facts on the acquisition there) counts as none.
    """
    file = sidecar(path)
    if not file.is_file():
        return LabelTable()
    if file.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{file.name}: {file.stat().st_size} bytes; a label table has at most {MAX_FILE_BYTES}")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file.name}: cannot be read as text ({type(error).__name__})") from None
    if not any(re.fullmatch(r"[0-9]+", key) for key in _load_json(text, file.name)):
        return LabelTable()
    return LabelTable.from_json(text, file.name)


@dataclass(frozen=True)
class Bone:
    """Describe a bone: its name, its code in SNOMED CT, and whether the body has it left and right.

    ``generic`` says that the code stands for any bone, since none was verified for this one.
    """

    name: str
    code: str
    meaning: str
    sides: bool
    generic: bool = False
    synonyms: tuple[str, ...] = ()
    scheme: str = "SCT"


def find_bone(name: str) -> Bone | None:
    """Find a bone by its name or a synonym; side, case, hyphens and a number at the end do not matter.

    Examples
    --------
    >>> find_bone("Left_Thigh-bone").name
    'femur'
    >>> find_bone("third metacarpal").code
    '36455000'
    >>> find_bone("liver") is None
    True
    """
    plain = " ".join(re.sub(r"[\W_]+", " ", str(name).lower()).split())
    plain = " ".join(word for word in plain.split() if word not in ("left", "right"))
    numberless = re.sub(r"^(first|second|third|fourth|fifth) | \d+$", "", plain)
    known = _bones()
    return known.get(plain) or known.get(numberless)


def split_side(title: str) -> tuple[str, str]:
    """Part a title into name and side: ``"Right femur"`` becomes ``("femur", "right")``."""
    words = str(title).split()
    sides = {w.lower().strip(",()") for w in words} & {"left", "right"}
    if len(sides) != 1 or len(words) == 1:
        return str(title), ""
    rest = " ".join(w for w in words if w.lower().strip(",()") not in sides).strip(" ,")
    return rest, sides.pop()


@functools.cache
def _bones() -> dict[str, Bone]:
    """All bones of bones.json by name and synonym."""
    data = json.loads(Path(__file__).with_name("bones.json").read_text(encoding="utf-8"))
    found: dict[str, Bone] = {}
    for row in data["bones"]:
        bone = Bone(**{**row, "synonyms": tuple(row.get("synonyms", ()))}, scheme=data["scheme"])
        for key in (bone.name, *bone.synonyms):
            if key.lower() in found:
                raise ValueError(f"bones.json: {key!r} stands there twice")
            found[key.lower()] = bone
    return found


@functools.cache
def _all_colors() -> tuple[str, ...]:
    """254 different colors: the palette, then rounds of it mixed with white or black."""
    colors = list(OKABE_ITO)
    mix = 1
    while len(colors) < LAST:
        # Van der Corput's sequence spreads the shares evenly however many rounds there are.
        share = sum(int(bit) / 2 ** (i + 1) for i, bit in enumerate(bin(mix)[:1:-1])) * 0.7
        target = 255 if mix % 2 else 0
        for base in OKABE_ITO:
            rgb = (round(int(base[i : i + 2], 16) * (1 - share) + target * share) for i in (1, 3, 5))
            color = "#" + "".join(f"{v:02x}" for v in rgb)
            if color not in colors:
                colors.append(color)
        mix += 1
    return tuple(colors[:LAST])


def _check_value(value: int) -> None:
    if isinstance(value, bool) or int(value) != value or not FIRST <= value <= LAST:
        raise InputError(f"label {_quote(value)}: expected a whole number from {FIRST} to {LAST}")


def _quote(value: object) -> str:
    """Quote a value for a message: short, and with control characters made visible."""
    return ascii(value)[:MAX_NAME]


def _load_json(text: str, source: str) -> dict:
    """Parse JSON into a dictionary; no NaN, no key twice, no endless nesting."""

    def refuse(constant: str) -> None:
        raise InputError(f"{source}: {constant} is not allowed in JSON")

    def unique(pairs: list[tuple[str, object]]) -> dict:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise InputError(f"{source}: a key stands there twice")
        return result

    if len(text) > MAX_FILE_BYTES:
        raise InputError(f"{source}: {len(text)} characters; a label table has at most {MAX_FILE_BYTES}")
    try:
        data = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{source}: not valid JSON{where}") from None
    if not isinstance(data, dict):
        raise InputError(f'{source}: expected {{"1": {{"name": …}}}}')
    return data
