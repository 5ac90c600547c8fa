"""Query expansion guided by local features: the nearest images and those that spatial verification is sure of.

Step 4 of the pipeline that came seventh in both Google landmark challenges of 2018: the query is averaged with the
top 5 of the search by global descriptor and with the images that share more than 40 inliers with it, wherever the
global search put them. How these are weighed was not published; similarity^alpha for all of them is ours.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.expansion import check_expansion, expand
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import SearchState


class GuidedExpansion:
    """αQE with the top of the ranking and the verified images, each once; later stages see the expanded queries.

    Args:
        k: images added from the ranking so far; fewer where it has empty places.
        min_inliers: images with more inliers than this are added from what was verified.
        alpha: power of the similarity of an image to the query, which weighs it whichever way it was found; 0 weighs
            all alike.
        max_verified: the most verified images that a query looks at, those with the most inliers.

    Raises:
        LandmarksError: k or max_verified below 1, alpha or min_inliers below 0.
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
        """The state with expanded queries and their ranking.

        Raises:
            LandmarksError: no ranking or no inliers yet, a ranking with fewer than k places, or a bad row.
        """
        ranking = state.require_ranking("guided expansion")
        if state.verified is None:
            raise LandmarksError(
                "stage guided expansion needs the inliers of verified images: put a spatial verification before it"
            )
        if ranking.depth < self.k:
            raise LandmarksError(
                f"guided expansion: k is {self.k}, but the ranking has {ranking.depth} places; search with a larger "
                "index.k, or take a smaller k"
            )
        neighbours = self.neighbours(ranking, state.verified)
        queries = expand(state.queries, neighbours, state.index, self.alpha, workers=resources.workers)
        return replace(state, queries=queries, ranking=resources.index.search(queries, state.index))

    def neighbours(self, ranking: Ranking, verified: Ranking) -> NDArray[np.int32]:
        """Index images that a query is averaged with, each once, int32 [Q, k + V], V at most `max_verified`.

        Args:
            ranking: [Q, K], K at least k.
            verified: [Q, M] index images by falling number of inliers, which are the scores.
        """
        nearest = ranking.indices[:, : self.k]
        sure = verified.indices[:, : self.max_verified].copy()
        sure[verified.scores[:, : self.max_verified] <= self.min_inliers] = EMPTY
        for place in nearest.T:
            sure[sure == place[:, None]] = EMPTY
        # Columns that are empty for all queries would cost as much as full ones.
        return np.concatenate([nearest, sure[:, (sure != EMPTY).any(axis=0)]], axis=1)
