"""Local search: rank index images by votes of their local features, without any global descriptor.

It is the first step of the pipeline that came seventh in both Google landmark challenges of 2018. It finds landmarks
that a global descriptor misses, such as one in a corner or seen through an arch, as candidates for spatial
verification.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import (
    InvertedFile,
    LocalFeatureStore,
    LocalFeatureTable,
    Voting,
    search_by_votes,
)
from landmarks.retrieval.ranking import Ranking, with_lost_kept
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
        require_features("local search", features_per_image)
        self.features = features
        self.inverted = inverted or InvertedFile()
        self.voting = voting or Voting()
        self.features_per_image = features_per_image

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by votes."""

        def votes(queries: LocalFeatureTable, index: LocalFeatureTable, depth: int) -> Ranking:
            return search_by_votes(queries, index, self.voting, self.inverted, depth, resources)

        return rank_by_features(state, resources, self.features, self.features_per_image, votes)


def require_features(stage: str, features_per_image: int) -> None:
    """Refuse a search of fewer than one feature per image."""
    if features_per_image < 1:
        raise LandmarksError(f"{stage}: features_per_image is {features_per_image}: it must be 1 or more")


def rank_by_features(
    state: SearchState,
    resources: Resources,
    features: LocalFeatureStore,
    features_per_image: int,
    search: Callable[[LocalFeatureTable, LocalFeatureTable, int], Ranking],
) -> SearchState:
    """Return the state with the ranking that `search` makes of all query features and the strongest of the index.

    A query for which it finds nothing keeps its earlier ranking, or has only empty places if there was none.
    """
    assert state.query_images is not None and state.index_images is not None  # see `needs` of the stages
    depth = resources.index.k
    if not len(state.queries) or not len(state.index):
        return state.with_ranking(Ranking.empty(len(state.queries), depth))
    queries = features.collect(state.query_images, np.arange(len(state.queries)), resources)
    index = features.collect(state.index_images, np.arange(len(state.index)), resources)
    ranking = search(queries, index.strongest(features_per_image), depth)
    return state.with_ranking(ranking if state.ranking is None else with_lost_kept(ranking, state.ranking))
