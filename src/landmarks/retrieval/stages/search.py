"""The first stage: the nearest images of every query by global descriptor."""

from landmarks.errors import LandmarksError
from landmarks.retrieval.state import Resources, StateT


class Search:
    """Searches with the current descriptors in the index, or for recognition in the labelled train images.

    Args:
        k: number of neighbours per query for later stages; the index's own `k` by default.
    """

    def __init__(self, k: int | None = None) -> None:
        if k is not None and k < 1:
            raise LandmarksError(f"search: k is {k}: it must be 1 or more")
        self.k = k

    def __call__(self, state: StateT, resources: Resources) -> StateT:
        """Return the state with a new ranking [Q, k]."""
        return state.with_ranking(resources.index.search(state.queries, state.index, self.k))
