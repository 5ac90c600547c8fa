"""`landmarks export`: write a trained model as one file, for this package or for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from landmarks.cli.console import Trust, named_endings
from landmarks.config import trusted
from landmarks.errors import LandmarksError
from landmarks.terminal import Console

if TYPE_CHECKING:
    from landmarks.interop import Asked


class Format(StrEnum):
    """Format of the file."""

    safetensors = "safetensors"
    onnx = "onnx"
    torch = "torch"


class TaskChoice(StrEnum):
    """Task of the file."""

    retrieval = "retrieval"
    classification = "classification"


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL | KEY=VALUE…",
        help="A checkpoint (.ckpt) or a model file (.safetensors); with --model settings of the network, such as "
        "name=resnet26d.",
        show_default=False,
    ),
]
Choice = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="CHOICE",
        help="Instead of MODEL: a network of `train model=…`, such as timm.",
        show_default=False,
    ),
]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="For --model: download timm's weights.")]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="For --model: read the weights from a file.", show_default=False)
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=1, help="For --model: short side in pixels; by default that of timm's weights.", show_default=False
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", help="safetensors: a model file of this package; onnx: ONNX; torch: torch.export."),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The new file; by default beside MODEL, with the suffix of the format."),
]
TaskOption = Annotated[
    TaskChoice | None,
    typer.Option("--task", help="Task of the file; by default that of the loss.", show_default=False),
]
Name = Annotated[str | None, typer.Option(help="Name of the model in the file; by default the name of the run.")]
Categories = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="train_label_to_category.csv of Google Landmarks v2: names of the classes."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]


def export(
    words: Words = None,
    kind: FormatOption = Format.safetensors,
    out: Out = None,
    task: TaskOption = None,
    name: Name = None,
    categories: Categories = None,
    overwrite: Overwrite = False,
    trust: Trust = None,
    choice: Choice = None,
    pretrained: Pretrained = False,
    weights: Weights = None,
    image_size: ImageSize = None,
) -> None:
    """Write a model as one file, and check that its results agree with the network.

    ONNX and torch.export files take any number of images of any size in multiples of 32 pixels, normalised as described
    in their metadata. They run without this package.

    `--model` makes a file of pretrained weights without training: `landmarks export --model timm name=resnet26d
    --pretrained`. Its descriptors are the pooled features, unless the weights have a descriptor layer (`dim=512`).
    """
    with named_endings() as stderr:
        given = words or []
        if choice is None:
            if pretrained or weights is not None or image_size is not None:
                raise LandmarksError("--pretrained, --weights and --image-size are for --model: name the network")
            if len(given) != 1:
                raise LandmarksError("name one MODEL: a checkpoint (.ckpt) or a model file (.safetensors); or --model")
        else:
            if task is TaskChoice.classification or categories is not None:
                raise LandmarksError(
                    "--model: pretrained weights cannot classify landmarks; leave out --task and --categories"
                )
            if pretrained == (weights is not None):
                raise LandmarksError("--model: name the weights by --pretrained or --weights FILE")
        with stderr.status(f"Exporting {escape(choice or given[0])}"):
            from landmarks.interop import export_model, export_pretrained

            if choice is None:
                asked: Asked | None = None if task is None else task.value
                made = export_model(Path(given[0]), kind.value, out, asked, name, categories, overwrite, trusted(trust))
            else:
                values = [one if one.startswith("model.") else f"model.{one}" for one in given]
                made = export_pretrained(choice, weights or True, values, kind.value, out, name, image_size, overwrite)
    record = made.record
    classes = f", {record.classes} classes" if record.classes else ""
    agrees = (
        "gives bit for bit the same as the network"
        if made.difference == 0
        else f"differs from the network by at most {made.difference:.1e} of the spread of its outputs"
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(str(made.path))}[/]  {made.path.stat().st_size / 2**20:,.1f} MiB")
    console.print(f"{record.name}: {record.task}{classes}; {agrees}", markup=False)
