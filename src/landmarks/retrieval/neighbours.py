"""The nearest other images of every image, on which database augmentation and graphs are built.

They are searched in groups and cached chunk by chunk: an exact search for 761,757 images takes most of an hour, resumes
after an interruption, and is never repeated for the same descriptors. An approximate searcher
(``index@neighbours=hnsw``) needs a fraction of that time.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, check_matrix, check_rows
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.state import Resources

# Images searched at once; the database is read once for each such group.
GROUP = 16_384


def all_neighbours(database: Descriptors, k: int, resources: Resources) -> Ranking:
    """Find the k nearest other images of every image, in the cache or by a search.

    Args:
        database: [N, D] descriptors.
        k: neighbours of each image.
        resources: gives the searcher and the cache.

    Returns:
        Ranking [N, k], memory-mapped. An image is never its own neighbour; places beyond N - 1 are empty.
    """
    check_matrix(database, "index descriptors")
    if not len(database) or k < 1:
        raise LandmarksError(f"neighbours: k is {k} and the index has {len(database)} images: both must be 1 or more")
    check_rows(database, "index descriptors", normalize=True)

    def make(start: int, stop: int) -> Ranking:
        return without_self(resources.neighbours.search(database[start:stop], database, k + 1), start)

    parameters = {"k": k, "searcher": resources.neighbours.signature()}
    return resources.cache.ranking("neighbours", (len(database), k), make, GROUP, [database], parameters)


def without_self(ranking: Ranking, first: int) -> Ranking:
    """Remove each image from its own neighbours, or the last neighbour if copies of the image crowded it out.

    Args:
        ranking: [B, k + 1], the neighbours of the images `first`, `first` + 1 …
        first: row of the first image.

    Returns:
        Ranking [B, k].
    """
    own = ranking.indices == (first + np.arange(ranking.num_queries))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (ranking.num_queries, ranking.depth - 1)
    return Ranking(ranking.indices[~own].reshape(shape), ranking.scores[~own].reshape(shape))


def is_mutual(neighbours: Ranking, start: int, stop: int) -> NDArray[np.bool_]:
    """Mark the neighbours of some images that have the image among their own.

    Args:
        neighbours: [N, k], the nearest others of every image.
        start: first image.
        stop: one past the last image.

    Returns:
        bool [stop - start, k]; False at empty places.
    """
    near = neighbours.indices[start:stop]
    images = np.arange(start, stop, dtype=np.int32)[:, None]
    mutual = np.zeros(near.shape, np.bool_)
    for place in range(near.shape[1]):  # [B, k] at once, not [B, k, k]
        mutual[:, place : place + 1] = (neighbours.indices[near[:, place]] == images).any(axis=1, keepdims=True)
    return mutual & (near != EMPTY)
