"""Writes a model in one of three formats, and compares what the file computes with the network it was made of.

A file gets its name only when it was opened again and agreed; one that differs leaves nothing behind.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.interop.export.source import Exportable
from landmarks.models.agreement import TOLERANCE, Network, largest_difference, trial_pictures
from landmarks.models.model_file import load_model, write_model
from landmarks.models.onnx_network import OnnxNetwork, onnx_model, to_bytes
from landmarks.models.program import exported_program, in_silence
from landmarks.models.record import ModelRecord

OUTPUTS = {"retrieval": "descriptors", "classification": "logits"}


@dataclass(frozen=True)
class Written:
    """A file that agrees with its network.

    Attributes:
        path: of the file.
        bytes: its size.
        difference: the largest between the two, in spreads of the outputs, see `models.agreement`.
    """

    path: Path
    bytes: int
    difference: float


def write_file(model: Exportable, path: Path, kind: str) -> Written:
    """Write a model and check it.

    Args:
        model: what to write.
        path: where; a file that is there is replaced.
        kind: "safetensors", "onnx" or "torch".

    Raises:
        LandmarksError: the network cannot be written so, the file differs from it, or the folder cannot be written.
    """
    if model.record.task == "detection" and kind != "safetensors":
        raise LandmarksError(
            f"a detector cannot be written as {kind}: how many boxes it works on depends on what it sees, and the two "
            "exporters follow shapes only. Choose --format safetensors"
        )
    with _named_when_done(path) as partial:
        difference = _WRITERS[kind](model, partial)
        size = partial.stat().st_size
    return Written(path, size, difference)


def plain_metadata(record: ModelRecord) -> dict[str, str]:
    """The record as JSON under `landmarks`, and beside it what a program that is not ours needs, key by key."""
    prepared = record.preprocessing
    return record.to_metadata() | {
        "name": record.name,
        "task": record.task,
        "short_side": str(prepared.short_side),
        "resize": prepared.mode,
        "multiple_of": "32",
        "colours": "RGB",
        "mean": json.dumps(prepared.mean),
        "std": json.dumps(prepared.std),
    }


def _write_safetensors(model: Exportable, path: Path) -> float:
    write_model(path, model.record, model.weights, model.head_weights)
    same = _finds_the_same if model.record.task == "detection" else _gives_the_same
    if not same(model.net, load_model(path)):
        raise LandmarksError("the file does not give what the network gives; nothing was written")
    return 0.0


def _write_onnx(model: Exportable, path: Path) -> float:
    made = onnx_model(model.net, OUTPUTS[model.record.task], plain_metadata(model.record))
    path.write_bytes(to_bytes(made))
    return _checked(model.net, OnnxNetwork(path))


def _write_torch(model: Exportable, path: Path) -> float:
    program = exported_program(model.net)
    with in_silence():
        torch.export.save(program, path, extra_files=plain_metadata(model.record))
        opened = torch.export.load(path).module()
    return _checked(model.net, opened)


_WRITERS: dict[str, Callable[[Exportable, Path], float]] = {
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "torch": _write_torch,
}


def _checked(net: nn.Module, other: Network) -> float:
    difference = largest_difference(net, other)
    if difference > TOLERANCE:
        raise LandmarksError(
            f"the file does not give what the network gives: outputs differ by {difference:.1e} of their spread, more "
            f"than {TOLERANCE:g}; nothing was written"
        )
    return difference


def _gives_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Bit for bit."""
    with torch.inference_mode():
        return all(torch.equal(net(images), other(images)) for images in trial_pictures())


def _finds_the_same(net: nn.Module, other: nn.Module) -> bool:
    """Bit for bit, boxes and tensors: an untrained detector may find nothing to compare."""
    pictures = [(images[0] * 50 + 128).clamp(0, 255).to(torch.uint8) for images in trial_pictures()]
    with torch.inference_mode():
        found: list[list[dict[str, Tensor]]] = [one(pictures) for one in (net, other)]
    boxes = all(torch.equal(a[key], b[key]) for a, b in zip(*found, strict=True) for key in a)
    tensors, others = net.state_dict(), other.state_dict()
    return boxes and all(torch.equal(tensors[name], others[name]) for name in tensors)


@contextmanager
def _named_when_done(path: Path) -> Iterator[Path]:
    """A file in a folder beside `path`; it takes its place if the block ends without an error, and goes otherwise."""
    folder = path.with_name(f".{path.name}.partial")  # one name, so that killed runs do not pile them up
    try:
        folder.mkdir(exist_ok=True)
        yield folder / path.name  # archives of torch.export hold the name
        (folder / path.name).replace(path)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
