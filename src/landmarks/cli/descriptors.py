"""`landmarks descriptors`: show descriptor sets, join those of several models, whiten them."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landmarks.cli.console import AsJson, named_endings
from landmarks.errors import LandmarksError
from landmarks.progress import show_progress
from landmarks.terminal import Console

if TYPE_CHECKING:
    from landmarks.retrieval import DescriptorSet


class Precision(StrEnum):
    """Type of stored descriptors."""

    float32 = "float32"
    float16 = "float16"


SetPaths = Annotated[list[Path], typer.Argument(metavar="SET…", help="Folders of descriptor sets.")]
OutPath = Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the new set; must not exist yet.")]
Dtype = Annotated[Precision, typer.Option(help="Type of the descriptors in the new set.")]


def show(sets: SetPaths, as_json: AsJson = False) -> None:
    """Print rows, size and protocol of descriptor sets, and whether they can be compared with the first."""
    from landmarks.retrieval import DescriptorSet

    with set_endings():
        opened = [DescriptorSet.open(path) for path in sets]
    if as_json:
        typer.echo(json.dumps([{**_size(one), "protocol": asdict(one.protocol)} for one in opened], indent=1))
    else:
        print_sets(opened)


@contextmanager
def set_endings() -> Iterator[Console]:
    """Show errors, warnings and progress on the console of stderr, which is yielded."""
    kept = "Written rows are kept; run the same command again to resume."
    with named_endings(kept) as stderr, show_progress(stderr, log_level=logging.INFO):
        yield stderr


def print_sets(sets: "Sequence[DescriptorSet]") -> None:
    """Print a table of rows, sizes and protocols with a column for each set."""
    from rich.filesize import decimal
    from rich.table import Table

    protocols = [asdict(stored.protocol) for stored in sets]
    sizes = [{**_size(stored), "bytes": decimal(_size(stored)["bytes"])} for stored in sets]
    lines = {key: [str(size[key]) for size in sizes] for key in ("rows", "dim", "dtype", "bytes")}
    lines |= {
        key: [", ".join(map(str, value)) if isinstance(value := one[key], tuple) else str(value) for one in protocols]
        for key in protocols[0]
        if key != "versions"
    }
    if len(sets) > 1:
        differences = [sets[0].protocol.differences(other.protocol) for other in sets]
        same_dim = [other.dim == sets[0].dim for other in sets]
        lines["alike"] = ["yes" if not d and same else "no" for d, same in zip(differences, same_dim, strict=True)]
    table = Table("", title="Descriptors", title_justify="left")
    for size in sizes:
        table.add_column(str(size["name"]), overflow="fold")
    for key, values in lines.items():
        table.add_row(key, *values)
    Console(highlight=False).print(table)


def _size(stored: "DescriptorSet") -> dict[str, Any]:
    matrix = stored.descriptors
    return {
        "name": stored.name,
        "rows": len(stored),
        "dim": stored.dim,
        "dtype": matrix.dtype.name,
        "bytes": matrix.nbytes + stored.ids.nbytes,
    }


Weights = Annotated[
    str | None,
    typer.Option(metavar="NUMBERS", help="One for each set, separated by commas; 1 by default.", show_default=False),
]
MaxMissing = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the images that may be absent from one of the sets.")
]


def join(
    out: OutPath,
    sets: SetPaths,
    weights: Weights = None,
    max_missing: MaxMissing = 0.01,
    dtype: Dtype = Precision.float32,
) -> None:
    """Join the descriptors that several models give for the same images.

    Rows are L2-normalised and weighted, so that the cosine of joined rows is the mean of the models' cosines, weighted
    by the squared weights. Join queries and index in the same way.
    """
    from landmarks.retrieval import DescriptorSet, join_sets

    with set_endings():
        numbers = None if weights is None else _numbers(weights)
        opened = [DescriptorSet.open(path) for path in sets]
        print_sets([join_sets(out, opened, numbers, dtype.value, max_missing)])


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise LandmarksError(f"--weights {text}: expected numbers separated by commas, such as 1,0.5") from None


SetPath = Annotated[Path, typer.Argument(metavar="SET", help="Folder of a descriptor set.")]
LearnOn = Annotated[
    Path | None,
    typer.Option(metavar="SET", help="Learn the whitening on this set; do not use the one that is scored."),
]
Dim = Annotated[int | None, typer.Option(help="Number of dimensions to keep.", show_default=False)]
Power = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="1 whitens, 0 only rotates and truncates (PCA); 1 by default.", show_default=False),
]
WhiteningFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Apply a saved whitening.")]
SaveWhitening = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Save the learned whitening to this file (.safetensors).")
]


def whiten(
    out: OutPath,
    stored: SetPath,
    learn_on: LearnOn = None,
    dim: Dim = None,
    power: Power = None,
    whitening: WhiteningFile = None,
    save_whitening: SaveWhitening = None,
    dtype: Dtype = Precision.float32,
) -> None:
    """Whiten a set, with a whitening that is learned now (--learn-on, --dim) or was saved earlier (--whitening).

    Whiten queries and index with the same file: sets with different whitenings cannot be compared.
    """
    from landmarks.api import choose_whitening
    from landmarks.retrieval import DescriptorSet, whiten_set
    from landmarks.retrieval import save_whitening as save

    with set_endings() as stderr:
        source = DescriptorSet.open(stored)
        learned = choose_whitening(learn_on, dim, power, whitening, save_whitening)
        origin = f"{learned.protocol.data} {learned.protocol.split}".strip() or "a set without a name"
        stderr.print(
            f"Whitening {learned.hash}: {learned.dim} of {len(learned.mean)} dimensions with {learned.explained:.1%} "
            f"of the variance, power {learned.power:g}, learned on {origin}",
            markup=False,
        )
        whitened = whiten_set(out, source, learned, dtype.value)
        if save_whitening is not None:
            save(learned, save_whitening)
        print_sets([whitened])


app = typer.Typer(
    help="Show descriptor sets, join those of several models, whiten them.",
    no_args_is_help=True,
)
for command in (show, join, whiten):
    app.command()(command)
