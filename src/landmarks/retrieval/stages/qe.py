"""Query expansion: search again with the query averaged with its nearest index images."""

from dataclasses import replace

from landmarks.errors import LandmarksError
from landmarks.retrieval.expansion import check_expansion, expand
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import SearchState


class QueryExpansion:
    """αQE; later stages see the expanded queries.

    Args:
        k: nearest images that are added, taken from the ranking so far.
        alpha: power of their similarity; 0 is average query expansion.

    Raises:
        LandmarksError: k below 1 or alpha below 0.
    """

    def __init__(self, k: int = 5, alpha: float = 3.0) -> None:
        check_expansion("query expansion", k, alpha)
        self.k = k
        self.alpha = alpha

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with expanded queries and their ranking.

        Raises:
            LandmarksError: no ranking yet, or one with fewer than k places.
        """
        ranking = state.require_ranking("query expansion")
        if ranking.depth < self.k:
            raise LandmarksError(f"query expansion: k is {self.k}, but the ranking has {ranking.depth} places")
        nearest = Ranking(ranking.indices[:, : self.k], ranking.scores[:, : self.k])
        queries = expand(state.queries, nearest, state.index, self.alpha)
        return replace(state, queries=queries, ranking=resources.index.search(queries, state.index))
