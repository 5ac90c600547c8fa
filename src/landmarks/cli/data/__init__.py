"""`landmarks data`: fetch, index, check, describe and tidy Google Landmarks v2."""

import typer

from landmarks.cli.data.download import download
from landmarks.cli.data.index import index
from landmarks.cli.data.stats import stats
from landmarks.cli.data.tidy import tidy
from landmarks.cli.data.verify import verify

app = typer.Typer(
    help="Fetch, index, check, describe and tidy Google Landmarks v2.", no_args_is_help=True, add_completion=False
)
for command in (download, index, verify, stats, tidy):
    app.command()(command)
