"""Trained models in Python: they turn images into descriptors or landmarks; preprocessing as a transform."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image
from rich.progress import track
from torch import Tensor, nn

from landmarks.config import trusted
from landmarks.data import Preprocessing, ResizeMode
from landmarks.errors import LandmarksError
from landmarks.interop import (
    AnyImage,
    LandmarkClass,
    classify_images,
    embed_images,
    landmark_class,
    open_pretrained,
    pixels_of,
)
from landmarks.models import (
    Device,
    ModelRecord,
    OpenedModel,
    Pooling,
    chosen_device,
    is_timm_name,
    normalize,
    open_model,
)
from landmarks.terminal import Console

T = TypeVar("T")

FILES = (".ckpt", ".safetensors", ".onnx")
FEW = 16  # up to so many images no progress bar is shown by default


@dataclass(frozen=True)
class Transform:
    """The preprocessing of a model as a transform for torch datasets; can be pickled.

    Calling it turns a file, a Pillow image or an array (uint8 [H, W, 3] RGB, or [H, W]) into float32 [3, H', W'],
    resized and normalised. Most models keep the aspect ratio, so that H' and W' differ between images; for batches of
    one shape use `transform.resized(mode="square")`.

    Attributes:
        preprocessing: Size, resize rule, mean and standard deviation.
    """

    preprocessing: Preprocessing

    def __call__(self, image: AnyImage) -> Tensor:
        """Turn an image into float32 [3, H', W']; raises LandmarksError if it cannot be read."""
        pixels = torch.from_numpy(self.preprocessing(pixels_of(image)))
        return normalize(pixels.permute(2, 0, 1)[None].contiguous())[0]

    def resized(self, short_side: int | None = None, mode: ResizeMode | None = None) -> "Transform":
        """Return the same transform with another size or resize mode.

        Args:
            short_side: Short side in pixels; by default unchanged.
            mode: "aspect" keeps the aspect ratio, "square" distorts images to squares, "crop" crops the central square;
                by default unchanged.
        """
        prepared = self.preprocessing if short_side is None else self.preprocessing.with_short_side(short_side)
        return Transform(prepared if mode is None else replace(prepared, mode=mode))


class Model(nn.Module):
    """A trained model, as `load_model` opens it: a torch module in eval mode.

    Called with normalised images, float32 [B, 3, H, W] as `transform` gives them, it returns descriptors [B, D]. Its
    parameters can be trained further in any training loop, except those of an ONNX file.
    """

    def __init__(self, opened: OpenedModel) -> None:
        super().__init__()
        self.network = opened.network
        self._opened = opened
        self._dim: int | None = None
        self.eval()

    def __repr__(self) -> str:
        prepared = self._opened.preprocessing
        return f"<Model {self.name}, {self._opened.kind}, {prepared.mode} {prepared.short_side} px>"

    @property
    def name(self) -> str:
        """Name of the model: that of its run, its file or its network."""
        return self._opened.name

    @property
    def record(self) -> ModelRecord:
        """The record in its file: task, architecture, preprocessing, classes and origin."""
        return self._opened.record

    @property
    def opened(self) -> OpenedModel:
        """The model in the form that the functions of `landmarks.models` and `landmarks.interop` take."""
        return self._opened

    @property
    def transform(self) -> Transform:
        """Its preprocessing as a transform."""
        return Transform(self._opened.preprocessing)

    @property
    def dim(self) -> int:
        """D, the length of its descriptors; raises LandmarksError if it gives none."""
        self._require_descriptors()
        if self._dim is None:
            known: Any = getattr(self.network, "dim", None)
            self._dim = known if isinstance(known, int) else self.embed(np.zeros((32, 32, 3), np.uint8)).shape[1]
        return self._dim

    @property
    def device(self) -> torch.device:
        """The device of its parameters; move it with `to("cuda")`."""
        return next(self.network.parameters(), torch.empty(0)).device

    def forward(self, images: Tensor) -> Tensor:
        """Compute the network's descriptors [B, D] of normalised images, float32 [B, 3, H, W]."""
        descriptors: Tensor = self.network(images)
        return descriptors

    def embed(
        self,
        images: AnyImage | Iterable[AnyImage],
        *,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        normalize: bool = False,
        device: Device | None = None,
        progress: bool | None = None,
    ) -> NDArray[np.float32]:
        """Embed images.

        Args:
            images: N files, Pillow images or arrays (uint8 [H, W, 3] RGB, or [H, W]) of any sizes, or one of these.
            scales: Factors of the model's image size, such as ``(0.7, 1.0, 1.4)``. The descriptors of several views of
                an image are L2-normalised and summed.
            flip: Also embed every view mirrored.
            normalize: L2-normalise the descriptors.
            device: Move the model to this device first: "cpu", "cuda" or "auto"; by default it is not moved.
            progress: Whether to show a progress bar; by default only in a terminal or notebook, and with more than 16
                images.

        Returns:
            Descriptors float32 [N, D].

        Raises:
            LandmarksError: An image cannot be read (`search_images` leaves such files out instead), or the model gives
                no descriptors.
        """
        self._require_descriptors()
        if device is not None:
            self._move(device)
        training = self.network.training
        self.network.eval()
        try:
            found = embed_images(self._opened, followed(several(images), progress), scales, flip)
        finally:
            self.network.train(training)
        if not len(found):
            return np.empty((0, self.dim), np.float32)
        if normalize:
            found = found / np.linalg.norm(found, axis=1, keepdims=True)
        return found

    def classify(
        self, images: AnyImage | Iterable[AnyImage], top: int = 5, *, progress: bool | None = None
    ) -> list[list[tuple[LandmarkClass, float]]]:
        """Find the likeliest landmarks of images.

        Args:
            images: See `embed`.
            top: Number of landmarks for each image; at most as many as the model knows.
            progress: See `embed`.

        Returns:
            For each image pairs of a class and its softmax probability over all classes, the likeliest first.

        Raises:
            LandmarksError: An image cannot be read, or the model has no classifier.
        """
        if self._opened.head is None:
            raise LandmarksError(
                f"{self.name} has no classifier (loss: {self._opened.loss}); use a checkpoint of a run whose loss has "
                "class weights, such as softmax or arcmargin, or a file exported for classification"
            )
        labels, scores = classify_images(self._opened, followed(several(images), progress), top)
        return [
            [(landmark_class(self._opened, label), score) for label, score in zip(row, row_scores, strict=True)]
            for row, row_scores in zip(labels.tolist(), scores.tolist(), strict=True)
        ]

    def _require_descriptors(self) -> None:
        if self._opened.kind == "ONNX file" and self._opened.record.task != "retrieval":
            raise LandmarksError(
                f"{self._opened.path}: gives class scores and no descriptors; open the file that it was exported from"
            )

    def _move(self, device: Device) -> None:
        place = chosen_device(device)
        self.to(place)
        if self._opened.head is not None:
            self._opened.head.to(place)


