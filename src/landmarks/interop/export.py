"""`landmarks export`: which model becomes a file, with which record, and where the file lies."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from landmarks.data import read_categories, titles_of
from landmarks.errors import LandmarksError
from landmarks.interop.model_formats import SUFFIXES, Format, write_file
from landmarks.interop.new_files import check_new_file
from landmarks.interop.pretrained import compose_network, open_pretrained
from landmarks.models import ModelRecord, OpenedModel, open_model, weights_hash

Asked = Literal["retrieval", "classification"]
OF_A_RUN = ("best", "last")
"""Names of checkpoints in every run, which say nothing about the model."""


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: Path of the file.
        record: The record in the file.
        difference: Largest difference of its outputs from the network's, in spreads (see `models.agreement`).
    """

    path: Path
    record: ModelRecord
    difference: float


def export_model(
    model: Path,
    kind: Format = "safetensors",
    out: Path | None = None,
    task: Asked | None = None,
    name: str | None = None,
    categories: Path | None = None,
    overwrite: bool = False,
    trust: Iterable[str] = (),
) -> Exported:
    """Write a model as one file and compare it with the network.

    Args:
        model: A checkpoint or a model file.
        kind: Format of the new file.
        out: The new file; by default beside the model, with the suffix of its format.
        task: See `open_source`.
        name: See `open_source`.
        categories: See `open_source`.
        overwrite: Replace an existing file.
        trust: See `landmarks.models.open_model`.

    Raises:
        LandmarksError: The model cannot be opened, or the file cannot be written or differs from the network; nothing
            is written then.
    """
    if not model.is_file():
        raise LandmarksError(f"{model}: there is no such file")
    if model.suffix not in (".ckpt", ".safetensors"):
        raise LandmarksError(f"{model}: expected a checkpoint (.ckpt) or a model file (.safetensors)")
    if categories is not None and not categories.is_file():
        raise LandmarksError(f"--categories {categories}: there is no such file")
    if out is not None:
        check_new_file(out, SUFFIXES[kind], model, overwrite)
    source = open_source(model, task, name, categories, trust)
    if out is None:
        stem = _stem(source.record.name) if model.stem in OF_A_RUN else model.stem
        out = model.with_name(stem + SUFFIXES[kind])
        check_new_file(out, SUFFIXES[kind], model, overwrite)
    return Exported(out, source.record, write_file(source, out, kind))


def export_pretrained(
    choice: str,
    pretrained: Literal[True] | Path,
    values: Sequence[str] = (),
    kind: Format = "safetensors",
    out: Path | None = None,
    name: str | None = None,
    image_size: int | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write pretrained weights without training as one file, and compare it with the network.

    Args:
        choice: A network of the config group `model`, such as "timm".
        pretrained: True downloads timm's weights, a path reads them from a file.
        values: Overrides of the network, such as "model.name=resnet26d".
        kind: Format of the new file.
        out: The new file; by default in the working directory, named after the record.
        name: Name of the model in the file; by default the name of the network.
        image_size: See `open_pretrained`.
        overwrite: Replace an existing file.

    Raises:
        LandmarksError: The network cannot be built, its weights are not available, or as for `export_model`.
    """
    weights = Path(choice) if pretrained is True else pretrained
    if out is not None:
        check_new_file(out, SUFFIXES[kind], weights, overwrite)
    node = compose_network(choice, pretrained, values)
    source = open_pretrained(node, name or str(node.get("name", choice)), image_size)
    if out is None:
        out = Path(_stem(source.record.name) + SUFFIXES[kind])
        check_new_file(out, SUFFIXES[kind], weights, overwrite)
    return Exported(out, source.record, write_file(source, out, kind))


def _stem(name: str) -> str:
    return re.sub(r"[^\w.,=+-]+", "-", name).strip("-.") or "model"


def open_source(
    path: Path,
    task: Asked | None = None,
    name: str | None = None,
    categories: Path | None = None,
    trust: Iterable[str] = (),
) -> OpenedModel:
    """Open a model for export, with the record that the new file will have.

    Args:
        path: A checkpoint or a model file.
        task: Task of the new file; by default that of a model file, or that of the loss (`ClassHead.exports_as`).
        name: Name of the model; by default that in the file, or that of the run.
        categories: `train_label_to_category.csv`, for readable titles of classes.
        trust: See `landmarks.models.open_model`.

    Raises:
        LandmarksError: The model cannot be opened, or does not fit the task or the categories.
    """
    model = open_model(path, trust=trust)
    if model.record.task == "detection":
        if task is not None:
            raise LandmarksError(f"{path} is a detector: leave out --task")
    else:
        model = _for_task(model, task)
    record = model.record
    if model.kind == "checkpoint":
        record = replace(record, origin={**record.origin, "weights": weights_hash(model.network)})
    if name is not None:
        record = replace(record, name=name)
    if categories is not None:
        if record.task != "classification":
            raise LandmarksError(f"--categories names landmarks, and {path} is exported for {record.task}")
        record = replace(record, titles=titles_of(record.labels, read_categories(categories), categories))
    return replace(model, record=record)


def _for_task(model: OpenedModel, asked: Asked | None) -> OpenedModel:
    usual = model.record.task if model.kind == "model file" or model.head is None else model.head.exports_as
    task = asked or usual
    if task == "classification":
        if model.head is None:
            raise LandmarksError(
                f"{model.path} has no classifier (loss: {model.loss}): export it with --task retrieval"
            )
        return model
    record = replace(model.record, task="retrieval", head=None, classes=0, labels=(), titles=())
    return replace(model, record=record, head=None)
