"""`landmarks similarity`: compare an image with others."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from landmarks.cli.console import AsJson, Trust, named_endings
from landmarks.cli.images import (
    Device,
    ModelPath,
    Size,
    Where,
    checked,
    followed,
    image_entry,
    name_unreadable,
    numbers_table,
    print_json,
    usable,
)
from landmarks.config import trusted
from landmarks.errors import LandmarksError, shown
from landmarks.terminal import Console

FirstPath = Annotated[Path, typer.Argument(metavar="A", help="The image that the others are compared with.")]
OtherPaths = Annotated[list[Path], typer.Argument(metavar="B [C …]", help="The others, or folders of them.")]


def similarity(
    model: ModelPath,
    first: FirstPath,
    others: OtherPaths,
    as_json: AsJson = False,
    device: Device = Where.auto,
    trust: Trust = None,
) -> None:
    """Compare the first image with the others by the cosine of their descriptors; the most similar come first.

    For a folder, all images in it and in the folders below are compared. Files that cannot be used are skipped and
    listed. `landmarks search` does the same for large folders, and keeps their descriptors.

    With `--json`: `{"model", "name", "task": "similarity", "first": {IMAGE}, "results": [{IMAGE, "cosine"}, …]}`
    with the largest cosine first. `IMAGE` is `"image", "width", "height", "embedded_width", "embedded_height"`:
    the path as given, the size of the upright image, and the size of the network's input, in pixels. `model` is the
    path as given, `name` the name of the model.

    Exit code: 0 all images were compared, 1 some cannot be used, 2 nothing could be done.
    """
    with named_endings() as stderr:
        sizes = checked(model, [first])
        found, bad = usable(model, [*_files(others)], "image to compare it with")
        name_unreadable(stderr, bad, len(found) + len(bad), "other image")
        from landmarks.interop import embed_images, similarities
        from landmarks.models import open_model

        embedder = open_model(model, "descriptors", device.value, onnx=True, trust=trusted(trust))
        given = list(found)
        cosines = similarities(embed_images(embedder, followed([first, *given], stderr)))
        order = (-cosines).argsort(kind="stable").tolist()
        sizes |= found
        paths, values = [first, *(given[row] for row in order)], [float(cosines[row]) for row in order]
        seen = {path: embedder.preprocessing.shape(*size) for path, size in sizes.items()}
    if as_json:
        entries = [
            {**image_entry(path, sizes), "embedded_width": seen[path][1], "embedded_height": seen[path][0]}
            for path in paths
        ]
        results = [{**entry, "cosine": cosine} for entry, cosine in zip(entries[1:], values, strict=True)]
        print_json(model, embedder.name, "similarity", results, {"first": entries[0]})
    else:
        _print_cosines(embedder.name, paths, sizes, seen, values)
    if bad:
        raise typer.Exit(1)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    from landmarks.data import find_images

    for path in paths:
        if path.is_dir() and not (images := find_images(path)):
            raise LandmarksError(f"{shown(path)}: holds no image of a known format, nor do the folders below it")
        yield from images if path.is_dir() else [path]


def _print_cosines(
    name: str, paths: Sequence[Path], sizes: Mapping[Path, Size], seen: Mapping[Path, Size], cosines: Sequence[float]
) -> None:
    """Print a table of the cosines of the first image with the others; `seen` are the sizes of the network's input."""
    table = numbers_table("cosine", "pixels", "seen at", words="image")
    table.title, table.title_justify = Text(f"Similarity by {name}"), "left"
    for path, cosine in zip(paths, ["the first", *(f"{cosine:.4f}" for cosine in cosines)], strict=True):
        table.add_row(cosine, _size(sizes[path]), _size(seen[path]), Text(shown(path)))
    Console(highlight=False).print(table)


def _size(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
