"""`landmarks data index`: note where each picture lies in the tars, so that they need not be unpacked."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from landmarks.cli.data.endings import named_endings
from landmarks.cli.data.splits import chosen_splits

if TYPE_CHECKING:
    from landmarks.data.gldv2.indexing import IndexedSplit

SECONDS_BETWEEN_LINES = 10.0
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
    from landmarks.data.gldv2.indexing import index_splits, splits_with_tars
    from landmarks.data.gldv2.layout import GLDv2Layout
    from landmarks.data.roots import open_root

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr, "The tars read so far are indexed; the same command goes on from there."):
        layout = GLDv2Layout(open_root(root))
        splits = splits_with_tars(layout, None if split is None else chosen_splits(split, SPLITS))
        with _display(stderr) as on_tar:
            done = list(index_splits(layout, splits, workers, rebuild, on_tar))
    if as_json:
        typer.echo(json.dumps({"splits": [each.as_json() for each in done]}, indent=1))
    else:
        _print(done)
    refused = [message for each in done for message in each.update.refused]
    for message in refused:
        stderr.print(message, style="red", markup=False)
    if refused:
        raise typer.Exit(2)


@contextmanager
def _display(stderr: Console) -> Iterator[Callable[[str, str, int, int], None]]:
    """A bar for each split in a terminal, else a line now and then, for logs."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    counts = TextColumn("{task.completed:,.0f} of {task.total:,.0f} tars, {task.fields[rate]:,.1f} a second")
    columns = (TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn())
    bars: dict[str, TaskID] = {}
    start = last = told = time.monotonic()

    def on_tar(split: str, name: str, done: int, total: int) -> None:
        nonlocal start, last, told
        if split not in bars:  # its work began when that of the split before ended
            bars[split], start = progress.add_task(split, total=total, rate=0.0), last
        last = time.monotonic()
        rate = done / (last - start)
        progress.update(bars[split], completed=done, rate=rate)
        if not stderr.is_terminal and last - told > SECONDS_BETWEEN_LINES:
            told = last
            left = timedelta(seconds=round((total - done) / rate))
            stderr.print(f"{done:,} of {total:,} tars of {split}, {rate:,.1f} a second, {left} left")

    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        yield on_tar


def _print(done: "Sequence[IndexedSplit]") -> None:
    from rich import box
    from rich.filesize import decimal
    from rich.table import Table

    columns = ("tars", "pictures", "on disk", "new", "changed", "gone", "refused", "seconds")
    table = Table(title="Index", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("split", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for each in done:
        update = each.update
        counts = [len(names) for names in (update.new, update.changed, update.gone, update.refused)]
        table.add_row(
            each.split,
            f"{len(update.offsets.tars):,}",
            f"{len(update.offsets):,}",
            decimal(each.size),
            *(f"{count:,}" for count in counts),
            f"{each.seconds:.2f}",
        )
    Console(highlight=False).print(table)
    for folder in {each.offsets.parent for each in done}:
        typer.echo(f"The indexes are in {folder}")
