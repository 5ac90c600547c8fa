"""The ranking: the best images or landmarks of every query and their scores, the input and output of every stage.

It consists of rectangular arrays, so that NumPy handles 117,577 queries x 100 places without a Python loop. An empty
place has index -1 and score -inf, and comes after the filled ones. A search orders equal scores by index row, so that
the ranking does not depend on shards or block sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file

EMPTY = -1  # index of an empty place in a ranking
# Places per block when a ranking is checked.
CHECKED_PLACES = 1 << 22


@dataclass(frozen=True)
class Ranking:
    """The top K index images, train images or landmarks of every query, best first.

    Attributes:
        indices: int32 [Q, K], rows of the index set, the train set or a label space; -1 = empty.
        scores: float32 [Q, K], descending along a row; -inf where empty.

    Raises:
        LandmarksError: the arrays differ in shape, have another type, or violate these rules; names the first row.
    """

    indices: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        indices, scores = self.indices, self.scores
        if indices.ndim != 2 or indices.shape != scores.shape:
            raise LandmarksError(f"ranking: indices {indices.shape} and scores {scores.shape} must both be [Q, K]")
        if indices.dtype != np.int32 or scores.dtype != np.float32:
            raise LandmarksError(
                f"ranking: expected int32 indices and float32 scores, got {indices.dtype} and {scores.dtype}"
            )
        # Checked in blocks, because the neighbours of a whole index are a memory-mapped ranking of gigabytes.
        broken, unordered = np.zeros(len(indices), bool), np.zeros(len(indices), bool)
        rows = max(1, CHECKED_PLACES // max(1, indices.shape[1]))
        for start in range(0, len(indices), rows):
            part = slice(start, start + rows)
            index, score = indices[part], scores[part]
            wrong = (index < EMPTY) | np.isnan(score) | ((index == EMPTY) != np.isneginf(score))
            broken[part] = wrong.any(axis=1)
            unordered[part] = (score[:, 1:] > score[:, :-1]).any(axis=1)
        _refuse(broken, "has an index below -1, a NaN, or an empty place whose score is not -inf")
        _refuse(unordered, "is not in order of descending scores")

    @property
    def num_queries(self) -> int:
        """Q, the number of queries."""
        return len(self.indices)

    @property
    def depth(self) -> int:
        """K, the number of places per query."""
        return self.indices.shape[1]

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Mask of the places that are not empty, bool [Q, K]."""
        return self.indices != EMPTY

    @property
    def first(self) -> NDArray[np.int32]:
        """Index in the first place, int32 [Q]; -1 for a query without results."""
        return self.indices[:, 0] if self.depth else np.full(self.num_queries, EMPTY, np.int32)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Score of the first place, float32 [Q]; 0 for a query without results."""
        if not self.depth:
            return np.zeros(self.num_queries, np.float32)
        return np.where(self.filled[:, 0], self.scores[:, 0], np.float32(0))

    def rescored(self, scores: NDArray[np.floating]) -> "Ranking":
        """Return the same results sorted by other scores; results with equal scores keep their order.

        Args:
            scores: [Q, K]; -inf empties a place. Values at places that are already empty are ignored.
        """
        scores = np.where(self.filled, scores, -np.inf).astype(np.float32)
        order = np.argsort(-scores, axis=1, kind="stable")
        scores = np.take_along_axis(scores, order, axis=1)
        indices = np.where(np.isneginf(scores), EMPTY, np.take_along_axis(self.indices, order, axis=1))
        return Ranking(indices.astype(np.int32), scores)

    @staticmethod
    def joined(parts: "Sequence[Ranking]") -> "Ranking":
        """Concatenate the queries of several rankings of equal depth K into one ranking [Q, K]."""
        return Ranking(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("indices", "scores")))

    @staticmethod
    def empty(num_queries: int, depth: int) -> "Ranking":
        """Return a ranking of this shape without any results."""
        shape = (num_queries, depth)
        return Ranking(np.full(shape, EMPTY, np.int32), np.full(shape, -np.inf, np.float32))

    def check(self, num_queries: int, num_index: int, where: str = "index", what: str = "image") -> None:
        """Check that the ranking fits the given sets.

        Args:
            num_queries: expected number of queries.
            num_index: number of index images, train images or landmarks.
            where: name of the set of these, for messages.
            what: name of one of these, for messages.

        Raises:
            LandmarksError: another number of queries, an index out of range, or one twice in a row.
        """
        if self.num_queries != num_queries:
            raise LandmarksError(f"ranking has {self.num_queries} queries, the query set has {num_queries}")
        _refuse((self.indices >= num_index).any(axis=1), f"points outside the {where} of {num_index} {what}s")
        ordered = np.sort(self.indices, axis=1)
        twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != EMPTY)
        _refuse(twice.any(axis=1), f"holds the same {what} twice")

    def save(self, path: str | Path) -> None:
        """Write an uncompressed ``.npz`` with `indices` and `scores`; the file exists only when complete."""
        path = Path(path)
        try:
            with atomic_file(path) as file:
                np.savez(file, allow_pickle=False, indices=self.indices, scores=self.scores)
        except OSError as error:
            raise LandmarksError(f"{path}: could not write the ranking: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> "Ranking":
        """Read what `save` has written; raises LandmarksError for a missing or corrupt file."""
        try:
            with np.load(path) as arrays:
                return cls(arrays["indices"], arrays["scores"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise LandmarksError(f"{path}: is not a readable ranking ({error})") from error


def best(indices: NDArray[np.integer], scores: NDArray[np.float32], depth: int) -> Ranking:
    """Rank the `depth` best of unordered results.

    Args:
        indices: [Q, M], -1 = empty.
        scores: [Q, M]; -inf where empty.
        depth: places of the ranking.

    Returns:
        Ranking [Q, depth]; results with equal scores are ordered by index.
    """
    order = np.lexsort((indices, -scores), axis=1)[:, :depth]
    ranking = Ranking.empty(len(indices), depth)
    ranking.indices[:, : order.shape[1]] = np.take_along_axis(indices, order, axis=1)
    ranking.scores[:, : order.shape[1]] = np.take_along_axis(scores, order, axis=1)
    return Ranking(ranking.indices, ranking.scores)


def fill(
    indices: NDArray[np.int32],
    scores: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    score: NDArray[np.float32],
) -> None:
    """Write the best of unordered (query, row, score) results into a ranking's arrays [Q, K], in place."""
    order = np.lexsort((row, -score, query))
    query, row, score = query[order], row[order], score[order]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    keep = place < indices.shape[1]
    indices[query[keep], place[keep]] = row[keep]
    scores[query[keep], place[keep]] = score[keep]


