"""`landmarks heatmap`: what the local branch of a model attends to."""

from pathlib import Path
from typing import Annotated

import typer

from landmarks.cli.console import Trust, named_endings
from landmarks.cli.images import Device, ImagePaths, ModelPath, Where, checked, followed
from landmarks.config import trusted
from landmarks.errors import shown

Out = Annotated[Path, typer.Option(metavar="PNG", help="The file to write; it must not exist yet.")]


def heatmap(
    model: ModelPath,
    images: ImagePaths,
    out: Out = Path("heatmap.png"),
    device: Device = Where.auto,
    trust: Trust = None,
) -> None:
    """Draw images beside the attention of a model with a local branch, on one sheet.

    Colours go from the lowest to the highest attention of each image; both numbers stand below it. For a model that was
    trained with `model.local_dim`.
    """
    with named_endings() as stderr:
        checked(model, images)
        from landmarks.api import heatmap as draw

        written = draw(model, list(followed(images, stderr)), out, device=device.value, trust=trusted(trust))
    typer.echo(shown(written))
