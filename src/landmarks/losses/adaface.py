"""A margin that depends on the quality of each image, which shows in the length of its descriptor.

Kim et al., "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022. Hard images of good quality get a margin
on the angle that pulls them more, those of bad quality, which may show nothing of the landmark, less.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from landmarks.losses.combined import with_angle
from landmarks.losses.margin_head import MarginHead

LARGEST_COSINE = 0.999
ANGLE_EPS = 1e-3


@dataclass(eq=False, repr=False)
class AdaFace(MarginHead):
    """Cross entropy of scaled cosines, where cos θ of the true landmark becomes cos(θ - m z) - (m + m z).

    z in [-1, 1] says how many standard deviations, times `concentration`, the descriptor is longer than those of
    recent batches are in the mean.

    Args:
        margin: m.
        concentration: h, how much lengths matter.
        momentum: Weight of the batch in the moving averages of mean and standard deviation, in (0, 1].

    Attributes:
        length_mean: The mean of recent lengths, without dimensions.
        length_std: Their standard deviation.
    """

    margin: float = 0.4
    concentration: float = 0.333
    momentum: float = 0.01

    length_mean: ClassVar[Tensor]  # buffers
    length_std: ClassVar[Tensor]

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if not 0.0 <= self.concentration < math.inf:
            raise ValueError(f"concentration must be 0 or more, not {self.concentration}")
        if not 0.0 < self.momentum <= 1.0:
            raise ValueError(f"momentum must be in (0, 1], not {self.momentum}")
        self.register_buffer("length_mean", torch.tensor(20.0))
        self.register_buffer("length_std", torch.tensor(100.0))

    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Update the averages in training; return the new cosines and their derivatives, both [B]."""
        length = length.clamp(1e-3, 100.0)
        if self.training and len(length) > 1:
            self.length_mean.lerp_(length.mean().to(self.length_mean), self.momentum)
            self.length_std.lerp_(length.std().to(self.length_std), self.momentum)
        z = ((length - self.length_mean) / (self.length_std + 1e-3) * self.concentration).clamp(-1.0, 1.0)
        clamped = cosine.clamp(-LARGEST_COSINE, LARGEST_COSINE)
        value, slope = with_angle(clamped, 1.0, -margin * z, ANGLE_EPS)
        return value - margin * (1.0 + z), slope.masked_fill(clamped != cosine, 0.0)
