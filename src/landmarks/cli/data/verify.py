"""`landmarks data verify`: whether a copy of Google Landmarks v2 is whole and sound."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.data.splits import chosen_splits
from landmarks.cli.endings import named_endings

Root = Annotated[str, typer.Option(help="Folder or address of the data set.", show_default=False)]
Deep = Annotated[bool, typer.Option("--deep", help="Also decode every picture and compare tars with their MD5.")]
Splits = Annotated[
    str | None,
    typer.Option("--split", metavar="SPLITS", help="Only these: train, train_clean, index, test; several with commas."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that decode; as many as cores if not given.")]
ListFile = Annotated[
    Path | None,
    typer.Option("--list", metavar="FILE", help="Write a CSV file of pictures to leave out, for data.source.exclude."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def verify(
    root: Root,
    deep: Deep = False,
    split: Splits = None,
    workers: Workers = None,
    list_file: ListFile = None,
    as_json: AsJson = False,
) -> None:
    """Check tables against pictures, and with --deep every picture.

    Exit code 0 says that training can start: the tables, ground truth and tars that `train.py data=gldv2` reads are
    there and sound, and no picture of train_clean, index or test is missing (of the splits given with --split, where
    it is given). With --deep, no tar differs from its published MD5 and no split has more than 100 unreadable
    pictures, at which a run would stop. Exit code 1 says that it cannot; the last line says why and what to do.
    Exit code 2 is wrong usage, 130 an interruption.

    --deep takes hours for the whole data set. What it found is kept for each tar, so it may be interrupted, and the
    next time only decodes what is new or has changed.
    """
    from landmarks.data import CHECKED_SPLITS, available_cores, open_root
    from landmarks.data import verify as verify_data
    from landmarks.progress import show_progress
    from landmarks.report import verification_messages, verification_tables

    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with named_endings(stderr, "What was checked is kept; the same command goes on from there."):
        chosen = None if split is None else chosen_splits(split, CHECKED_SPLITS)
        with show_progress(stderr) as progress:
            findings = verify_data(open_root(root), progress, chosen, (workers or available_cores()) if deep else 0)
        if list_file is not None:
            listed = findings.write_list(list_file)
            stderr.print(f"pictures to leave out, listed in {list_file}: {listed:,}", markup=False)
    if as_json:
        typer.echo(json.dumps(findings.as_json(), indent=1))
    else:
        console = Console(highlight=False)
        console.print(verification_tables(findings))
        for message in verification_messages(findings):
            console.print(message, soft_wrap=True)
    raise typer.Exit(0 if findings.can_train else 1)
