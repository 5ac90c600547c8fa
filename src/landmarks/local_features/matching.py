"""Matches the local features of two images: tentative pairs, most of them wrong before geometric verification.

Distances of integers and bits are exact: float32 adds integers below 2^24 without rounding, and descriptors of length
one stay below it. So these pairs do not depend on the BLAS library or the number of threads.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.local_features.features import LocalFeatures

Match = Literal["mutual", "ratio"]


@dataclass(frozen=True)
class Matches:
    """Pairs of features of two images; no feature is in two pairs."""

    first: NDArray[np.int64]  # int64 [m], rows of features of the first image, ascending
    second: NDArray[np.int64]  # int64 [m], rows of features of the second image

    def __len__(self) -> int:
        return len(self.first)


@runtime_checkable  # configurations are checked against it
class PairMatcher(Protocol):
    """Finds tentative pairs of the features of two images; picklable, so that processes can share the work."""

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU, and then in one process only."""
        ...

    def __call__(self, first: LocalFeatures, second: LocalFeatures) -> Matches:
        """Match the features of two images."""
        ...

    def signature(self) -> dict[str, Any]:
        """Return the JSON values on which the pairs depend besides the features, for cache keys."""
        ...


@dataclass(frozen=True)
class Matcher:
    """Finds tentative pairs of the features of two images.

    Args:
        match: ``mutual``: each feature of a pair is the nearest to the other. ``ratio``: the feature of the second
            image is the nearest to that of the first one and clearly nearer than the second nearest (Lowe, IJCV 2004,
            section 7.1); if several choose the same feature, the nearest of them keeps it.
        ratio: for ``ratio``, the maximum ratio of the distances to the nearest and the second nearest feature.
        max_distance: features farther apart are no pair, as distance between descriptors of length one; None: no limit.
    """

    match: Match = "ratio"
    ratio: float = 0.9
    max_distance: float | None = None
    on_gpu: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.match not in ("mutual", "ratio"):
            raise LandmarksError(f"matching: match is {self.match!r}: it must be mutual or ratio")
        if not 0 < self.ratio <= 1:
            raise LandmarksError(f"matching: ratio is {self.ratio}: it must be above 0 and at most 1")
        if self.max_distance is not None and not self.max_distance > 0:
            raise LandmarksError(f"matching: max_distance is {self.max_distance}: it must be above 0, or null")

    def signature(self) -> dict[str, Any]:
        """Return the values on which the pairs depend besides the descriptors, for cache keys."""
        used = {"match": self.match, "max_distance": self.max_distance}
        return {**used, "ratio": self.ratio} if self.match == "ratio" else used

    def __call__(self, first: LocalFeatures, second: LocalFeatures) -> Matches:
        """Match the features of two images, n and m; ``ratio`` finds no pairs if m is 1.

        Raises:
            LandmarksError: the features are of two kinds.
        """
        require_same_kind(first, second)
        if min(len(first), len(second)) == 0:
            return _one_each(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        kind = first.kind
        squared = _squared_distances(kind.numbers(first.descriptors), kind.numbers(second.descriptors))
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
        if self.max_distance is not None:
            kept &= distances <= np.float32((self.max_distance * kind.length) ** 2)
        return _one_each(rows[kept], nearest[kept], distances[kept])


def require_same_kind(first: LocalFeatures, second: LocalFeatures) -> None:
    """Raise LandmarksError if the features of two images cannot be compared."""
    if first.kind != second.kind:
        raise LandmarksError(f"matching: features of two kinds, {first.kind} and {second.kind}")


def _squared_distances(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
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
    return Matches(first[kept], second[kept])
