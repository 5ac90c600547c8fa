"""`landmarks score`: figures of submission files, public and private, and average precision of predicted boxes.

`--json` prints them as JSON with the names of the official metrics, a figure of a split without images and of a class
without boxes as null.
"""

import typer

from landmarks.cli.score.detection import detection
from landmarks.cli.score.recognition import recognition
from landmarks.cli.score.retrieval import retrieval

app = typer.Typer(
    help="Score a submission or predicted boxes against the truth.", no_args_is_help=True, add_completion=False
)
for command in (retrieval, recognition, detection):
    app.command()(command)
