"""Lightning module that embeds images with a network, batch by batch."""

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.extraction.views import Extraction
from landmarks.models import DescriptorNet, mirrored_regions, normalize

Rows = tuple[Tensor, list[Tensor]]  # rows of the images, and their descriptors (and regions)


class DescriptorModule(pl.LightningModule):
    """Lightning module that embeds images in validation, for the callbacks that write descriptors.

    Args:
        model: Network from normalised images, float [B, 3, H, W], to descriptors [B, D].
        channels_last: Keep images and weights in NHWC order, in which convolutions are faster on recent hardware.
        compile: Run the network through `torch.compile`.

    Attributes:
        extractions: Which views of an image are embedded in validation, for each loader; set by the callback that
            writes the descriptors.
        engine: Computes descriptors of whole images in place of `model`; None to use `model`.

    Raises:
        LandmarksError: `compile` is combined with a network that uses gradient checkpointing.
    """

    def __init__(self, model: nn.Module, channels_last: bool = True, compile: bool = False) -> None:
        super().__init__()
        if compile and getattr(model, "checkpointing", False):
            raise LandmarksError(
                "compile=true and model.checkpointing=true exclude each other: choose speed or memory, and leave the "
                "other at false"
            )
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.model = model.to(memory_format=self.memory_format)
        self.extractions: Sequence[Extraction] = ()
        self.engine: Callable[[Tensor], Tensor] | None = None
        if compile:  # in place, so that the names in checkpoints stay those of the plain network
            self.model.compile(dynamic=True)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images: uint8 [B, 3, H, W] -> float32 [B, D]."""
        network = self.model if self.engine is None else self.engine
        descriptors: Tensor = network(self._input(images))
        return descriptors.float()

    def validation_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> dict[str, list[Rows]]:
        """Return under `embedded`, for each group of images of one shape, rows int64 [b] and the result of `embed`."""
        extraction = self.extractions[dataloader_idx] if self.extractions else Extraction()
        return {"embedded": [(group["row"], self.embed(group["images"], extraction)) for group in batch["groups"]]}

    def embed(self, scales: Sequence[Tensor], extraction: Extraction) -> list[Tensor]:
        """Embed images in all views.

        Args:
            scales: The same images at each scale, uint8 [B, 3, H, W].
            extraction: Whether to embed mirrored images too, and how many levels of regions.

        Returns:
            Descriptors float32 [B, D] and, if asked for, those of the regions, float32 [B, R, D].
        """
        sides = (False, True) if extraction.flip else (False,)
        views = [self._view(images, extraction.regions, mirrored) for images in scales for mirrored in sides]
        if len(views) == 1:
            return views[0]
        return [torch.stack([F.normalize(one, dim=-1) for one in kind]).sum(dim=0) for kind in zip(*views, strict=True)]

    def _view(self, images: Tensor, levels: int, mirrored: bool) -> list[Tensor]:
        images = images.flip(-1) if mirrored else images
        if not levels:
            return [self(images)]
        assert isinstance(self.model, DescriptorNet)
        whole, regions = self.model.embed(self._input(images), levels)
        return [whole.float(), (regions[:, mirrored_regions(levels)] if mirrored else regions).float()]

    def _input(self, images: Tensor) -> Tensor:
        return normalize(images).contiguous(memory_format=self.memory_format)
