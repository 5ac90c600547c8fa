"""The base class of margin losses: cross entropy of scaled cosines, without the margin itself."""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize

from landmarks.losses.class_head import ClassHead
from landmarks.losses.cross_entropy import at_least_float32, chunked_cross_entropy


class MarginHead(ClassHead):
    """The base class of margin losses, which override `with_margin`; the lengths of weight vectors do not matter.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        scale: Factor of all cosines, above 0.
        chunk: Number of classes to process at a time; affects memory and speed only.
    """

    reads_length: ClassVar[bool] = False
    exports_as: ClassVar[Literal["retrieval", "classification"]] = "retrieval"

    def __init__(self, num_landmarks: int, dim: int, scale: float, chunk: int = 1024) -> None:
        super().__init__(num_landmarks, dim, chunk)
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale must be above 0, not {scale}")
        self.scale = scale

    @abstractmethod
    def with_margin(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Map the true landmarks' cosines [B] to their replacements and the derivatives of these, both [B]."""

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the mean loss, a scalar, of descriptors float [B, D] and landmarks int64 [B]."""
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
        """Compute scaled cosines with landmarks [start, stop), without margin: float [B, D] to [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            return self.scale * linear(normalize(x), normalize(self.weight[start:stop].to(x.dtype)))

    def extra_repr(self) -> str:
        """Return the parameters that are shown when the loss is printed."""
        return f"{super().extra_repr()}, scale={self.scale}"
