"""`landmarks export`: a trained model as one file, for us or for other programs."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from omegaconf import OmegaConf, open_dict
from rich.console import Console
from rich.markup import escape

from landmarks.cli.console import Trust, check_new_file, named_endings, trusted
from landmarks.config import config_root, import_from_here, register_resolvers, register_search_path, targets_in
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

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL | KEY=VALUE…",
        help="A checkpoint (.ckpt) or a model file (.safetensors); with --model values of the network, such as "
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
Pretrained = Annotated[bool, typer.Option("--pretrained", help="For --model: with timm's weights.")]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="For --model: with the weights of a file.", show_default=False)
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=1, help="For --model: short side, pixels; by default what timm's weights were made for.", show_default=False
    ),
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
    """Write a model as one file, and check on the spot that it gives what the network gives.

    ONNX and torch.export take any number of pictures of any size, in multiples of 32 pixels; normalised as the file
    says, in its metadata. They need none of our code.

    `--model` makes a file of pretrained weights alone: `landmarks export --model timm name=resnet26d --pretrained`. Its
    descriptors are the pooled features, unless the weights have a descriptor layer (`dim=512`).
    """
    with named_endings() as stderr:
        given = words or []
        if choice is None:
            if pretrained or weights is not None or image_size is not None:
                raise LandmarksError("--pretrained, --weights and --image-size are for --model: name the network")
            if len(given) != 1:
                raise LandmarksError("name one MODEL: a checkpoint (.ckpt) or a model file (.safetensors); or --model")
            model = Path(given[0])
            _check_model(model)
        else:
            if task is TaskChoice.classification or categories is not None:
                raise LandmarksError(
                    "--model: pretrained weights alone tell no landmarks apart; leave out --task and --categories"
                )
            if pretrained == (weights is not None):
                raise LandmarksError("--model: say where the weights come from, by --pretrained or --weights FILE")
            model = weights or Path(choice)
        if categories is not None and not categories.is_file():
            raise LandmarksError(f"--categories {categories}: there is no such file")
        if out is not None:
            check_new_file(out, SUFFIXES[kind], model, overwrite)
        with stderr.status(f"Opening {model}"):
            from landmarks.interop import open_pretrained, open_source, write_file

            if choice is None:
                source = open_source(model, None if task is None else task.value, name, categories, trusted(trust))
            else:
                node = _composed(choice, weights, given)
                source = open_pretrained(node, name or str(node.get("name", choice)), image_size)
        if out is None:
            out = (
                _beside(model, source.record.name, kind)
                if choice is None
                else Path(_stem(source.record.name) + SUFFIXES[kind])
            )
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
        console.print(f"[bold]{escape(str(out))}[/]  {out.stat().st_size / 2**20:,.1f} MiB")
        console.print(f"{record.name}: {record.task}{classes}; {agrees}", markup=False)


def _composed(choice: str, weights: Path | None, given: list[str]) -> Any:
    """Compose a network as `landmarks train` does, with the pooled features for descriptors."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from landmarks.cli.hydra_main import explain

    register_search_path()
    register_resolvers()
    values = [one if one.startswith("model.") else f"model.{one}" for one in given]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
            config = compose("train", [f"model={choice}", *values])
    except (HydraException, OmegaConfBaseException) as error:
        raise LandmarksError(explain(error)) from None
    finally:
        GlobalHydra.instance().clear()
    node = config.model
    with open_dict(node):
        node.pretrained = True if weights is None else str(weights)
        if "dim" in node and not any(one.startswith("model.dim=") for one in values):
            node.dim = None
    if missing := [f"model.{key}" for key in node if OmegaConf.is_missing(node, key)]:
        raise LandmarksError(f"--model {choice} needs a value: {', '.join(f'{key}=…' for key in missing)}")
    import_from_here(targets_in(OmegaConf.to_container(node)))
    return node


def _check_model(model: Path) -> None:
    if not model.is_file():
        raise LandmarksError(f"{model}: there is no such file")
    if model.suffix not in (".ckpt", ".safetensors"):
        raise LandmarksError(f"{model}: expected a checkpoint (.ckpt) or a model file (.safetensors)")


def _beside(model: Path, name: str, kind: Format) -> Path:
    return model.with_name((_stem(name) if model.stem in OF_A_RUN else model.stem) + SUFFIXES[kind])


def _stem(name: str) -> str:
    return re.sub(r"[^\w.,=+-]+", "-", name).strip("-.") or "model"
