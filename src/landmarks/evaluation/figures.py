"""Figures by split of rankings, of predictions, and of a classifier by itself, computed by the torchmetrics classes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from landmarks.ids import find_rows
from landmarks.metrics import RecognitionSolution, RecognitionSubmission, RetrievalSolution
from landmarks.recognition import NO_LANDMARK, Predictions, RecognitionState, join_label_spaces

Scores = Mapping[str, Mapping[str, float]]  # {"public": {"gap": …, "classifier_gap": …}, "private": …}

PREFIX = "classifier_"
"""Of a classifier's figures: `classifier_gap`, `classifier_gap_ignoring_non_landmark`, `classifier_top1`."""


def score_ranking(
    solution: RetrievalSolution,
    query_ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    indices: NDArray[np.integer],
) -> dict[str, dict[str, float]]:
    """Compute mAP@100 and its companions on this process, which has the rankings of all queries."""
    # torchmetrics brings torchvision and matplotlib: a search without a truth starts without
    from landmarks.metrics import RetrievalMetric

    valid = indices >= 0
    ranked = np.zeros(indices.shape, np.uint64)
    ranked[valid] = index_ids[indices[valid]]
    # Of several processes one evaluates; it must not wait for the others.
    metric = RetrievalMetric(solution, sync_on_compute=False)
    metric.update(query_ids, ranked, valid)
    return metric.scores()


def score_predictions(solution: RecognitionSolution, predictions: RecognitionSubmission) -> dict[str, dict[str, float]]:
    """Compute GAP and its companions on this process, which has the predictions for all queries."""
    from landmarks.metrics import RecognitionMetric

    metric = RecognitionMetric(solution, sync_on_compute=False)
    metric.update(predictions.image_ids, predictions.landmarks, predictions.scores)
    return metric.scores()


def classifier_figures(
    state: RecognitionState,
    official: Callable[[NDArray[np.int32], NDArray[np.str_]], NDArray[np.int64]],
    solution: RecognitionSolution | None,
) -> dict[str, dict[str, float]]:
    """Score `state.predictions` alone: figures by split; none without predictions or a solution.

    `official` turns rows int32 [N] of a label space str [L] into the numbers of the official files, int64 [N].
    """
    if state.predictions is None or solution is None:
        return {}
    answers, names, confidence = _answers(state.predictions, state.query_ids, state.landmark_names)
    submission = RecognitionSubmission(state.query_ids, official(answers, names), confidence.astype(np.float64))
    figures = score_predictions(solution, submission)
    return {split: {f"{PREFIX}{name}": value for name, value in of.items()} for split, of in figures.items()}


def with_classifiers(results: Mapping[str, Scores]) -> dict[str, Scores]:
    """Evaluations by label, each followed by its classifier alone, whose figures bear the plain names there."""
    rows: dict[str, Scores] = {}
    for label, scores in results.items():
        rows[label] = scores
        alone = {split: _plainly_named(values) for split, values in scores.items()}
        if any(alone.values()):
            rows[f"{label}, classifier alone"] = alone
    return rows


def _plainly_named(figures: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(PREFIX): value for name, value in figures.items() if name.startswith(PREFIX)}


def _answers(
    predictions: Predictions, query_ids: NDArray[np.uint64], landmark_names: NDArray[np.str_]
) -> tuple[NDArray[np.int32], NDArray[np.str_], NDArray[np.float32]]:
    """The likeliest landmark of every query [Q], in a label space that holds both; and its probability, [Q]."""
    names, numbers = join_label_spaces(landmark_names, predictions.landmark_names)
    numbers = np.append(numbers, np.int32(NO_LANDMARK))  # what -1 looks up
    rows = find_rows(query_ids, predictions.ids)
    answers = np.where(rows >= 0, numbers[predictions.landmarks[rows, 0]], np.int32(NO_LANDMARK))
    return answers, names, np.where(rows >= 0, predictions.probabilities[rows, 0], np.float32(0))
