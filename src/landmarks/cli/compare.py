"""`landmarks compare`: the differences of runs, their intervals, and whether they are more than chance."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from landmarks.cli.console import AsJson, named_endings
from landmarks.terminal import Console

Runs = Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Run folders; the first is compared with.")]
Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write a page, with the queries that moved most.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Of the random draws.")]


def compare(runs: Runs, as_json: AsJson = False, html: Html = None, seed: Seed = 0) -> None:
    """Compare runs with the first: differences, 95 % intervals and a randomisation test, by query and by landmark.

    Runs of one configuration with different seeds count as one system. Runs that were evaluated on other queries,
    another index or another ground truth are refused.
    """
    from landmarks.comparison import as_json as plain
    from landmarks.comparison import compare as compare_runs
    from landmarks.comparison import print_comparison, write_comparison

    with named_endings() as stderr:
        found = compare_runs(runs, seed)
        for note in write_comparison(html, found) if html is not None else ():
            stderr.print(note, style="yellow", markup=False)
    if as_json:
        typer.echo(json.dumps(plain(found), indent=1))
        return
    print_comparison(found)
    if html is not None:
        Console().print(f"The page is [bold]{escape(str(html))}[/]", soft_wrap=True, highlight=False)
