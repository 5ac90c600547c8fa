"""Divides the space of descriptors into cells, the lists of an inverted file or visual words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.search.backends import faiss_threads, require_faiss

# Iterations of k-means.
ITERATIONS = 10


def cells_near(features: int, fewest: int, most: int) -> int:
    """Return the number of cells for so many features: the power of two nearest to 4 √F, within limits. Our choice."""
    return int(np.clip(2 ** round(np.log2(4 * np.sqrt(features))), fewest, most))


def k_means(vectors: NDArray[np.float32], cells: int, seed: int) -> NDArray[np.float32]:
    """Learn centres [C, D] of vectors [F, D]; on one thread, because they depend on the order of sums."""
    faiss = require_faiss("local search")
    with faiss_threads(1):
        means = faiss.Kmeans(
            vectors.shape[1],
            cells,
            niter=ITERATIONS,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(vectors),
        )
        means.train(vectors)
    centroids: Any = means.centroids  # faiss's own stub allows None, as before training
    return np.asarray(centroids, np.float32)
