"""Matches the local features of two images: tentative pairs, most of them wrong before geometric verification.

Distances are exact: uint8 descriptors have integer products, and float32 adds integers below 2^24 without rounding. So
the pairs do not depend on the BLAS library or the number of threads.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Match = Literal["mutual", "ratio"]

# The largest dimension at which float32 holds squared distances of uint8 vectors exactly; RootSIFT's are below 2^19.
MAX_DIM = 256


@dataclass(frozen=True)
class Matches:
    """Pairs of features of two images; no feature is in two pairs."""

    first: NDArray[np.int64]  # int64 [m], rows of features of the first image, ascending
    second: NDArray[np.int64]  # int64 [m], rows of features of the second image
    # float32 [m], Euclidean distances of the uint8 descriptors: divide by the extractor's quantum
    distances: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Matcher:
    """Finds tentative pairs of the features of two images.

    Args:
        match: ``mutual``: each feature of a pair is the nearest to the other. ``ratio``: the feature of the second
            image is the nearest to that of the first one and clearly nearer than the second nearest (Lowe, IJCV 2004,
            section 7.1); if several choose the same feature, the nearest of them keeps it.
        ratio: for ``ratio``, the maximum ratio of the distances to the nearest and the second nearest feature.
    """

    match: Match = "ratio"
    ratio: float = 0.9

    def __post_init__(self) -> None:
        if self.match not in ("mutual", "ratio"):
            raise LandmarksError(f"matching: match is {self.match!r}: it must be mutual or ratio")
        if not 0 < self.ratio <= 1:
            raise LandmarksError(f"matching: ratio is {self.ratio}: it must be above 0 and at most 1")

    def signature(self) -> dict[str, Any]:
        """Return the values on which the pairs depend besides the descriptors, for cache keys."""
        return {"match": self.match, **({"ratio": self.ratio} if self.match == "ratio" else {})}

    def __call__(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Matches:
        """Match the descriptors of two images, uint8 [n, D] and [m, D]; ``ratio`` finds no pairs if m is 1."""
        if first.shape[1:] != second.shape[1:] or first.shape[1] > MAX_DIM:
            raise LandmarksError(f"matching: descriptors [n, D] of {first.shape} and {second.shape}, D up to {MAX_DIM}")
        if min(len(first), len(second)) == 0:
            return _one_each(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        squared = _squared_distances(first, second)
        rows = np.arange(len(first))
        nearest = squared.argmin(axis=1)
        distances = squared[rows, nearest]
        if self.match == "mutual":
            kept = distances == squared.min(axis=0)[nearest]
        else:
            squared[rows, nearest] = np.inf
            kept = distances < np.float32(self.ratio**2) * squared.min(axis=1)
            if len(second) == 1:
                kept[:] = False
        return _one_each(rows[kept], nearest[kept], distances[kept])


def _squared_distances(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute |a - b|², float32 [n, m], as one product of [-2a, |a|², 1] and [b, 1, |b|²]."""
    dim = first.shape[1]
    left = np.empty((len(first), dim + 2), np.float32)
    right = np.empty((len(second), dim + 2), np.float32)
    left[:, :dim], right[:, :dim] = first, second
    left[:, dim] = np.einsum("nd,nd->n", left[:, :dim], left[:, :dim])
    right[:, dim + 1] = np.einsum("nd,nd->n", right[:, :dim], right[:, :dim])
    left[:, dim + 1] = right[:, dim] = 1
    left[:, :dim] *= -2
    return left @ right.T


def _one_each(first: NDArray[np.int64], second: NDArray[np.int64], squared: NDArray[np.float32]) -> Matches:
    """Keep only the nearest pair of each feature of the second image, the earlier one of equally near ones."""
    order = np.lexsort((first, squared, second))
    best = np.ones(len(order), np.bool_)
    best[1:] = second[order][1:] != second[order][:-1]
    kept = np.sort(order[best])
    return Matches(first[kept], second[kept], np.sqrt(np.maximum(squared[kept], 0)))
