"""Finds the nearest of all local descriptors of the index images: an inverted file with product quantisation.

Jégou, Douze, Schmid, "Product quantization for nearest neighbor search", TPAMI 2011. The DELF paper (Noh et al.,
ICCV 2017) searched 40-d descriptors in 8K cells with codes of 10 x 2^5 bits; for 128-d RootSIFT the codes of 16 bytes
and all numbers below are ours.

A feature takes `code_bytes` + 8 bytes of memory, and two more than its code on disk. The 761,757 index images of GLDv2
with 500 features each take 9.1 GB at 16 bytes a code, with 1000 features 18.3 GB. What fits into 24 GB is 1,250
features an image at 16 bytes a code and 750 at 32, with 1 GB left for the rest.
"""

import logging
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local.compressed import CODE_WORDS, CompressedIndex
from landmarks.retrieval.local.faiss_search import Found, distances, faiss_threads, require_faiss
from landmarks.retrieval.local.strongest import StrongestFeatures
from landmarks.retrieval.resources import Resources

log = logging.getLogger(__name__)

# Cells: a power of two near four times the root of the number of features, within these.
FEWEST_CELLS, MOST_CELLS = 64, 8192
# Code words cannot be learned from fewer features: such sets are always exact.
FEWEST_FEATURES = 16 * CODE_WORDS


@dataclass(frozen=True)
class InvertedFile:
    """How descriptors are kept and searched.

    Attributes:
        cells: cells of the inverted file; None for a number that grows with that of the features.
        code_bytes: bytes of a feature's code; a divisor of the descriptor's length.
        probes: cells looked at for a query feature.
        exact_up_to: sets of no more features than this are kept as they are and searched exactly.

    Raises:
        LandmarksError: a parameter out of range.
    """

    cells: int | None = None
    code_bytes: int = 16
    probes: int = 16
    exact_up_to: int = 65_536

    def __post_init__(self) -> None:
        if (self.cells is not None and self.cells < 1) or self.code_bytes < 1 or self.probes < 1:
            raise LandmarksError(
                f"local search: cells ({self.cells}), code_bytes ({self.code_bytes}) and probes ({self.probes}) must "
                "be 1 or more"
            )
        if self.exact_up_to < 0:
            raise LandmarksError(f"local search: exact_up_to is {self.exact_up_to}: it must be 0 or more")

    def is_exact(self, count: int) -> bool:
        """Whether a set of `count` features is searched exactly."""
        return count <= max(self.exact_up_to, FEWEST_FEATURES)

    def cells_for(self, count: int) -> int:
        """Cells for `count` features; never more than there are features to train them."""
        if self.cells is not None:
            return min(self.cells, count)
        return int(np.clip(2 ** round(np.log2(4 * np.sqrt(count))), FEWEST_CELLS, MOST_CELLS))

    def signature(self) -> dict[str, Any]:
        """What the result of a search depends on."""
        return {**asdict(self), "faiss": require_faiss().__version__}


class FeatureIndex(Protocol):
    """The descriptors of the index images, ready for searches."""

    def search(self, descriptors: NDArray[np.uint8], k: int) -> Found:
        """The k nearest features of each query feature."""
        ...


def open_index(features: StrongestFeatures, settings: InvertedFile, resources: Resources) -> FeatureIndex:
    """The index of the given features, out of the cache where it was made before.

    Args:
        features: at least one of them.
        settings: how they are kept.
        resources: cache, seed and number of threads.

    Raises:
        LandmarksError: faiss is not installed, codes that do not fit the descriptors, or no room for the cache.
    """
    count = len(features)
    if settings.is_exact(count):
        return ExactFeatureIndex(features, resources.workers)
    return CompressedIndex(features, settings.cells_for(count), settings.code_bytes, settings.probes, resources)


class ExactFeatureIndex:
    """All descriptors in memory: whole numbers, whose distances are exact in float32 whatever the order of sums."""

    def __init__(self, features: StrongestFeatures, threads: int) -> None:
        self._vectors = features.rows(0, len(features)).astype(np.float32)
        self._threads = threads
        log.info("Local search: exact among %s features, %.0f MB", f"{len(features):,}", 1e-6 * self._vectors.nbytes)

    def search(self, descriptors: NDArray[np.uint8], k: int) -> Found:
        """The k nearest features."""
        with faiss_threads(self._threads):
            return distances(*require_faiss().knn(descriptors.astype(np.float32), self._vectors, k))
