"""The first stage: nearest index images by global descriptor."""

from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import SearchState


class Search:
    """Search the index with the descriptors as they are now; K and the way are the index's own settings."""

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with a new ranking."""
        return state.with_ranking(resources.index.search(state.queries, state.index))
