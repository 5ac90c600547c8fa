"""`landmarks data download`: fetch the official files of Google Landmarks v2, or go on with it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from landmarks.cli.data.endings import named_endings
from landmarks.cli.data.splits import chosen_splits
from landmarks.data.gldv2.release import (
    BASE_URL,
    SPLITS,
    TARS,
    ReleaseFile,
    metadata_files,
    parse_tar_numbers,
    tar_files,
)
from landmarks.errors import LandmarksError

if TYPE_CHECKING:
    from landmarks.data.gldv2.watcher import Outcome

FAILURES_SHOWN = 20

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
    from landmarks.cli.data.transfer_display import TransferDisplay  # `requests` takes a while to import
    from landmarks.data.gldv2.download import download as download_files

    stderr = Console(stderr=True)
    with named_endings(stderr, "What was received is kept; the same command goes on from there."):
        files = _chosen(root, split, tars)
        stderr.print(f"Asking {base_url} for {len(files)} files", highlight=False, markup=False, soft_wrap=True)
        with TransferDisplay(stderr) as display:
            outcomes = download_files(root, files, display, base_url, workers, check)
    if as_json:
        typer.echo(json.dumps(_summary(outcomes), indent=1))
    else:
        _print(outcomes)
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _chosen(root: Path, split: str, tars: str | None) -> list[ReleaseFile]:
    if ":/" in str(root):  # what a path makes of s3://
        raise LandmarksError(f"--root {root}: choose a folder of this machine; upload it from there")
    names = chosen_splits(split, SPLITS)
    with_tars = [name for name in names if name in TARS]
    if tars is not None and not with_tars:
        raise LandmarksError(f"--tars {tars}: the metadata has no tars; choose --split train, index or test")
    files = metadata_files() if "metadata" in names else []
    for name in with_tars:
        files += tar_files(name, range(TARS[name]) if tars is None else parse_tar_numbers(tars, name))
    return files


def _summary(outcomes: Sequence["Outcome"]) -> dict[str, object]:
    counts = {state: sum(outcome.state == state for outcome in outcomes) for state in ("done", "skipped", "failed")}
    return {**counts, "size": sum(outcome.size for outcome in outcomes), "files": [asdict(o) for o in outcomes]}


def _print(outcomes: Sequence["Outcome"]) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    table = Table("folder", "done", "skipped", "failed", "on disk", title="Download", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for folder in dict.fromkeys(outcome.path.split("/")[0] for outcome in outcomes):
        ours = [outcome for outcome in outcomes if outcome.path.startswith(f"{folder}/")]
        counts = [str(sum(outcome.state == state for outcome in ours)) for state in ("done", "skipped", "failed")]
        table.add_row(folder, *counts, decimal(sum(outcome.size for outcome in ours)))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    absent = [outcome for outcome in outcomes if outcome.state == "skipped" and outcome.size == 0]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    for outcome in [*absent, *failed[:FAILURES_SHOWN]]:
        console.print(f"{outcome.state}: {outcome.path}: {outcome.reason}", markup=False)
    if len(failed) > FAILURES_SHOWN:
        console.print(f"and {len(failed) - FAILURES_SHOWN} more failed; --json lists all")
