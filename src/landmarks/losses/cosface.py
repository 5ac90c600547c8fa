"""Additive cosine margin.

Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from landmarks.losses.margin_head import MarginHead


@dataclass(eq=False, repr=False)
class CosFace(MarginHead):
    """Cross entropy of scaled cosines, with a margin taken off the cosine of the true landmark.

    Args:
        margin: Taken off the cosine; 0 leaves a softmax of normalised descriptors.
    """

    margin: float = 0.35

    def with_margin(self, cosine: Tensor, margin: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosine without the margin, and 1, both [B]."""
        return cosine - margin, torch.ones_like(cosine)
