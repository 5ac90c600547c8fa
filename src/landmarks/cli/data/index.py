"""`landmarks data index`: note where each image lies in the tars, so that they need not be unpacked."""

import json
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.data.splits import chosen_splits
from landmarks.cli.endings import named_endings

SPLITS = ("train", "index", "test")

Root = Annotated[str, typer.Option(help="Folder or address of the data set.", show_default=False)]
Splits = Annotated[
    str | None, typer.Option("--split", metavar="SPLITS", help="Only these: train, index, test; several with commas.")
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Tars read at the same time; 1 suits a rotating disk.")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="Read all tars, also those that have not changed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def index(
    root: Root, split: Splits = None, workers: Workers = 8, rebuild: Rebuild = False, as_json: AsJson = False
) -> None:
    """Index the tars of train, index and test, or bring their indexes up to date.

    Only the headers in the tars are read, and only those of tars that are new or have changed. Training and
    evaluation do this on their own; the command does it beforehand and shows how it goes. Interrupt it at any time: the
    same command goes on from there. Tars that are damaged or hold anything but pictures are refused by name.

    Exit code: 0 all tars are indexed, 2 some are refused or nothing could be done, 130 interrupted.
    """
    from landmarks.data import index_splits, open_root
    from landmarks.progress import show_progress
    from landmarks.report import index_table

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr, "The tars read so far are indexed; the same command goes on from there."):
        chosen = None if split is None else chosen_splits(split, SPLITS)
        with show_progress(stderr) as progress:
            done = index_splits(open_root(root), progress, chosen, workers, rebuild)
    if as_json:
        typer.echo(json.dumps({"splits": [each.as_json() for each in done]}, indent=1))
    else:
        Console(highlight=False).print(index_table(done))
        typer.echo(f"The indexes are in {done[0].offsets.parent}")
    refused = [message for each in done for message in each.update.refused]
    for message in refused:
        stderr.print(message, style="red", markup=False)
    if refused:
        raise typer.Exit(2)
