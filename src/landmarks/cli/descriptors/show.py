"""`landmarks descriptors show`: what descriptor sets are of, and what the commands on them share."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from landmarks.cli.endings import logged, named_endings

if TYPE_CHECKING:
    from landmarks.retrieval import DescriptorSet


class Precision(StrEnum):
    """How numbers are stored."""

    float32 = "float32"
    float16 = "float16"


SetPaths = Annotated[list[Path], typer.Argument(metavar="SET…", help="Folders of descriptor sets.")]
OutPath = Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the new set; must not exist yet.")]
Dtype = Annotated[Precision, typer.Option(help="How the new set is stored.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def show(sets: SetPaths, as_json: AsJson = False) -> None:
    """Print rows, size and protocol of descriptor sets, and whether they may be compared with the first."""
    from landmarks.retrieval import DescriptorSet

    with set_endings():
        opened = [DescriptorSet.open(path) for path in sets]
    if as_json:
        typer.echo(json.dumps([{**_size(one), "protocol": asdict(one.protocol)} for one in opened], indent=1))
    else:
        print_sets(opened)


@contextmanager
def set_endings() -> Iterator[Console]:
    """Give the console of stderr, where mistakes, warnings and progress are shown."""
    stderr = Console(stderr=True, soft_wrap=True, highlight=False)
    with logged(stderr), named_endings(stderr, "What was written is kept; the same command goes on from there."):
        yield stderr


def print_sets(sets: "Sequence[DescriptorSet]") -> None:
    """Print a table of rows, sizes and protocols, a column a set."""
    from rich.filesize import decimal
    from rich.table import Table

    protocols = [asdict(described.protocol) for described in sets]
    sizes = [{**_size(described), "bytes": decimal(_size(described)["bytes"])} for described in sets]
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


def _size(described: "DescriptorSet") -> dict[str, Any]:
    matrix = described.descriptors
    return {
        "name": described.name,
        "rows": len(described),
        "dim": described.dim,
        "dtype": matrix.dtype.name,
        "bytes": matrix.nbytes + described.ids.nbytes,
    }
