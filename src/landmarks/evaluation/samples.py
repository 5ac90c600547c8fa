"""Prepare the sheets of sample images: names of queries and results, and which results are correct."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks.data import GroundTruth, ImageTable, Source
from landmarks.errors import shown
from landmarks.evaluation.scoring import Recognised
from landmarks.ids import find_rows
from landmarks.metrics import RetrievalSubmission, average_precision, relevance
from landmarks.report import RecognitionSheet, Sheet
from landmarks.retrieval import Ranking


def sample_sheet(
    ranking: Ranking,
    query_ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    truth: GroundTruth,
    index_table: ImageTable,
    source: Source,
) -> Sheet | None:
    """Return the sheet of all queries whose correct answer is known, or None if there are none.

    These are the queries that the retrieval truth scores, and those that the recognition truth says show no landmark.

    Args:
        ranking: Results of the Q queries, as rows of the index.
        query_ids: uint64 [Q].
        index_ids: uint64 [N].
        truth: The ground truth.
        index_table: The index images with their landmarks.
        source: The data set, which knows names of landmarks.
    """
    solution = truth.retrieval
    if solution is None:
        return None
    scored = np.isin(query_ids, solution.query_ids)
    without = np.isin(query_ids, _without_landmark(truth)) & ~scored
    rows = np.flatnonzero(scored | without)
    if not len(rows):
        return None
    ranking = Ranking(ranking.indices[rows], ranking.scores[rows])
    relevant = np.zeros(ranking.indices.shape, np.bool_)
    quality = np.full(len(rows), np.nan)
    known = scored[rows]
    ids = query_ids[rows]
    truth_rows = find_rows(ids[known], solution.query_ids)
    submission = RetrievalSubmission.from_ranking(ids[known], index_ids, ranking.indices[known])
    relevant[known] = relevance(solution, submission, ranking.depth)[truth_rows]
    quality[known] = average_precision(relevant[known], solution.num_positives[truth_rows])

    name = _namer(source, index_table)
    query_names = np.full(len(rows), "", dtype=object)
    first_positive = solution.positives[solution.positives_start[truth_rows]]
    query_names[known] = name(first_positive)
    return Sheet(
        ranking,
        relevant,
        quality,
        ids,
        index_ids,
        query_names.astype(np.str_),
        name(index_ids).astype(np.str_),
    )


def recognition_sheet(recognised: Recognised, truth: GroundTruth, source: Source) -> RecognitionSheet | None:
    """Return the sheet of all queries that were answered or filtered as non-landmarks, or None if there are none."""
    state, predicted = recognised.result.state, recognised.result.ranking.first
    count = len(predicted)
    filtered = state.notes.get("no_landmark", np.zeros(count, np.bool_))
    if not (filtered | (predicted >= 0)).any():
        return None
    names = predicted_names(recognised, source)
    why = state.notes.get("detector", np.full(count, ""))
    found = state.detections
    return RecognitionSheet.of(recognised.submission, names, filtered, why, truth.recognition, found)


def predicted_names(recognised: Recognised, source: Source | None) -> NDArray[np.str_]:
    """Return the title of the landmark recognised in each query, str [Q]; empty where none was."""
    names = [*_called(source, recognised.result.state.landmark_names), ""]  # -1 looks up the last element
    return np.array(names, dtype=np.str_)[recognised.result.ranking.first]


def _without_landmark(truth: GroundTruth) -> NDArray[np.uint64]:
    recognition = truth.recognition
    if recognition is None:
        return np.empty(0, np.uint64)
    return recognition.image_ids[~recognition.has_landmark]


def _called(source: Source | None, landmark_names: NDArray[np.str_]) -> list[str]:
    """Return the titles of landmarks, made printable."""
    categories = {} if source is None else source.category_names()
    named = ((categories.get(name), name.rpartition(":")[2].replace("_", " ")) for name in landmark_names.tolist())
    return [shown(title or name) for title, name in named]


def _namer(source: Source, table: ImageTable) -> Callable[[NDArray[np.uint64]], NDArray[np.object_]]:
    """Return a function from index ids to the titles of their landmarks; empty where unknown."""
    by_landmark = np.array([*_called(source, table.landmark_names), ""], dtype=object)

    def name(ids: NDArray[np.uint64]) -> NDArray[np.object_]:
        rows = table.find(ids)
        return by_landmark[np.where(rows >= 0, table.landmarks[rows], -1)]

    return name
