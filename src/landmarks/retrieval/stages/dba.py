"""Database augmentation: average every index image with its nearest ones, then search anew.

Turcot and Lowe, "Better matching with fewer features", ICCV workshops 2009; with weights similarity^alpha as in
αQE, or falling with the rank as in Gordo et al., "End-to-end Learning of Deep Visual Representations for Image
Retrieval", IJCV 2017. Costs a search of all index images among themselves, in bounded memory; neighbours and the
augmented index are kept in the cache.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.expansion import Weights, check_expansion, expand
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search import all_neighbours
from landmarks.retrieval.state import SearchState
from landmarks.storage import Column

# Index images expanded at once.
CHUNK = 16_384


class DatabaseAugmentation:
    """αDBA; later stages see the augmented index.

    Args:
        k: nearest other index images that are added to each.
        alpha: power of their similarity; 0 weighs all alike.
        weights: ``rank`` lets the weight fall with the rank, too.

    Raises:
        LandmarksError: k below 1, alpha below 0, or unknown weights.
    """

    def __init__(self, k: int = 5, alpha: float = 3.0, weights: Weights = "similarity") -> None:
        check_expansion("database augmentation", k, alpha, weights)
        self.k = k
        self.alpha = alpha
        self.weights: Weights = weights

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with an augmented index and the queries' ranking in it."""
        index = self.augment(state.index, resources)
        return replace(state, index=index, ranking=resources.index.search(state.queries, index))

    def augment(self, index: Descriptors, resources: Resources) -> NDArray[np.float32]:
        """float32 [N, D]: every row averaged with its k nearest others, L2-normalised; memory-mapped.

        Raises:
            LandmarksError: an empty index, a bad row, or no room for the cache.
        """
        neighbours = all_neighbours(index, self.k, resources)

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            near = neighbours.indices[start:stop]
            return {"descriptors": expand(index[start:stop], near, index, self.alpha, self.weights, resources.workers)}

        parameters = {
            "k": self.k,
            "alpha": self.alpha,
            "weights": self.weights,
            "searcher": resources.neighbours.signature(),
        }
        column = Column(np.float32, (index.shape[1],))
        return resources.cache.rows("augmented", len(index), {"descriptors": column}, make, CHUNK, [index], parameters)[
            "descriptors"
        ]
