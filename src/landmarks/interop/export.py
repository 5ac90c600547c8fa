"""`landmarks export`: write a trained model as one file: a model file (safetensors), ONNX, or torch.export.

A file gets its name only after it was opened again and its results agree with the network; otherwise it is removed.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from landmarks.data import read_categories, titles_of
from landmarks.errors import LandmarksError
from landmarks.interop.new_files import check_new_file
from landmarks.interop.pretrained import compose_network, open_pretrained
from landmarks.models import (
    OUTPUTS,
    TOLERANCE,
    ModelRecord,
    Network,
    OnnxNetwork,
    OpenedModel,
    exported_program,
    in_silence,
    largest_difference,
    load_model,
    onnx_model,
    open_model,
    program_multiple,
    to_bytes,
    trial_images,
    weights_hash,
    write_model,
)

Asked = Literal["retrieval", "classification"]
Format = Literal["safetensors", "onnx", "torch"]
SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}
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


def write_file(model: OpenedModel, path: Path, kind: str) -> float:
    """Write a model as a file and check it; an existing file is replaced.

    Args:
        model: The model, from `open_source` or `open_pretrained`.
        path: The new file.
        kind: "safetensors", "onnx" or "torch".

    Returns:
        The largest difference between file and network, see `models.agreement`.

    Raises:
        LandmarksError: The file cannot be written, or differs from the network.
    """
    if model.record.task == "detection" and kind != "safetensors":
        raise LandmarksError(
            f"a detector cannot be written as {kind}: the number of its boxes depends on the image, and the exporters "
            "need fixed shapes. Choose --format safetensors"
        )
    with _named_when_done(path) as partial:
        return _WRITERS[kind](model, partial)


def plain_metadata(record: ModelRecord) -> dict[str, str]:
    """Return the metadata of a file: the record as JSON under `landmarks`, and plain keys for other programs."""
    prepared = record.preprocessing
    return record.to_metadata() | {
        "name": record.name,
        "task": record.task,
        "short_side": str(prepared.short_side),
        "resize": prepared.mode,
        "multiple_of": str(program_multiple(prepared)),
        "colours": "RGB",
        "mean": json.dumps(prepared.mean),
        "std": json.dumps(prepared.std),
    }


def _write_safetensors(model: OpenedModel, path: Path) -> float:
    head = None if model.head is None else model.head.state_dict()
    write_model(path, model.record, model.network.state_dict(), head, model.trust)
    same = _finds_the_same if model.record.task == "detection" else _gives_the_same
    if not same(model.whole, load_model(path, model.trust)):
        raise LandmarksError("the results of the file differ from those of the network; nothing was written")
    return 0.0


def _write_onnx(model: OpenedModel, path: Path) -> float:
    multiple = program_multiple(model.preprocessing)
    made = onnx_model(model.whole, OUTPUTS[model.record.task], plain_metadata(model.record), multiple)
    path.write_bytes(to_bytes(made))
    return _checked(model.whole, OnnxNetwork(path), multiple)


def _write_torch(model: OpenedModel, path: Path) -> float:
    multiple = program_multiple(model.preprocessing)
    program = exported_program(model.whole, multiple)
    with in_silence():
        torch.export.save(program, path, extra_files=plain_metadata(model.record))
        opened = torch.export.load(path).module()
    return _checked(model.whole, opened, multiple)


_WRITERS: dict[str, Callable[[OpenedModel, Path], float]] = {
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "torch": _write_torch,
}


def _checked(net: nn.Module, other: Network, multiple: int) -> float:
    difference = largest_difference(net, other, multiple)
    if difference > TOLERANCE:
        raise LandmarksError(
            f"the results of the file differ from those of the network by {difference:.1e} of their spread, more than "
            f"{TOLERANCE:g}; nothing was written"
        )
    return difference


def _gives_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Return whether the outputs of two networks are equal bit for bit."""
    with torch.inference_mode():
        return all(torch.equal(net(images), other(images)) for images in trial_images())


def _finds_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Return whether boxes and weights of two detectors are equal; an untrained one may find no boxes to compare."""
    images = [(batch[0] * 50 + 128).clamp(0, 255).to(torch.uint8) for batch in trial_images()]
    with torch.inference_mode():
        found: list[list[dict[str, Tensor]]] = [one(images) for one in (net, other)]
    boxes = all(torch.equal(a[key], b[key]) for a, b in zip(*found, strict=True) for key in a)
    tensors, others = net.state_dict(), other.state_dict()
    return boxes and all(torch.equal(tensors[name], others[name]) for name in tensors)


@contextmanager
def _named_when_done(path: Path) -> Iterator[Path]:
    """Yield a file in a folder beside `path`, which is moved to `path` if the block ends without an error."""
    folder = path.with_name(f".{path.name}.partial")  # always the same name, so that killed runs leave only one
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder / path.name  # with the final name, which is stored in archives of torch.export
        (folder / path.name).replace(path)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
