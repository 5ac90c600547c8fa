"""`landmarks search`: find the images of a folder that are most similar to query images."""

import csv
import io
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from landmarks.cli.console import AsJson, Trust, named_endings
from landmarks.cli.images import (
    Device,
    ImagePaths,
    ModelPath,
    Size,
    Where,
    followed,
    name_unreadable,
    numbers_table,
    print_below,
    usable,
)
from landmarks.config import trusted
from landmarks.errors import LandmarksError, shown
from landmarks.progress import show_progress
from landmarks.terminal import Console

if TYPE_CHECKING:
    from landmarks.api import ImageSearch

In = Annotated[
    Path,
    typer.Option(
        "--in",
        metavar="FOLDER",
        show_default=False,
        help="A folder of images, searched with all folders below it; or a set that `landmarks extract` wrote.",
    ),
]
Top = Annotated[int, typer.Option(min=1, help="Number of results for each image.")]
PipelineName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="Re-rank the first 100: qe, diffusion, verification … as in `landmarks evaluate pipeline=NAME`.",
    ),
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", show_default=False, help="Also write a page with images.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV: query, rank, path, score.")]
Keep = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        show_default=False,
        help="Keep the descriptors of the folder here; by default in FOLDER/.landmarks or the user's cache.",
    ),
]


def search(
    model: ModelPath,
    images: ImagePaths,
    where: In,
    top: Top = 20,
    pipeline: PipelineName = None,
    html: Html = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    keep: Keep = None,
    device: Device = Where.auto,
    trust: Trust = None,
) -> None:
    """Find the images of a folder that are most similar to query images: paths and scores, best first.

    The folder needs no labels. Its descriptors are kept, and the next search embeds only files that are new or have
    changed. Files that cannot be read are skipped and listed. A query that lies in the folder does not find itself.

    With `--json`: `{"model", "name", "task": "search", "in", "pipeline", "images", "unreadable": [{"path", "reason"},
    …], "results": [{"image", "width", "height", "found": [{"rank", "path", "score"}, …]}, …]}`. `path` is relative to
    the folder, or the id of an image if a set was searched; `images` is the number of images searched.

    Exit code: 0 all queries were used, 1 some of them cannot be used, 2 nothing could be done.
    """
    with named_endings("Descriptors so far are kept; run the same command again to resume.") as stderr:
        if as_json and as_csv:
            raise LandmarksError("--json and --csv exclude each other")
        sizes, bad = usable(model, images, "query image")
        name_unreadable(stderr, bad, len(sizes) + len(bad), "query image")
        if not where.is_dir():
            raise LandmarksError(f"--in {shown(where)}: there is no such folder")
        if html is not None and not html.absolute().parent.is_dir():
            raise LandmarksError(f"--html {shown(html)}: there is no folder {shown(html.absolute().parent)}")
        from landmarks.api import search_images
        from landmarks.models import open_model

        opened = open_model(model, "descriptors", device.value, onnx=True, trust=trusted(trust))

        def follow(paths: Sequence[Path]) -> Iterable[Path]:
            if paths:
                stderr.print(f"Embedding {len(paths):,} new or changed images of {shown(where)}", markup=False)
            return followed(paths, stderr)

        with show_progress(stderr, log_level=logging.WARNING):
            found = search_images(opened, list(sizes), where, top, pipeline=pipeline, keep=keep, follow=follow)
        total = len(found.descriptors) + len(found.unreadable)
        name_unreadable(stderr, found.unreadable, total, "searched image")
        if html is not None:
            _write_page(html, opened.name, where, pipeline, found, list(sizes))
    if as_json:
        _print_json(model, opened.name, where, pipeline, found, sizes)
    elif as_csv:
        _print_csv(found)
    else:
        for query, hits in zip(found.queries, found.hits, strict=True):
            table = numbers_table("rank", "score", words="image")
            for rank, hit in enumerate(hits, start=1):
                table.add_row(str(rank), f"{hit.score:.4f}", Text(shown(hit.path)))
            print_below(f"{query}, in {len(found.descriptors):,} images of {shown(where)}", table)
        if html is not None:
            Console(highlight=False).print(Text(f"The page is {shown(html)}"), soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def _print_json(
    model: Path, name: str, where: Path, pipeline: str | None, found: "ImageSearch", sizes: dict[Path, Size]
) -> None:
    entries = [
        {
            "image": str(path),
            "width": size[1],
            "height": size[0],
            "found": [{"rank": rank, "path": hit.path, "score": hit.score} for rank, hit in enumerate(hits, start=1)],
        }
        for (path, size), hits in zip(sizes.items(), found.hits, strict=True)
    ]
    content: dict[str, Any] = {
        "model": str(model),
        "name": name,
        "task": "search",
        "in": str(where),
        "pipeline": pipeline,
        "images": len(found.descriptors),
        "unreadable": [{"path": str(path), "reason": reason} for path, reason in found.unreadable.items()],
        "results": entries,
    }
    typer.echo(json.dumps(content, indent=1))


def _print_csv(found: "ImageSearch") -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["query", "rank", "path", "score"])
    for query, hits in zip(found.queries, found.hits, strict=True):
        rows.writerows([query, rank, shown(hit.path), f"{hit.score:.6f}"] for rank, hit in enumerate(hits, start=1))
    typer.echo(text.getvalue(), nl=False)


def _write_page(
    html: Path, name: str, where: Path, pipeline: str | None, found: "ImageSearch", queries: Sequence[Path]
) -> None:
    from landmarks.report import Shown, write_search_page

    facts = {"model": name, "searched": f"{len(found.descriptors):,} images of {shown(where)}"}
    if pipeline is not None:
        facts["pipeline"] = pipeline
    results = [
        (Shown(query, "searched for", file), [Shown(shown(hit.path), f"{hit.score:.4f}", hit.file) for hit in hits])
        for query, file, hits in zip(found.queries, queries, found.hits, strict=True)
    ]
    unreadable = {shown(path): reason for path, reason in found.unreadable.items()}
    write_search_page(html, "Images like these", results, facts, unreadable)
