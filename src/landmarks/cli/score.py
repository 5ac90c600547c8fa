"""`landmarks score`: public and private figures of a submission file.

`--json` prints them as JSON with the names of the official metrics, a figure of a split without images as
null.
"""

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from landmarks.metrics import (
    FormatError,
    read_recognition_solution,
    read_recognition_submission,
    read_retrieval_solution,
    read_retrieval_submission,
    score_recognition,
    score_retrieval,
)

app = typer.Typer(help="Score a submission file against a solution file.", no_args_is_help=True, add_completion=False)

Figures = dict[str, dict[str, float]]

SolutionPath = Annotated[Path, typer.Argument(metavar="SOLUTION", help="Official solution file (CSV).")]
SubmissionPath = Annotated[Path, typer.Argument(metavar="SUBMISSION", help="Submission file (CSV).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def retrieval(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print mAP@100 and its companions for a retrieval submission."""
    try:
        truth = read_retrieval_solution(solution)
        figures = score_retrieval(truth, read_retrieval_submission(submission, truth))
    except FormatError as error:
        raise _refuse(error) from None
    _print(figures, "Retrieval", as_json)


@app.command()
def recognition(solution: SolutionPath, submission: SubmissionPath, as_json: AsJson = False) -> None:
    """Print GAP and its companions for a recognition submission."""
    try:
        truth = read_recognition_solution(solution)
        figures = score_recognition(truth, read_recognition_submission(submission, truth))
    except FormatError as error:
        raise _refuse(error) from None
    _print(figures, "Recognition", as_json)


def _refuse(error: FormatError) -> typer.Exit:
    """Show a mistake in a file on one line of stderr."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), style="red", markup=False)
    return typer.Exit(2)


def _print(figures: Figures, title: str, as_json: bool) -> None:
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
        shown = ["-" if math.isnan(value) else _digits(name, value) for value in values]
        table.add_row(name, *shown)
    Console().print(table)


def _digits(name: str, value: float) -> str:
    return f"{value:.1f}" if name.endswith("position") else f"{value:.4f}"
