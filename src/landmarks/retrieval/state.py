"""What flows through a retrieval pipeline: the ranking, and beside it what stages need to better it."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.index import Searcher
from landmarks.retrieval.ranking import Ranking


@dataclass(frozen=True)
class SearchState:
    """A search between two stages. Stages give a changed copy and never write into the arrays.

    Attributes:
        queries: [Q, D] query descriptors; an expansion replaces them.
        index: [N, D] index descriptors, usually memory-mapped; an augmentation replaces them.
        ranking: the best index images so far; None before the first search.
        query_ids: uint64 [Q], where pictures are needed.
        index_ids: uint64 [N].
        query_landmarks: int32 [Q] in one label space with `index_landmarks`, where a stage uses labels; -1 = none.
        index_landmarks: int32 [N].
    """

    queries: Descriptors
    index: Descriptors
    ranking: Ranking | None = None
    query_ids: NDArray[np.uint64] | None = None
    index_ids: NDArray[np.uint64] | None = None
    query_landmarks: NDArray[np.int32] | None = None
    index_landmarks: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        for count, names in (
            (len(self.queries), ("query_ids", "query_landmarks")),
            (len(self.index), ("index_ids", "index_landmarks")),
        ):
            for name in names:
                values = getattr(self, name)
                if values is not None and values.shape != (count,):
                    raise LandmarksError(f"search state: {name} has shape {values.shape}, expected ({count},)")
        if self.ranking is not None:
            self.ranking.check(len(self.queries), len(self.index))

    def require_ranking(self, stage: str) -> Ranking:
        """The ranking, or an error that says which stage comes too early."""
        if self.ranking is None:
            raise LandmarksError(f"stage {stage} needs a ranking: put a search before it")
        return self.ranking

    def with_ranking(self, ranking: Ranking) -> "SearchState":
        """The same state with a better ranking."""
        return replace(self, ranking=ranking)


class Stage(Protocol):
    """One step of a pipeline; its parameters are its constructor's."""

    def __call__(self, state: SearchState, searcher: Searcher) -> SearchState:
        """Give the next state, with a ranking. Nearest neighbours come from `searcher`."""
        ...
