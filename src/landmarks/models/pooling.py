"""Pooling from a feature map to one vector for each image.

Both pools compute in float32 whatever the autocast type, because powers and means over hundreds of positions lose too
much precision in bfloat16. Both take any height and width, so that one network serves every image shape.
"""

import torch
from torch import Tensor, nn


class AveragePool(nn.Module):
    """Mean over all positions: [B, C, H, W] of any float type to float32 [B, C]."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool float [B, C, H, W] to float32 [B, C]."""
        return features.float().mean(dim=(2, 3))


class GeM(nn.Module):
    """Generalised mean, (mean of x^p)^(1/p): [B, C, H, W] of any float type to float32 [B, C].

    Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019,
    equation 3. p = 1 is the average and p → ∞ the maximum. One p for all channels is learned.

    Args:
        p: Initial exponent, above 0.
        eps: Lower bound of the features, since x^p is not defined below zero and has no slope at zero.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        if p <= 0 or eps <= 0:
            raise ValueError(f"GeM needs p and eps above 0, not p={p}, eps={eps}")
        self.p = nn.Parameter(torch.tensor(float(p)))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Pool float [B, C, H, W] to float32 [B, C]."""
        with torch.autocast(features.device.type, enabled=False):  # pow and mean would fall back to bfloat16
            p = self.p.float()
            powers = features.float().clamp(min=self.eps).pow(p)
            return powers.mean(dim=(2, 3)).pow(1.0 / p)

    def extra_repr(self) -> str:
        """Return the parameters that are shown when the network is printed."""
        return f"p={self.p.item():.3f}, eps={self.eps:g}"
