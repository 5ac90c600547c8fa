"""`landmarks data`: fetch, index, check and describe Google Landmarks v2."""

import typer

app = typer.Typer(
    help="Fetch, index, check and describe Google Landmarks v2.", no_args_is_help=True, add_completion=False
)
