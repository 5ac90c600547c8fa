"""What the commands that score submissions share: arguments, and figures as a table or JSON."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

Figures = dict[str, dict[str, float]]

SolutionPath = Annotated[Path, typer.Argument(metavar="SOLUTION", help="Official solution file (CSV).")]
SubmissionPath = Annotated[Path, typer.Argument(metavar="SUBMISSION", help="Submission file (CSV).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_figures(figures: Figures, title: str, as_json: bool) -> None:
    """Print figures of the public and the private queries."""
    if as_json:
        # JSON has no NaN; a split without images has no figures.
        known = {
            split: {name: None if math.isnan(value) else value for name, value in values.items()}
            for split, values in figures.items()
        }
        typer.echo(json.dumps(known, indent=1))
        return
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for split in figures:
        table.add_column(split, justify="right")
    for name in figures["public"]:
        values = [figures[split][name] for split in figures]
        shown = [share(value) if not name.endswith("position") else _position(value) for value in values]
        table.add_row(name, *shown)
    Console().print(table)


def share(value: float) -> str:
    """Write a figure between 0 and 1; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def _position(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
