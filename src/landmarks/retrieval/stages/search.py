"""The first stage: nearest index images by global descriptor."""

from landmarks.retrieval.index import Searcher
from landmarks.retrieval.state import SearchState


class Search:
    """Search the index with the descriptors as they are now; K and the way are the index's own settings."""

    def __call__(self, state: SearchState, searcher: Searcher) -> SearchState:
        """The state with a new ranking."""
        return state.with_ranking(searcher.search(state.queries, state.index))
