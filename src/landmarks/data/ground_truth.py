"""What is right in retrieval and recognition, whoever says so: official solutions, a label space, or labels of rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.data.table import ImageTable
from landmarks.metrics import RecognitionSolution, RetrievalSolution


@dataclass(frozen=True)
class GroundTruth:
    """Holds what is right in both tasks; a task of which nobody knows is answered with submissions, not scored.

    Attributes:
        retrieval: which index images each query should find, by id.
        recognition: which landmarks each query shows, by id.
        labels: stands in for `retrieval` where images have labels and no ids: int64 [Q] of the queries and int64 [N]
            of the index images, -1 = none. Index images of a query's label are right.
        retrieval_from: file that retrieval's truth comes from; empty for the data set itself.
        recognition_from: likewise.
    """

    retrieval: RetrievalSolution | None = None
    recognition: RecognitionSolution | None = None
    labels: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    retrieval_from: str = ""
    recognition_from: str = ""

    @cached_property
    def label_positives(self) -> NDArray[np.int64]:
        """Count the index images of each query's label, int64 [Q]; 0 for queries that are not scored."""
        assert self.labels is not None
        queries, index = self.labels
        labels, counts = np.unique(index, return_counts=True)
        place = np.minimum(np.searchsorted(labels, queries), len(labels) - 1)
        return np.where((labels[place] == queries) & (queries >= 0), counts[place], 0)

    @classmethod
    def of_tables(cls, queries: ImageTable, public: NDArray[np.bool_], index: ImageTable) -> "GroundTruth":
        """Make solutions of both tasks from images whose landmarks are known in one label space.

        Queries should find the index images of their landmark, and are recognised as its number in the label space.

        Args:
            queries: Q images; those without a landmark (-1) are ignored in retrieval and show nothing in recognition.
            public: bool [Q], True public, False private.
            index: images in the label space of `queries`, at least one of each landmark that is asked for.
        """
        shown = queries.landmarks >= 0
        by_landmark = np.argsort(index.landmarks, kind="stable")
        by_landmark = by_landmark[index.landmarks[by_landmark] >= 0]
        counts = index.counts()
        ends = np.cumsum(counts)
        asked = queries.landmarks[shown]
        positives = [index.ids[by_landmark[ends[c] - counts[c] : ends[c]]] for c in asked]
        retrieval = RetrievalSolution(
            query_ids=queries.ids[shown],
            public=public[shown],
            positives_start=np.concatenate([[0], np.cumsum(counts[asked])]).astype(np.int64),
            positives=np.concatenate([np.empty(0, np.uint64), *positives]),
            ignored_ids=queries.ids[~shown],
        )
        recognition = RecognitionSolution(
            image_ids=queries.ids,
            public=public,
            landmarks_start=np.concatenate([[0], np.cumsum(shown)]).astype(np.int64),
            landmarks=asked.astype(np.int64),
            ignored_ids=np.empty(0, dtype=np.uint64),
        )
        return cls(retrieval, recognition)
