"""Spatial verification of the nearest train images: inliers are evidence that a neighbour shows the same scene.

The first place of the 2019 recognition challenge summed similarity + min(70, inliers) / 70 of the 3 nearest train
images for each landmark (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and Diverse
Dataset", 2019). After a vote of the 3 nearest by similarity, this stage with `depth` and `k` 3 gives that sum.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import NO_LANDMARK, add_votes
from landmarks.retrieval import LocalFeatureStore, Need, Resources, SpatialVerification, verified


class NeighbourVerification:
    """Adds the evidence of verified neighbours to the scores of their landmarks.

    A query without inliers that the geometry accepts keeps its candidates and scores. The counts stay in the
    state's `verified`; the note ``inliers`` holds the largest count among neighbours of the predicted landmark. The
    minimum `min_inliers` is our addition to the published rule.

    The other arguments are those of `SpatialVerification`.

    Args:
        depth: number of nearest train images to verify.
        k: maximum number of these that count: those with the most evidence, the nearer ones if it is equal.
    """

    needs: ClassVar[frozenset[Need]] = SpatialVerification.needs

    def __init__(
        self,
        features: LocalFeatureStore,
        depth: int = 3,
        k: int = 3,
        min_inliers: int = 1,
        saturation: int = 70,
        weight: float = 1.0,
    ) -> None:
        self.verification = SpatialVerification(features, depth, min_inliers, saturation, weight)
        if k < 1:
            raise LandmarksError(f"verification: k is {k}: it must be 1 or more")
        self.k = k

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with verified neighbours, candidates with new scores, and the note ``inliers``."""
        candidates = state.require_answer("verification")
        inliers = self.verification.inliers(state, resources)
        neighbours = state.require_ranking("verification")
        shown = neighbours.indices[:, : inliers.shape[1]]
        landmarks = np.where(neighbours.filled[:, : inliers.shape[1]], state.gallery.landmarks[shown], NO_LANDMARK)

        evidence = self.verification.evidence(inliers)
        best = np.argsort(-evidence, axis=1, kind="stable")[:, : self.k]
        queries, places = np.nonzero(np.take_along_axis(evidence, best, axis=1))
        places = best[queries, places]
        weights = self.verification.weight * evidence[queries, places].astype(np.float64)
        found = add_votes(candidates, queries, landmarks[queries, places], weights, len(state.landmark_names))

        own = (landmarks == found.first[:, None]) & (landmarks != NO_LANDMARK)
        most = np.where(own, inliers, 0).max(axis=1, initial=0).astype(np.int32)
        return replace(state, verified=verified(neighbours, inliers)).with_candidates(found, inliers=most)
