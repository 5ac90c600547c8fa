"""A landmark for every query from its nearest labelled images: a soft vote over k neighbours.

The winner of the 2019 retrieval challenge labelled queries and index images so, with k = 3 and the sum of
similarities as a landmark's score (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and
Diverse Dataset", 2019). The winning sum is also the confidence that GAP sorts by.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.ranking import Ranking

NO_LANDMARK = -1


class Votes(NamedTuple):
    """One prediction a query.

    Attributes:
        landmarks: int32 [Q]; -1 = none of the neighbours has a landmark, no prediction.
        scores: float32 [Q], 0 where there is no prediction.
    """

    landmarks: NDArray[np.int32]
    scores: NDArray[np.float32]


class NeighbourVotes:
    """Soft vote of the k nearest gallery images.

    Args:
        k: neighbours that vote.
        power: a vote weighs similarity^power; 0 counts heads, more than 1 trusts near neighbours more.

    Raises:
        LandmarksError: k below 1 or power below 0.
    """

    def __init__(self, k: int = 3, power: float = 1.0) -> None:
        if k < 1 or not 0 <= power < np.inf:
            raise LandmarksError(f"votes: k must be 1 or more and power 0 or more, got k={k}, power={power}")
        self.k = k
        self.power = power

    def __call__(self, ranking: Ranking, gallery_landmarks: NDArray[np.int32], num_landmarks: int) -> Votes:
        """See `vote`."""
        return vote(ranking, gallery_landmarks, num_landmarks, self.k, self.power)


def vote(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
    power: float = 1.0,
) -> Votes:
    """Sum similarity^power per landmark over the k nearest gallery images and take the largest sum.

    A gallery image without landmark keeps its place among the k but votes for nothing, so non-landmark
    neighbours lower the confidence. A similarity below 0 weighs 0. Equal sums: the landmark whose nearest image
    stands first in the ranking.

    Args:
        ranking: neighbours [Q, K >= k] in the gallery; places may be empty.
        gallery_landmarks: int32 [N] in [0, num_landmarks), -1 = none.
        num_landmarks: size of the label space.
        k: neighbours that vote.
        power: exponent of the similarity.

    Returns:
        landmarks int32 [Q] and scores float32 [Q].

    Raises:
        LandmarksError: fewer than k places, a row outside the gallery, or a landmark outside the label space.
    """
    if ranking.depth < k:
        raise LandmarksError(f"votes: {k} neighbours asked for, the ranking has {ranking.depth} places")
    ranking.check(ranking.num_queries, len(gallery_landmarks))
    wrong = np.flatnonzero((gallery_landmarks < NO_LANDMARK) | (gallery_landmarks >= num_landmarks))
    if len(wrong):
        raise LandmarksError(
            f"votes: gallery row {wrong[0]} has landmark {gallery_landmarks[wrong[0]]}, outside [0, {num_landmarks})"
        )
    winners = Votes(np.full(ranking.num_queries, NO_LANDMARK, np.int32), np.zeros(ranking.num_queries, np.float32))

    # The votes as one flat list, query by query and near to far.
    filled = ranking.filled[:, :k]
    query, place = np.nonzero(filled)
    landmark = gallery_landmarks[ranking.indices[query, place]].astype(np.int64)
    weight = np.maximum(ranking.scores[query, place].astype(np.float64), 0) ** power
    query, place, landmark, weight = (a[landmark != NO_LANDMARK] for a in (query, place, landmark, weight))
    if not len(query):
        return winners

    # Sum per (query, landmark); a stable sort keeps near to far inside, so sums are repeatable.
    pair = query * num_landmarks + landmark
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    total = np.add.reduceat(weight[order], starts).astype(np.float32)
    first = order[starts]

    # The best pair of each query comes first: largest sum, then nearest image.
    by_query = np.lexsort((place[first], -total, query[first]))
    best = by_query[np.flatnonzero(np.diff(query[first][by_query], prepend=-1))]
    winners.landmarks[query[first][best]] = landmark[first][best]
    winners.scores[query[first][best]] = total[best]
    return winners
