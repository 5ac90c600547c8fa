"""Query expansion: search again with the query averaged with its nearest index images."""

from dataclasses import replace

from landmarks.errors import LandmarksError
from landmarks.retrieval.expansion import Weights, check_expansion, expand
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import SearchState


class QueryExpansion:
    """αQE; later stages see the expanded queries.

    Args:
        k: nearest images that are added, taken from the ranking so far; fewer where it has empty places.
        alpha: power of their similarity; 0 is average query expansion.
        weights: ``rank`` lets the weight fall with the rank, too.
        rounds: how often; each adds the images that the round before has found to the query as it was at first, so
            that it cannot drift away.

    Raises:
        LandmarksError: k or rounds below 1, alpha below 0, or unknown weights.
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
        """The state with expanded queries and their ranking.

        Raises:
            LandmarksError: no ranking yet, one with fewer than k places, or a bad row.
        """
        queries, ranking = state.queries, state.require_ranking("query expansion")
        if ranking.depth < self.k:
            raise LandmarksError(
                f"query expansion: k is {self.k}, but the ranking has {ranking.depth} places; search with a larger "
                "index.k, or take a smaller k"
            )
        for _ in range(self.rounds):
            nearest = ranking.indices[:, : self.k]
            queries = expand(state.queries, nearest, state.index, self.alpha, self.weights, resources.workers)
            ranking = resources.index.search(queries, state.index)
        return replace(state, queries=queries, ranking=ranking)
