"""Open trained models of every kind: checkpoints of runs, model files, and ONNX files of `landmarks export`.

Opening never runs code from a file: checkpoints are read with `weights_only=True`, and a file can only name networks
and losses of this package, or those that the user trusts by name (`landmarks.models.architecture`). A model of the
wrong kind is refused before its weights are read, except in ONNX files, which ONNX Runtime reads as a whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.checkpoints import model_record, open_checkpoint, open_weights
from landmarks.models.model_file import SUFFIX, Classifier, open_parts, read_record
from landmarks.models.record import ModelRecord

ONNX = ".onnx"

Kind = Literal["checkpoint", "model file", "ONNX file", "pretrained weights"]
Use = Literal["descriptors", "classes", "boxes"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A network with trained weights, and the record of its file.

    Attributes:
        path: Path of the file.
        kind: Kind of the file.
        record: Name, task, architecture, preprocessing, classes and origin. The task of a checkpoint whose loss has
            class weights is classification.
        network: The network in eval mode, from normalised images, float [B, 3, H, W], to descriptors [B, D]. A detector
            takes a list of uint8 [3, H, W] instead. That of an ONNX file for classification gives logits [B, C].
        head: Turns the network's outputs into scores of the record's classes; None if the file has no class weights.
            Class weights of a checkpoint or model file stay memory-mapped until they are used.
        trained_on: The training data, for display.
        trust: Networks and losses that it may name when it is built again, see `open_model`.
    """

    path: Path
    kind: Kind
    record: ModelRecord
    network: nn.Module
    head: ClassHead | None
    trained_on: Any
    trust: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the run that trained the model, or of the model file."""
        return self.record.name

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of images."""
        return self.record.preprocessing

    @property
    def loss(self) -> str:
        """Name of the loss that it was trained with, for display."""
        return self.record.origin.get("loss", str((self.record.head or {}).get("loss", "unknown")).lower())

    @property
    def landmark_names(self) -> tuple[str, ...]:
        """Names of its C classes; empty if it has none."""
        return self.record.labels or tuple(f"class {number}" for number in range(self.record.classes))

    @property
    def whole(self) -> nn.Module:
        """The network, for classification followed by its head, as `models.load_model` returns it."""
        return self.network if self.head is None else Classifier(self.network, self.head).eval()


def chosen_device(device: Device) -> Literal["cpu", "cuda"]:
    """Return the device to compute on, for "auto" a GPU if there is one. Raises LandmarksError if there is no GPU."""
    if device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise LandmarksError("device cuda: torch sees no GPU here; choose the device cpu")
    return "cpu"


def open_model(
    path: str | Path,
    use: Use | None = None,
    device: Device = "cpu",
    onnx: bool = False,
    trust: Iterable[str] = (),
) -> OpenedModel:
    """Open a trained model.

    Args:
        path: A checkpoint of a run, a model file (`.safetensors`), or an ONNX file of `landmarks export`.
        use: What the model is needed for; None accepts every model.
        device: Device to load it to; "auto" uses a GPU if there is one.
        onnx: Accept ONNX files, which can be called, but not trained or exported.
        trust: Networks and losses of your own that the file may name, by their full import paths, such as "mynets.Net";
            nothing else outside this package is imported or called.

    Returns:
        The opened model.

    Raises:
        LandmarksError: There is no such file, it is corrupt or not for this use, or it names a class that is neither
            part of this package nor trusted.
    """
    path, trust = Path(path), tuple([trust] if isinstance(trust, str) else trust)
    if path.suffix == ONNX:
        return _open_onnx(path, use, device, onnx)
    device = chosen_device(device)
    record = read_model_record(path, trust)
    _refuse_other_use(path, record, use)
    trained_on: Any = record.origin.get("trained_on", record.origin)
    kind: Kind = "model file" if path.suffix == SUFFIX else "checkpoint"
    if kind == "model file":
        network, head = open_parts(path, trust)
    else:
        found = open_checkpoint(path, mapped=True)
        record, trained_on = model_record(path, found, trust)
        network, head = open_weights(path, found, record, trust)
    if device == "cuda":
        network, head = network.to("cuda"), head and head.to("cuda")
    return OpenedModel(path, kind, record, network, head, trained_on, trust)


def read_model_record(path: str | Path, trust: Iterable[str] = ()) -> ModelRecord:
    """Read the record of a checkpoint or model file without its weights.

    Args:
        path: A checkpoint or a model file (`.safetensors`).
        trust: See `open_model`.

    Raises:
        LandmarksError: There is no such file, or it is corrupt.
    """
    if Path(path).suffix == SUFFIX:
        return read_record(path)
    return model_record(path, open_checkpoint(path, mapped=True, check=False), trust)[0]


def _open_onnx(path: Path, use: Use | None, device: Device, allowed: bool) -> OpenedModel:
    from landmarks.models.onnx_network import LogitsAsScores, OnnxNetwork  # needs an optional dependency

    if use == "boxes":
        raise LandmarksError(f"{path}: detectors run from a {SUFFIX} or .ckpt file only; name such a file")
    if not allowed:
        raise LandmarksError(
            f"{path}: an ONNX file runs in `landmarks search`, `similarity` and `classify` only; name the checkpoint "
            f"or {SUFFIX} file that it was exported from"
        )
    if not path.is_file():
        raise LandmarksError(f"{path}: there is no such file")
    try:
        network = OnnxNetwork(path, device)
        record = network.record()
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None
    if use == "descriptors" and record.task != "retrieval":
        raise LandmarksError(
            f"{path}: gives class scores and no descriptors; name the {SUFFIX} file that it was exported from"
        )
    _refuse_other_use(path, record, use)
    head = LogitsAsScores(record.classes) if record.task == "classification" else None
    return OpenedModel(path, "ONNX file", record, network, head, record.origin.get("trained_on", record.origin))


def _refuse_other_use(path: Path, record: ModelRecord, use: Use | None) -> None:
    if use == "boxes" and record.task != "detection":
        raise LandmarksError(
            f"{path}: is not a detector; it embeds or classifies images, see `landmarks similarity` and "
            "`landmarks classify`"
        )
    if use in ("descriptors", "classes") and record.task == "detection":
        raise LandmarksError(
            f"{path}: is a detector, which neither embeds nor classifies images; see `landmarks detect`"
        )
    if use == "classes" and record.task != "classification":
        raise LandmarksError(
            f"{path}: embeds images and cannot classify them. Models that can: the published res152_softmax_v1 and "
            "res152_softmax_v2, and checkpoints of runs whose loss has class weights, such as loss=softmax"
        )
