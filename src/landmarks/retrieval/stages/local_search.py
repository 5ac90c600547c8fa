"""Local search: rank index images by votes of their local features, without any global descriptor.

It is the first step of the pipeline that came seventh in both Google landmark challenges of 2018. It finds landmarks
that a global descriptor misses, such as one in a corner or seen through an arch, as candidates for spatial
verification.
"""

from typing import ClassVar

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import InvertedFile, LocalFeatureStore, Voting, search_by_votes
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.state import Need, Resources, SearchState


class LocalSearch:
    """Ranks index images by votes, with as many places as the index's k.

    The scores are votes, not similarities: a verification after it should order by inliers alone (`by_inliers`), and a
    later search by global descriptor replaces the ranking but keeps the verified images.

    A query without votes, for instance an image without local features, keeps its earlier ranking, or has only empty
    places if there was none.

    Args:
        features: store of the local features.
        inverted: how the features of the index are stored and searched; by default `InvertedFile()`.
        voting: how neighbours become votes; by default `Voting()`.
        features_per_image: number of features per index image that are searched, the strongest ones. Each takes
            `inverted.code_bytes` + 8 bytes of memory, outside all budgets: 9.1 GB for GLDv2's index with 500.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"images"})

    def __init__(
        self,
        features: LocalFeatureStore,
        inverted: InvertedFile | None = None,
        voting: Voting | None = None,
        features_per_image: int = 500,
    ) -> None:
        if features_per_image < 1:
            raise LandmarksError(f"local search: features_per_image is {features_per_image}: it must be 1 or more")
        self.features = features
        self.inverted = inverted or InvertedFile()
        self.voting = voting or Voting()
        self.features_per_image = features_per_image

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by votes."""
        assert state.query_images is not None and state.index_images is not None  # see `needs`
        depth = resources.index.k
        if not len(state.queries) or not len(state.index):
            return state.with_ranking(Ranking.empty(len(state.queries), depth))
        queries = self.features.collect(state.query_images, np.arange(len(state.queries)), resources)
        index = self.features.collect(state.index_images, np.arange(len(state.index)), resources)
        ranking = search_by_votes(
            queries,
            index.strongest(self.features_per_image),
            self.voting,
            self.inverted,
            depth,
            resources,
        )
        if state.ranking is not None:
            ranking = _filled(ranking, state.ranking)
        return state.with_ranking(ranking)


def _filled(ranking: Ranking, before: Ranking) -> Ranking:
    """Fill queries without a result with the first places of the earlier ranking."""
    lost = ~ranking.filled.any(axis=1)
    depth = min(ranking.depth, before.depth)
    indices, scores = ranking.indices.copy(), ranking.scores.copy()
    indices[lost, :depth] = before.indices[lost, :depth]
    scores[lost, :depth] = before.scores[lost, :depth]
    return Ranking(indices, scores)
