"""A landmark for every query from its nearest labelled images: a soft vote over k neighbours.

The winner of the 2019 retrieval challenge labelled queries and index images so, with k = 3 and the sum of
similarities as a landmark's score (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and
Diverse Dataset", 2019). The winning sum is also the confidence that GAP sorts by.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval import EMPTY, Ranking

NO_LANDMARK = EMPTY

Weights = Literal["similarity", "rank"]


class Votes(NamedTuple):
    """One prediction a query: landmarks int32 [Q], -1 for none, and scores float32 [Q], 0 where there is none."""

    landmarks: NDArray[np.int32]
    scores: NDArray[np.float32]


def vote(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
) -> Votes:
    """Give the winners of `candidates`, one a query."""
    found = candidates(ranking, gallery_landmarks, num_landmarks, k)
    return Votes(found.first, found.confidence)


def candidates(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
    power: float = 1.0,
    weights: Weights = "similarity",
) -> Ranking:
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
    """
    if ranking.depth < k:
        raise LandmarksError(f"votes: {k} neighbours asked for, the ranking has {ranking.depth} places")
    ranking.check(ranking.num_queries, len(gallery_landmarks))
    check_landmarks(gallery_landmarks, num_landmarks)
    query, place = np.nonzero(ranking.filled[:, :k])  # query by query, near to far
    weight = np.maximum(ranking.scores[query, place].astype(np.float64), 0) ** power
    if weights == "rank":
        weight = weight * (1 - place / k)
    return sum_votes(
        query, gallery_landmarks[ranking.indices[query, place]], weight, ranking.num_queries, num_landmarks
    )


def check_landmarks(gallery_landmarks: NDArray[np.int32], num_landmarks: int) -> None:
    """Refuse a gallery [N] whose landmarks lie outside the label space."""
    wrong = np.flatnonzero((gallery_landmarks < NO_LANDMARK) | (gallery_landmarks >= num_landmarks))
    if len(wrong):
        raise LandmarksError(
            f"votes: gallery row {wrong[0]} has landmark {gallery_landmarks[wrong[0]]}, outside [0, {num_landmarks})"
        )


def sum_votes(
    queries: NDArray[np.integer],
    landmarks: NDArray[np.integer],
    weights: NDArray[np.floating],
    num_queries: int,
    num_landmarks: int,
) -> Ranking:
    """Sum weights [V] for each landmark [V] of each query [V]; the landmark -1 is voted for by nothing.

    The sums of equal landmarks are taken in the order given, and of landmarks with equal sums the one that was given
    first stands first: both are repeatable. There are as many places as the query with the most landmarks needs, at
    least one.
    """
    counts = landmarks != NO_LANDMARK
    query, landmark = queries[counts].astype(np.int64), landmarks[counts].astype(np.int64)
    if not len(query):
        return Ranking.empty(num_queries, 1)
    pair = query * num_landmarks + landmark
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    total = np.add.reduceat(weights[counts].astype(np.float64)[order], starts).astype(np.float32)
    first = order[starts]  # the vote that names a pair first

    ranked = np.lexsort((first, -total, query[first]))
    query = query[first][ranked]
    start_of = np.flatnonzero(np.diff(query, prepend=-1))
    lengths = np.diff(np.append(start_of, len(query)))
    place = np.arange(len(query)) - np.repeat(start_of, lengths)
    shape = (num_queries, int(lengths.max()))
    found = Ranking.empty(*shape)
    found.indices[query, place] = landmark[first][ranked]
    found.scores[query, place] = total[ranked]
    return Ranking(found.indices, found.scores)


def push_down(candidates: Ranking, chosen: NDArray[np.bool_]) -> Ranking:
    """Lower the scores of some of Q queries, bool [Q], so that their confidences lie below those of all others.

    All are lowered by one amount, so their order and distances stay (scores closer than float32 resolves there tie).
    """
    predicted = candidates.filled[:, 0]
    above, below = candidates.confidence[predicted & ~chosen], candidates.confidence[predicted & chosen]
    if not len(above) or not len(below):
        return candidates
    lowest, highest = float(above.min()), float(below.max())
    amount = highest - lowest + max(abs(lowest), abs(highest), 1.0) * 1e-3
    if amount <= 0:
        return candidates
    scores = candidates.scores.astype(np.float64)
    return candidates.rescored(np.where(chosen[:, None] & candidates.filled, scores - amount, scores))


def add_votes(
    candidates: Ranking,
    queries: NDArray[np.integer],
    landmarks: NDArray[np.integer],
    weights: NDArray[np.floating],
    num_landmarks: int,
) -> Ranking:
    """Add weights [V] to landmarks [V] of queries [V]; to a query of which none is named nothing changes.

    Equal sums keep the order of `candidates`, and a landmark that was none of them stands behind those with the same
    sum.
    """
    rows, places = np.nonzero(candidates.filled)
    return sum_votes(
        np.concatenate([rows, queries]),
        np.concatenate([candidates.indices[rows, places], landmarks]),
        np.concatenate([candidates.scores[rows, places].astype(np.float64), weights]),
        candidates.num_queries,
        num_landmarks,
    )
