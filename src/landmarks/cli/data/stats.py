"""`landmarks data stats`: how large Google Landmarks v2 is, and how its pictures spread over its landmarks."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.data.endings import named_endings

Root = Annotated[str, typer.Option(help="Folder or address of the data set.", show_default=False)]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw the histogram of pictures per landmark into this PNG file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def stats(root: Root, plot: Plot = None, as_json: AsJson = False) -> None:
    """Print pictures, landmarks and bytes of each split, pictures per landmark, and the queries of the ground truth."""
    from landmarks.data.gldv2.statistics import read_statistics
    from landmarks.data.roots import open_root
    from landmarks.report.statistics import statistics_tables

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr):
        statistics = read_statistics(open_root(root))
        if plot is not None:
            from landmarks.report.landmark_histogram import plot_landmark_histogram

            plot_landmark_histogram({split: one.per_landmark for split, one in statistics.splits.items()}, plot)
            stderr.print(f"drawn: {plot}", markup=False)
    if as_json:
        typer.echo(json.dumps(statistics.as_json(), indent=1))
    else:
        Console(highlight=False).print(statistics_tables(statistics))
