"""Writes a model as a file of one of three formats: a model file (safetensors), ONNX, or torch.export.

A file gets its name only after it was opened again and its results agree with the network; otherwise it is removed.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from landmarks.errors import LandmarksError
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
    program_multiple,
    to_bytes,
    trial_images,
    write_model,
)

Format = Literal["safetensors", "onnx", "torch"]
# File name suffix of each format.
SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}


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
