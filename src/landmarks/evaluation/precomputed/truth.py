"""Reads what is right for precomputed descriptors: labels, solutions, or what the data set knows."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from landmarks.data import GroundTruth
from landmarks.errors import LandmarksError
from landmarks.evaluation.inputs import Inputs
from landmarks.evaluation.precomputed.files import read_labels
from landmarks.evaluation.precomputed.sets import PrecomputedSet
from landmarks.ids import find_rows
from landmarks.metrics import RetrievalSolution, read_recognition_solution, read_retrieval_solution, scored_rows

log = logging.getLogger(__name__)


def read_truth(keys: DictConfig, queries: PrecomputedSet, index: PrecomputedSet, known: GroundTruth) -> GroundTruth:
    """Read the files that `descriptors` names; what they leave open is what the data set knows."""
    retrieval, recognition, labels = known.retrieval, known.recognition, None
    if keys.query_labels is not None:
        retrieval, labels = None, (_labels(keys.query_labels, queries), _labels(keys.index_labels, index))
    if keys.solution is not None:
        retrieval = read_retrieval_solution(Path(keys.solution).expanduser())
    if keys.recognition_solution is not None:
        recognition = read_recognition_solution(Path(keys.recognition_solution).expanduser())
    return GroundTruth(retrieval, recognition, labels, str(keys.solution or ""), str(keys.recognition_solution or ""))


def count_truth(opened: Inputs[PrecomputedSet]) -> dict[str, Any]:
    """Count for `metrics.json` how much can be scored, and warn of what cannot; empty without a truth."""
    truth, source = opened.truth, opened.source
    if truth.labels is not None:
        return _count_labels(truth)
    if truth.retrieval is None:
        return {}
    where = truth.retrieval_from or (source.name if source else "")
    return _count_solution(truth.retrieval, opened.queries.known_ids, opened.index.known_ids, where)


def _labels(path: str, of: PrecomputedSet) -> NDArray[np.int64]:
    return read_labels(Path(path).expanduser(), len(of))


def _count_labels(truth: GroundTruth) -> dict[str, Any]:
    assert truth.labels is not None
    queries, scored = truth.labels[0], int(np.count_nonzero(truth.label_positives))
    if not scored:
        raise LandmarksError(
            "descriptors.query_labels and descriptors.index_labels have no label in common: nothing can be right"
        )
    unlabelled = int(np.count_nonzero(queries < 0))
    unanswerable = len(queries) - unlabelled - scored
    if unlabelled or unanswerable:
        log.warning(
            "Of %d queries %d have no label and %d one that no index image has: they are ranked, not scored",
            len(queries),
            unlabelled,
            unanswerable,
        )
    return {"from": "labels", "scored": scored, "unlabelled": unlabelled, "unanswerable": unanswerable}


def _count_solution(
    solution: RetrievalSolution, query_ids: NDArray[np.uint64], index_ids: NDArray[np.uint64], source: str
) -> dict[str, Any]:
    scored = int(np.count_nonzero(scored_rows(query_ids, solution.query_ids, solution.ignored_ids) >= 0))
    if scored == 0:
        raise LandmarksError(f"{source}: none of the given queries is scored there; are the ids right?")
    absent = int(np.count_nonzero(find_rows(solution.positives, index_ids) < 0))
    unanswered = len(solution.query_ids) - scored
    if unanswered:
        log.warning(
            "%s: %d of its %d queries have no descriptor and count 0", source, unanswered, len(solution.query_ids)
        )
    if absent:
        log.warning(
            "%s: %d of its %d correct images have no descriptor and cannot be found",
            source,
            absent,
            len(solution.positives),
        )
    return {"from": source, "scored": scored, "unanswered": unanswered, "absent": absent}
