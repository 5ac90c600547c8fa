"""A trained model in Python: images in, descriptors or landmarks out, and its preprocessing as a transform."""

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
from landmarks.models import Device, ModelRecord, OpenedModel, Pooling, is_timm_name, normalize, open_model
from landmarks.terminal import Console

T = TypeVar("T")

FILES = (".ckpt", ".safetensors", ".onnx")
FEW = 16  # images for which no progress is shown


@dataclass(frozen=True)
class Transform:
    """What happens to an image before the network sees it, as a transform for torch's data sets; can be pickled.

    Calling it turns a file, an image of Pillow or an array (uint8 [H, W, 3] RGB, or [H, W]) into float32 [3, H', W'],
    resized and normalised. Most models keep the aspect ratio, so that images differ in H' and W'; batches need one
    shape: `transform.resized(mode="square")`.

    Attributes:
        preprocessing: Size, resize rule, mean and standard deviation.
    """

    preprocessing: Preprocessing

    def __call__(self, image: AnyImage) -> Tensor:
        """Turn an image into float32 [3, H', W']. Raises LandmarksError where it cannot be read."""
        pixels = torch.from_numpy(self.preprocessing(pixels_of(image)))
        return normalize(pixels.permute(2, 0, 1)[None].contiguous())[0]

    def resized(self, short_side: int | None = None, mode: ResizeMode | None = None) -> "Transform":
        """Give the same transform at another size.

        Args:
            short_side: Pixels; by default as it is.
            mode: "aspect" keeps the aspect ratio, "square" squeezes images to squares, "crop" takes a square from the
                middle; by default as it is.
        """
        prepared = self.preprocessing if short_side is None else self.preprocessing.with_short_side(short_side)
        return Transform(prepared if mode is None else replace(prepared, mode=mode))


