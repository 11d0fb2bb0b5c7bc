"""Choose a series by its picture, with a click or the keyboard, instead of typing its number."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..errors import InputError
from ..files import write_text
from ..intake import Row, SliceSet, read
from ..intake.choice import candidates, choose, words_for
from ..intake.issues import check_accept
from ..intake.listing import listed
from ..intake.middle import middle_slices
from ..intake.scan import Scan, scanned
from ..picture import thumbnail
from ..volume import Volume
from .pickrows import COLORS, common_to, facts_of, head_of, remarks_of, said_once, table_html

SIDE = 160  # pixels of the longer side of a picture; shown smaller, so that it is sharp on any screen
QUALITY = 85
HASTE = 1.0  # seconds that the table waits for its pictures; later ones come while it is shown
STEP = 0.3  # seconds between pictures sent
SCHEMA = 1


def pick(
    folder: str | os.PathLike,
    *,
    series: str | int | None = None,
    echo: int | None = None,
    accept: Iterable[str] = (),
    save_to: str | os.PathLike | None = None,
) -> SeriesPicker:
    """Choose a series by its picture: a click takes it, or the arrow keys and Enter.

    Nobody has to choose: the volume that `read` would take is chosen already, or the first that can be read.
    ``picker.volume`` is the scan and ``picker.call`` the Python call that reads the same one. What keeps a
    series from being read can be accepted in its line.

    Parameters
    ----------
    folder
        Folder with DICOM files, one file, or a zip archive.
    series, echo
        What is chosen at first; as for `read`.
    accept
        Names of doubts that are accepted for every series, as in ``("gap",)``.
    save_to
        A small JSON file that keeps the choice: where it is there already, its choice is taken.

    Returns
    -------
    SeriesPicker
        A widget that shows itself; ``picker.observe(function, "chosen")`` tells of each new choice.

    Raises
    ------
    InputError
        Where there is nothing to read, no such series or echo, or ``save_to`` is another kind of file.
    """
    return SeriesPicker(folder, series, echo, check_accept(accept), None if save_to is None else Path(save_to))


class SeriesPicker(anywidget.AnyWidget):
    """Show the series of a folder with their pictures; made by `pick`."""

    _esm = Path(__file__).parent / "static" / "picker.js"
    head = traitlets.Unicode().tag(sync=True)
    colors = traitlets.Unicode(COLORS).tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    common = traitlets.List().tag(sync=True)  # what concerns many rows
    remarks = traitlets.List().tag(sync=True)
    thumbs = traitlets.Dict().tag(sync=True)  # number to a picture as data URL, or why there is none
    fixed = traitlets.List().tag(sync=True)  # accepted in Python, for all rows
    accepted = traitlets.Dict().tag(sync=True)  # number to names accepted in its line
    chosen = traitlets.Int(None, allow_none=True, help="number of the row, None where none is chosen").tag(sync=True)

    def __init__(
        self,
        folder: str | os.PathLike,
        series: str | int | None,
        echo: int | None,
        accept: tuple[str, ...],
        save_to: Path | None,
    ) -> None:
        self._folder, self._save_to, self._read, self._shown = folder, save_to, None, None
        saved = _saved(save_to)
        with contextlib.ExitStack() as stack:
            scan = stack.enter_context(scanned(folder))
            self.inventory = listed(folder, scan)
            found = self.inventory.rows
            first = _first(found, scan, series, echo, accept)
            runs, common = self.inventory.runs(), common_to(found)
            again, remark = _again(found, scan, saved)
            shown = [next((r for r in run if r is (again or first)), run[0]) for run in runs]
            self._words = {row.number: words_for(row, found, scan) for row in shown}
            self._rows = {row.number: row for row in shown}
            self._todo = _pictures(shown)
            super().__init__(
                head=head_of(self.inventory),
                rows=[facts_of(run, row, self._begin(row), common) for run, row in zip(runs, shown, strict=True)],
                common=[*remark, *said_once(self.inventory, common)],
                remarks=remarks_of(self.inventory),
                fixed=list(accept),
            )
            if scan.archive:  # what was unpacked is gone afterwards
                self.complete()
        if again is not None:
            names = [n for n in again.acceptable if n in saved["accept"] and n not in accept]
            self.accepted = {str(again.number): names} if names else {}
        start = again or first
        self.chosen = start.number if start and not self._waiting(start) else None
        self.observe(self._changed, ["chosen", "accepted"])
        if not remark:  # else the file keeps what it has until somebody chooses
            self._save()
        _after_this_cell(self.complete)

    # --- the choice -----------------------------------------------------------------------------------

    @property
    def row(self) -> Row:
        """The chosen row of the inventory."""
        if self.chosen is None:
            raise InputError(
                f"{self.head}: none is chosen, since none is in order by itself; click one, or give series=ROW"
            )
        return self._rows[self.chosen]

    @property
    def call(self) -> str:
        """The Python call that reads what is chosen."""
        row = self.row
        names = self._names(row)
        return self._begin(row) + (f", accept={names!r})" if names else ")")

    @property
    def volume(self) -> Volume | SliceSet:
        """What is chosen, read when first asked for."""
        row = self.row
        key = (row.number, self._names(row))
        if self._read is None or self._read[0] != key:
            series, echo = self._words[row.number]
            self._read = key, read(self._folder, series=series, echo=echo, accept=key[1])
        return self._read[1]

    def _begin(self, row: Row) -> str:
        series, echo = self._words[row.number]
        return f"mb.read({os.fspath(self._folder)!r}, series={series!r}" + ("" if echo is None else f", echo={echo}")

    def _names(self, row: Row) -> tuple[str, ...]:
        """What is accepted for a row: by the call of `pick`, then in its line."""
        own = self.accepted.get(str(row.number), ())
        return (*self.fixed, *(n for n in row.acceptable if n in own and n not in self.fixed))

    def _waiting(self, row: Row) -> list[str]:
        return row.waiting(self._names(row))

    @traitlets.validate("chosen")
    def _may_be_chosen(self, proposal: Any) -> int | None:
        number = proposal["value"]
        if number is None:
            return None
        if number not in self._rows:
            raise InputError(f"chosen={number}: expected one of {', '.join(map(str, self._rows))}")
        waiting = self._waiting(self._rows[number])
        if waiting:
            raise InputError(f"chosen={number}: {waiting[0]}")
        return number

    def _changed(self, _: Any) -> None:
        if self.chosen is not None and self._waiting(self._rows[self.chosen]):
            self.chosen = None  # what it needed is accepted no more
            return
        self._save()

    def _save(self) -> None:
        if self._save_to is None or self.chosen is None:
            return
        series, echo = self._words[self.chosen]
        names = list(self._names(self.row))
        kept = {"schema": SCHEMA, "series": series, "echo": echo, "key": self.row.key, "accept": names}
        write_text(self._save_to, json.dumps({"pick": kept}, indent=2) + "\n", overwrite=True)

    # --- pictures -------------------------------------------------------------------------------------

    def complete(self, seconds: float = float("inf")) -> None:
        """Make the pictures that are not there yet, for about so many seconds at most; they show as they come."""
        end = last = time.monotonic()
        end += seconds
        made: dict[str, str] = {}
        while self._todo is not None and time.monotonic() < end:
            number, picture = next(self._todo, (None, ""))
            if number is None:
                self._todo = None
            else:
                made[str(number)] = picture
            if made and (number is None or time.monotonic() > last + STEP):
                self.thumbs, made, last = {**self.thumbs, **made}, {}, time.monotonic()
        self.thumbs = {**self.thumbs, **made}
        if self._todo is None and self._shown is not None:
            shown, self._shown = self._shown, None
            _publish(self._bundle(), shown, update=True)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_()
        if bundle:
            code = self.call if self.chosen is not None else "none is chosen"
            bundle[0]["text/html"] = table_html(
                self.head, self.rows, self.thumbs, self.chosen, code, [*self.common, *self.remarks]
            )
            bundle[0]["text/plain"] = f"{self.inventory}\n{code}"
        return bundle

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        self.complete()
        return self._bundle()

    def _ipython_display_(self, **_: Any) -> None:
        """Show the table soon; where pictures take longer, the notebook's copy is put right when all are there."""
        self.complete(HASTE)
        name = f"mb-pick-{id(self)}-{time.monotonic_ns()}"
        _publish(self._bundle(), name)
        self._shown = name if self._todo is not None else None


