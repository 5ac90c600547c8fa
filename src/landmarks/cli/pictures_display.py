"""Tables and JSON of what a model says of single pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from landmarks.errors import shown

if TYPE_CHECKING:
    from landmarks.interop.single_images import LandmarkClass

Size = tuple[int, int]
"""Height and width, pixels."""


def print_json(
    model: Path, name: str, task: str, results: Sequence[dict[str, Any]], more: Mapping[str, Any] | None = None
) -> None:
    """Print one object, numbers with all digits."""
    found = {"model": str(model), "name": name, "task": task, **(more or {}), "results": results}
    typer.echo(json.dumps(found, indent=1))


def picture_entry(path: Path, sizes: Mapping[Path, Size]) -> dict[str, Any]:
    """What JSON says of every picture."""
    return {"picture": str(path), "width": sizes[path][1], "height": sizes[path][0]}


def print_similarities(
    name: str, paths: Sequence[Path], sizes: Mapping[Path, Size], seen: Mapping[Path, Size], cosines: Sequence[float]
) -> None:
    """Print a table of the cosines of the first picture with the others; `seen` are the sizes the network saw."""
    table = Table(title=Text(f"Similarity by {name}"), title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("cosine", "pixels", "seen at"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("picture", overflow="fold")
    for path, cosine in zip(paths, ["the first", *(f"{cosine:.4f}" for cosine in cosines)], strict=True):
        table.add_row(cosine, _size(sizes[path]), _size(seen[path]), Text(shown(path)))
    Console(highlight=False).print(table)


def print_landmarks(
    paths: Sequence[Path], found: Sequence[Sequence["LandmarkClass"]], scores: Sequence[Sequence[float]]
) -> None:
    """Print a table of the likeliest landmarks of each picture."""
    for path, row, row_scores in zip(paths, found, scores, strict=True):
        table = _table("rank", "score", "label", "landmark id", words="category")
        for rank, (one, score) in enumerate(zip(row, row_scores, strict=True), start=1):
            number = "" if one.landmark_id is None else str(one.landmark_id)
            table.add_row(str(rank), f"{score:.4f}", str(one.label), number, Text(one.category or ""))
        _print_below(shown(path), table)


def print_boxes(results: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the boxes of each picture, of the entries of the JSON."""
    for result in results:
        drawn = f" → {shown(result['drawn'])}" if result["drawn"] else ""
        table = _table("score", "x", "y", "width", "height", words="class")
        for found in result["boxes"]:
            table.add_row(f"{found['score']:.4f}", *(f"{side:.1f}" for side in found["bbox"]), Text(found["title"]))
        heading = f"{shown(result['picture'])}, {result['width']} x {result['height']}{drawn}"
        _print_below(heading, table if result["boxes"] else "  nothing found\n")


def _print_below(heading: str, content: Table | str) -> None:
    """Print under a line that is never folded, so that it can be copied."""
    console = Console(highlight=False)
    console.print(Text(heading, style="bold"), soft_wrap=True)
    console.print(content)


def _table(*numbers: str, words: str) -> Table:
    """Columns of numbers, and one of words that are folded where they are too long."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(words, overflow="fold")
    return table


def _size(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
