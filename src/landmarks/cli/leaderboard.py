"""`landmarks leaderboard`: compare published metrics with your own, and show how to measure the missing ones."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from landmarks.cli.console import AsJson, Trust
from landmarks.cli.evaluate import evaluate
from landmarks.cli.extract import extract
from landmarks.cli.hydra_main import mistakes_named
from landmarks.config import trusted
from landmarks.errors import LandmarksError
from landmarks.terminal import Console

Runs = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of runs, searched with all folders below it.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a page.", show_default=False)]
RunRow = Annotated[
    str | None, typer.Option("--run", metavar="ROW", help="Extract, search and score that row.", show_default=False)
]
Root = Annotated[str | None, typer.Option(metavar="GLDV2", help="The data set, for --run.", show_default=False)]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[ROW=]PATH",
        help="For --run: a model file or a checkpoint; once for each model of a system.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="For --run: gets a folder for each row.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- KEY=VALUE…]", help="For --run: overrides as for `landmarks evaluate`."),
]


def leaderboard(
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
    html: Html = None,
    run: RunRow = None,
    root: Root = None,
    weights: Weights = None,
    out: Out = Path("runs/leaderboard"),
    trust: Trust = None,
) -> None:
    """Show published metrics beside those of your runs on the same data, and the commands for the missing ones.

    Metrics on other data are listed separately. `--run ROW --root GLDV2 --weights PATH` prints and runs the commands
    that measure a row; an interrupted measurement is resumed by the same command.
    """
    from landmarks.leaderboard import RULE, FoundRuns, build_board, find_row, find_runs, read_rows
    from landmarks.report import print_board, write_leaderboard

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with mistakes_named():
        rows = read_rows()
        row = None
        if run is not None:
            row = find_row(rows, run)
            from landmarks.leaderboard import prepare

            for command in prepare(row, rows, root, weights or [], out, overrides or [], trusted(trust)):
                stderr.print(str(command), style="dim", markup=False)
                (extract if command.name == "extract" else evaluate)(list(command.overrides))
            runs = out / run
        elif overrides or weights or root or trust:
            raise LandmarksError("--root, --weights, --trust and overrides need --run ROW: name the row")
        no_runs_yet = row is None and runs == Path("runs") and not runs.exists()
        found = FoundRuns() if no_runs_yet else find_runs(runs)
        board = build_board(rows, found, row)
        if html is not None:
            write_leaderboard(html, board, RULE)
    if as_json:
        typer.echo(json.dumps({"rule": RULE, **asdict(board)}, indent=1))
    else:
        print_board(board, RULE, with_commands=row is None)
        if html is not None:
            Console().print(f"The page is [bold]{escape(str(html))}[/]", soft_wrap=True, highlight=False)