def with_lost_kept(ranking: Ranking, earlier: Ranking) -> Ranking:
    """Fill queries without a result with the first places of an earlier ranking."""
    lost = ~ranking.filled.any(axis=1)
    depth = min(ranking.depth, earlier.depth)
    indices, scores = ranking.indices.copy(), ranking.scores.copy()
    indices[lost, :depth] = earlier.indices[lost, :depth]
    scores[lost, :depth] = earlier.scores[lost, :depth]
    return Ranking(indices, scores)


def _refuse(wrong: Any, what: str) -> None:
    """Raise a LandmarksError that names the first row where bool [Q] `wrong` is set."""
    if wrong.any():
        raise LandmarksError(f"ranking: query row {int(np.argmax(wrong))} {what} ({int(wrong.sum())} such rows)")


def completed(found: Ranking, earlier: Ranking) -> Ranking:
    """Append the images of an earlier ranking, in their order, to those found.

    Args:
        found: [Q, K], with scores above 0.
        earlier: [Q, K].

    Returns:
        Ranking [Q, K], at least as full as either. The score of an image from `earlier` is its earlier score minus that
        of the query's first place, hence 0 or below.
    """
    behind = earlier.scores - np.where(earlier.filled[:, :1], earlier.scores[:, :1], 0)
    return _each_once(
        np.concatenate([found.indices, earlier.indices], axis=1),
        np.concatenate([found.scores, behind], axis=1),
        earlier.depth,
    )


def led(ranking: Ranking, leaders: NDArray[np.int32]) -> Ranking:
    """Put images at the front of a ranking, whether it has them or not; its others follow.

    Args:
        ranking: [Q, K].
        leaders: int32 [Q, L], in their order; -1 = none. An image may stand there twice.

    Returns:
        Ranking [Q, K]. The leaders have the score of the place that was first, or 0 if there was none; the others keep
        theirs.
    """
    top = np.where(ranking.filled[:, :1], ranking.scores[:, :1], 0)
    scores = np.where(leaders != EMPTY, top, -np.inf)
    return _each_once(
        np.concatenate([leaders, ranking.indices], axis=1),
        np.concatenate([scores, ranking.scores], axis=1).astype(np.float32),
        ranking.depth,
    )


def _each_once(indices: NDArray[np.int32], scores: NDArray[np.float32], depth: int) -> Ranking:
    """Rank the first `depth` images of rows [Q, M] in their order, each at its first place."""
    # A stable sort makes the places of an image adjacent, in order.
    order = np.argsort(indices, axis=1, kind="stable")
    ordered = np.take_along_axis(indices, order, axis=1)
    again = np.zeros(indices.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    places = np.argsort(again | (indices == EMPTY), axis=1, kind="stable")[:, :depth]
    indices, scores = np.take_along_axis(indices, places, axis=1), np.take_along_axis(scores, places, axis=1)
    # Places that could not be filled hold a repeated image or none.
    left = np.take_along_axis(again, places, axis=1) | (indices == EMPTY)
    return Ranking(np.where(left, np.int32(EMPTY), indices), np.where(left, np.float32(-np.inf), scores))
