"""The command `landmarks` with its subcommands, each of which has a file of its name."""

import sys
from typing import Annotated

import typer

from landmarks import __version__
from landmarks.cli import (
    classify,
    compare,
    data,
    descriptors,
    detect,
    evaluate,
    export,
    extract,
    heatmap,
    import_paddle,
    leaderboard,
    score,
    search,
    similarity,
    train,
)
from landmarks.config import expand_home
from landmarks.storage import hide

app = typer.Typer(
    help="Experiments in landmark retrieval and recognition: train, search, re-rank, score.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # wraps paragraphs of docstrings to the terminal
)
HANDED_ON = {"ignore_unknown_options": True, "help_option_names": []}  # to Hydra

for name, of_hydra in (("train", train.train), ("evaluate", evaluate.evaluate), ("extract", extract.extract)):
    app.command(name, context_settings=HANDED_ON, add_help_option=False)(of_hydra)
for name, group in (("data", data), ("descriptors", descriptors), ("score", score)):
    app.add_typer(group.app, name=name)
for command in (
    search.search,
    similarity.similarity,
    classify.classify,
    detect.detect,
    heatmap.heatmap,
    leaderboard.leaderboard,
    compare.compare,
    export.export,
):
    app.command()(command)
app.command("import-paddle")(import_paddle.import_paddle)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"landmarks {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, search, re-rank and score."""


def main() -> None:
    """Run the command line."""
    sys.argv[1:] = [expand_home(one) for one in hide(sys.argv[1:])]  # hide passwords before anything can print them
    app()


if __name__ == "__main__":
    main()