class Model(nn.Module):
    """A trained model, as `load_model` opens it; a torch module, in eval mode.

    Called with normalised images, float32 [B, 3, H, W] as `transform` gives them, it returns descriptors [B, D]; its
    parameters can be trained further in any loop. An ONNX file can only be called.
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
        """What the model calls itself: the name of its run, its file or its network."""
        return self._opened.name

    @property
    def record(self) -> ModelRecord:
        """What its file says of it: task, architecture, preprocessing, classes and origin."""
        return self._opened.record

    @property
    def opened(self) -> OpenedModel:
        """The model as the functions of `landmarks.models` and `landmarks.interop` take it."""
        return self._opened

    @property
    def transform(self) -> Transform:
        """Its preprocessing as a transform."""
        return Transform(self._opened.preprocessing)

    @property
    def dim(self) -> int:
        """D, the length of its descriptors. Raises LandmarksError for one that gives none."""
        self._require_descriptors()
        if self._dim is None:
            known: Any = getattr(self.network, "dim", None)
            self._dim = known if isinstance(known, int) else self.embed(np.zeros((32, 32, 3), np.uint8)).shape[1]
        return self._dim

    @property
    def device(self) -> torch.device:
        """Where it computes; move it with `to("cuda")`."""
        return next(self.network.parameters(), torch.empty(0)).device

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float32 [B, 3, H, W] to descriptors [B, D], as the network gives them."""
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
        """Embed images, in batches of one shape.

        Args:
            images: N files, images of Pillow or arrays (uint8 [H, W, 3] RGB, or [H, W]) of any sizes, or one of these.
            scales: Factors of the model's image size, such as ``(0.7, 1.0, 1.4)``. Several views of an image are
                L2-normalised and added up.
            flip: Also embed every view mirrored.
            normalize: L2-normalise the descriptors.
            device: Move the model there first: "cpu", "cuda" or "auto". By default it stays where it is.
            progress: Show a bar; by default where somebody looks and there are many images.

        Returns:
            float32 [N, D].

        Raises:
            LandmarksError: An image cannot be read, or the model gives no descriptors. `search_images` goes on past bad
                files instead.
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
        """Name the likeliest landmarks of images.

        Args:
            images: As of `embed`.
            top: Landmarks of each image; no more than the model knows.
            progress: As of `embed`.

        Returns:
            For each image pairs of a class and its probability of a softmax over all classes, the likeliest first.

        Raises:
            LandmarksError: An image cannot be read, or the model has no classifier.
        """
        if self._opened.head is None:
            raise LandmarksError(
                f"{self.name} has no classifier (loss: {self._opened.loss}); models that have: checkpoints of runs "
                "whose loss has class weights, such as softmax or arcmargin, and files exported for classification"
            )
        labels, scores = classify_images(self._opened, followed(several(images), progress), top)
        return [
            [(landmark_class(self._opened, label), score) for label, score in zip(row, row_scores, strict=True)]
            for row, row_scores in zip(labels.tolist(), scores.tolist(), strict=True)
        ]

    def _require_descriptors(self) -> None:
        if self._opened.kind == "ONNX file" and self._opened.record.task != "retrieval":
            raise LandmarksError(
                f"{self._opened.path}: gives scores of classes and no descriptors; open the file that it was made of"
            )

    def _move(self, device: Device) -> None:
        place = _place(device)
        self.to(place)
        if self._opened.head is not None:
            self._opened.head.to(place)


def _place(device: Device) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise LandmarksError('device="cuda": torch sees no GPU here; use "cpu"')
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


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

    Nothing in a file is run: it names one of our networks and losses, or one that you trust.

    Args:
        path: A checkpoint of a run (`.ckpt`), a model file (`.safetensors`), an ONNX file of `landmarks export`, or the
            name of a network of timm.
        pretrained: For a network of timm: True fetches timm's weights, a path takes a file of them. Its descriptors are
            the pooled features.
        device: "auto" takes a GPU if there is one; "cpu"; "cuda".
        image_size: Short side of images, pixels; by default as the model was trained.
        pooling: For a network of timm: "average" or "gem".
        trust: Networks and losses of your own that the file may name, by their whole paths, such as "mynets.Net".

    Returns:
        The model, in eval mode.

    Raises:
        LandmarksError: There is no such file or network, it is corrupt, is a detector (see `landmarks.detect`), names
            what is neither ours nor trusted, or its weights cannot be had.
    """
    name = str(path)
    if not Path(path).exists() and Path(path).suffix not in FILES and is_timm_name(name):
        if pretrained is False:
            raise LandmarksError(f"{name} is a network of timm: add pretrained=True for its weights, or a file of them")
        place, weights = _place(device), pretrained if isinstance(pretrained, bool) else str(pretrained)
        options = {"name": name, "pooling": pooling, "dim": None, "pretrained": weights}
        node = OmegaConf.create({"_target_": "landmarks.models.timm_net", **options})
        return Model(open_pretrained(node, name, image_size)).to(place)
    if pretrained is not False:
        raise LandmarksError(f"{name}: pretrained= is for networks of timm, and timm has none of that name")
    if not Path(path).is_file():
        raise LandmarksError(f"{name}: there is no such file, and timm has no network of that name")
    opened = open_model(path, device=device, onnx=True, trust=trusted(trust))
    if opened.record.task == "detection":
        raise LandmarksError(f"{name}: is a detector, which gives no descriptors; see landmarks.detect")
    if image_size is not None:
        prepared = opened.preprocessing.with_short_side(image_size)
        opened = replace(opened, record=replace(opened.record, preprocessing=prepared))
    return Model(opened)


def as_opened(
    model: "Model | OpenedModel | str | Path", device: Device = "auto", trust: str | Iterable[str] = ()
) -> OpenedModel:
    """Give the opened model of what a function was given: a `Model`, or what `load_model` takes."""
    if isinstance(model, OpenedModel):
        return model
    return (model if isinstance(model, Model) else load_model(model, device=device, trust=trust)).opened


def several(images: AnyImage | Iterable[AnyImage]) -> Iterable[AnyImage]:
    """Give images one after another, where somebody named several or one; an array of four dimensions is several."""
    alone = isinstance(images, (str, Path, Image.Image)) or (isinstance(images, np.ndarray) and images.dtype != object)
    if not alone:
        return images  # type: ignore[return-value]
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images)
    return [images]  # type: ignore[list-item]


def followed(images: Iterable[T], progress: bool | None) -> Iterable[T]:
    """Go through images with a bar where that is wanted."""
    console = Console(stderr=True)
    length = len(images) if isinstance(images, Sequence) else None
    if progress is None:
        progress = (console.is_terminal or console.is_jupyter) and (length is None or length > FEW)
    return track(images, "Embedding", total=length, console=console, transient=True, disable=not progress)
