"""Query expansion: search again with the query averaged with its nearest index images."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.expansion import Weights, check_expansion, expand
from landmarks.retrieval.neighbours import all_neighbours
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.state import Resources, SearchState
from landmarks.storage import Column


class QueryExpansion:
    """αQE; later stages see the expanded queries.

    Args:
        k: nearest images that are added, taken from the ranking so far; fewer where it has empty places.
        alpha: power of their similarity; 0 is average query expansion.
        weights: ``rank`` lets the weight fall with the rank, too.
        rounds: how often; each adds the images that the round before has found to the query as it was at first, so
            that it cannot drift away.
    """

    def __init__(self, k: int = 5, alpha: float = 3.0, weights: Weights = "similarity", rounds: int = 1) -> None:
        check_expansion("query expansion", k, alpha, weights)
        if rounds < 1:
            raise LandmarksError(f"query expansion: rounds must be 1 or more, got {rounds}")
        self.k = k
        self.alpha = alpha
        self.weights: Weights = weights
        self.rounds = rounds

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with expanded queries and their ranking."""
        queries, ranking = state.queries, _deep_enough(state, self.k, "query expansion")
        for _ in range(self.rounds):
            nearest = ranking.indices[:, : self.k]
            queries = expand(state.queries, nearest, state.index, self.alpha, self.weights, resources.workers)
            ranking = resources.index.search(queries, state.index)
        return replace(state, queries=queries, ranking=ranking)


# Index images expanded at once.
CHUNK = 16_384


class DatabaseAugmentation:
    """αDBA; later stages see the augmented index.

    Args:
        k: nearest other index images that are added to each.
        alpha: power of their similarity; 0 weighs all alike.
        weights: ``rank`` lets the weight fall with the rank, too.
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
        """float32 [N, D]: every row averaged with its k nearest others, L2-normalised; memory-mapped."""
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


class GuidedExpansion:
    """αQE with the top of the ranking and the verified images, each once; later stages see the expanded queries.

    Args:
        k: images added from the ranking so far; fewer where it has empty places.
        min_inliers: images with more inliers than this are added from what was verified.
        alpha: power of the similarity of an image to the query, which weighs it whichever way it was found; 0 weighs
            all alike.
        max_verified: the most verified images that a query looks at, those with the most inliers.
    """

    def __init__(self, k: int = 5, min_inliers: int = 40, alpha: float = 3.0, max_verified: int = 100) -> None:
        check_expansion("guided expansion", k, alpha, "similarity")
        if min_inliers < 0 or max_verified < 1:
            raise LandmarksError(
                "guided expansion: min_inliers must be 0 or more and max_verified 1 or more, got "
                f"min_inliers={min_inliers}, max_verified={max_verified}"
            )
        self.k = k
        self.min_inliers = min_inliers
        self.alpha = alpha
        self.max_verified = max_verified

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with expanded queries and their ranking."""
        ranking = _deep_enough(state, self.k, "guided expansion")
        if state.verified is None:
            raise LandmarksError(
                "stage guided expansion needs the inliers of verified images: put a spatial verification before it"
            )
        neighbours = self.neighbours(ranking, state.verified)
        queries = expand(state.queries, neighbours, state.index, self.alpha, workers=resources.workers)
        return replace(state, queries=queries, ranking=resources.index.search(queries, state.index))

    def neighbours(self, ranking: Ranking, verified: Ranking) -> NDArray[np.int32]:
        """Index images that a query is averaged with, each once, int32 [Q, k + V], V at most `max_verified`."""
        nearest = ranking.indices[:, : self.k]
        sure = verified.indices[:, : self.max_verified].copy()
        sure[verified.scores[:, : self.max_verified] <= self.min_inliers] = EMPTY
        for place in nearest.T:
            sure[sure == place[:, None]] = EMPTY
        # Columns that are empty for all queries would cost as much as full ones.
        return np.concatenate([nearest, sure[:, (sure != EMPTY).any(axis=0)]], axis=1)


def _deep_enough(state: SearchState, k: int, stage: str) -> Ranking:
    """The ranking, or an error where it has fewer than k places."""
    ranking = state.require_ranking(stage)
    if ranking.depth < k:
        raise LandmarksError(
            f"{stage}: k is {k}, but the ranking has {ranking.depth} places; search with a larger index.k, or take a "
            "smaller k"
        )
    return ranking
