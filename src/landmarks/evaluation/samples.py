"""Prepare the sheets of sample images: names of queries and results, and which results are correct."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks.data import GroundTruth, ImageTable, Source
from landmarks.errors import shown
from landmarks.evaluation.effects import StageEffect, judged
from landmarks.evaluation.scoring import Recognised
from landmarks.ids import find_rows
from landmarks.report import EffectSheet, RecognitionSheet, Sheet
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
    found = judged(truth, ranking.indices, query_ids, index_ids)
    if solution is None or found is None:
        return None
    rows = np.union1d(found.rows, np.flatnonzero(np.isin(query_ids, _without_landmark(truth))))
    if not len(rows):
        return None
    ranking, ids = Ranking(ranking.indices[rows], ranking.scores[rows]), query_ids[rows]
    known = np.isin(rows, found.rows)
    relevant = np.zeros(ranking.indices.shape, np.bool_)
    quality = np.full(len(rows), np.nan)
    relevant[known], quality[known] = found.relevant, found.precision

    name = landmark_namer(source, index_table)
    query_names = np.full(len(rows), "", dtype=object)
    first_positive = solution.positives[solution.positives_start[find_rows(ids[known], solution.query_ids)]]
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


def effect_sheet(
    effect: StageEffect,
    query_ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    truth: GroundTruth,
    index_table: ImageTable,
    source: Source,
) -> EffectSheet | None:
    """Return the sheet of the queries that a stage helped and harmed most, or None if it changed none.

    Args:
        effect: What the stage did.
        query_ids: uint64 [Q].
        index_ids: uint64 [N].
        truth: The ground truth.
        index_table: The index images with their landmarks.
        source: The data set, which knows names of landmarks.
    """
    if not len(effect.chosen):
        return None
    ids = query_ids[effect.chosen]
    sheets = [sample_sheet(ranking, ids, index_ids, truth, index_table, source) for ranking in effect.rankings]
    before, after = sheets
    return None if before is None or after is None else EffectSheet(before, after)


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


def landmark_namer(source: Source, table: ImageTable) -> Callable[[NDArray[np.uint64]], NDArray[np.object_]]:
    """Return a function from index ids to the titles of their landmarks; empty where unknown."""
    by_landmark = np.array([*_called(source, table.landmark_names), ""], dtype=object)

    def name(ids: NDArray[np.uint64]) -> NDArray[np.object_]:
        rows = table.find(ids)
        return by_landmark[np.where(rows >= 0, table.landmarks[rows], -1)]

    return name
