"""The first stage: the nearest images of every query by global descriptor."""

from landmarks.errors import LandmarksError
from landmarks.retrieval.state import Resources, StateT


class Search:
    """Search with the descriptors as they are now: in the index, or for recognition in the labelled train images.

    Args:
        k: neighbours of each query that later stages can look at; the index's own `k` by default.
    """

    def __init__(self, k: int | None = None) -> None:
        if k is not None and k < 1:
            raise LandmarksError(f"search: k is {k}: it must be 1 or more")
        self.k = k

    def __call__(self, state: StateT, resources: Resources) -> StateT:
        """The state with a new ranking [Q, k]."""
        return state.with_ranking(resources.index.search(state.queries, state.index, self.k))
