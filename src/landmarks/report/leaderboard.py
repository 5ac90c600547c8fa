"""Holds the leaderboard as plain values, writes it as a page, and prints it in a terminal of 80 columns.

Published metrics are shown beside those measured on the same data, with the difference; runs on other data have a
table of their own, without differences.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from landmarks.report.page import write_page
from landmarks.report.table import number, signed
from landmarks.terminal import Console

SPLITS = ("public", "private")
Figures = Mapping[str, float | None]  # a metric by split, such as {"public": 0.2676, "private": None}

POINT = 0.01
VISIBLE = 0.005  # points; smaller differences are printed as 0.00
HINT = "PUBLISHED/ROW is a folder of published weights. A checkpoint can take the place of a model file."


@dataclass(frozen=True)
class Measured:
    """The metrics of one run."""

    run: str  # its folder
    written: str  # date and time, as text
    figures: Figures  # the row's metric
    differences: Figures  # from the published metric; None where one of the two is missing
    protocol: str  # how images were embedded, as text


@dataclass(frozen=True)
class BoardRow:
    """One published result, and the runs that measured it again."""

    name: str  # name of the row
    metric: str  # name of the metric
    published: Figures  # its published values
    source: str  # publication they are from
    note: str  # remark for readers
    measured: tuple[Measured, ...] = ()  # runs on the same data with the same protocol, newest first
    # the commands that measure the row, by kind; empty if it cannot be run here
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Apart:
    """A run that cannot be compared with published results."""

    run: str  # its folder
    written: str  # date and time, as text
    models: str  # the models that embedded the images
    data: str  # name and sizes of the data evaluated on
    figures: Mapping[str, Figures]  # all metrics by name
    protocol: str  # how images were embedded, as text
    reasons: tuple[str, ...]  # why it cannot be compared

    @property
    def metric_lines(self) -> list[str]:
        """Return one text per metric: its name and its values on the splits that exist."""
        return [
            f"{name} {' / '.join(map(number, figures.values()))}"
            for name, figures in self.figures.items()
            if any(value is not None for value in figures.values())
        ]


@dataclass(frozen=True)
class Board:
    """All that the leaderboard shows."""

    rows: tuple[BoardRow, ...]  # rows of the table
    apart: tuple[Apart, ...] = ()  # runs on other data or with another protocol
    unstamped: tuple[str, ...] = ()  # folders of runs that do not record their data and protocol
    notes: tuple[str, ...] = ()  # files that could not be read, and why

    @property
    def missing(self) -> dict[str, list[str]]:
        """Return the commands that measure all rows without a run, by kind."""
        lines: dict[str, dict[str, None]] = {}
        for row in self.rows:
            for kind, commands in () if row.measured else row.commands.items():
                lines.setdefault(kind, {}).update(dict.fromkeys(commands))  # rows share imports
        return {kind: list(of_kind) for kind, of_kind in lines.items()}


def write_leaderboard(out: str | Path, board: Board, rule: str) -> Path:
    """Write the page, with relative links to the reports of runs; `rule` is the text that says what is comparable."""
    out = Path(out)
    return write_page(
        out,
        "leaderboard.html",
        title="Leaderboard",
        rule=rule,
        board=board,
        splits=SPLITS,
        points=points,
        report_of=partial(_report_of, here=out.parent),
    )


def points(difference: float | None) -> str:
    """Format a difference in points, which are hundredths of the metric, with its sign."""
    if difference is None:
        return ""
    value = difference / POINT
    return f"{value:+.2f}" if abs(value) >= VISIBLE else "±0"


def _report_of(run: str, here: Path) -> str | None:
    """Return the relative address of a run's own page; None if it has none."""
    page = Path(run) / "report.html"
    return quote(Path(os.path.relpath(page, here)).as_posix()) if page.is_file() else None


def print_board(board: Board, rule: str, with_commands: bool) -> None:
    """Print tables, notes and the commands that measure missing rows."""
    console = Console(highlight=False)
    console.print(_rows(board.rows))
    _print_runs(console, board.rows)
    console.print(rule, style="dim")
    for row in board.rows:
        if row.note:
            console.print(f"{row.name}: {row.note}.", style="dim", markup=False)
    if board.apart:
        _print_apart(console, board.apart)
    for heading, named in (("Without a stamp, so never compared", board.unstamped), ("Not read", board.notes)):
        if named:
            console.print(f"\n{heading}", style="bold")
            for line in named:
                console.print(f"  {line}", markup=False, soft_wrap=True)
    missing = board.missing if with_commands else {}
    for kind, lines in missing.items():
        console.print(f"\nCommands for missing rows, {kind}", style="bold")
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
    if missing:
        console.print(f"\n{HINT}", style="dim")


def _rows(rows: Sequence[BoardRow]) -> Table:
    table = Table(title="Leaderboard", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("row, figure", overflow="fold")
    table.add_column("")
    for heading in ("published", "here", "points", "run"):
        table.add_column(heading, justify="right", no_wrap=True)
    runs = _newest(rows)
    for row in rows:
        splits = [split for split in SPLITS if row.published.get(split) is not None] or list(SPLITS)
        measured = row.measured[0] if row.measured else None
        here, change = (measured.figures, measured.differences) if measured else ({}, {})
        table.add_row(
            Text(f"{row.name}\n{row.metric}"),
            "\n".join(splits),
            "\n".join(number(row.published.get(split)) for split in splits),
            "\n".join(number(here.get(split)) for split in splits),
            Text("\n").join(signed(points(change.get(split))) for split in splits),
            str(runs.index(measured) + 1) if measured else "",
        )
    return table


def _newest(rows: Sequence[BoardRow]) -> list[Measured]:
    return [row.measured[0] for row in rows if row.measured]


def _print_runs(console: Console, rows: Sequence[BoardRow]) -> None:
    for place, measured in enumerate(_newest(rows), 1):
        console.print(f"  {place} {measured.run}", markup=False, soft_wrap=True)
        console.print(Padding(Text(f"{measured.written}, {measured.protocol}", style="dim"), (0, 0, 0, 4)))
    more = sum(len(row.measured) - 1 for row in rows if row.measured)
    if more:
        console.print(f"{more} older of the same rows: --html and --json show them.", style="dim")
    if _newest(rows):
        console.print()


def _print_apart(console: Console, runs: Sequence[Apart]) -> None:
    console.print("\nMeasured on other data or with another protocol: public / private", style="bold")
    for run in runs:
        console.print(f"  {run.run}", markup=False, soft_wrap=True)
        for line in (f"{run.models}, {run.protocol}", run.data, *run.metric_lines):
            console.print(Padding(Text(line), (0, 0, 0, 4)))
        console.print(Padding(Text("; ".join(run.reasons), style="yellow"), (0, 0, 0, 4)))
