"""`landmarks import-paddle`: convert the published Paddle weights to a model file."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from landmarks.cli.console import named_endings
from landmarks.config import suggest
from landmarks.interop import Variables, check_new_file, open_variables
from landmarks.models import PUBLISHED_MODELS
from landmarks.progress import BYTES, show_progress
from landmarks.terminal import Console

if TYPE_CHECKING:
    from landmarks.models import ModelRecord


def _known(name: str) -> str:
    if name not in PUBLISHED_MODELS:
        raise typer.BadParameter(f"there is no published model {name}{suggest(name, list(PUBLISHED_MODELS))}")
    return name


Name = Annotated[str, typer.Argument(metavar="NAME", callback=_known, help=f"One of {', '.join(PUBLISHED_MODELS)}.")]
Source = Annotated[
    Path,
    typer.Argument(
        metavar="SRC", help="Folder with one file for each variable, or with the two files `model` and `params`."
    ),
]
Target = Annotated[Path, typer.Argument(metavar="DST", help="The new model file, `.safetensors`.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="For a classifier: the landmark_id of each class, one a line, or CSV with columns class,landmark_id.",
    ),
]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="The data set's train_label_to_category.csv, for readable names of landmarks."),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out variables that are not weights of the network, by a shell pattern such as '*_velocity_0'. Can "
        "be given several times.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace DST if it exists.")]


def import_paddle(
    name: Name,
    src: Source,
    dst: Target,
    labels: Labels = None,
    categories: Categories = None,
    leave_out: LeaveOut = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert published weights to a model file: `landmarks import-paddle res200_arcmargin SRC res200.safetensors`.

    Every variable is used once and every parameter is filled once. Variables that are missing, unexpected or of another
    shape are listed, and nothing is written then. PaddlePaddle is not needed.
    """
    with named_endings() as stderr:
        check_new_file(dst, ".safetensors", src, overwrite)
        # Imported here, because polars, which reads the categories, would delay the start of every other command.
        from landmarks.interop import read_class_names

        names = read_class_names(name, labels, categories)
        variables = open_variables(src, leave_out or ())
        from landmarks.interop import import_published

        with show_progress(stderr) as progress:

            def watch(done: int) -> None:
                progress.show(f"Reading {src.name}", done, variables.nbytes, BYTES)

            record = import_published(name, variables, dst, names, watch)
    Console(soft_wrap=True, highlight=False).print("\n".join(_summary(record, variables, dst)), markup=False)


def _summary(record: "ModelRecord", variables: Variables, dst: Path) -> list[str]:
    left_out = f", {variables.left_out:,} left out" if variables.left_out else ""
    lines = [
        f"{record.name}: {len(variables.stored):,} variables ({variables.layout} layout{left_out}), "
        f"{variables.numbers:,} numbers, in {dst} ({decimal(dst.stat().st_size)})"
    ]
    file = shlex.quote(str(dst))
    if record.task == "retrieval":
        return [*lines, f"Compare two images: landmarks similarity {file} A.jpg B.jpg"]
    lines.append(f"It classifies {record.classes:,} landmarks. {_named(record.labels, record.titles)}")
    return [*lines, f"Classify an image: landmarks classify {file} IMAGE.jpg"]


def _named(labels: tuple[str, ...], titles: tuple[str, ...]) -> str:
    if not labels:
        return (
            "Their landmark ids are unknown, so answers will be numbers of classes. Import again with --labels FILE, "
            "the landmark_id of each class, if you have it."
        )
    if not titles:
        return "Their landmark ids are known; --categories train_label_to_category.csv adds their names."
    if unnamed := titles.count(""):
        return f"Their landmark ids are known, and the names of all but {unnamed:,}."
    return "Their landmark ids and names are known."
