"""The leaderboard as plain values and as a page that needs nothing but itself.

Published figures stand on the left, those measured on the same data beside them with the difference; what was measured
on other data is a table of its own, without any difference.
"""

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from landmarks.errors import LandmarksError
from landmarks.report.summary import MISSING, STYLE

SPLITS = ("public", "private")
Figures = Mapping[str, float | None]  # {"public": 0.2676, "private": None}

POINT = 0.01
VISIBLE = 0.005  # points; two digits are printed
PAGE_STYLE = """
td.name { max-width: 300px; overflow-wrap: anywhere } td.name b { white-space: nowrap }
td { vertical-align: top } td.text, th.text { text-align: left }
td.run { overflow-wrap: anywhere; max-width: 260px; text-align: left } a { color: #0b62a8 }
pre { white-space: pre-wrap; overflow-wrap: anywhere } .scroll { overflow-x: auto }
"""


@dataclass(frozen=True)
class Measured:
    """Figures of a run.

    Attributes:
        run: its folder.
        written: when, as people write it.
        figures: of each split.
        differences: from the published figures, where there are both.
        protocol: how pictures were described, for people.
    """

    run: str
    written: str
    figures: Figures
    differences: Figures
    protocol: str


@dataclass(frozen=True)
class BoardRow:
    """A row of the table.

    Attributes:
        name: of the row.
        metric: what the figures are.
        published: of each split.
        source: who published them, and of what.
        note: what a reader should know.
        measured: on the same data in the same way, newest first.
        commands: kind to the commands that measure it; empty where it cannot be run here.
    """

    name: str
    metric: str
    published: Figures
    source: str
    note: str
    measured: tuple[Measured, ...] = ()
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Apart:
    """A run whose figures stand beside no published ones.

    Attributes:
        run: its folder.
        written: when.
        models: that described the pictures.
        data: name and sizes of what was evaluated.
        figures: name to the figures of each split.
        protocol: how pictures were described.
        reasons: why.
    """

    run: str
    written: str
    models: str
    data: str
    figures: Mapping[str, Figures]
    protocol: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """All there is to show.

    Attributes:
        rows: of the table.
        apart: measured on other data or in another way.
        unstamped: folders of runs that do not say what their figures are of.
        notes: files that could not be read, and why.
    """

    rows: tuple[BoardRow, ...]
    apart: tuple[Apart, ...] = ()
    unstamped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_leaderboard(out: str | Path, board: Board, rule: str) -> Path:
    """Write the page.

    Args:
        out: HTML file to write; it refers to the reports of runs by relative addresses.
        board: what to show.
        rule: when a measured figure stands beside a published one, for people.

    Returns:
        `out`.

    Raises:
        LandmarksError: it cannot be written.
    """
    out = Path(out)
    parts = ["<h1>Leaderboard</h1>", f'<p class="note">{html.escape(rule)}</p>', _rows(board.rows, out.parent)]
    if board.apart:
        parts += ["<h2>Measured on other data, or otherwise</h2>", _apart(board.apart, out.parent)]
    for heading, named in (("Runs without a stamp", board.unstamped), ("Files that could not be read", board.notes)):
        if named:
            parts += [f"<h2>{heading}</h2><ul>", *(f"<li>{html.escape(line)}</li>" for line in named), "</ul>"]
    missing = [row for row in board.rows if not row.measured and row.commands]
    for kind in dict.fromkeys(kind for row in missing for kind in row.commands):
        lines = [line for row in missing for line in row.commands.get(kind, ())]
        parts += [f"<h2>What is missing, {html.escape(kind)}</h2>", f"<pre>{html.escape(chr(10).join(lines))}</pre>"]
    head = f'<meta charset="utf-8"><title>Leaderboard</title><style>{STYLE}{PAGE_STYLE}</style>'
    body = "\n".join(parts)
    try:
        out.write_text(
            f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n', encoding="utf-8"
        )
    except OSError as error:
        raise LandmarksError(f"{out}: could not write the page: {error}") from error
    return out


def number(value: float | None) -> str:
    """A figure as tables show it."""
    return MISSING if value is None else f"{value:.4f}"


def points(difference: float | None) -> str:
    """A difference in points, hundredths of a figure, with its sign."""
    if difference is None:
        return ""
    value = difference / POINT
    return f"{value:+.2f}" if abs(value) >= VISIBLE else "±0"


def _rows(rows: Sequence[BoardRow], here: Path) -> str:
    groups = ("published", "measured", "points")
    heads = ["row", "figure", *(f"{group}<br>{split}" for group in groups for split in SPLITS)]
    lines = []
    for row in rows:
        about = f'<b>{html.escape(row.name)}</b><br><span class="note">{html.escape(row.source)}'
        about += f"<br>{html.escape(row.note)}</span>" if row.note else "</span>"
        for place, measured in enumerate(row.measured or [None]):
            first = [about, html.escape(row.metric)] if place == 0 else ["", ""]
            cells = [("name", first[0]), ("text", first[1])]
            cells += [("", number(row.published.get(split)) if place == 0 else "") for split in SPLITS]
            cells += [("", number(measured.figures.get(split) if measured else None)) for split in SPLITS]
            cells += [("", _points(measured.differences.get(split) if measured else None)) for split in SPLITS]
            cells.append(("run", _run(measured.run, measured.written, measured.protocol, here) if measured else ""))
            lines.append(cells)
    return _table([*heads, "run"], lines)


def _apart(runs: Sequence[Apart], here: Path) -> str:
    lines = [
        [
            ("run", _run(run.run, run.written, run.protocol, here)),
            ("text", html.escape(run.models)),
            ("text", html.escape(run.data)),
            ("text", "<br>".join(html.escape(text) for text in figures_of(run))),
            ("text", "<br>".join(map(html.escape, run.reasons))),
        ]
        for run in runs
    ]
    return _table(["run", "model", "data", "public / private", "why it is not compared"], lines, len(lines[0]))


def figures_of(run: Apart) -> list[str]:
    """One text for each figure: its name and the values of the splits that there are."""
    return [
        f"{name} {' / '.join(number(value) for value in figures.values())}"
        for name, figures in run.figures.items()
        if any(value is not None for value in figures.values())
    ]


def _run(run: str, written: str, protocol: str, here: Path) -> str:
    text = html.escape(run)
    page = Path(run) / "report.html"
    if page.is_file():
        address = quote(Path(os.path.relpath(page, here)).as_posix())
        text = f'<a href="{html.escape(address)}">{text}</a>'
    return f'{text}<br><span class="note">{html.escape(", ".join(filter(None, (written, protocol))))}</span>'


def _points(difference: float | None) -> str:
    text = points(difference)
    kind = "note" if not text.startswith(("+", "-")) else "up" if text.startswith("+") else "down"
    return f'<span class="{kind}">{html.escape(text)}</span>' if text else ""


def _table(heads: Sequence[str], lines: Sequence[Sequence[tuple[str, str]]], left: int = 2) -> str:
    """A table of cells that are HTML already, each with its class; the first `left` headings are of text."""
    top = "".join(
        f'<th class="text">{head}</th>' if place < left or head == "run" else f"<th>{head}</th>"
        for place, head in enumerate(heads)
    )
    rows = ["<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in line) + "</tr>" for line in lines]
    return f'<div class="scroll"><table><tr>{top}</tr>{"".join(rows)}</table></div>'
