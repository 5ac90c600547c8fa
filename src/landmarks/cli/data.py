"""`landmarks data`: download, index, check, count and clean Google Landmarks v2."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from landmarks.cli.clean import clean
from landmarks.cli.console import AsJson, DataRoot, named_endings
from landmarks.data import BASE_URL, FOLDERS, SPLITS, chosen_files
from landmarks.errors import LandmarksError
from landmarks.storage import printable
from landmarks.terminal import Console

GOES_ON = "run the same command again to resume."

Name = TypeVar("Name", bound=str)

Target = Annotated[Path, typer.Option(help="Folder of the data set; it gets the official layout.", show_default=False)]
Parts = Annotated[
    str, typer.Option(metavar="SPLITS", help=f"{', '.join(SPLITS)}; separated by commas.", show_default=False)
]
Tars = Annotated[str | None, typer.Option(metavar="NUMBERS", help="Only these tars, e.g. 0-99 or 7 or 0-3,8.")]
BaseUrl = Annotated[str, typer.Option(metavar="URL", help="Address of the release, or of a mirror.")]
Downloads = Annotated[int, typer.Option(min=1, max=64, help="Number of files downloaded at the same time.")]
Check = Annotated[
    bool, typer.Option("--check", help="Also check the MD5 of existing tars; download corrupt ones again.")
]

IndexSplits = Annotated[
    str | None,
    typer.Option("--split", metavar="SPLITS", help="Only these of train, index, test; separated by commas."),
]
Readers = Annotated[
    int, typer.Option(min=1, max=64, help="Number of tars read at the same time; use 1 for a hard disk.")
]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="Also read tars again that have not changed.")]

Deep = Annotated[bool, typer.Option("--deep", help="Also decode every image and check the MD5 of tars.")]
CheckSplits = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="SPLITS", help="Only these of train, train_clean, index, test; separated by commas."
    ),
]
Decoders = Annotated[
    int | None, typer.Option(min=1, help="Number of processes that decode; by default the number of cores.")
]
ListFile = Annotated[
    Path | None,
    typer.Option("--list", metavar="FILE", help="Write a CSV file of images to leave out, for data.source.exclude."),
]


def chosen_splits(text: str, known: Sequence[Name]) -> list[Name]:
    """Read a list of splits separated by commas, without repetitions; raise LandmarksError for unknown ones."""
    by_name: dict[str, Name] = {name: name for name in known}
    names = dict.fromkeys(name.strip() for name in text.split(","))
    for name in names:
        if name not in by_name:
            raise LandmarksError(f"--split {text}: {name!r} is not one of {', '.join(known)}")
    return [by_name[name] for name in names]


def download(
    root: Target,
    split: Parts,
    tars: Tars = None,
    base_url: BaseUrl = BASE_URL,
    workers: Downloads = 4,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Download Google Landmarks v2: tars of train, index and test; metadata (all tables and the ground truth).

    Existing files are skipped and partial ones completed, so the same command can be run again at any time. Tars are
    checked against their published MD5, tables (which have none) by length and first line.

    Exit code: 0 all files are complete, 1 some failed, 2 nothing could be done, 130 interrupted.
    """
    from landmarks.data import download as download_files  # `requests` takes a while to import
    from landmarks.data import summarize
    from landmarks.progress import show_progress
    from landmarks.report import download_messages, download_table

    with named_endings(f"Downloaded data is kept; {GOES_ON}") as stderr:
        files = chosen_files(chosen_splits(split, SPLITS), tars)
        stderr.print(f"Asking {printable(base_url)} for {len(files)} files", markup=False)
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


def index(
    root: DataRoot, split: IndexSplits = None, workers: Readers = 8, rebuild: Rebuild = False, as_json: AsJson = False
) -> None:
    """Index the tars of train, index and test, or bring their indexes up to date.

    Only the headers in the tars are read, and only those of tars that are new or have changed. Training and evaluation
    do this themselves; the command does it beforehand and shows its progress. An interrupted run is resumed by the same
    command. Tars that are corrupt or hold anything but images are refused, and their names are printed.

    Exit code: 0 all tars are indexed, 2 some are refused or nothing could be done, 130 interrupted.
    """
    from landmarks.data import index_splits, open_root
    from landmarks.progress import show_progress
    from landmarks.report import index_table

    with named_endings(f"The tars read so far are indexed; {GOES_ON}") as stderr:
        chosen = None if split is None else chosen_splits(split, FOLDERS)
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


def verify(
    root: DataRoot,
    deep: Deep = False,
    split: CheckSplits = None,
    workers: Decoders = None,
    list_file: ListFile = None,
    as_json: AsJson = False,
) -> None:
    """Check tables against images, and with --deep every image.

    Exit code 0 means that training can start: the tables, ground truth and tars that `train.py data=gldv2` reads exist
    and are valid, and no image of train_clean, index or test (or of the splits given with --split) is missing. With
    --deep it also means that no tar differs from its published MD5, and that no split has more than 100 unreadable
    images, at which a run would stop. Exit code 1 means that training cannot start; the last line says why and what to
    do. Exit code 2 is wrong usage, 130 an interruption.

    --deep takes hours for the whole data set. Its findings are kept for each tar, so that it can be interrupted, and
    later runs only decode what is new or has changed.
    """
    from landmarks.config import available_cores
    from landmarks.data import CHECKED_SPLITS, open_root
    from landmarks.data import verify as verify_data
    from landmarks.progress import show_progress
    from landmarks.report import verification_messages, verification_tables

    with named_endings(f"Findings so far are kept; {GOES_ON}") as stderr:
        chosen = None if split is None else chosen_splits(split, CHECKED_SPLITS)
        with show_progress(stderr) as progress:
            findings = verify_data(open_root(root), progress, chosen, (workers or available_cores()) if deep else 0)
        if list_file is not None:
            listed = findings.write_list(list_file)
            stderr.print(f"images to leave out, listed in {list_file}: {listed:,}", markup=False)
    if as_json:
        typer.echo(json.dumps(findings.as_json(), indent=1))
    else:
        console = Console(highlight=False)
        console.print(verification_tables(findings))
        for message in verification_messages(findings):
            console.print(message, soft_wrap=True)
    raise typer.Exit(0 if findings.can_train else 1)


def stats(root: DataRoot, as_json: AsJson = False) -> None:
    """Print images, landmarks and bytes of each split, images per landmark, and the queries of the ground truth."""
    from landmarks.data import open_root, read_statistics
    from landmarks.progress import show_progress
    from landmarks.report import statistics_tables

    with named_endings() as stderr, show_progress(stderr):
        statistics = read_statistics(open_root(root))
    if as_json:
        typer.echo(json.dumps(statistics, indent=1))
    else:
        Console(highlight=False).print(statistics_tables(statistics))


app = typer.Typer(help="Download, index, check, count and clean Google Landmarks v2.", no_args_is_help=True)
for command in (download, index, verify, stats, clean):
    app.command()(command)
