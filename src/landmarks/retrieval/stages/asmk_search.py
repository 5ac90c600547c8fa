"""ASMK* search: rank index images by the match kernel of their local features, without any global descriptor.

The published search by local features, beside which `local_search`, search by votes, is this project's own.
"""

from typing import ClassVar

from landmarks.retrieval.local import LocalFeatureStore, LocalFeatureTable, MatchKernel, search_by_kernel
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.stages.local_search import rank_by_features, require_features
from landmarks.retrieval.state import Need, Resources, SearchState


class AsmkSearch:
    """Ranks index images by a selective match kernel, with as many places as the index's k.

    Scores are in [0, 1] and no cosines: the note of `LocalSearch` about stages after it holds here too. A query that
    shares no word with any image, for instance one without local features, keeps its earlier ranking, or has only empty
    places if there was none.

    Args:
        features: store of the local features.
        kernel: how images are compared; by default `MatchKernel()`: ASMK* as published, with rotated residuals.
        features_per_image: number of features per index image that are searched, the strongest ones. With binary codes
            of RootSIFT each takes at most 20 bytes, mapped from disk: 7.6 GB for GLDv2's index with 500.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"images"})

    def __init__(
        self, features: LocalFeatureStore, kernel: MatchKernel | None = None, features_per_image: int = 500
    ) -> None:
        require_features("asmk", features_per_image)
        self.features = features
        self.kernel = kernel or MatchKernel()
        self.features_per_image = features_per_image

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by the match kernel."""

        def search(queries: LocalFeatureTable, index: LocalFeatureTable, depth: int) -> Ranking:
            return search_by_kernel(queries, index, self.kernel, depth, resources)

        return rank_by_features(state, resources, self.features, self.features_per_image, search)
