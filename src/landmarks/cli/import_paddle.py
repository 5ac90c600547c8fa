"""`landmarks import-paddle`: the published weights, as they were published, to a model file."""

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
        raise typer.BadParameter(f"there is no {name}{suggest(name, list(PUBLISHED_MODELS))}")
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
        help="Of a classifier: the landmark_id of each class, one a line, or CSV with the columns class,landmark_id.",
    ),
]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="The data set's train_label_to_category.csv; names landmarks for people."),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out variables that are no weights, by a pattern as in a shell, such as '*_velocity_0'. May be "
        "given again.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over DST if it exists.")]


def import_paddle(
    name: Name,
    src: Source,
    dst: Target,
    labels: Labels = None,
    categories: Categories = None,
    leave_out: LeaveOut = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a model file of published weights: `landmarks import-paddle res200_arcmargin SRC res200.safetensors`.

    Every variable is used once and every parameter filled once; whatever is missing, extra or of another shape is
    listed, and nothing is written then. The framework that wrote them is not needed.
    """
    with named_endings() as stderr:
        check_new_file(dst, ".safetensors", src, overwrite)
        # polars, which reads the categories, would make every other command start later
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
    lines.append(f"It tells {record.classes:,} landmarks apart. {_named(record.labels, record.titles)}")
    return [*lines, f"Name what is in an image: landmarks classify {file} IMAGE.jpg"]


def _named(labels: tuple[str, ...], titles: tuple[str, ...]) -> str:
    if not labels:
        return (
            "The weights do not say which: answers will be numbers of classes. Import again with --labels FILE, the "
            "landmark_id of each class, if you have it."
        )
    if not titles:
        return "Their landmark ids are known; --categories train_label_to_category.csv adds their names."
    if unnamed := titles.count(""):
        return f"Their landmark ids are known, and the names of all but {unnamed:,}."
    return "Their landmark ids and names are known."
