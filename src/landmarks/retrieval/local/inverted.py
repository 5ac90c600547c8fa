"""Searches all local descriptors of the index images by an inverted file with product quantisation.

Jégou, Douze, Schmid, "Product quantization for nearest neighbor search", TPAMI 2011. The DELF paper (Noh et al.,
ICCV 2017) searched 40-d descriptors in 8K cells with codes of 10 x 2^5 bits; for 128-d RootSIFT the codes of 16 bytes
and all other values below are our choice.

A feature takes `code_bytes` + 8 bytes of memory, and its code and two bytes on disk. The 761,757 index images of GLDv2
with 500 features each take 9.1 GB at 16 bytes per code, with 1000 features 18.3 GB. 24 GB hold 1,250 features per
image at 16 bytes per code, or 750 at 32, and leave 1 GB.
"""

import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local.cells import cells_near, k_means
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.search.backends import faiss_threads, require_faiss
from landmarks.retrieval.state import Resources
from landmarks.storage import Column

# Distances, float32 [F, k], ascending along a row, and rows of features, int64 [F, k]; inf and -1 in empty places.
Found = tuple[NDArray[np.float32], NDArray[np.int64]]

log = logging.getLogger(__name__)

# Number of values of one byte of a code.
CODE_WORDS = 256
# Training features per cell.
TRAINING_FEATURES = 64
# Features encoded per chunk, 512 bytes each in float32.
BLOCK = 65_536
# Limits of the default number of cells, see `cells_near`.
FEWEST_CELLS, MOST_CELLS = 64, 8192
# Code words cannot be learned from fewer features, so such sets are always searched exactly.
FEWEST_FEATURES = 16 * CODE_WORDS


@dataclass(frozen=True)
class InvertedFile:
    """Settings for storing and searching local descriptors.

    Attributes:
        cells: cells of the inverted file; None for a number that grows with that of the features.
        code_bytes: bytes of a feature's code, a divisor of the descriptor's length; None for the largest up to 16.
        probes: cells searched per query feature.
        exact_up_to: sets of at most this many features are stored uncompressed and searched exactly.
    """

    cells: int | None = None
    code_bytes: int | None = None
    probes: int = 16
    exact_up_to: int = 65_536

    def __post_init__(self) -> None:
        if any(number is not None and number < 1 for number in (self.cells, self.code_bytes, self.probes)):
            raise LandmarksError(
                f"local search: cells ({self.cells}), code_bytes ({self.code_bytes}) and probes ({self.probes}) must "
                "be 1 or more"
            )
        if self.exact_up_to < 0:
            raise LandmarksError(f"local search: exact_up_to is {self.exact_up_to}: it must be 0 or more")

    def is_exact(self, count: int) -> bool:
        """Return whether a set of `count` features is searched exactly."""
        return count <= max(self.exact_up_to, FEWEST_FEATURES)

    def cells_for(self, count: int) -> int:
        """Return the number of cells for `count` features, never more than that."""
        if self.cells is not None:
            return min(self.cells, count)
        return cells_near(count, FEWEST_CELLS, MOST_CELLS)

    def signature(self) -> dict[str, Any]:
        """Return the values on which the result of a search depends, for cache keys."""
        return {**asdict(self), "faiss": require_faiss("local search").__version__}


def open_index(
    features: LocalFeatureTable, settings: InvertedFile, resources: Resources
) -> "ExactFeatureIndex | CompressedIndex":
    """Build the index of one or more features, or read it from the cache."""
    count = len(features.descriptors)
    if settings.is_exact(count):
        return ExactFeatureIndex(features, resources.workers)
    code_bytes = settings.code_bytes or next(size for size in range(16, 0, -1) if features.kind.dim % size == 0)
    return CompressedIndex(features, settings.cells_for(count), code_bytes, settings.probes, resources)


def _distances(squared: NDArray[np.float32], rows: NDArray[np.int64]) -> Found:
    """Convert squared distances from faiss to distances; those of codes may be slightly below 0."""
    return np.sqrt(np.where(rows < 0, np.float32(np.inf), np.maximum(squared, 0))), rows


class ExactFeatureIndex:
    """All descriptors in memory; they are integers, whose distances are exact in float32 for any order of sums."""

    def __init__(self, features: LocalFeatureTable, threads: int) -> None:
        self._faiss = require_faiss("local search")
        self._kind = features.kind
        self._vectors = self._kind.numbers(features.descriptors[:])
        self._threads = threads
        count, memory = len(self._vectors), 1e-6 * self._vectors.nbytes
        log.info("Local search: exact among %s features, %.0f MB", f"{count:,}", memory)

    def search(self, descriptors: NDArray[Any], k: int) -> Found:
        """Find the k nearest features."""
        with faiss_threads(self._threads):
            return _distances(*self._faiss.knn(self._kind.numbers(descriptors), self._vectors, k))


