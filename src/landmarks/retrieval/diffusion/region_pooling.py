"""How the scores of an image's regions become the score of the image."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

PoolingKind = Literal["gmp", "sum", "max"]


@dataclass(frozen=True)
class RegionPooling:
    """From scores of regions to one of the image.

    Generalised max pooling (Murray and Perronnin, "Generalized Max Pooling", CVPR 2014) weighs the regions
    x_1 … x_R by ``(K + λI)^-1 1`` with ``K_ij = x_i · x_j``: regions that resemble each other share one weight, so
    that a plain background in many regions does not outweigh an object in one. The weights are scaled by 1 + λ, which
    changes no order and gives a region that is alone the weight 1; for λ → ∞ it becomes the sum.

    Attributes:
        kind: ``gmp``, as published for regional diffusion (Iscen et al., CVPR 2017), ``sum`` or ``max``.
        regulariser: λ of generalised max pooling.

    Raises:
        LandmarksError: another kind, or a regulariser not above 0.
    """

    kind: PoolingKind = "gmp"
    regulariser: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(PoolingKind):
            raise LandmarksError(f"pooling of regions is {self.kind!r}: it must be gmp, sum or max")
        if not 0 < self.regulariser < np.inf:
            raise LandmarksError(f"pooling of regions: regulariser is {self.regulariser}: it must be above 0")

    def weights(self, regions: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the scores of regions [N, R, D], of length one, are weighed with before they are summed: [N, R]."""
        if self.kind != "gmp":
            return np.ones(regions.shape[:2])
        wide = regions.astype(np.float64)
        system = wide @ wide.transpose(0, 2, 1) + self.regulariser * np.eye(regions.shape[1])
        ones = np.ones((*regions.shape[:2], 1))
        return (1 + self.regulariser) * np.linalg.solve(system, ones)[:, :, 0].astype(np.float64)

    def pool(self, scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """One score an image, float32 [..., N], of its regions' scores [..., N, R] and their weights [N, R]."""
        if self.kind == "max":
            return scores.max(axis=-1)
        return np.einsum("...nr,nr->...n", scores, weights, dtype=np.float64).astype(np.float32)
