"""`landmarks export`: a trained model as one file, for us or for other programs."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from landmarks.cli.console import Trust, check_new_file, named_endings, trusted
from landmarks.errors import LandmarksError


class Format(StrEnum):
    """What is written."""

    safetensors = "safetensors"
    onnx = "onnx"
    torch = "torch"


class TaskChoice(StrEnum):
    """What the file is for."""

    retrieval = "retrieval"
    classification = "classification"


SUFFIXES = {Format.safetensors: ".safetensors", Format.onnx: ".onnx", Format.torch: ".pt2"}
OF_A_RUN = ("best", "last")
"""Names that checkpoints of all runs have."""

ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A checkpoint (.ckpt) or a model file (.safetensors).")
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", help="safetensors: a model file of this program; onnx; torch: of torch.export."),
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="By default beside MODEL, with the ending of the format.")
]
TaskOption = Annotated[
    TaskChoice | None,
    typer.Option("--task", help="By default what the loss is for.", show_default=False),
]
Name = Annotated[str | None, typer.Option(help="What the file says it is; by default the name of the run.")]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="train_label_to_category.csv of Google Landmarks v2: names of the classes."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def export(
    model: ModelPath,
    kind: FormatOption = Format.safetensors,
    out: Out = None,
    task: TaskOption = None,
    name: Name = None,
    categories: Categories = None,
    overwrite: Overwrite = False,
    trust: Trust = None,
) -> None:
    """Write a model as one file, and check on the spot that it gives what the network gives.

    ONNX and torch.export take any number of pictures of any size, in multiples of 32 pixels; normalised as the file
    says, in its metadata. They need none of our code.
    """
    with named_endings() as stderr:
        _check_model(model)
        if categories is not None and not categories.is_file():
            raise LandmarksError(f"--categories {categories}: there is no such file")
        if out is not None:
            check_new_file(out, SUFFIXES[kind], model, overwrite)
        with stderr.status(f"Opening {model}"):
            from landmarks.interop import open_source, write_file

            source = open_source(model, None if task is None else task.value, name, categories, trusted(trust))
        if out is None:
            out = _beside(model, source.record.name, kind)
            check_new_file(out, SUFFIXES[kind], model, overwrite)
        with stderr.status(f"Writing {out} and comparing it with the network"):
            difference = write_file(source, out, kind.value)
        record = source.record
        classes = f", {record.classes} classes" if record.classes else ""
        agrees = (
            "bit for bit what the network gives"
            if difference == 0
            else f"differs from the network by at most {difference:.1e} of the spread of its outputs"
        )
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"[bold]{out}[/]  {out.stat().st_size / 2**20:,.1f} MiB")
        console.print(f"{record.name}: {record.task}{classes}; {agrees}", markup=False)


def _check_model(model: Path) -> None:
    if not model.is_file():
        raise LandmarksError(f"{model}: there is no such file")
    if model.suffix not in (".ckpt", ".safetensors"):
        raise LandmarksError(f"{model}: expected a checkpoint (.ckpt) or a model file (.safetensors)")


def _beside(model: Path, name: str, kind: Format) -> Path:
    stem = re.sub(r"[^\w.,=+-]+", "-", name).strip("-.") or "model"
    return model.with_name((stem if model.stem in OF_A_RUN else model.stem) + SUFFIXES[kind])
