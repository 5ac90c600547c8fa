"""The local branch of a descriptor network: attention and short descriptors at every position of its third stage.

Noh et al., "Large-Scale Image Retrieval with Attentive Deep Local Features", ICCV 2017; with the small autoencoder of
Cao, Araujo, Sim, "Unifying Deep Local and Global Features for Image Search", ECCV 2020, section 3 (DELG), in place of
a PCA. As published: two 1x1 convolutions with ReLU and softplus for attention; one 1x1 convolution that shortens the
features and one with ReLU that reconstructs them; landmarks are classified by the attention-weighted, L2-normalised
reconstructions; and no gradient reaches the backbone, which learns from the global loss alone. The classification
trains attention and autoencoder, the reconstruction error the autoencoder. Like the published program, and unlike the
papers' formula, the weighted features are averaged and not summed, so that their length does not grow with the image.

Ours: no batch norm within the attention; any backbone with a map of stride 8 to 16; and no ReLU after the
reconstruction where that map has negative values.
"""

from typing import Any

import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor, nn

from landmarks.errors import LandmarksError

HIDDEN = 512
"""Channels within the attention, as published."""
STRIDES = range(8, 17)
"""Pixels between two positions of the map that counts as the third stage: its last one with such a stride."""


class LocalBranch(nn.Module):
    """Attention and autoencoder on a feature map.

    Args:
        channels: C, the number of channels of the map.
        dim: D, the length of the local descriptors.
        relu: End the reconstruction with a ReLU, as published; for maps without negative values.
    """

    def __init__(self, channels: int, dim: int = 128, relu: bool = True) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"local_dim is the length of local descriptors, at least 1, not {dim}")
        self.channels = channels
        self.dim = dim
        self.relu = relu
        self.attention = nn.Sequential(
            nn.Conv2d(channels, HIDDEN, 1), nn.ReLU(inplace=True), nn.Conv2d(HIDDEN, 1, 1), nn.Softplus()
        )
        self.reduce = nn.Conv2d(channels, dim, 1)
        self.expand = nn.Conv2d(dim, channels, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compute attention [B, H', W'], above 0, and descriptors [B, D, H', W'] of a map, float [B, C, H', W']."""
        return self.attention(features).squeeze(1), self.reduce(features)

    def pooled(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what the branch learns from; no gradient reaches `features`.

        Args:
            features: Float [B, C, H', W'].

        Returns:
            The mean of the L2-normalised reconstructions, weighted by attention, float32 [B, C]; and the mean squared
            error of the reconstructions, a scalar.
        """
        features = features.detach()
        attention, descriptors = self(features)
        expanded = self.expand(descriptors).float()
        rebuilt = F.relu(expanded) if self.relu else expanded
        weighted = F.normalize(rebuilt, dim=1) * attention.float().unsqueeze(1)
        return weighted.mean(dim=(2, 3)), F.mse_loss(rebuilt, features.float())


def find_third_stage(backbone: nn.Module) -> tuple[int, dict[str, Any]]:
    """Find the third stage of a backbone: the number of its map, and what timm says of it (`num_chs`, `reduction`).

    Raises:
        LandmarksError: The backbone does not list its maps as timm does, or none has a stride of 8 to 16 pixels.
    """
    maps: Any = getattr(backbone, "feature_info", None)
    if maps is None or not hasattr(backbone, "forward_intermediates"):
        raise LandmarksError(
            f"model.local_dim: {type(backbone).__name__} does not give the map of its third stage; a backbone of your "
            "own needs `feature_info` and `forward_intermediates` as networks of timm have them"
        )
    fitting = [number for number, one in enumerate(maps) if one["reduction"] in STRIDES]
    if not fitting:
        strides = ", ".join(str(one["reduction"]) for one in maps)
        raise LandmarksError(
            f"model.local_dim: the local branch needs a feature map with a stride of {STRIDES[0]} to {STRIDES[-1]} "
            f"pixels, and this network has {strides}; choose another model"
        )
    return fitting[-1], maps[fitting[-1]]
