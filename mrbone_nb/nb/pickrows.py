"""What the table of a series picker says of each volume, for the front end and as plain HTML."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..intake import Inventory, Row
from ..intake.issues import clean, count
from ..intake.rows import by

HEAD = ("", "picture", "series", "matrix, spacing, times", "marrow", "what to mind")
# Colors come from JupyterLab where it is there; else from what the reader's system prefers.
COLORS = """
.mb-pick { --paper: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --pick: #0969da; --veil: #ddf4ff;
  --stop: #b42318; --mind: #8a5300; }
@media (prefers-color-scheme: dark) { .mb-pick { --paper: #111; --ink: #e6e6e6; --soft: #a0a0a0; --line: #444;
  --pick: #64b5f6; --veil: #16304a; --stop: #ff8a80; --mind: #ffcc66; } }
"""
STILL = (
    COLORS
    + """
.mb-pick { font: 13px/1.4 sans-serif; padding: 4px; overflow-x: auto; color: var(--jp-ui-font-color1, var(--ink));
  background: var(--jp-layout-color1, var(--paper)); }
.mb-pick table { border-collapse: collapse; font: inherit; font-size: 12px; color: inherit; }
.mb-pick table th, .mb-pick table td, .mb-pick table tr { text-align: left !important; vertical-align: top; padding: 4px 8px;
  border-bottom: 1px solid var(--jp-border-color2, var(--line)); }
.mb-pick img { display: block; max-width: 84px; max-height: 84px; background: #000; }
.mb-pick .line { white-space: nowrap; }
.mb-pick .soft { color: var(--jp-ui-font-color2, var(--soft)); }
.mb-pick .taken { outline: 2px solid var(--jp-brand-color1, var(--pick)); outline-offset: -2px; }
"""
)


def facts_of(run: list[Row], shown: Row, begin: str, common: list[str]) -> dict[str, Any]:
    """Give one line of the table: nothing that the inventory does not print as well.

    Parameters
    ----------
    run
        The rows that the line stands for.
    shown
        The one of them that is taken.
    begin
        The call of ``read`` that gives it, without the closing parenthesis.
    common
        What is said of all rows at once, and not in each line.
    """
    row = shown
    tags = ["localizer"] if row.is_localizer else []
    tags += [] if row.kind == "stack" else [row.kind]
    tags += [t for t in (row.component if row.component != "magnitude" else "", row.side, row.part) if t]
    if len(run) > 1:
        tags.append(f"one of rows {run[0].number} to {run[-1].number}; for another give series=ROW")
    times = (("TR", row.repetition_time_ms), ("TE", row.echo_time_ms))
    return {
        "number": row.number,
        "key": row.key,
        "title": row.description or "(no description)",
        "sequence": " ".join(b for b in (row.modality, row.sequence) if b),
        "echo": "" if row.echo is None else f"echo {row.echo}",
        "tags": tags,
        "size": by(row.size),
        "spacing": " × ".join("?" if v is None else f"{v:.3g}" for v in row.spacing) + (" mm" if row.spacing else ""),
        "plane": row.orientation or "unknown",
        "times": [f"{name} {ms:g} ms" for name, ms in times if ms is not None],
        "marrow": row.marrow,
        "why": row.marrow_why,
        "issues": [_issue(row, issue) for issue in row.issues if not issue.is_note and issue not in common],
        "begin": begin,
    }


def common_to(rows: list[Row]) -> list[str]:
    """Give the doubts that half of the rows or more share, and that hold nothing up: they are said once."""
    often = Counter(i for row in rows for i in dict.fromkeys(row.issues) if not i.is_note and not i.blocks)
    return [issue for issue, times in often.items() if times > 1 and 2 * times >= len(rows)]


def said_once(found: Inventory, common: list[str]) -> list[str]:
    """Give the doubts that are common to many rows, with the numbers of these where it is not all."""
    lines = found.remarks()
    return [next((line for line in lines if line.endswith(issue)), issue) for issue in common]


def _issue(row: Row, issue: Any) -> dict[str, Any]:
    """One doubt: what it holds up, and whether it may be accepted by its name."""
    level = "reading waits" if issue.build else "export waits" if issue.blocks else "mind"
    return {"name": issue.name, "text": str(issue), "level": level, "may": issue.name in row.acceptable}


def head_of(found: Inventory) -> str:
    """Give one line on the whole place."""
    return f"{clean(found.place, 200)}: {count(len(found.rows), 'volume')} in {count(found.total, 'file')}"


def remarks_of(found: Inventory) -> list[str]:
    """Give what does not stand at a volume: notes, and files that could not be read at all."""
    notes = [text for text in found.remarks() if text.startswith("note: ")]
    damaged = [f"{clean(name)}: {clean(reason, 300)}" for name, reason in found.damaged]
    return notes + damaged[:20]


def table_html(
    head: str, rows: list[dict], thumbs: Mapping[str, str], chosen: int | None, code: str, remarks: list[str]
) -> str:
    """Give the table as HTML that needs no script: what a shared page keeps."""
    esc = html.escape
    body = []
    for row in rows:
        taken = row["number"] == chosen
        cells = (
            ("<b>✓</b> " if taken else "") + str(row["number"]),
            _image(row, thumbs.get(str(row["number"]), "")),
            f"<b>{esc(row['title'])}</b><br>{_lines([row['sequence'], row['echo'], *row['tags']])}",
            f'<span class="line">{_lines([row["size"], row["spacing"], row["plane"], *row["times"]])}</span>',
            f'{esc(row["marrow"])}<br><span class="soft">{esc(row["why"])}</span>',
            "<br>".join(f"<b>{esc(i['level'])}</b>: {esc(i['text'])}" for i in row["issues"]),
        )
        body.append(f"<tr{' class=taken' if taken else ''}>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    heads = "".join(f"<th>{esc(h)}</th>" for h in HEAD)
    below = f"<ul>{''.join(f'<li>{esc(r)}</li>' for r in remarks)}</ul>" if remarks else ""
    return (
        f'<style>{STILL}</style><div class="mb-pick"><p>{esc(head)}</p><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table><p><code>{esc(code)}</code></p>{below}</div>"
    )


def _lines(texts: list[str]) -> str:
    return "<br>".join(html.escape(t) for t in texts if t)


def _image(row: dict, thumb: str) -> str:
    if not thumb.startswith("data:"):
        return f'<span class="soft">{html.escape(thumb)}</span>'
    return f'<img alt="middle slice of row {row["number"]}" src="{thumb}">'
