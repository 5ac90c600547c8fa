"""Write what an evaluation found for each query that the ground truth scores, for `landmarks compare`.

Two tables: of retrieval the ranks of correct images, from which every metric of a query follows, and of recognition
the answers with their confidences.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from landmarks.errors import LandmarksError
from landmarks.evaluation.effects import judged
from landmarks.evaluation.metrics import ALL
from landmarks.evaluation.scoring import Result
from landmarks.ids import find_rows, format_ids
from landmarks.metrics import (
    RECOGNITION_COLUMNS,
    RECOGNITION_QUERIES,
    RETRIEVAL_COLUMNS,
    RETRIEVAL_QUERIES,
    K,
    RetrievalSolution,
    group_of_each,
)
from landmarks.storage import atomic_file


def write_queries(run_dir: Path, result: Result) -> None:
    """Write `queries/retrieval.csv` and `queries/recognition.csv` of the tasks that have a ground truth.

    Raises:
        LandmarksError: A file cannot be written.
    """
    for name, table in ((RETRIEVAL_QUERIES, _retrieval(result)), (RECOGNITION_QUERIES, _recognition(result))):
        if table is None:
            continue
        path = run_dir / name
        try:
            path.parent.mkdir(exist_ok=True)
            with atomic_file(path) as file:
                table.write_csv(file)
        except OSError as error:
            raise LandmarksError(f"{path}: could not write the table: {error}") from error


def _retrieval(result: Result) -> pl.DataFrame | None:
    inputs, truth = result.inputs, result.inputs.truth
    found = judged(truth, result.ranking.indices[:, :K], inputs.queries.ids, inputs.index.ids)
    if found is None:
        return None
    ids = _called(inputs.queries.ids, found.rows)
    if truth.labels is not None:
        split, landmarks = np.full(len(ids), ALL), truth.labels[0][found.rows].astype(np.int64)
    else:
        assert truth.retrieval is not None and inputs.queries.ids is not None
        rows = find_rows(inputs.queries.ids[found.rows], truth.retrieval.query_ids)
        split, landmarks = _splits(truth.retrieval.public[rows]), _landmarks_of(truth.retrieval)[rows]
    ranks = [" ".join(map(str, np.flatnonzero(one) + 1)) for one in found.relevant]
    values = ids, split, landmarks, found.num_positives, found.precision, ranks
    return pl.DataFrame(dict(zip(RETRIEVAL_COLUMNS, values, strict=True)), RETRIEVAL_COLUMNS)


def _recognition(result: Result) -> pl.DataFrame | None:
    solution, recognised = result.inputs.truth.recognition, result.recognised
    if solution is None or recognised is None:
        return None
    answers = recognised.submission
    asked = find_rows(solution.image_ids, answers.image_ids)
    landmarks, scores = np.append(answers.landmarks, -1)[asked], np.append(answers.scores, np.nan)[asked]
    answered = landmarks >= 0
    shown = [" ".join(map(str, one)) for one in np.split(solution.landmarks, solution.landmarks_start[1:-1])]
    empty = pl.Series(~answered)
    values = (
        format_ids(solution.image_ids),
        _splits(solution.public),
        shown,
        pl.Series(landmarks).set(empty, None),
        pl.Series(scores).set(empty, None),
        solution.shows(np.arange(len(landmarks)), landmarks),
    )
    return pl.DataFrame(dict(zip(RECOGNITION_COLUMNS, values, strict=True)), RECOGNITION_COLUMNS)


def _called(ids: NDArray[np.uint64] | None, rows: NDArray[np.int64]) -> list[str]:
    return [str(row) for row in rows] if ids is None else format_ids(ids[rows])


def _splits(public: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.where(public, "public", "private")


def _landmarks_of(solution: RetrievalSolution) -> NDArray[np.int64]:
    """Number the landmarks that queries show: queries that share a correct image show the same one."""
    images, of_image = np.unique(solution.positives, return_inverse=True)
    count = len(solution.query_ids)
    edges = group_of_each(solution.positives_start), count + of_image
    nodes = count + len(images)
    _, component = connected_components(coo_array((np.ones(len(of_image), np.bool_), edges), shape=(nodes, nodes)))
    return component[:count].astype(np.int64)
