"""`landmarks data stats`: how large Google Landmarks v2 is, and how its images spread over its landmarks."""

import json
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.endings import named_endings

Root = Annotated[str, typer.Option(help="Folder or address of the data set.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def stats(root: Root, as_json: AsJson = False) -> None:
    """Print pictures, landmarks and bytes of each split, pictures per landmark, and the queries of the ground truth."""
    from landmarks.data import open_root, read_statistics
    from landmarks.progress import show_progress
    from landmarks.report import statistics_tables

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr), show_progress(stderr):
        statistics = read_statistics(open_root(root))
    if as_json:
        typer.echo(json.dumps(statistics, indent=1))
    else:
        Console(highlight=False).print(statistics_tables(statistics))
