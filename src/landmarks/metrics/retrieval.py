"""mAP@100 and related metrics for retrieval rankings, as functions on arrays.

AP@k = Σ (correct images in the first i ranks / i) over all ranks i <= k with a *new* correct image, divided by
min(number of correct images, k). A repeated image counts as incorrect but keeps its rank. mAP is the mean over all
queries of a split; AP is 0 for a query without results. Definition: Weyand et al., "Google Landmarks Dataset v2", CVPR
2020.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.solutions import RetrievalSolution, scored_rows
from landmarks.metrics.submissions import RetrievalSubmission

K = 100  # ranks that the competition scores
PRECISION_RANKS = (1, 5, 10, 50, 100)
LOWER_IS_BETTER = ("mean_position", "median_position")
"""Metrics of which the smallest value is the best."""

_BLOCK_ROWS = 256  # queries per block, whose 25,600 ranks stay in the processor's cache


def relevance(solution: RetrievalSolution, submission: RetrievalSubmission, k: int = K) -> NDArray[np.bool_]:
    """Mark the ranks of a submission that hold a correct image for the first time.

    Args:
        solution: The ground truth, of Q queries.
        submission: Images retrieved for some of them; ignored queries do not count.
        k: Number of ranks.

    Returns:
        bool [Q, k], in the order of the solution; False for a query without results.

    Raises:
        FormatError: A query is not in the solution.
    """
    solution_rows = scored_rows(submission.query_ids, solution.query_ids, solution.ignored_ids)
    relevant = np.zeros((len(solution.query_ids), k), np.bool_)
    for first in range(0, len(solution_rows), _BLOCK_ROWS):
        start = submission.start[first : first + _BLOCK_ROWS + 1]
        counts = np.diff(start)
        rows = np.repeat(solution_rows[first : first + _BLOCK_ROWS], counts)
        ranks = np.arange(start[0], start[-1]) - np.repeat(start[:-1], counts)
        image_ids = submission.image_ids[start[0] : start[-1]]
        used = (rows >= 0) & (ranks < k)
        if not used.all():
            rows, ranks, image_ids = rows[used], ranks[used], image_ids[used]
        positive = solution.find_positives(rows, image_ids)
        correct = np.flatnonzero(positive >= 0)
        new = correct[np.unique(positive[correct], return_index=True)[1]]  # the best rank, as ranks are in order
        relevant[rows[new], ranks[new]] = True
    return relevant


def average_precision(relevant: NDArray[np.bool_], num_positives: NDArray[np.int64], k: int = K) -> NDArray[np.float64]:
    """Compute the average precision of each query.

    Args:
        relevant: bool [Q, K], ranks with a new correct image.
        num_positives: int [Q], number of correct images, at least 1.
        k: number of ranks that count; K may be smaller or larger.

    Returns:
        float64 [Q], in [0, 1].
    """
    rows, ranks = np.nonzero(relevant[:, :k])
    first = np.searchsorted(rows, np.arange(len(relevant)))
    precision = (np.arange(1, len(rows) + 1) - first[rows]) / (ranks + 1)
    return np.bincount(rows, precision, minlength=len(relevant)) / np.minimum(num_positives, k)


def retrieval_metrics(relevant: NDArray[np.bool_], num_positives: NDArray[np.int64]) -> dict[str, float]:
    """Compute all metrics of one split.

    Args:
        relevant: bool [Q, K], ranks with a new correct image.
        num_positives: int [Q], number of correct images.

    Returns:
        Means over queries, and the median of positions; NaN if there is no query.
    """
    if len(relevant) == 0:
        names = retrieval_metrics(np.zeros((1, K), np.bool_), np.ones(1, np.int64))
        return dict.fromkeys(names, float("nan"))
    # Rank of the first correct image, from 1; K + 1 without one.
    relevant = relevant[:, :K]
    positions = np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1, K + 1)
    return {
        "map@100": float(average_precision(relevant, num_positives, 100).mean()),
        "map@10": float(average_precision(relevant, num_positives, 10).mean()),
        **{f"precision@{k}": float((relevant[:, :k].sum(axis=1) / k).mean()) for k in PRECISION_RANKS},
        "mean_position": float(positions.mean()),
        "median_position": float(np.median(positions)),
    }


def best_mode(monitor: str) -> Literal["min", "max"]:
    """Return whether the best value of a metric such as `public/map@100` is the largest or the smallest."""
    return "min" if monitor.rpartition("/")[2] in LOWER_IS_BETTER else "max"


def score_retrieval(solution: RetrievalSolution, submission: RetrievalSubmission) -> dict[str, dict[str, float]]:
    """Score a submission.

    Args:
        solution: The ground truth.
        submission: Images retrieved for its queries.

    Returns:
        The metrics of "public" and of "private", NaN in a split without queries.

    Raises:
        FormatError: A query of the submission is not in the solution.
    """
    relevant = relevance(solution, submission)
    splits = {"public": solution.public, "private": ~solution.public}
    return {name: retrieval_metrics(relevant[rows], solution.num_positives[rows]) for name, rows in splits.items()}