def _publish(bundle: Any, name: str, update: bool = False) -> None:
    from IPython.display import publish_display_data

    data, metadata = bundle
    publish_display_data(data, metadata, transient={"display_id": name}, update=update)


def _after_this_cell(finish: Callable[[], None]) -> None:
    """Do something when the cell that runs is done, where there are cells."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return

    def once(*_: Any) -> None:
        shell.events.unregister("post_run_cell", once)
        finish()

    shell.events.register("post_run_cell", once)


def _pictures(rows: list[Row]) -> Iterator[tuple[int, str]]:
    """The number of each row with its picture, or with the reason why there is none."""
    for row, found in middle_slices(rows):
        yield row.number, found if isinstance(found, str) else _data_url(found)


def _data_url(volume: Volume) -> str:
    stream = io.BytesIO()
    try:
        thumbnail(volume, SIDE).save(stream, "JPEG", quality=QUALITY)
    except Exception:  # odd values or sizes cost the picture, never the table
        return "cannot be drawn"
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _first(
    rows: list[Row], scan: Scan, series: str | int | None, echo: int | None, accept: tuple[str, ...]
) -> Row | None:
    """What is chosen when nobody chooses: what `read` would take, else the first that can be read."""
    best = [r for r in candidates(rows, scan, series, echo) if series is not None or not r.is_localizer]
    return next((r for r in best if not r.waiting(accept)), next(iter(best), None))


def _saved(path: Path | None) -> dict[str, Any] | None:
    """The choice that a file keeps, None where there is no file yet."""
    if path is None or not path.exists():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["pick"]
        good = kept["schema"] == SCHEMA and isinstance(kept["series"], (str, int)) and isinstance(kept["key"], str)
        good &= kept["echo"] is None or isinstance(kept["echo"], int)
        check_accept(kept["accept"])
    except (OSError, ValueError, LookupError, TypeError, InputError):
        good = False
    if not good:
        raise InputError(f"{path}: not a choice that pick saved; give save_to= another name, or remove the file")
    return kept


def _again(rows: list[Row], scan: Scan, saved: dict[str, Any] | None) -> tuple[Row | None, list[str]]:
    """The row that was chosen the last time, and a remark where it is not there any more."""
    if saved is None:
        return None, []
    with contextlib.suppress(InputError):
        row = choose(rows, scan, saved["series"], saved["echo"])
        if row.key == saved["key"]:
            return row, []
    return None, [f"the saved choice (series {saved['key']}) is not here; look whether the folder is the right one"]
