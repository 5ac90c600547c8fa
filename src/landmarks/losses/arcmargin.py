"""Additive angular margin: the loss of four of the published models.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019. The margin is added to the
angle between an image and its landmark's weight vector before the softmax, so that landmarks must be separated by more
than a plain softmax requires. The defaults are those of the published code.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from landmarks.losses.adacos import AdaCos
from landmarks.losses.margin_head import MarginHead


@dataclass(eq=False, repr=False)
class ArcMargin(MarginHead):
    """Cross entropy of scaled cosines, with a margin on the angle to the true landmark.

    Args:
        margin: Added to the true landmark's angle, in radians, in [0, π).
        easy_margin: Add the margin only where the cosine is positive. If False, it is added where the sum of angle and
            margin is below π, and replaced by a constant beyond, so that the logit keeps decreasing.
        sine_eps: Added under the square root in the sine, so that its derivative stays finite at an angle of 0. With 0
            the cosine of the sum is exact, as in ArcFace.
    """

    margin: float = 0.15
    scale: float | AdaCos = 80.0
    easy_margin: bool = False
    sine_eps: float = 1e-6

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not 0.0 <= self.margin < math.pi:
            raise ValueError(f"margin is an angle in [0, π) radians, not {self.margin}")
        if not 0.0 <= self.sine_eps < 1.0:
            raise ValueError(f"sine_eps must be in [0, 1), not {self.sine_eps}")

    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosine of the angle plus margin and its derivative with respect to the cosine, both [B]."""
        cosine = cosine.clamp(-1.0, 1.0)
        cos_m, sin_m = margin.cos(), margin.sin()
        sine = (1.0 - cosine.square() + self.sine_eps).clamp(min=1e-12).sqrt()
        widened, slope = cosine * cos_m - sine * sin_m, cos_m + cosine / sine * sin_m
        if self.easy_margin:
            applies, otherwise = cosine > 0.0, cosine
        else:
            applies, otherwise = cosine > -cos_m, cosine - sin_m * margin
        return torch.where(applies, widened, otherwise), torch.where(applies, slope, 1.0)
