"""`landmarks data download`: fetch the official files of Google Landmarks v2, or go on with it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.data.splits import chosen_splits
from landmarks.cli.endings import named_endings
from landmarks.data import BASE_URL, SPLITS, chosen_files

Root = Annotated[Path, typer.Option(help="Folder of the data set; it gets the official layout.", show_default=False)]
Split = Annotated[
    str,
    typer.Option(metavar="SPLITS", help=f"{', '.join(SPLITS)}; several with commas.", show_default=False),
]
Tars = Annotated[str | None, typer.Option(metavar="NUMBERS", help="Only these tars, e.g. 0-99 or 7 or 0-3,8.")]
BaseUrl = Annotated[str, typer.Option(metavar="URL", help="The release, or a mirror of it.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Files at a time.")]
Check = Annotated[bool, typer.Option("--check", help="Hash the tars that are there, too; fetch again what is wrong.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def download(
    root: Root,
    split: Split,
    tars: Tars = None,
    base_url: BaseUrl = BASE_URL,
    workers: Workers = 4,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Download Google Landmarks v2: tars of train, index and test; metadata (all tables and the ground truth).

    What is there already is skipped, what was interrupted goes on: run the same command again at any time.
    Tars are checked against their published md5 sums, tables (which have none) by length and first line.
    Exit code: 0 all files are there, 1 some failed, 2 nothing could be done, 130 interrupted.
    """
    from landmarks.data import download as download_files  # `requests` takes a while to import
    from landmarks.data import summarize
    from landmarks.progress import show_progress
    from landmarks.report import download_messages, download_table

    stderr = Console(stderr=True)
    with named_endings(stderr, "What was received is kept; the same command goes on from there."):
        files = chosen_files(chosen_splits(split, SPLITS), tars)
        stderr.print(f"Asking {base_url} for {len(files)} files", highlight=False, markup=False, soft_wrap=True)
        with show_progress(stderr) as progress:
            outcomes = download_files(root, files, progress, base_url, workers, check)
    summary = summarize(outcomes)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        console = Console(soft_wrap=True, highlight=False)
        console.print(download_table(outcomes))
        for message in download_messages(outcomes):
            console.print(message, markup=False)
    if summary["failed"]:
        raise typer.Exit(1)
