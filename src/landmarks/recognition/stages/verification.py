"""Spatial verification of the nearest train images: neighbours that show the same scene say so with their inliers.

The first place of the 2019 recognition challenge summed similarity + min(70, inliers) / 70 of the 3 nearest train
images for each landmark (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and Diverse
Dataset", 2019). After a vote of the 3 nearest by similarity this stage, with `depth` and `k` 3, adds up to that sum.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.recognition.addition import with_added
from landmarks.recognition.candidates import NO_LANDMARK
from landmarks.recognition.state import Need, RecognitionState
from landmarks.retrieval.local.geometry import Geometry
from landmarks.retrieval.local.matching import Matcher
from landmarks.retrieval.local.store import LocalFeatureStore
from landmarks.retrieval.local.verifier import Verifier
from landmarks.retrieval.resources import Resources


class NeighbourVerification:
    """Adds the evidence of verified neighbours to the scores of their landmarks.

    A query none of whose neighbours reaches `min_inliers` keeps its candidates and scores. The counts stay in the
    state; the note ``inliers`` holds the largest count among neighbours that show the predicted landmark.

    Args:
        features: store of the local features.
        matcher: finds tentative pairs; by default `Matcher()`.
        geometry: says which of them agree; by default `Geometry()`.
        depth: nearest train images that are looked at.
        k: of these, how many count at most: those with the most evidence, the nearer ones where it is equal.
        min_inliers: fewer are chance; ours, the published rule has no floor.
        saturation: more inliers than this are no more evidence.
        weight: what a neighbour with full evidence adds, in units of the candidates' scores.

    Raises:
        LandmarksError: a parameter out of range.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"pictures"})

    def __init__(
        self,
        features: LocalFeatureStore,
        matcher: Matcher | None = None,
        geometry: Geometry | None = None,
        depth: int = 3,
        k: int = 3,
        min_inliers: int = 8,
        saturation: int = 70,
        weight: float = 1.0,
    ) -> None:
        self.verifier = Verifier(features, matcher or Matcher(), geometry or Geometry(), depth, min_inliers, saturation)
        if k < 1 or not 0 <= weight < np.inf:
            raise LandmarksError(f"verification: k must be 1 or more and weight 0 or more, got k={k}, weight={weight}")
        self.k = k
        self.weight = weight

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """The state with inliers, candidates that they have raised, and the note ``inliers``.

        Raises:
            LandmarksError: no neighbours or candidates yet, pictures that cannot be read, or no room for what is kept.
        """
        neighbours = state.require_neighbours("verification")
        candidates = state.require_candidates("verification")
        assert state.query_pictures is not None and state.gallery_pictures is not None  # see `needs`
        inliers = self.verifier.inliers(state.query_pictures, state.gallery_pictures, neighbours, resources)
        shown = neighbours.indices[:, : inliers.shape[1]]
        landmarks = np.where(neighbours.filled[:, : inliers.shape[1]], state.gallery.landmarks[shown], NO_LANDMARK)

        evidence = self.verifier.evidence(inliers)
        best = np.argsort(-evidence, axis=1, kind="stable")[:, : self.k]
        queries, places = np.nonzero(np.take_along_axis(evidence, best, axis=1))
        places = best[queries, places]
        weights = self.weight * evidence[queries, places].astype(np.float64)
        found = with_added(candidates, queries, landmarks[queries, places], weights, len(state.landmark_names))

        own = (landmarks == found.predicted[:, None]) & (landmarks != NO_LANDMARK)
        most = np.where(own, inliers, 0).max(axis=1, initial=0).astype(np.int32)
        return replace(state, inliers=inliers).with_candidates(found, inliers=most)
