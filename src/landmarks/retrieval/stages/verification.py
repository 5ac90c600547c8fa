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
from landmarks.retrieval.local.geometry import Geometry
from landmarks.retrieval.local.matching import Matcher
from landmarks.retrieval.local.store import LocalFeatureStore
from landmarks.retrieval.local.verifier import Verifier
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import Need, SearchState


class SpatialVerification:
    """Counts inliers between every query and its first index images, and re-ranks by them.

    An image with evidence rises by ``weight x evidence``; nothing else changes. So where no image of a query has any,
    its ranking stays as it was, and an image never falls because of its own inliers. Later stages find the counts in
    the state's `verified`: the images with at least one inlier, by falling count, in their earlier order where counts
    are equal.

    Args:
        features: store of the local features.
        matcher: finds tentative pairs; by default `Matcher()`.
        geometry: says which of them agree; by default `Geometry()`.
        depth: images of each ranking that are looked at.
        min_inliers: fewer are no evidence. What chance gives depends on the model, see `Geometry`.
        saturation: more inliers than this are no more evidence.
        weight: what full evidence adds to a score, in units of the ranking's scores; 1 lifts an image above all that
            have none where scores are cosine similarities.
        by_inliers: order by the number of inliers alone: images with evidence before all others, whatever the scores
            of the ranking are; their new score is the best one so far plus their inliers. `weight` and `saturation`
            then mean nothing.

    Raises:
        LandmarksError: a parameter out of range.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"pictures"})

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
        self.verifier = Verifier(features, matcher or Matcher(), geometry or Geometry(), depth, min_inliers, saturation)
        if not 0 <= weight < np.inf:
            raise LandmarksError(f"verification: weight is {weight}: it must be 0 or more")
        self.weight = weight
        self.by_inliers = by_inliers

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """The state with the re-ranked ranking and the verified images.

        Raises:
            LandmarksError: no ranking yet, pictures that cannot be read, or no room for features or counts.
        """
        ranking = state.require_ranking("verification")
        assert state.query_pictures is not None and state.index_pictures is not None  # see `needs`
        inliers = self.verifier.inliers(state.query_pictures, state.index_pictures, ranking, resources)
        return replace(state, ranking=self.rerank(ranking, inliers), verified=verified(ranking, inliers))

    def rerank(self, ranking: Ranking, inliers: NDArray[np.int32]) -> Ranking:
        """Join inliers and scores.

        Args:
            ranking: [Q, K].
            inliers: int32 [Q, k] of the first k <= K images.

        Returns:
            The same images, [Q, K].
        """
        scores = ranking.scores.copy()
        seen = scores[:, : inliers.shape[1]]
        evidence = self.verifier.evidence(inliers)
        if self.by_inliers:
            best = np.where(ranking.filled[:, :1], ranking.scores[:, :1], 0)  # the first places are the best
            raised = best + inliers.astype(np.float32)
        else:
            raised = seen + np.float32(self.weight) * evidence
        scores[:, : inliers.shape[1]] = np.where(evidence > 0, raised, seen)
        order = np.argsort(-scores, axis=1, kind="stable")
        return Ranking(np.take_along_axis(ranking.indices, order, 1), np.take_along_axis(scores, order, 1))


def verified(ranking: Ranking, inliers: NDArray[np.int32]) -> Ranking:
    """The images with inliers, by falling count; equal counts keep the order of `ranking`.

    Args:
        ranking: [Q, K].
        inliers: int32 [Q, k] of its first k images.

    Returns:
        Ranking [Q, k] whose scores are the counts.
    """
    shown = ranking.indices[:, : inliers.shape[1]]
    scores = np.where((inliers > 0) & (shown != EMPTY), inliers, -np.inf).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    scores = np.take_along_axis(scores, order, 1)
    return Ranking(np.where(np.isneginf(scores), EMPTY, np.take_along_axis(shown, order, 1)).astype(np.int32), scores)
