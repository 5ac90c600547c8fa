"""A landmark for every query from its nearest labelled images: a soft vote over k neighbours.

The winner of the 2019 retrieval challenge labelled queries and index images so, with k = 3 and the sum of
similarities as a landmark's score (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and
Diverse Dataset", 2019). The winning sum is also the confidence that GAP sorts by.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.candidates import NO_LANDMARK, Candidates, gather
from landmarks.retrieval.ranking import Ranking

Weights = Literal["similarity", "rank"]


class Votes(NamedTuple):
    """One prediction a query.

    Attributes:
        landmarks: int32 [Q]; -1 = none of the neighbours has a landmark, no prediction.
        scores: float32 [Q], 0 where there is no prediction.
    """

    landmarks: NDArray[np.int32]
    scores: NDArray[np.float32]


def vote(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
    power: float = 1.0,
) -> Votes:
    """The winners of `candidates`, one a query."""
    found = candidates(ranking, gallery_landmarks, num_landmarks, k, power)
    return Votes(found.predicted, found.confidence)


def candidates(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
    power: float = 1.0,
    weights: Weights = "similarity",
) -> Candidates:
    """Sum what the k nearest gallery images weigh, for each of their landmarks.

    A gallery image without landmark keeps its place among the k but votes for nothing, so non-landmark
    neighbours lower the confidence. A similarity below 0 weighs 0. Equal sums: the landmark whose nearest image
    stands first in the ranking.

    Args:
        ranking: neighbours [Q, K >= k] in the gallery; places may be empty.
        gallery_landmarks: int32 [N] in [0, num_landmarks), -1 = none.
        num_landmarks: size of the label space.
        k: neighbours that vote.
        power: exponent of the similarity; 0 counts heads, more than 1 trusts near neighbours more.
        weights: "rank" multiplies similarity^power by 1 - rank/k, which falls from 1 to 1/k.

    Raises:
        LandmarksError: fewer than k places, a row outside the gallery, or a landmark outside the label space.
    """
    if ranking.depth < k:
        raise LandmarksError(f"votes: {k} neighbours asked for, the ranking has {ranking.depth} places")
    ranking.check(ranking.num_queries, len(gallery_landmarks))
    check_landmarks(gallery_landmarks, num_landmarks)
    query, place = np.nonzero(ranking.filled[:, :k])  # query by query, near to far
    weight = np.maximum(ranking.scores[query, place].astype(np.float64), 0) ** power
    if weights == "rank":
        weight = weight * (1 - place / k)
    return gather(query, gallery_landmarks[ranking.indices[query, place]], weight, ranking.num_queries, num_landmarks)


def check_landmarks(gallery_landmarks: NDArray[np.int32], num_landmarks: int) -> None:
    """Refuse a gallery [N] whose landmarks lie outside the label space.

    Raises:
        LandmarksError: names the first such row.
    """
    wrong = np.flatnonzero((gallery_landmarks < NO_LANDMARK) | (gallery_landmarks >= num_landmarks))
    if len(wrong):
        raise LandmarksError(
            f"votes: gallery row {wrong[0]} has landmark {gallery_landmarks[wrong[0]]}, outside [0, {num_landmarks})"
        )
