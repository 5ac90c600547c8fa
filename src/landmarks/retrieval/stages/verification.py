"""Spatial verification: re-rank the first images of every ranking by local features and geometry.

Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007, section 4. Inliers are
added to the global score in the form that the first place of the 2019 recognition challenge published, similarity +
min(70, inliers) / 70. We ignore counts that the geometry attributes to chance, see `Geometry`.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import LocalFeatureStore, count_inliers
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.state import Need, Resources, SearchState


class SpatialVerification:
    """Counts inliers between every query and its first index images, and re-ranks by them.

    The score of an image with evidence, see `evidence`, increases by ``weight x evidence``; nothing else changes. So
    the ranking of a query without any evidence stays as it was, and inliers never lower an image's score. If scores
    are cosine similarities, full evidence with a weight of 1 lifts an image above all that have none. The state's
    `verified` holds the counts for later stages: the images with evidence, by descending count, with equal counts in
    their earlier order.

    Args:
        features: store of the local features, which also says how those of two images are compared.
        depth: number of images of each ranking to verify.
        min_inliers: fewer inliers count as no evidence, although the geometry accepted them.
        saturation: number of inliers that count as full evidence.
        weight: what full evidence adds to a score, in units of the ranking's scores.
        by_inliers: order by the number of inliers alone: images with evidence come before all others, whatever their
            scores; their new score is the best earlier one plus their inliers. `weight` and `saturation` then have no
            effect.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"images"})

    def __init__(
        self,
        features: LocalFeatureStore,
        depth: int = 100,
        min_inliers: int = 1,
        saturation: int = 70,
        weight: float = 1.0,
        by_inliers: bool = False,
    ) -> None:
        if depth < 1:
            raise LandmarksError(f"verification: depth is {depth}: it must be 1 or more")
        if not 1 <= min_inliers <= saturation:
            raise LandmarksError(
                "verification: min_inliers must be 1 or more and saturation no less than it, got "
                f"{min_inliers} and {saturation}"
            )
        if not 0 <= weight < np.inf:
            raise LandmarksError(f"verification: weight is {weight}: it must be 0 or more")
        self.features = features
        self.depth = depth
        self.min_inliers = min_inliers
        self.saturation = saturation
        self.weight = weight
        self.by_inliers = by_inliers

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with the new ranking and the verified images."""
        inliers = self.inliers(state, resources)
        ranking = state.require_ranking("verification")
        sure = np.where(self.evidence(inliers) > 0, inliers, 0)
        return replace(state, ranking=self.rerank(ranking, inliers), verified=verified(ranking, sure))

    def inliers(self, state: SearchState, resources: Resources) -> NDArray[np.int32]:
        """Count inliers between every query and the first images of its ranking, or read them from the cache.

        Args:
            state: has a ranking and images.
            resources: gives workers, seed and cache.

        Returns:
            int32 [Q, min(depth, K)]; 0 in empty places.
        """
        shown = state.require_ranking("verification").indices[:, : self.depth]
        assert state.query_images is not None and state.index_images is not None  # see `needs`
        inliers = np.zeros(shown.shape, np.int32)
        queries, places = np.nonzero(shown != EMPTY)
        asked, query_rows = np.unique(queries, return_inverse=True)
        images, image_rows = np.unique(shown[queries, places], return_inverse=True)
        if len(asked):
            query_features = self.features.collect(state.query_images, asked, resources)
            image_features = self.features.collect(state.index_images, images, resources)
            pairs = np.stack([query_rows, image_rows], axis=1).astype(np.int32)
            inliers[queries, places] = count_inliers(
                query_features, image_features, pairs, self.features.matcher, self.features.geometry, resources
            )
        return inliers

    def evidence(self, inliers: NDArray[np.int32]) -> NDArray[np.float32]:
        """Map inlier counts of any shape to evidence: 0 below `min_inliers`, 1 from `saturation` on, linear between."""
        worth = np.minimum(inliers / self.saturation, 1)
        return np.where(inliers >= self.min_inliers, worth, 0).astype(np.float32)

    def rerank(self, ranking: Ranking, inliers: NDArray[np.int32]) -> Ranking:
        """Re-rank by scores and inliers.

        Args:
            ranking: [Q, K].
            inliers: int32 [Q, k] of its first k <= K images.
        """
        scores = ranking.scores.copy()
        seen = scores[:, : inliers.shape[1]]
        evidence = self.evidence(inliers)
        if self.by_inliers:
            best = np.where(ranking.filled[:, :1], ranking.scores[:, :1], 0)  # the first places are the best
            raised = best + inliers.astype(np.float32)
        else:
            raised = seen + np.float32(self.weight) * evidence
        scores[:, : inliers.shape[1]] = np.where(evidence > 0, raised, seen)
        return ranking.rescored(scores)


def verified(ranking: Ranking, inliers: NDArray[np.int32]) -> Ranking:
    """Rank the images with inliers by descending count; equal counts keep the order of `ranking`.

    Args:
        ranking: [Q, K].
        inliers: int32 [Q, k] of its first k images.

    Returns:
        Ranking [Q, k] whose scores are the counts.
    """
    k = inliers.shape[1]
    shown = Ranking(ranking.indices[:, :k], ranking.scores[:, :k])
    return shown.rescored(np.where(inliers > 0, inliers, -np.inf))
