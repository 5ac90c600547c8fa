"""`landmarks descriptors`: look at descriptor sets, join those of several models, whiten them."""

import typer

from landmarks.cli.descriptors.join import join
from landmarks.cli.descriptors.show import show
from landmarks.cli.descriptors.whiten import whiten

app = typer.Typer(
    help="Look at descriptor sets, join those of several models, whiten them.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (show, join, whiten):
    app.command()(command)
