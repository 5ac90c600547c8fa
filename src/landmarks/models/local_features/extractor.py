"""What every extractor of local features offers, so that verification and local search need not know which it is."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of one picture, strongest first.

    Attributes:
        points: float32 [n, 2], x and y in pixels of the picture as it was given.
        scales: float32 [n], diameter of the described area in pixels of that picture.
        descriptors: uint8 [n, D]; float values times the extractor's `quantum`.
        size: height and width of that picture in pixels.
    """

    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def none(dim: int, size: tuple[int, int] = (0, 0)) -> "LocalFeatures":
        """Those of a picture without any, or of one that could not be read, whose size is then 0 x 0."""
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty((0, dim), np.uint8), size)


class LocalExtractor(Protocol):
    """Finds and describes local features; picklable, so that processes can share the work.

    Attributes:
        dim: D, length of a descriptor.
        quantum: what the float descriptors were multiplied with to become uint8.
    """

    dim: int
    quantum: float

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """The features of one picture, uint8 [H, W, 3] RGB; none where it shows nothing distinct."""
        ...

    def signature(self) -> dict[str, Any]:
        """JSON values on which the features depend, library version included; part of keys."""
        ...
