"""Metrics by split, for rankings, predictions and the classifier by itself, and the monitored metric of a run."""

import logging
from collections.abc import Callable, Container, Mapping

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows
from landmarks.metrics import RecognitionSolution, RecognitionSubmission, RetrievalSolution, retrieval_metrics
from landmarks.recognition import NO_LANDMARK, Predictions, RecognitionState, join_label_spaces

Scores = dict[str, dict[str, float]]  # {"public": {"map@100": …, "gap": …}, "private": …}, or {"all": …} by labels

ALL = "all"
"""The only split where the truth is given as labels, which do not divide queries into public and private."""
PREFIX = "classifier_"
"""Prefix of the classifier's metrics: `classifier_gap`, `classifier_gap_ignoring_non_landmark`, `classifier_top1`."""
RETRIEVAL_METRICS = tuple(retrieval_metrics(np.zeros((0, 0), np.bool_), np.zeros(0, np.int64)))
RECOGNITION_METRICS = ("gap", "gap_ignoring_non_landmark", "top1")
MAIN_METRICS = ("map@100", "gap")

log = logging.getLogger(__name__)


def score_ranking(
    solution: RetrievalSolution,
    query_ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    indices: NDArray[np.integer],
) -> Scores:
    """Compute mAP@100 and the other retrieval metrics in this process, which has the rankings of all queries."""
    # torchmetrics imports torchvision and matplotlib, which a search without ground truth need not wait for.
    from landmarks.metrics import RetrievalMetric

    valid = indices >= 0
    ranked = np.zeros(indices.shape, np.uint64)
    ranked[valid] = index_ids[indices[valid]]
    # Only one of several processes evaluates, so it must not wait for the others.
    metric = RetrievalMetric(solution, sync_on_compute=False)
    metric.update(query_ids, ranked, valid)
    return metric.scores()


def score_predictions(solution: RecognitionSolution, predictions: RecognitionSubmission) -> Scores:
    """Compute GAP and the other recognition metrics in this process, which has the predictions of all queries."""
    from landmarks.metrics import RecognitionMetric

    metric = RecognitionMetric(solution, sync_on_compute=False)
    metric.update(predictions.image_ids, predictions.landmarks, predictions.scores)
    return metric.scores()


def classifier_metrics(
    state: RecognitionState,
    official: Callable[[NDArray[np.int32], NDArray[np.str_]], NDArray[np.int64]],
    solution: RecognitionSolution | None,
) -> Scores:
    """Score the classifier's predictions by themselves.

    Args:
        state: Holds the queries and `predictions`.
        official: Turns rows int32 [N] of a label space str [L] into the numbers of the official files, int64 [N].
        solution: The ground truth.

    Returns:
        Metrics by split, with names that begin with `PREFIX`; empty without predictions or a solution.
    """
    if state.predictions is None or solution is None:
        return {}
    answers, names, confidence = _answers(state.predictions, state.query_ids, state.landmark_names)
    submission = RecognitionSubmission(state.query_ids, official(answers, names), confidence.astype(np.float64))
    figures = score_predictions(solution, submission)
    return {split: {f"{PREFIX}{name}": value for name, value in of.items()} for split, of in figures.items()}


def with_classifiers(results: Mapping[str, Scores]) -> dict[str, Scores]:
    """Return the scores by label, each followed by a row for its classifier alone, with the plain metric names."""
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
    """Return the likeliest landmark of every query [Q], names of a label space of both, and probabilities [Q]."""
    names, numbers = join_label_spaces(landmark_names, predictions.landmark_names)
    numbers = np.append(numbers, np.int32(NO_LANDMARK))  # the element that -1 looks up
    rows = find_rows(query_ids, predictions.ids)
    answers = np.where(rows >= 0, numbers[predictions.landmarks[rows, 0]], np.int32(NO_LANDMARK))
    return answers, names, np.where(rows >= 0, predictions.probabilities[rows, 0], np.float32(0))


def check_monitor(
    monitor: str, recognised: bool, predictions: bool, split: str = "private", own: Container[str] = ()
) -> None:
    """Check that the monitored metric will exist.

    Args:
        monitor: Split and metric, such as "private/gap".
        recognised: Whether landmarks will be recognised.
        predictions: Whether there will be predictions of a classifier.
        split: Split to accept besides "public" and "private", and to use in the message.
        own: Names of the user's own metrics, which may be of any split.

    Raises:
        LandmarksError: The metric will not exist; the message lists those that will.
    """
    of, _, name = monitor.partition("/")
    if name in own:
        return
    known = [*RETRIEVAL_METRICS, *(RECOGNITION_METRICS if recognised else ())]
    of_classifier = [f"{PREFIX}{figure}" for figure in RECOGNITION_METRICS] if recognised else []
    if of in (split, "public", "private") and (name in known or (predictions and name in of_classifier)):
        return
    if name in of_classifier and not predictions:
        raise LandmarksError(
            f"monitor={monitor}: there is no classifier to compute this metric for: use a checkpoint whose loss has "
            "class weights, or predictions=DIR, or monitor another metric, such as private/gap"
        )
    there = ", ".join(f"{split}/{figure}" for figure in [*known, *(of_classifier if predictions else ())])
    raise LandmarksError(f"monitor={monitor}: there is no such metric; there are: {there}")


def choose_monitor(wanted: str, scores: Scores) -> str:
    """Return the name of the metric that a run is judged by.

    Args:
        wanted: The metric that was asked for, such as "private/gap".
        scores: The scores of the run.

    Returns:
        The metric asked for; if there is none, the same metric of another split; else the main metric of a task with
        ground truth. Without any ground truth, the metric asked for.
    """
    split, _, name = wanted.partition("/")
    candidates = [(one, figure) for figure in (name, *MAIN_METRICS) for one in (split, ALL, "private", "public")]
    chosen = next(("/".join(pair) for pair in candidates if pair[1] in scores.get(pair[0], {})), wanted)
    if chosen != wanted:
        log.info("There is no %s for these data: monitoring %s instead", wanted, chosen)
    return chosen


def metric_value(scores: Mapping[str, Mapping[str, float]], name: str) -> float | None:
    """Return the metric `name`, such as "public/map@100", or None if there is no ground truth at all.

    Raises:
        LandmarksError: There are scores, but not this one.
    """
    if not scores:
        return None
    split, _, metric = name.partition("/")
    if metric not in scores.get(split, {}):
        known = ", ".join(f"{s}/{m}" for s, values in scores.items() for m in values)
        raise LandmarksError(f"monitor={name}: there is no such metric; there are: {known}")
    return scores[split][metric]


def known_scores(scores: Scores) -> Scores:
    """Return the scores without metrics that are NaN, as in splits without queries, and without empty splits."""
    known = {split: {name: value for name, value in of.items() if not np.isnan(value)} for split, of in scores.items()}
    return {split: values for split, values in known.items() if values}
