"""Ground truth of both tasks where the landmarks of queries and index images are known in one label space."""

import numpy as np
from numpy.typing import NDArray

from landmarks.data.source import GroundTruth
from landmarks.data.table import ImageTable
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution


def truth_from_labels(queries: ImageTable, public: NDArray[np.bool_], index: ImageTable) -> GroundTruth:
    """Retrieval: the index images of the query's landmark. Recognition: the landmark's number in the label space.

    Args:
        queries: Q images; those without a landmark (-1) are ignored in retrieval and show nothing in recognition.
        public: bool [Q], True public, False private.
        index: Images in the label space of `queries`, at least one of each landmark that is asked for.
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
    return GroundTruth(retrieval, recognition)
