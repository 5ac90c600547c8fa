"""Additive angular margin: the loss of four of the published models.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019. The image's angle
to its own landmark's direction is made larger by the margin before the softmax, so that landmarks must stand
apart by more than what a plain softmax asks for. Constants as in the published programs.
"""

import math

import torch
from torch import Tensor

from landmarks.losses.margin_head import MarginHead

SINE_EPS = 1e-6
"""Added under the root of the sine, so that its slope stays finite where image and landmark agree."""


class ArcMargin(MarginHead):
    """Cross entropy of scaled cosines, with a margin on the angle to the true landmark.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        margin: Added to the true landmark's angle, in radians, in [0, π).
        scale: Factor of all cosines, above 0.
        easy_margin: Add the margin only where the cosine is positive. Otherwise it is added up to the angle where
            the sum would pass π, and replaced by a constant beyond, so that the logit keeps falling.
        chunk: How many classes to hold at a time; it changes memory and speed only.
    """

    def __init__(
        self,
        num_landmarks: int,
        dim: int,
        margin: float = 0.15,
        scale: float = 80.0,
        easy_margin: bool = False,
        chunk: int = 1024,
    ) -> None:
        super().__init__(num_landmarks, dim, scale, chunk)
        if not 0.0 <= margin < math.pi:
            raise ValueError(f"margin is an angle in [0, π) radians, not {margin}")
        self.margin = margin
        self.easy_margin = easy_margin

    def with_margin(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Give the cosine of the widened angle and its derivative by the cosine, both [B]."""
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
        return f"{super().extra_repr()}, margin={self.margin}, easy={self.easy_margin}"
