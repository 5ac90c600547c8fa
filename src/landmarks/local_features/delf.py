"""DELF: features of our own training, at the positions of a descriptor network to which its local branch attends.

How they are trained and computed, and the sources, are told in `landmarks.models.LocalBranch` and in `delf_pyramid`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.local_features.delf_pyramid import DelfPyramid, open_delf
from landmarks.local_features.features import FeatureKind, LocalFeatures, Stored
from landmarks.local_features.network import INT8_QUANTUM, require_signed
from landmarks.models import Device, chosen_device, weights_hash


class Delf:
    """Extractor of the local features of a trained network with a local branch.

    Args:
        model: Checkpoint or model file, trained with `model.local_dim`.
        max_features: Largest number of features of an image; those with the most attention are kept.
        long_side: Images whose longer side has more pixels are shrunk to this at scale 1 of the pyramid.
        min_score: Attention that a feature must exceed; what is much differs between networks.
        stored: How descriptors are stored, see `FeatureKind`.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        LandmarksError: The file cannot be used, its network has no local branch, or an argument is out of range.
    """

    def __init__(
        self,
        model: str | Path,
        max_features: int = 1000,
        long_side: int = 1024,
        min_score: float = 0.0,
        stored: Stored = "int8",
        device: Device = "auto",
    ) -> None:
        require_signed(stored, "Delf")
        self._options: dict[str, Any] = {"max_features": max_features, "long_side": long_side, "min_score": min_score}
        self._model, self._device = Path(model), chosen_device(device)
        self._pyramid: DelfPyramid | None = self._open()
        self._weights = weights_hash(self._pyramid.net)
        quantum = INT8_QUANTUM if stored == "int8" else 1.0
        self.kind = FeatureKind("delf", self._pyramid.branch.dim, stored, quantum)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the settings; each process opens the network itself."""
        return {**self.__dict__, "_pyramid": None}

    def _open(self) -> DelfPyramid:
        return open_delf(self._model, self._device, **self._options)

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self._device == "cuda"

    def signature(self) -> dict[str, Any]:
        """Return the values that the features depend on."""
        return {
            "extractor": "delf",
            "version": 1,
            "weights": self._weights,
            **self._options,
            "stored": self.kind.stored,
        }

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Return the features of an image, uint8 [H, W, 3] RGB, of any size."""
        if self._pyramid is None:
            self._pyramid = self._open()
            if weights_hash(self._pyramid.net) != self._weights:
                raise LandmarksError(f"{self._model} was replaced while its features were extracted: run again")
        found = self._pyramid(image)
        descriptors = self.kind.encode(found.descriptors)
        return LocalFeatures(found.points, found.scales, found.scores, descriptors, found.size, self.kind)
