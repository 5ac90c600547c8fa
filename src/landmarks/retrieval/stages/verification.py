"""Spatial verification: look at the first images of every ranking again, with local features and geometry.

Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007, section 4. How
inliers join the global score follows the form that the first place of the 2019 recognition challenge published,
similarity + min(70, inliers) / 70, with a floor of ours below which a count is chance and says nothing.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import Geometry, LocalFeatureStore, Matcher, count_inliers
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.state import Need, Resources, SearchState


class SpatialVerification:
    """Counts inliers between every query and its first index images, and re-ranks by them.

    An image with evidence rises by ``weight x evidence``; nothing else changes. So where no image of a query has any,
    its ranking stays as it was, and an image never falls because of its own inliers. A weight of 1 lifts an image above
    all that have no evidence where scores are cosine similarities. Later stages find the counts in the state's
    `verified`: the images with at least one inlier, by falling count, in their earlier order where counts are equal.

    Args:
        features: store of the local features.
        matcher: finds tentative pairs; by default `Matcher()`.
        geometry: says which of them agree; by default `Geometry()`.
        depth: images of each ranking that are looked at.
        min_inliers: fewer are no evidence. What chance gives depends on the model, see `Geometry`.
        saturation: more inliers than this are no more evidence.
        weight: what full evidence adds to a score, in units of the scores that it is added to.
        by_inliers: order by the number of inliers alone: images with evidence before all others, whatever the scores
            of the ranking are; their new score is the best one so far plus their inliers. `weight` and `saturation`
            then mean nothing.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"images"})

    def __init__(
        self,
        features: LocalFeatureStore,
        matcher: Matcher | None = None,
        geometry: Geometry | None = None,
        depth: int = 100,
        min_inliers: int = 8,
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
        self.matcher = matcher or Matcher()
        self.geometry = geometry or Geometry()
        self.depth = depth
        self.min_inliers = min_inliers
        self.saturation = saturation
        self.weight = weight
        self.by_inliers = by_inliers

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with the re-ranked ranking and the verified images."""
        inliers = self.inliers(state, resources)
        ranking = state.require_ranking("verification")
        return replace(state, ranking=self.rerank(ranking, inliers), verified=verified(ranking, inliers))

    def inliers(self, state: SearchState, resources: Resources) -> NDArray[np.int32]:
        """Count inliers between every query and the first images of its ranking, or find them in the cache.

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
                query_features, image_features, pairs, self.matcher, self.geometry, resources
            )
        return inliers

    def evidence(self, inliers: NDArray[np.int32]) -> NDArray[np.float32]:
        """What counts of any shape are worth: 0 below `min_inliers`, 1 from `saturation` on."""
        worth = np.minimum(inliers / self.saturation, 1)
        return np.where(inliers >= self.min_inliers, worth, 0).astype(np.float32)

    def rerank(self, ranking: Ranking, inliers: NDArray[np.int32]) -> Ranking:
        """Join scores [Q, K] and the inliers of the first k <= K images, int32 [Q, k]."""
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
    """The images with inliers, by falling count; equal counts keep the order of `ranking`.

    Args:
        ranking: [Q, K].
        inliers: int32 [Q, k] of its first k images.

    Returns:
        Ranking [Q, k] whose scores are the counts.
    """
    k = inliers.shape[1]
    shown = Ranking(ranking.indices[:, :k], ranking.scores[:, :k])
    return shown.rescored(np.where(inliers > 0, inliers, -np.inf))
