"""Database augmentation: average every index image with its nearest ones, then search anew.

Turcot and Lowe, "Better matching with fewer features", ICCV workshops 2009; with weights similarity^alpha as in
αQE. Costs an exact search of all index images among themselves, N x N products in bounded memory; the augmented
index lies in memory up to the search's budget and above it in an unnamed temporary file.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors
from landmarks.retrieval.expansion import check_expansion, expand
from landmarks.retrieval.index import Searcher
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.state import SearchState

# Index images searched at once; the index is read once for each such group.
GROUP = 65_536


class DatabaseAugmentation:
    """αDBA; later stages see the augmented index.

    Args:
        k: nearest other index images that are added to each.
        alpha: power of their similarity; 0 weighs all alike.
        scratch: folder for the temporary file; the system's own by default.

    Raises:
        LandmarksError: k below 1 or alpha below 0.
    """

    def __init__(self, k: int = 5, alpha: float = 3.0, scratch: str | None = None) -> None:
        check_expansion("database augmentation", k, alpha)
        self.k = k
        self.alpha = alpha
        self.scratch = scratch

    def __call__(self, state: SearchState, searcher: Searcher) -> SearchState:
        """The state with an augmented index and the queries' ranking in it."""
        index = self.augment(state.index, searcher)
        return replace(state, index=index, ranking=searcher.search(state.queries, index))

    def augment(self, index: Descriptors, searcher: Searcher) -> NDArray[np.float32]:
        """float32 [N, D]: every row averaged with its k nearest others, L2-normalised.

        Raises:
            LandmarksError: no room for the temporary file.
        """
        if index.size * 4 <= searcher.memory_budget_mb * MIB:
            return np.concatenate([np.empty((0, index.shape[1]), np.float32), *self._groups(index, searcher)])
        try:
            with tempfile.TemporaryFile(dir=self.scratch) as file:
                for augmented in self._groups(index, searcher):
                    file.write(augmented.tobytes())
                file.flush()
                # The map keeps the file's blocks until the array is dropped.
                return np.memmap(file, np.float32, "r", shape=index.shape)
        except OSError as error:
            place = self.scratch or "the system's temporary folder"
            raise LandmarksError(
                f"database augmentation: no room for {index.size * 4 // MIB} MiB in {place}: {error}; "
                "set scratch to a folder with more or raise index.memory_budget_mb"
            ) from error

    def _groups(self, index: Descriptors, searcher: Searcher) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(index), GROUP):
            group = index[start : start + GROUP]
            neighbours = _without_self(searcher.search(group, index, self.k + 1), start)
            yield expand(group, neighbours, index, self.alpha)


def _without_self(ranking: Ranking, first: int) -> Ranking:
    """Drop each image from its own neighbours, or the last one where copies of it have crowded it out."""
    own = ranking.indices == (first + np.arange(ranking.num_queries))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (ranking.num_queries, ranking.depth - 1)
    return Ranking(ranking.indices[~own].reshape(shape), ranking.scores[~own].reshape(shape))
