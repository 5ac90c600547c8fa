"""Re-ranking by recognition: images of the query's landmark move to the front, and those that are missing are inserted.

The winner of the 2019 retrieval challenge labels every query and index image by its nearest train images and then
sorts and fills the rankings by these labels (Ozaki and Yokoo, "Large-scale Landmark Retrieval/Recognition under a
Noisy and Diverse Dataset", 2019).
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.votes import NO_LANDMARK, Votes, vote
from landmarks.retrieval import (
    EMPTY,
    MIB,
    MISSING,
    Descriptors,
    Gallery,
    Need,
    Ranking,
    Resources,
    SearchState,
    rows_in_budget,
)
from landmarks.storage import Column

# Images labelled at once; the gallery is read once per group.
GROUP = 16_384
# Sort keys for images of the old ranking and inserted ones: their part of the new ranking.
FRONT, INSERTED, BACK, NOWHERE = range(4)


class RecognitionReranking:
    """Re-ranks by landmark labels, in a sort step and an insert step.

    The landmark of a query or index image is the one for which its k nearest gallery images vote; its score is the sum
    of their cosine similarities, in [0, k]. The scaling of the published scores is not known; we take plain sums. A
    query without a landmark keeps its ranking.

    Args:
        k: nearest gallery images that vote.
        sort: move index images with the query's landmark to the front, otherwise keeping the order (sort step).
        insert: insert index images with the query's landmark that the ranking lacks, by descending score, after the
            last one that it has, or at the front if it has none (insert step).
        insert_threshold: an image is inserted if the sum of its score and the query's exceeds this.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"gallery"})

    def __init__(self, k: int = 3, sort: bool = True, insert: bool = True, insert_threshold: float = 0.6) -> None:
        if k < 1 or not np.isfinite(insert_threshold):
            raise LandmarksError(
                f"recognition re-ranking: k must be 1 or more and insert_threshold a number, got k={k}, "
                f"insert_threshold={insert_threshold}"
            )
        if not sort and not insert:
            raise LandmarksError("recognition re-ranking: sort and insert are both off; remove the stage instead")
        self.k = k
        self.sort = sort
        self.insert = insert
        self.insert_threshold = insert_threshold

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by landmarks, of the same depth."""
        ranking = state.require_ranking("recognition re-ranking")
        if state.gallery is None:
            raise LandmarksError(f"recognition re-ranking needs {MISSING['gallery']}")
        if not len(state.index):
            return state
        queries = _label(state.queries, state.gallery, self.k, resources)
        index = self.label_index(state.index, state.gallery, resources)
        groups = LandmarkGroups(index)
        tile = rows_in_budget(400 * ranking.depth, resources.memory_budget_mb * MIB // 2)
        parts = [Ranking.empty(0, ranking.depth)]
        for start in range(0, ranking.num_queries, tile):
            part = slice(start, start + tile)
            parts.append(
                self._rerank(
                    Ranking(ranking.indices[part], ranking.scores[part]),
                    Votes(queries.landmarks[part], queries.scores[part]),
                    index,
                    groups,
                )
            )
        return state.with_ranking(Ranking.joined(parts))

    def label_index(self, index: Descriptors, gallery: Gallery, resources: Resources) -> Votes:
        """Label every index image by a search in the gallery, or read the labels from the cache.

        Args:
            index: [N, D] descriptors of the index images.
            gallery: labelled train images.
            resources: gives the searcher and the cache.

        Returns:
            Landmarks and scores, both [N].
        """

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            return _label(index[start:stop], gallery, self.k, resources)._asdict()

        kept = resources.cache.rows(
            "landmarks",
            len(index),
            {"landmarks": Column(np.int32), "scores": Column(np.float32)},
            make,
            GROUP,
            [index, gallery.descriptors, gallery.landmarks],
            {"k": self.k, "num_landmarks": gallery.num_landmarks, "searcher": resources.index.signature()},
        )
        return Votes(kept["landmarks"], kept["scores"])

    def _rerank(self, ranking: Ranking, queries: Votes, index: Votes, groups: "LandmarkGroups") -> Ranking:
        labels = queries.landmarks[:, None]
        places = np.arange(ranking.depth)
        filled = ranking.filled
        same = filled & (index.landmarks[ranking.indices] == labels) & (labels != NO_LANDMARK)
        # Without the sort step all images up to the last one of the landmark keep their order.
        last = np.where(same, places, -1).max(axis=1, initial=-1)[:, None]
        front = same if self.sort else places <= last
        to = np.where(filled, np.where(front, FRONT, BACK), NOWHERE)
        indices = ranking.indices
        if self.insert:
            missed, wanted = groups.missed(queries, ranking, self.insert_threshold)
            indices = np.concatenate([indices, missed], axis=1)
            to = np.concatenate([to, np.where(wanted, INSERTED, NOWHERE)], axis=1)
        order = np.argsort(to, axis=1, kind="stable")[:, : ranking.depth]
        indices = np.where(np.take_along_axis(to, order, axis=1) == NOWHERE, EMPTY, _along(indices, order))
        return Ranking(indices.astype(np.int32), _scores_of_places(ranking, indices != EMPTY))


class LandmarkGroups:
    """Index images grouped by landmark, by descending score, equal scores by row."""

    def __init__(self, index: Votes) -> None:
        labelled = np.flatnonzero(index.landmarks != NO_LANDMARK)
        order = labelled[np.lexsort((-index.scores[labelled], index.landmarks[labelled]))]
        self._rows = order
        self._landmarks = index.landmarks[order]
        self._scores = index.scores[order]
        self._num_index = len(index.landmarks)

    def missed(self, queries: Votes, ranking: Ranking, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Find index images of each query's landmark that its ranking lacks: rows [Q, M], best first, and a mask."""
        first = np.searchsorted(self._landmarks, queries.landmarks)
        end = np.where(
            queries.landmarks == NO_LANDMARK, first, np.searchsorted(self._landmarks, queries.landmarks, side="right")
        )
        # At most K images of a group are in the ranking, so its first 2 K include all that can be inserted.
        width = min(2 * ranking.depth, int((end - first).max(initial=0)))
        places = first[:, None] + np.arange(width)
        inside = places < end[:, None]
        places = np.where(inside, places, 0)
        rows = self._rows[places]
        sums = queries.scores[:, None].astype(np.float64) + self._scores[places]
        # Encode pairs of query and index row as single numbers, to look all of them up at once.
        base = np.arange(len(rows))[:, None] * self._num_index
        found = np.isin(rows + base, (ranking.indices + base)[ranking.filled])
        return rows, inside & (sums > threshold) & ~found


def _label(images: Descriptors, gallery: Gallery, k: int, resources: Resources) -> Votes:
    try:
        nearest = resources.index.search(images, gallery.descriptors, k)
    except LandmarksError as error:
        raise LandmarksError(f"recognition re-ranking, search in the gallery: {error}") from error
    return vote(nearest, gallery.landmarks, gallery.num_landmarks, k)


def _along(values: NDArray[np.integer], order: NDArray[np.intp]) -> NDArray[np.integer]:
    return np.take_along_axis(values, order, axis=1)


def _scores_of_places(before: Ranking, filled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the scores of places, which keep their old ones; a place that was empty gets the query's lowest, or 0."""
    lowest = np.where(before.filled, before.scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    lowest = np.where(np.isinf(lowest), 0, lowest)
    return np.where(filled, np.where(before.filled, before.scores, lowest), -np.inf).astype(np.float32)