def load_model(
    path: str | Path,
    *,
    pretrained: bool | str | Path = False,
    device: Device = "auto",
    image_size: int | None = None,
    pooling: Pooling = "average",
    trust: str | Iterable[str] = (),
) -> Model:
    """Open a trained model of any kind.

        model = landmarks.load_model("runs/RUN/checkpoints/best.ckpt")
        model = landmarks.load_model("resnet50.a1_in1k", pretrained=True)

    No code in a file is executed. A file can only name networks and losses of this package, or those that you trust.

    Args:
        path: A checkpoint of a run (`.ckpt`), a model file (`.safetensors`), an ONNX file of `landmarks export`, or the
            name of a timm network.
        pretrained: For a timm network: True downloads timm's weights, a path reads them from a file. Descriptors are
            the pooled features.
        device: "auto" uses a GPU if there is one; "cpu"; "cuda".
        image_size: Short side of images in pixels; by default that of training.
        pooling: For a timm network: "average" or "gem".
        trust: Networks and losses of your own that the file may name, by their full import paths, such as "mynets.Net".

    Returns:
        The model, in eval mode.

    Raises:
        LandmarksError: There is no such file or network, the file is corrupt or a detector (see `landmarks.detect`), it
            names a class that is neither part of this package nor trusted, or timm's weights cannot be downloaded.
    """
    name = str(path)
    if not Path(path).exists() and Path(path).suffix not in FILES and is_timm_name(name):
        if pretrained is False:
            raise LandmarksError(
                f"{name} is a timm network: add pretrained=True to download its weights, or pretrained=FILE"
            )
        place, weights = chosen_device(device), pretrained if isinstance(pretrained, bool) else str(pretrained)
        options = {"name": name, "pooling": pooling, "dim": None, "pretrained": weights}
        node = OmegaConf.create({"_target_": "landmarks.models.timm_net", **options})
        return Model(open_pretrained(node, name, image_size)).to(place)
    if pretrained is not False:
        raise LandmarksError(f"{name}: pretrained= is for timm networks, and timm has no network of that name")
    if not Path(path).is_file():
        raise LandmarksError(f"{name}: there is no such file, and timm has no network of that name")
    opened = open_model(path, device=device, onnx=True, trust=trusted(trust))
    if opened.record.task == "detection":
        raise LandmarksError(f"{name}: is a detector, which gives no descriptors; use landmarks.detect")
    if image_size is not None:
        prepared = opened.preprocessing.with_short_side(image_size)
        opened = replace(opened, record=replace(opened.record, preprocessing=prepared))
    return Model(opened)


def as_opened(
    model: "Model | OpenedModel | str | Path", device: Device = "auto", trust: str | Iterable[str] = ()
) -> OpenedModel:
    """Return the opened model of a `Model`, or of what `load_model` takes."""
    if isinstance(model, OpenedModel):
        return model
    return (model if isinstance(model, Model) else load_model(model, device=device, trust=trust)).opened


def several(images: AnyImage | Iterable[AnyImage]) -> Iterable[AnyImage]:
    """Return an iterable of images, given several or one; an array of four dimensions is several images."""
    alone = isinstance(images, (str, Path, Image.Image)) or (isinstance(images, np.ndarray) and images.dtype != object)
    if not alone:
        return images  # type: ignore[return-value]
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images)
    return [images]  # type: ignore[list-item]


def followed(images: Iterable[T], progress: bool | None) -> Iterable[T]:
    """Iterate over images, with a progress bar if wanted; by default in a terminal or notebook, for many images."""
    console = Console(stderr=True)
    length = len(images) if isinstance(images, Sequence) else None
    if progress is None:
        progress = (console.is_terminal or console.is_jupyter) and (length is None or length > FEW)
    return track(images, "Embedding", total=length, console=console, transient=True, disable=not progress)
