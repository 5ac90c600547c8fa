"""Shared parts of the commands on single images: arguments, checks, tables and JSON.

All images are checked before torch is imported and the model is opened, so that mistakes are found at once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.progress import track
from rich.table import Table
from rich.text import Text

from landmarks.errors import LandmarksError, shown
from landmarks.terminal import Console

Size = tuple[int, int]
"""Height and width, pixels."""


class Where(StrEnum):
    """Device of a model."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors), a checkpoint (.ckpt), or .onnx.")
]
ImagePaths = Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files.")]
Device = Annotated[Where, typer.Option(help="Device to compute on; auto uses a GPU if there is one.")]


def checked(model: Path, images: Sequence[Path]) -> dict[Path, Size]:
    """Return height and width of each image, upright; raise LandmarksError if one cannot be used."""
    from landmarks.interop import check_images

    if not model.is_file():
        raise LandmarksError(f"{shown(model)}: there is no such file; name a model first, then images")
    return check_images(images)


def usable(model: Path, images: Sequence[Path], what: str) -> tuple[dict[Path, Size], dict[Path, str]]:
    """Return height and width of each image that can be used, upright, and why each of the others cannot.

    Raises LandmarksError if there is no model, or if no image can be used; `what` says what they are for.
    """
    from landmarks.interop import sort_images

    if not model.is_file():
        raise LandmarksError(f"{shown(model)}: there is no such file; name a model first, then images")
    sizes, bad = sort_images(images)
    if not sizes:
        listed = "\n".join(f"  {shown(path)}: {reason}" for path, reason in bad.items())
        raise LandmarksError(f"no {what} can be used:\n{listed}")
    return sizes, bad


def name_unreadable(stderr: Console, bad: Mapping[Path, str], total: int, what: str) -> None:
    """Print how many images are skipped, what they are for, and each with its reason."""
    if bad:
        stderr.print(f"{len(bad):,} of {total:,} {what}s cannot be used and are skipped:", style="yellow", markup=False)
    for path, reason in bad.items():
        stderr.print(f"  {shown(path)}: {reason}", style="yellow", markup=False)


def followed(images: Sequence[Path], stderr: Console) -> Iterable[Path]:
    """Iterate over images, with a progress bar in a terminal."""
    return track(images, "", console=stderr, transient=True, disable=not stderr.is_terminal or len(images) < 3)


def print_json(
    model: Path, name: str, task: str, results: Sequence[dict[str, Any]], more: Mapping[str, Any] | None = None
) -> None:
    """Print the output as one JSON object, numbers with all digits."""
    found = {"model": str(model), "name": name, "task": task, **(more or {}), "results": results}
    typer.echo(json.dumps(found, indent=1))


def image_entry(path: Path, sizes: Mapping[Path, Size]) -> dict[str, Any]:
    """Return the JSON entry of an image: path, width and height."""
    return {"image": str(path), "width": sizes[path][1], "height": sizes[path][0]}


def print_below(heading: str, content: Table | str) -> None:
    """Print a heading that is never wrapped, so that it can be copied, and the content below it."""
    console = Console(highlight=False)
    console.print(Text(heading, style="bold"), soft_wrap=True)
    console.print(content)


def numbers_table(*numbers: str, words: str) -> Table:
    """Return an empty table with columns of numbers, and one of words that are wrapped if they are too long."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(words, overflow="fold")
    return table
