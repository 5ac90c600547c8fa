"""The second stage: the nearest train images vote for their landmarks."""

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import Weights, candidates
from landmarks.retrieval import Resources


class NeighbourVotes:
    """Soft vote of the k nearest train images.

    Args:
        k: neighbours that vote.
        power: the weight of a vote is similarity^power; 0 counts images, more than 1 gives near neighbours more weight.
        weights: with "rank" the weight also decreases linearly with the neighbour's rank.
    """

    def __init__(self, k: int = 3, power: float = 1.0, weights: Weights = "similarity") -> None:
        if k < 1 or not 0 <= power < np.inf:
            raise LandmarksError(f"votes: k must be 1 or more and power 0 or more, got k={k}, power={power}")
        self.k = k
        self.power = power
        self.weights = weights

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with candidates."""
        neighbours = state.require_ranking("votes")
        landmarks = state.gallery.landmarks
        found = candidates(neighbours, landmarks, state.gallery.num_landmarks, self.k, self.power, self.weights)
        return state.with_candidates(found)
