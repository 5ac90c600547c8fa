"""Chooses what the picture of sample queries shows: names for both sides, and which results are right."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landmarks.data.module import LandmarkDataModule
from landmarks.data.pictures.decode import decode
from landmarks.data.source import Source
from landmarks.data.stores.store import read_by_id
from landmarks.data.table import ImageTable
from landmarks.metrics.retrieval import average_precision, relevance
from landmarks.report.neighbours import ReadImage, Sheet
from landmarks.retrieval.ranking import Ranking
from landmarks.training.scoring import Outcome

SHORT_SIDE = 256  # of what is drawn; more is wasted on a tile


def sample_sheet(data: LandmarkDataModule, outcome: Outcome) -> Sheet | None:
    """Return the sheet of all queries with a known answer, or None where none is known.

    A query is known if retrieval scores it, or if recognition says that it shows no landmark.
    """
    truth = data.truth.retrieval
    if truth is None:
        return None
    scored = np.isin(outcome.query_ids, truth.query_ids)
    without = np.isin(outcome.query_ids, _without_landmark(data)) & ~scored
    rows = np.flatnonzero(scored | without)
    if not len(rows):
        return None
    ranking = Ranking(outcome.ranking.indices[rows], outcome.ranking.scores[rows])
    relevant = np.zeros(ranking.indices.shape, np.bool_)
    quality = np.full(len(rows), np.nan)
    known = scored[rows]
    ids = outcome.query_ids[rows]
    ranked = outcome.index_ids[np.maximum(ranking.indices, 0)]
    relevant[known] = relevance(truth, ids[known], ranked[known], ranking.filled[known])
    order = np.argsort(truth.query_ids)
    truth_rows = order[np.searchsorted(truth.query_ids, ids[known], sorter=order)]
    quality[known] = average_precision(relevant[known], truth.num_positives[truth_rows])

    table = data.index_set.table
    name = _namer(data.source, table)
    query_names = np.full(len(rows), "", dtype=object)
    first_positive = truth.positives[truth.positives_start[truth_rows]]
    query_names[known] = name(first_positive)
    return Sheet(
        ranking,
        relevant,
        quality,
        ids,
        outcome.index_ids,
        query_names.astype(np.str_),
        name(outcome.index_ids).astype(np.str_),
    )


def picture_reader(data: LandmarkDataModule) -> ReadImage:
    """Return a function from a query's or an index picture's id to its pixels, uint8 [H, W, 3]."""
    queries = set(data.query_set.table.ids.tolist())

    def read(image_id: int) -> NDArray[np.uint8]:
        images = data.query_set if image_id in queries else data.index_set
        return decode(read_by_id(images.store, image_id), SHORT_SIDE)

    return read


def _without_landmark(data: LandmarkDataModule) -> NDArray[np.uint64]:
    recognition = data.truth.recognition
    if recognition is None:
        return np.empty(0, np.uint64)
    return recognition.image_ids[~recognition.has_landmark]


def _namer(source: Source, table: ImageTable) -> Callable[[NDArray[np.uint64]], NDArray[np.object_]]:
    """Return a function from index ids to what people call their landmark; unknown ones are empty."""
    categories: dict[str, str] = getattr(source, "category_names", dict)()
    names = [categories.get(name, name).rpartition(":")[2].replace("_", " ") for name in table.landmark_names.tolist()]
    by_landmark = np.array([*names, ""], dtype=object)

    def name(ids: NDArray[np.uint64]) -> NDArray[np.object_]:
        rows = table.find(ids)
        return by_landmark[np.where(rows >= 0, table.landmarks[rows], -1)]

    return name
