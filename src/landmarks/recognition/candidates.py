"""What recognition has come to so far: for every query the landmarks that it may show, the likeliest first.

Rectangular arrays as in a `Ranking`: an empty place is landmark -1 with score -inf, behind the filled ones. The first
place is the prediction, its score the confidence by which GAP sorts all predictions of a split; a query whose places
are all empty has no prediction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

NO_LANDMARK = -1


@dataclass(frozen=True)
class Candidates:
    """The M likeliest landmarks of every query, best first.

    Attributes:
        landmarks: int32 [Q, M], rows of a label space, each at most once for a query; -1 = empty.
        scores: float32 [Q, M], never rising along a row; -inf where empty.

    Raises:
        LandmarksError: the arrays break these rules.
    """

    landmarks: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        landmarks, scores = self.landmarks, self.scores
        if landmarks.ndim != 2 or landmarks.shape != scores.shape:
            raise LandmarksError(f"candidates: landmarks {landmarks.shape} and scores {scores.shape} must be [Q, M]")
        if landmarks.dtype != np.int32 or scores.dtype != np.float32:
            raise LandmarksError(
                f"candidates: expected int32 landmarks and float32 scores, got {landmarks.dtype} and {scores.dtype}"
            )
        wrong = (landmarks < NO_LANDMARK) | np.isnan(scores) | ((landmarks == NO_LANDMARK) != np.isneginf(scores))
        _refuse(wrong | np.isposinf(scores), "has a landmark below -1, or a score that is no number")
        _refuse(scores[:, 1:] > scores[:, :-1], "is not in order of falling scores")
        ordered = np.sort(landmarks, axis=1)
        _refuse((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_LANDMARK), "holds one landmark twice")

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.landmarks)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """The places, bool [Q, M], that hold a landmark."""
        return self.landmarks != NO_LANDMARK

    @property
    def predicted(self) -> NDArray[np.int32]:
        """The landmark in the first place, int32 [Q]; -1 = no prediction."""
        return self.landmarks[:, 0] if self.landmarks.shape[1] else np.full(self.num_queries, NO_LANDMARK, np.int32)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The score of the first place, float32 [Q]; 0 where there is no prediction."""
        if not self.landmarks.shape[1]:
            return np.zeros(self.num_queries, np.float32)
        return np.where(self.filled[:, 0], self.scores[:, 0], np.float32(0))

    def rescored(self, scores: NDArray[np.floating]) -> "Candidates":
        """The same landmarks with other scores [Q, M], put in order; equal ones keep theirs. -inf removes a landmark.

        What `scores` says of empty places does not matter.
        """
        scores = np.where(self.filled, scores, -np.inf).astype(np.float32)
        order = np.argsort(-scores, axis=1, kind="stable")
        scores = np.take_along_axis(scores, order, axis=1)
        landmarks = np.where(np.isneginf(scores), NO_LANDMARK, np.take_along_axis(self.landmarks, order, axis=1))
        return Candidates(landmarks.astype(np.int32), scores)


def gather(
    queries: NDArray[np.integer],
    landmarks: NDArray[np.integer],
    weights: NDArray[np.floating],
    num_queries: int,
    num_landmarks: int,
) -> Candidates:
    """Sum weights for each landmark of each query.

    The sums of equal landmarks are taken in the order given, and of landmarks with equal sums the one that was given
    first stands first: both are repeatable.

    Args:
        queries: [V] the query of every vote.
        landmarks: [V] what it votes for, in [0, num_landmarks); -1 votes for nothing.
        weights: [V] finite.
        num_queries: Q.
        num_landmarks: size of the label space.

    Returns:
        As many places as the query with the most landmarks needs, at least one.
    """
    counts = landmarks != NO_LANDMARK
    query, landmark = queries[counts].astype(np.int64), landmarks[counts].astype(np.int64)
    if not len(query):
        return Candidates(np.full((num_queries, 1), NO_LANDMARK, np.int32), np.full((num_queries, 1), -np.inf, "f4"))
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
    found = np.full(shape, NO_LANDMARK, np.int32), np.full(shape, -np.inf, np.float32)
    found[0][query, place] = landmark[first][ranked]
    found[1][query, place] = total[ranked]
    return Candidates(*found)


def pushed_down(candidates: Candidates, chosen: NDArray[np.bool_]) -> Candidates:
    """Lower the scores of some queries so that their confidences lie below those of all others.

    All are lowered by one amount, so their order and distances stay (scores closer than float32 resolves there tie).

    Args:
        candidates: of Q queries.
        chosen: bool [Q], the queries.
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


def _refuse(wrong: NDArray[np.bool_], what: str) -> None:
    rows = wrong.any(axis=1)
    if rows.any():
        raise LandmarksError(f"candidates: query row {int(np.argmax(rows))} {what} ({int(rows.sum())} such rows)")
