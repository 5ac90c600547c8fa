"""GAP (μAP) and related metrics for recognition, as functions on arrays.

GAP = Σ P(i)·rel(i) / M over all predictions of a split sorted by score, where P(i) is the precision of the first i,
rel(i) is 1 if prediction i is right and 0 otherwise, and M is the number of images that have a landmark, with or
without a prediction. A prediction on an image without a landmark is wrong. Equal scores are ordered by image id, then
by landmark, ascending. Definition: Perronnin, Liu & Renders, "A family of contextual measures of similarity between
distributions", CVPR 2009; Weyand et al., "Google Landmarks Dataset v2", CVPR 2020.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.solutions import RecognitionSolution, scored_rows
from landmarks.metrics.submissions import RecognitionSubmission


def correctness(
    solution: RecognitionSolution, image_ids: NDArray[np.uint64], landmarks: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Mark the predictions that name a landmark of their image.

    Args:
        solution: the ground truth.
        image_ids: uint64 [N].
        landmarks: int64 [N]; -1 = no prediction, which is never correct.

    Returns:
        bool [N].

    Raises:
        FormatError: an image is not in the solution.
    """
    rows = scored_rows(image_ids, solution.image_ids, solution.ignored_ids)
    return solution.shows(rows, landmarks)


def global_average_precision(
    scores: NDArray[np.floating],
    correct: NDArray[np.bool_],
    num_landmark_images: int,
    image_ids: NDArray[np.uint64],
    landmarks: NDArray[np.int64],
) -> float:
    """Compute the global average precision of predictions.

    Args:
        scores: float [N], finite.
        correct: bool [N], whether the landmark is right.
        num_landmark_images: M, number of images that have a landmark, including those without a prediction.
        image_ids: uint64 [N], to order equal scores, ascending.
        landmarks: int64 [N], to order equal scores of the same image, ascending.

    Returns:
        A number in [0, 1] if no image has more than one prediction; NaN if M is 0.
    """
    if num_landmark_images == 0:
        return float("nan")
    ordered = correct[np.lexsort((landmarks, image_ids, -scores))]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].sum() / num_landmark_images)


def score_recognition(solution: RecognitionSolution, submission: RecognitionSubmission) -> dict[str, dict[str, float]]:
    """Score a submission.

    Args:
        solution: the ground truth.
        submission: at most one prediction per image.

    Returns:
        The metrics of "public" and of "private", NaN in a split without landmark images. `gap_ignoring_non_landmark`
        leaves out predictions on images without a landmark; `top1` is the share of the images with a landmark whose
        prediction is right.

    Raises:
        FormatError: an image of the submission is not in the solution.
    """
    rows = scored_rows(submission.image_ids, solution.image_ids, solution.ignored_ids)
    used = (rows >= 0) & (submission.landmarks >= 0)
    rows, ids, landmarks = rows[used], submission.image_ids[used], submission.landmarks[used]
    scores = submission.scores[used]
    correct = solution.shows(rows, landmarks)

    def gap(chosen: NDArray[np.bool_], num_landmark_images: int) -> float:
        return global_average_precision(
            scores[chosen], correct[chosen], num_landmark_images, ids[chosen], landmarks[chosen]
        )

    figures = {}
    for name, split in {"public": solution.public, "private": ~solution.public}.items():
        num_landmark_images = int((solution.has_landmark & split).sum())
        chosen = split[rows]
        figures[name] = {
            "gap": gap(chosen, num_landmark_images),
            "gap_ignoring_non_landmark": gap(chosen & solution.has_landmark[rows], num_landmark_images),
            "top1": float(correct[chosen].sum() / num_landmark_images) if num_landmark_images else float("nan"),
        }
    return figures
