"""The leaderboard in a terminal of 80 columns: each row in two lines, public and private."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from landmarks.report.leaderboard import SPLITS, Apart, Board, BoardRow, Measured, figures_of, number, points

HINT = (
    "RELEASED/ROW is a folder of released weights; a model file or a checkpoint will do, too. A detector is always "
    "a trained one."
)


def print_board(board: Board, rule: str, with_commands: bool) -> None:
    """Print tables, notes and the commands that make what is missing."""
    console = Console(highlight=False)
    console.print(_rows(board.rows))
    _print_runs(console, board.rows)
    console.print(rule, style="dim")
    for row in board.rows:
        if row.note:
            console.print(f"{row.name}: {row.note}.", style="dim", markup=False)
    if board.apart:
        _print_apart(console, board.apart)
    for heading, lines in (("Without a stamp, so never compared", board.unstamped), ("Not read", board.notes)):
        if lines:
            console.print(f"\n{heading}", style="bold")
            for line in lines:
                console.print(f"  {line}", markup=False, soft_wrap=True)
    missing = [row for row in board.rows if row.commands and not row.measured]
    if with_commands and missing:
        _print_commands(console, missing)


def _print_commands(console: Console, rows: Sequence[BoardRow]) -> None:
    for kind in dict.fromkeys(kind for row in rows for kind in row.commands):
        console.print(f"\nWhat is missing, {kind}", style="bold")
        for row in rows:
            for line in row.commands.get(kind, ()):
                console.print(line, markup=False, soft_wrap=True)
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
            Text("\n").join(_points(change.get(split)) for split in splits),
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
    console.print("\nMeasured on other data, or otherwise: public / private", style="bold")
    for run in runs:
        console.print(f"  {run.run}", markup=False, soft_wrap=True)
        for line in (f"{run.models}, {run.protocol}", run.data, *figures_of(run)):
            console.print(Padding(Text(line), (0, 0, 0, 4)))
        console.print(Padding(Text("; ".join(run.reasons), style="yellow"), (0, 0, 0, 4)))


def _points(difference: float | None) -> Text:
    text = points(difference)
    return Text(text, style="green" if text.startswith("+") else "red" if text.startswith("-") else "dim")
