"""Figures of rankings and predictions by split, computed by the torchmetrics classes."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics import RecognitionSolution, RecognitionSubmission, RetrievalSolution

if TYPE_CHECKING:
    from landmarks.metrics import Scores


def score_ranking(
    solution: RetrievalSolution,
    query_ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    indices: NDArray[np.integer],
) -> "Scores":
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


def score_predictions(solution: RecognitionSolution, predictions: RecognitionSubmission) -> "Scores":
    """Compute GAP and its companions on this process, which has the predictions for all queries."""
    from landmarks.metrics import RecognitionMetric

    metric = RecognitionMetric(solution, sync_on_compute=False)
    metric.update(predictions.image_ids, predictions.landmarks, predictions.scores)
    return metric.scores()
