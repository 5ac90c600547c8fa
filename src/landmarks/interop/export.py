"""`landmarks export`: a trained model as one file, a safetensors file of ours, ONNX, or a program of torch.export.

A file gets its name only when it was opened again and agreed with the network; one that differs leaves nothing behind.
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
"""Names that checkpoints of all runs have."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, what it says of itself, and its largest difference from the network."""

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
        kind: Of the file.
        out: The file; by default beside the model, with the ending of its kind.
        task: See `open_source`, as the next two.
        name: What the file says it is.
        categories: `train_label_to_category.csv`.
        overwrite: Replace a file that is there.
        trust: As of `landmarks.models.open_model`.

    Raises:
        LandmarksError: It is no model, or the file cannot be written or does not agree; nothing is written then.
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
    """Write pretrained weights alone as one file, without a training before, and compare it with the network.

    Args:
        choice: A network of the group `model`, such as "timm".
        pretrained: True fetches timm's weights, a path takes a file of them.
        values: Overrides of the network, such as "model.name=resnet26d".
        kind: Of the file.
        out: The file; by default in the working directory, called as its record is.
        name: What the file says it is; by default the name of the network.
        image_size: As of `open_pretrained`.
        overwrite: Replace a file that is there.

    Raises:
        LandmarksError: The network cannot be built or its weights cannot be had, or as of `export_model`.
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
    """Open a model for export; its record is what the new file will say of itself.

    Args:
        path: Of a checkpoint or a model file.
        task: By default that of a model file, else what the loss says, see `ClassHead.exports_as`.
        name: By default that of the file, or of the run.
        categories: `train_label_to_category.csv`, which gives classes titles for people.
        trust: As of `landmarks.models.open_model`.
    """
    model = open_model(path, trust=trust)
    if model.record.task == "detection":
        if task is not None:
            raise LandmarksError(f"{path} is a detector: leave --task out")
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
    """Write a model as a file of kind "safetensors", "onnx" or "torch", over one that is there, and check it.

    Returns the largest difference between file and network, see `models.agreement`.
    """
    if model.record.task == "detection" and kind != "safetensors":
        raise LandmarksError(
            f"a detector cannot be written as {kind}: how many boxes it works on depends on what it sees, and the two "
            "exporters follow shapes only. Choose --format safetensors"
        )
    with _named_when_done(path) as partial:
        return _WRITERS[kind](model, partial)


def plain_metadata(record: ModelRecord) -> dict[str, str]:
    """The record as JSON under `landmarks`, and beside it what a program that is not ours needs, key by key."""
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
        raise LandmarksError("the file does not give what the network gives; nothing was written")
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
            f"the file does not give what the network gives: outputs differ by {difference:.1e} of their spread, more "
            f"than {TOLERANCE:g}; nothing was written"
        )
    return difference


def _gives_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Bit for bit."""
    with torch.inference_mode():
        return all(torch.equal(net(images), other(images)) for images in trial_images())


def _finds_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Bit for bit, boxes and tensors: an untrained detector may find nothing to compare."""
    images = [(batch[0] * 50 + 128).clamp(0, 255).to(torch.uint8) for batch in trial_images()]
    with torch.inference_mode():
        found: list[list[dict[str, Tensor]]] = [one(images) for one in (net, other)]
    boxes = all(torch.equal(a[key], b[key]) for a, b in zip(*found, strict=True) for key in a)
    tensors, others = net.state_dict(), other.state_dict()
    return boxes and all(torch.equal(tensors[name], others[name]) for name in tensors)


@contextmanager
def _named_when_done(path: Path) -> Iterator[Path]:
    """A file in a folder beside `path`; it takes its place if the block ends without an error, and goes otherwise."""
    folder = path.with_name(f".{path.name}.partial")  # one name, so that killed runs do not pile them up
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder / path.name  # archives of torch.export hold the name
        (folder / path.name).replace(path)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
