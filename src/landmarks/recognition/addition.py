"""Adds evidence to candidates: what a landmark has already stays, and what speaks for it besides comes on top."""

import numpy as np
from numpy.typing import NDArray

from landmarks.recognition.candidates import Candidates, gather


def with_added(
    candidates: Candidates,
    queries: NDArray[np.integer],
    landmarks: NDArray[np.integer],
    weights: NDArray[np.floating],
    num_landmarks: int,
) -> Candidates:
    """Add weights to landmarks of queries.

    A query to which nothing is added keeps its candidates and scores. Equal sums keep the order of `candidates`, and a
    landmark that was none of them stands behind those with the same sum.

    Args:
        candidates: of Q queries.
        queries: [V] the query of every weight.
        landmarks: [V] the landmark that it is for, in [0, num_landmarks); -1 = none.
        weights: [V] finite.
        num_landmarks: size of the label space.
    """
    rows, places = np.nonzero(candidates.filled)
    return gather(
        np.concatenate([rows, queries]),
        np.concatenate([candidates.landmarks[rows, places], landmarks]),
        np.concatenate([candidates.scores[rows, places].astype(np.float64), weights]),
        candidates.num_queries,
        num_landmarks,
    )