class CompressedIndex:
    """The codes of all features in memory, in one list per cell."""

    def __init__(
        self, features: LocalFeatureTable, cells: int, code_bytes: int, probes: int, resources: Resources
    ) -> None:
        count, dim = len(features.descriptors), features.kind.dim
        self._kind = features.kind
        if dim % code_bytes:
            raise LandmarksError(
                f"local search: code_bytes is {code_bytes}: it must divide the {dim} values of a descriptor"
            )
        parameters = {
            "cells": cells,
            "code_bytes": code_bytes,
            "seed": resources.seed,
            "faiss": require_faiss("local search").__version__,
        }
        content: list[NDArray[Any]] = [features.keys, features.counts]
        books = resources.cache.rows(
            "local_codebooks",
            1,
            {
                "cells": Column(np.float32, (cells, dim)),
                "words": Column(np.float32, (code_bytes, CODE_WORDS, dim // code_bytes)),
            },
            lambda start, stop: _train(features, cells, code_bytes, resources.seed),
            1,
            content,
            parameters,
        )
        self._index = _with_cells(books["cells"][0], code_bytes)
        _set_words(self._index, books["words"][0])
        self._threads = resources.workers

        def encode(start: int, stop: int) -> dict[str, NDArray[Any]]:
            with faiss_threads(resources.workers):
                return {"codes": self._index.sa_encode(features.kind.numbers(features.descriptors[start:stop]))}

        column = Column(np.uint8, (self._index.sa_code_size(),))
        kept = resources.cache.rows("local_codes", count, {"codes": column}, encode, BLOCK, content, parameters)
        _fill(self._index, kept["codes"], cells)
        self._index.nprobe = min(probes, cells)
        # Codes, row numbers, cells, and faiss's precomputed table of products of cells and words.
        memory = count * (code_bytes + 8) + 4 * cells * (dim + code_bytes * CODE_WORDS)
        log.info("Local search: %s features in %s cells, %.0f MB", f"{count:,}", f"{cells:,}", 1e-6 * memory)

    def search(self, descriptors: NDArray[Any], k: int) -> Found:
        """Find the k nearest features in the nearest cells, with distances computed from codes."""
        with faiss_threads(self._threads):
            return _distances(*self._index.search(self._kind.numbers(descriptors), k))


def _train(features: LocalFeatureTable, cells: int, code_bytes: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Learn cells and code words from a sample; on one thread, because they depend on the order of sums."""
    import faiss

    descriptors = features.descriptors
    size = min(len(descriptors), TRAINING_FEATURES * max(cells, CODE_WORDS))
    chosen = np.random.default_rng(seed).choice(len(descriptors), size, replace=False, shuffle=False)
    sample = features.kind.numbers(descriptors[np.sort(chosen)])
    log.info("Local search: training %s cells on %s features", f"{cells:,}", f"{size:,}")
    with faiss_threads(1):
        # Centres are rounded to integers, whose distances are exact in float32, so that the nearest cells do not depend
        # on how many features are searched or encoded at once.
        centres = np.rint(k_means(sample, cells, seed))
        index = _with_cells(centres, code_bytes)
        index.pq.cp.seed = seed
        index.pq.cp.min_points_per_centroid = 1  # avoids a warning for small sets
        index.train(sample)
    words = faiss.vector_to_array(index.pq.centroids).reshape(1, code_bytes, CODE_WORDS, -1)
    return {"cells": centres[None], "words": words}


def _with_cells(centres: NDArray[np.float32], code_bytes: int) -> Any:
    """Make a faiss index with these cells [C, D] and untrained code words."""
    import faiss

    cells, dim = centres.shape
    quantiser = faiss.IndexFlatL2(dim)
    quantiser.add(np.ascontiguousarray(centres))
    return faiss.IndexIVFPQ(quantiser, dim, cells, code_bytes, 8)


def _set_words(index: Any, words: NDArray[np.float32]) -> None:
    """Set the code words [code_bytes, 256, D / code_bytes] of a faiss index."""
    import faiss

    faiss.copy_array_to_vector(np.ascontiguousarray(words).reshape(-1), index.pq.centroids)
    index.is_trained = True
    index.precompute_table()


def _fill(index: Any, codes: NDArray[np.uint8], cells: int) -> None:
    """Add codes [M, …], each preceded by the little-endian number of its cell, to the lists of a faiss index."""
    place = 256 ** np.arange(codes.shape[1] - index.code_size)
    sizes = np.zeros(cells, np.int64)
    for start in range(0, len(codes), BLOCK):
        sizes += np.bincount(codes[start : start + BLOCK, : len(place)] @ place, minlength=cells)
    for cell, size in enumerate(sizes.tolist()):  # reserve memory: lists that grow would take twice as much
        index.invlists.resize(cell, size)
        index.invlists.resize(cell, 0)
    for start in range(0, len(codes), BLOCK):
        block = np.ascontiguousarray(codes[start : start + BLOCK])
        index.add_sa_codes(block, np.arange(start, start + len(block)))
