"""The compressed kind of feature index: IVF-PQ of faiss, whose parts lie in the cache as plain arrays.

Not as a file of faiss: arrays are checked by their length before they are used and gone on with after a kill.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local.faiss_search import Found, distances, faiss_threads, require_faiss
from landmarks.retrieval.local.strongest import StrongestFeatures
from landmarks.retrieval.resources import Resources
from landmarks.storage import Column

log = logging.getLogger(__name__)

# Values of one byte of a code.
CODE_WORDS = 256
# Features that each cell is trained on, and rounds of training.
TRAINING_FEATURES = 64
ITERATIONS = 10
# Features encoded at once, 512 bytes each in float32, and the most that a kill loses.
BLOCK = 65_536


class CompressedIndex:
    """Codes of all features in lists of their cells, in memory.

    Cell centres are rounded to whole numbers: distances between whole numbers are exact in float32, so which cells are
    nearest does not depend on how many features are searched or encoded at once.
    """

    def __init__(
        self, features: StrongestFeatures, cells: int, code_bytes: int, probes: int, resources: Resources
    ) -> None:
        if features.dim % code_bytes:
            raise LandmarksError(
                f"local search: code_bytes is {code_bytes}, which does not divide the {features.dim} elements of a "
                "descriptor"
            )
        parameters = {
            "features": features.limit,
            "cells": cells,
            "code_bytes": code_bytes,
            "seed": resources.seed,
            "faiss": require_faiss().__version__,
        }
        books = resources.cache.rows(
            "local_codebooks",
            1,
            {
                "cells": Column(np.float32, (cells, features.dim)),
                "words": Column(np.float32, (code_bytes, CODE_WORDS, features.dim // code_bytes)),
            },
            lambda start, stop: _train(features, cells, code_bytes, resources.seed),
            1,
            features.keys,
            parameters,
        )
        self._index = _with_cells(books["cells"][0], code_bytes)
        _set_words(self._index, books["words"][0])
        self._threads = resources.workers

        def encode(start: int, stop: int) -> dict[str, NDArray[Any]]:
            with faiss_threads(resources.workers):
                return {"codes": self._index.sa_encode(features.rows(start, stop).astype(np.float32))}

        column = Column(np.uint8, (self._index.sa_code_size(),))
        kept = resources.cache.rows(
            "local_codes", len(features), {"codes": column}, encode, BLOCK, features.keys, parameters
        )
        _fill(self._index, kept["codes"], cells)
        self._index.nprobe = min(probes, cells)
        # Codes, row numbers, cells, and the table of products of cells and words.
        memory = len(features) * (code_bytes + 8) + 4 * cells * (features.dim + code_bytes * CODE_WORDS)
        log.info("Local search: %s features in %s cells, %.0f MB", f"{len(features):,}", f"{cells:,}", 1e-6 * memory)

    def search(self, descriptors: NDArray[np.uint8], k: int) -> Found:
        """The k nearest features of those in the nearest cells, distances as far as the codes tell."""
        with faiss_threads(self._threads):
            return distances(*self._index.search(descriptors.astype(np.float32), k))


def _train(features: StrongestFeatures, cells: int, code_bytes: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Cells and code words from a sample; on one thread, for sums in another order would give other ones."""
    faiss = require_faiss()
    size = min(len(features), TRAINING_FEATURES * max(cells, CODE_WORDS))
    chosen = np.random.default_rng(seed).choice(len(features), size, replace=False, shuffle=False)
    sample = features.at(np.sort(chosen)).astype(np.float32)
    log.info("Local search: training %s cells on %s features", f"{cells:,}", f"{size:,}")
    with faiss_threads(1):
        means = faiss.Kmeans(
            features.dim, cells, niter=ITERATIONS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=size
        )
        means.train(sample)
        centres = np.rint(means.centroids).astype(np.float32)
        index = _with_cells(centres, code_bytes)
        index.pq.cp.seed = seed
        index.pq.cp.min_points_per_centroid = 1  # else it warns; small sets have no more
        index.train(sample)
    words = faiss.vector_to_array(index.pq.centroids).reshape(1, code_bytes, CODE_WORDS, -1)
    return {"cells": centres[None], "words": words}


def _with_cells(centres: NDArray[np.float32], code_bytes: int) -> Any:
    """An index of faiss with these cells [C, D], and no code words yet."""
    faiss = require_faiss()
    cells, dim = centres.shape
    quantiser = faiss.IndexFlatL2(dim)
    quantiser.add(np.ascontiguousarray(centres))
    return faiss.IndexIVFPQ(quantiser, dim, cells, code_bytes, 8)


def _set_words(index: Any, words: NDArray[np.float32]) -> None:
    """Give it code words [code_bytes, 256, D / code_bytes]."""
    require_faiss().copy_array_to_vector(np.ascontiguousarray(words).reshape(-1), index.pq.centroids)
    index.is_trained = True
    index.precompute_table()


def _fill(index: Any, codes: NDArray[np.uint8], cells: int) -> None:
    """Put codes [M, …], each behind the little-endian number of its cell, into lists of the right size."""
    place = 256 ** np.arange(codes.shape[1] - index.code_size)
    sizes = np.zeros(cells, np.int64)
    for start in range(0, len(codes), BLOCK):
        sizes += np.bincount(codes[start : start + BLOCK, : len(place)] @ place, minlength=cells)
    for cell, size in enumerate(sizes.tolist()):  # room first: lists that grow take twice the memory
        index.invlists.resize(cell, size)
        index.invlists.resize(cell, 0)
    for start in range(0, len(codes), BLOCK):
        block = np.ascontiguousarray(codes[start : start + BLOCK])
        index.add_sa_codes(block, np.arange(start, start + len(block)))
