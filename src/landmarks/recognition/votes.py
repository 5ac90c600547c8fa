"""A landmark for every query by a soft vote of its k nearest labelled images.

The winner of the 2019 retrieval challenge labelled queries and index images in this way, with k = 3 and the sum of
similarities as a landmark's score (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a Noisy and
Diverse Dataset", 2019). The winning sum is also the confidence by which GAP sorts.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval import EMPTY, Ranking

NO_LANDMARK = EMPTY  # -1, the landmark of images without one

Weights = Literal["similarity", "rank"]


class Votes(NamedTuple):
    """One prediction per query: landmarks int32 [Q], -1 = none, and scores float32 [Q], 0 without a landmark."""

    landmarks: NDArray[np.int32]
    scores: NDArray[np.float32]


def vote(
    ranking: Ranking,
    gallery_landmarks: NDArray[np.int32],
    num_landmarks: int,
    k: int = 3,
) -> Votes:
    """Return the winner of `candidates`, which see, for each query: landmarks and scores [Q]."""
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
    """Rank landmarks by the sum of the weights of their images among the k nearest gallery images.

    A gallery image without landmark keeps its place among the k but does not vote, so non-landmark neighbours lower
    the confidence. A similarity below 0 counts as 0. Of landmarks with equal sums, the one whose image comes first in
    the ranking comes first.

    Args:
        ranking: neighbours [Q, K >= k] in the gallery; places may be empty.
        gallery_landmarks: int32 [N] in [0, num_landmarks), -1 = none.
        num_landmarks: size of the label space.
        k: neighbours that vote.
        power: exponent of the similarity; 0 counts images, more than 1 gives near neighbours more weight.
        weights: "rank" multiplies similarity^power by 1 - rank/k, which decreases from 1 to 1/k.

    Returns:
        Ranking of landmarks with their sums as scores, with as many places as the query with the most needs.

    Raises:
        LandmarksError: the ranking has fewer than k places, or does not fit the gallery or the label space.
    """
    if ranking.depth < k:
        raise LandmarksError(
            f"votes: k is {k}, but the ranking has {ranking.depth} places; search for more neighbours, or use a "
            "smaller k"
        )
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
    """Raise a LandmarksError if a gallery [N] has landmarks outside the label space."""
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
    """Sum the weights of votes for each query and landmark.

    The result is reproducible: weights are summed in the given order, and of landmarks with equal sums the one that was
    given first comes first.

    Args:
        queries: int [V], query of each vote.
        landmarks: int [V], landmark of each vote; votes for -1 are ignored.
        weights: float [V].
        num_queries: Q.
        num_landmarks: size of the label space.

    Returns:
        Ranking [Q, M] of landmarks, where M is the largest number of landmarks of a query, at least 1.
    """
    counts = landmarks != NO_LANDMARK
    query, landmark = queries[counts].astype(np.int64), landmarks[counts].astype(np.int64)
    if not len(query):
        return Ranking.empty(num_queries, 1)
    pair = query * num_landmarks + landmark
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    total = np.add.reduceat(weights[counts].astype(np.float64)[order], starts).astype(np.float32)
    first = order[starts]  # the first vote of each pair

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
    """Lower the scores of the chosen queries, bool [Q], so that their confidences are below those of all others.

    All are lowered by the same amount, which keeps their order and differences, up to float32 rounding.
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
    """Add the weights of votes to the scores of candidates; queries without votes do not change.

    Equal sums keep the order of `candidates`, and a new landmark comes after candidates with the same sum.

    Args:
        candidates: [Q, M], landmarks and scores.
        queries: int [V], query of each vote.
        landmarks: int [V], landmark of each vote; votes for -1 are ignored.
        weights: float [V].
        num_landmarks: size of the label space.
    """
    rows, places = np.nonzero(candidates.filled)
    return sum_votes(
        np.concatenate([rows, queries]),
        np.concatenate([candidates.indices[rows, places], landmarks]),
        np.concatenate([candidates.scores[rows, places].astype(np.float64), weights]),
        candidates.num_queries,
        num_landmarks,
    )
