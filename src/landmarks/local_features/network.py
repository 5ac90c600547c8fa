"""Base of extractors that run a network: resizing, the device, and the coordinates of what they find."""

import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.local_features.features import FeatureKind, LocalFeatures, Stored, original_points, shrunk_size
from landmarks.models import Device, chosen_device

if TYPE_CHECKING:
    import torch

# Factor for int8: descriptors of length one and 64 to 128 values have elements that rarely exceed 0.45.
INT8_QUANTUM = 280.0
# Images whose values differ by less are blank: networks find hundreds of points even in a uniform one.
MIN_CONTRAST = 8


class NetworkExtractor(ABC):
    """Extractor of features by a network whose weights a package brings; on a GPU if there is one.

    Args:
        max_features: Largest number of features of an image; those with the highest scores are kept.
        long_side: Images whose longer side has more pixels are shrunk to this; smaller ones are not enlarged.
        stored: How descriptors are stored, see `FeatureKind`.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        LandmarksError: An argument is out of range, the package is not installed, or there is no GPU.
    """

    name: ClassVar[str]
    dim: ClassVar[int]
    package: ClassVar[str]
    """Package with the network and its weights."""
    min_short_side: ClassVar[int] = 32
    """Images whose shorter side has fewer pixels, perhaps after shrinking, have no features."""

    def __init__(
        self, max_features: int = 1000, long_side: int = 1024, stored: Stored = "int8", device: Device = "auto"
    ) -> None:
        require_package(self.package, type(self).__name__)
        if max_features < 1 or long_side < self.min_short_side:
            raise LandmarksError(
                f"{type(self).__name__}: max_features must be 1 or more and long_side {self.min_short_side} or more, "
                f"got {max_features} and {long_side}"
            )
        require_signed(stored, type(self).__name__)
        self.max_features = max_features
        self.long_side = long_side
        self.kind = FeatureKind(self.name, self.dim, stored, INT8_QUANTUM if stored == "int8" else 1.0)
        self._device = chosen_device(device)
        self._network: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the settings; each process opens the network itself."""
        return {**self.__dict__, "_network": None}

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self._device == "cuda"

    def signature(self) -> dict[str, Any]:
        """Return the values that the features depend on."""
        return {
            "extractor": self.name,
            "version": 1,
            self.package: importlib.metadata.version(self.package.replace("_", "-")),
            "max_features": self.max_features,
            "long_side": self.long_side,
            "stored": self.kind.stored,
        }

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Return the features of an image, uint8 [H, W, 3] RGB; none if it is blank or tiny."""
        import torch

        size = (image.shape[0], image.shape[1])
        height, width = shrunk_size(size, self.long_side)
        if min(height, width) < self.min_short_side or np.ptp(image) < MIN_CONTRAST:
            return LocalFeatures.none(self.kind, size)
        if (height, width) != size:
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        if self._network is None:
            self._network = self._open().eval().to(self._device)
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1)[None].float() / 255
            found = self._detect(pixels)
        points, scores, descriptors = (values.float().cpu().numpy() for values in found)
        order = np.lexsort((points[:, 0], points[:, 1], -scores))[: self.max_features]
        scales = np.full(len(order), self._diameter * max(size) / max(height, width), np.float32)
        points = original_points(points[order], (height, width), size)
        return LocalFeatures(points, scales, scores[order], self.kind.encode(descriptors[order]), size, self.kind)

    _diameter: ClassVar[float]
    """Diameter in pixels of the area that a descriptor sees best."""

    @abstractmethod
    def _open(self) -> "torch.nn.Module":
        """Build the network with its weights."""

    @abstractmethod
    def _detect(self, image: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Return points [n, 2], scores [n] and descriptors [n, D] of length one of an image [1, 3, H, W] in [0, 1]."""


def require_signed(stored: Stored, user: str) -> None:
    """Raise LandmarksError if descriptors with negative values are to be stored without sign."""
    if stored == "uint8":
        raise LandmarksError(f"{user}: descriptors have negative values: store int8, not uint8")


def require_package(package: str, user: str) -> None:
    """Raise LandmarksError if an optional package is missing."""
    if importlib.util.find_spec(package) is None:
        raise LandmarksError(f"{user} needs {package}, which is not installed: pip install 'landmarks[local]'")
