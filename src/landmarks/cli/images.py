"""What the commands on single images share: arguments, checks, tables and JSON.

All images are checked before torch is imported and the model opened, so that mistakes cost no time.
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
    """Where a model computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors), a checkpoint (.ckpt), or .onnx.")
]
ImagePaths = Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Images.")]
Device = Annotated[Where, typer.Option(help="Where to compute; auto takes a GPU if there is one.")]


def checked(model: Path, images: Sequence[Path]) -> dict[Path, Size]:
    """Return height and width of each image, upright; refuse what cannot be used."""
    from landmarks.interop import check_images

    if not model.is_file():
        raise LandmarksError(f"{shown(model)}: there is no such file; name a model first, then images")
    return check_images(images)


def usable(model: Path, images: Sequence[Path]) -> tuple[dict[Path, Size], dict[Path, str]]:
    """Return height and width of each image that can be used, upright, and why each of the others cannot.

    Raises LandmarksError where there is no model, or no image can be used.
    """
    from landmarks.interop import sort_images

    if not model.is_file():
        raise LandmarksError(f"{shown(model)}: there is no such file; name a model first, then images")
    sizes, bad = sort_images(images)
    if not sizes:
        listed = "\n".join(f"  {shown(path)}: {reason}" for path, reason in bad.items())
        raise LandmarksError(f"none of the images can be used:\n{listed}")
    return sizes, bad


def name_unreadable(stderr: Console, bad: Mapping[Path, str], total: int) -> None:
    """Count the images that are passed over, and name each with its reason."""
    if bad:
        stderr.print(f"{len(bad):,} of {total:,} images cannot be used and are passed over:", style="yellow")
    for path, reason in bad.items():
        stderr.print(f"  {shown(path)}: {reason}", style="yellow", markup=False)


def followed(images: Sequence[Path], stderr: Console) -> Iterable[Path]:
    """Go through images with a bar where somebody looks."""
    return track(images, "", console=stderr, transient=True, disable=not stderr.is_terminal or len(images) < 3)


def print_json(
    model: Path, name: str, task: str, results: Sequence[dict[str, Any]], more: Mapping[str, Any] | None = None
) -> None:
    """Print one object, numbers with all digits."""
    found = {"model": str(model), "name": name, "task": task, **(more or {}), "results": results}
    typer.echo(json.dumps(found, indent=1))


def image_entry(path: Path, sizes: Mapping[Path, Size]) -> dict[str, Any]:
    """Return what JSON says of every image."""
    return {"image": str(path), "width": sizes[path][1], "height": sizes[path][0]}


def print_below(heading: str, content: Table | str) -> None:
    """Print under a line that is never folded, so that it can be copied."""
    console = Console(highlight=False)
    console.print(Text(heading, style="bold"), soft_wrap=True)
    console.print(content)


def numbers_table(*numbers: str, words: str) -> Table:
    """Return an empty table: columns of numbers, and one of words that are folded where they are too long."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(words, overflow="fold")
    return table
