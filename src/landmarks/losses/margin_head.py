"""Cross entropy of scaled cosines with a margin: all of a margin loss but the margin."""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize

from landmarks.losses.class_head import ClassHead
from landmarks.losses.cross_entropy import at_least_float32, chunked_cross_entropy


class MarginHead(ClassHead):
    """The base of margin losses, which override `with_margin`; only the directions of its weights count.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        scale: Factor of all cosines, above 0.
        chunk: How many classes to hold at a time; it changes memory and speed only.
    """

    reads_length: ClassVar[bool] = False
    exports_as: ClassVar[Literal["retrieval", "classification"]] = "retrieval"

    def __init__(self, num_landmarks: int, dim: int, scale: float, chunk: int = 1024) -> None:
        super().__init__(num_landmarks, dim, chunk)
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale is above 0, not {scale}")
        self.scale = scale

    @abstractmethod
    def with_margin(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Give what takes the place of the true landmarks' cosines, and its derivative by them: [B] to [B] and [B]."""

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Descriptors float [B, D] and landmarks int64 [B] to the mean loss, a scalar."""
        return chunked_cross_entropy(
            normalize(at_least_float32(descriptors)),
            self.weight,
            landmarks,
            scale=self.scale,
            unit_weight=True,
            target_score=self.with_margin,
            chunk=self.chunk,
        )

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Scaled cosines to landmarks [start, stop), without margin: float [B, D] to float [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            return self.scale * linear(normalize(x), normalize(self.weight[start:stop].to(x.dtype)))

    def extra_repr(self) -> str:
        """Shown when the loss is printed."""
        return f"{super().extra_repr()}, scale={self.scale}"
