"""Additive angular margin: the loss of four of the released models.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019. The picture's angle
to its own landmark's direction is made larger by the margin before the softmax, so that landmarks must stand
apart by more than what a plain softmax asks for. Constants as in the released programs.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from landmarks.losses.chunked_cross_entropy import chunked_cross_entropy

SINE_EPS = 1e-6
"""Added under the root of the sine, so that its slope stays finite where picture and landmark agree."""


class ArcMargin(nn.Module):
    """Cross entropy of scaled cosines, with a margin on the angle to the true landmark.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        margin: Added to the true landmark's angle, in radians, in [0, π).
        scale: Factor of all cosines, above 0.
        easy_margin: Add the margin only where the cosine is positive. Otherwise it is added up to the angle where
            the sum would pass π, and replaced by a constant beyond, so that the logit keeps falling.
        chunk: How many classes to hold at a time; it changes memory and speed only.

    Attributes:
        weight: float32 [C, D]; only its directions count.
        needs_pairs: False, any batch will do.
        reads_length: False, see `ClassHead`.

    Raises:
        ValueError: An argument is out of range.
    """

    needs_pairs: ClassVar[bool] = False
    reads_length: ClassVar[bool] = False

    def __init__(
        self,
        num_landmarks: int,
        dim: int,
        margin: float = 0.15,
        scale: float = 80.0,
        easy_margin: bool = False,
        chunk: int = 1024,
    ) -> None:
        super().__init__()
        if num_landmarks < 1 or dim < 1 or chunk < 1:
            raise ValueError(f"need 1 or more: num_landmarks={num_landmarks}, dim={dim}, chunk={chunk}")
        if not 0.0 <= margin < math.pi:
            raise ValueError(f"margin is an angle in [0, π) radians, not {margin}")
        if not 0.0 < scale < math.inf:
            raise ValueError(f"scale is above 0, not {scale}")
        self.margin = margin
        self.scale = scale
        self.easy_margin = easy_margin
        self.chunk = chunk
        self.weight = nn.Parameter(torch.empty(num_landmarks, dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Descriptors float [B, D] and landmarks int64 [B] to the mean loss, a float32 scalar.

        Raises:
            ValueError: The batch is empty or its shapes do not agree.
            IndexError: A landmark is not in [0, C).
        """
        return chunked_cross_entropy(
            normalize(descriptors.to(torch.promote_types(descriptors.dtype, torch.float32))),
            self.weight,
            landmarks,
            scale=self.scale,
            unit_weight=True,
            target_score=self._with_margin,
            chunk=self.chunk,
        )

    @property
    def num_landmarks(self) -> int:
        """C."""
        return self.weight.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self.weight.shape[1]

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Scaled cosines to landmarks [start, stop), without margin: float [B, D] to float32 [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            return self.scale * linear(normalize(descriptors.float()), normalize(self.weight[start:stop].float()))

    def _with_margin(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """The cosine of the widened angle and its derivative by the cosine, both [B]."""
        cosine = cosine.clamp(-1.0, 1.0)
        cos_m, sin_m = math.cos(self.margin), math.sin(self.margin)
        sine = (1.0 - cosine.square() + SINE_EPS).sqrt()
        widened, slope = cosine * cos_m - sine * sin_m, cos_m + cosine / sine * sin_m
        if self.easy_margin:
            applies, otherwise = cosine > 0.0, cosine
        else:
            applies, otherwise = cosine > math.cos(math.pi - self.margin), cosine - sin_m * self.margin
        return torch.where(applies, widened, otherwise), torch.where(applies, slope, 1.0)

    def extra_repr(self) -> str:
        """Shown when the loss is printed."""
        angle = f"margin={self.margin}, scale={self.scale}, easy={self.easy_margin}"
        return f"{self.num_landmarks} landmarks, dim={self.dim}, {angle}"
