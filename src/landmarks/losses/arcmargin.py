"""Additive angular margin: the loss of four of the published models.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019. The margin is added to the
angle between an image and its landmark's weight vector before the softmax, so that landmarks must be separated by more
than a plain softmax requires. The defaults are those of the published code.
"""

import math

import torch
from torch import Tensor

from landmarks.losses.margin_head import MarginHead

SINE_EPS = 1e-6
"""Added under the square root in the sine, so that its derivative stays finite at an angle of 0."""


class ArcMargin(MarginHead):
    """Cross entropy of scaled cosines, with a margin on the angle to the true landmark.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        margin: Added to the true landmark's angle, in radians, in [0, π).
        scale: Factor of all cosines, above 0.
        easy_margin: Add the margin only where the cosine is positive. If False, it is added where the sum of angle and
            margin is below π, and replaced by a constant beyond, so that the logit keeps decreasing.
        chunk: Number of classes to process at a time; affects memory and speed only.
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
        """Return the cosine of the angle plus margin and its derivative with respect to the cosine, both [B]."""
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
        """Return the parameters that are shown when the loss is printed."""
        return f"{super().extra_repr()}, margin={self.margin}, easy={self.easy_margin}"
